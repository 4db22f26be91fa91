"""Run a model's variants on a provider, or on every ready one, and compare with the reference.

A bundle brings its reference; a plain `.onnx` file is compared with a reference file, with another
model on the CPU, or, on another provider, with itself on the CPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np

from edgekit import cases, parity
from edgekit.cases import REFERENCE, Case
from edgekit.debug import graphs, locate
from edgekit.debug.pair import Side
from edgekit.errors import ModelError, ProviderError
from edgekit.expected import Expected, Subject, fitting
from edgekit.metrics import evaluate
from edgekit.runtime.explain import shares
from edgekit.runtime.providers import PROVIDERS, options_by_provider
from edgekit.runtime.runner import RunOptions
from edgekit.runtime.session import model_file
from edgekit.runtime.survey import survey
from edgekit.verdicts import Check, ParityReport, Refused, VariantParity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgekit.bundle import Bundle
    from edgekit.debug import Finding
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.reference import Reference
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Outputs

#: The provider that stands for every one that is ready.
ALL = "all"


@dataclass(frozen=True)
class _Ask:
    """What `validate` was asked for beside the comparison with the reference."""

    worst_case: bool
    debug: bool
    seed: int
    everywhere: bool


def validate(
    model: str | Path | Bundle,
    *,
    variant: str | None = None,
    reference: str | Path | None = None,
    against: str | Path | None = None,
    tolerance: Tolerance | None = None,
    precision: str | None = None,
    worst_case: bool = False,
    debug: bool = False,
    seed: int = 0,
    **options: Unpack[RunOptions],
) -> ParityReport:
    """Compare a model with its reference at several batch sizes and lengths of its free axes.

    Every variant of a bundle is checked, or the one named. `provider="all"` takes every provider
    that is ready here; what one cannot open is then a row of the report, not an error. At lengths
    that the reference does not have, the float variant on the CPU says what is expected; a plain
    file's part is taken by `against`, or on another provider by the file itself on the CPU.
    `worst_case` adds edge inputs (`edges.VALUES`), drawn with `seed`, compared in the same way.
    `debug` searches for the node that a failure comes from (`edgekit.debug`, needs onnx-ir): where
    the variant parts from the float one on the CPU, or from what took its part.

    `tolerance` replaces the one that goes with a variant's precision (`parity.TOLERANCES`);
    `precision` tells that of a plain file, else fp32. Raises an `EdgekitError` where a variant
    cannot be opened; a difference is a verdict, not an error (`verdicts` has their names).
    """
    if debug:
        graphs.check_installed()
    subject = Subject.of(model, variant, precision, tolerance)
    expected = Expected(subject, reference, against, options)
    ask = _Ask(worst_case, debug, seed, everywhere=options.get("provider") == ALL)
    rows = list(_rows(subject, expected, ask, options))
    return ParityReport(
        str(subject.model),
        subject.bundle.manifest.metric if subject.bundle else None,
        tuple(row for row in rows if isinstance(row, VariantParity)),
        tuple(row for row in rows if isinstance(row, Refused)),
        tuple(expected.notes),
        worst_case,
    )


def check(
    runner: Runner, reference: Reference, tolerance: Tolerance
) -> dict[int, tuple[OutputParity, ...]]:
    """Compare an open model with a reference at batch size 1 and at all samples at once.

    The evidence of a batch size is the worst over its batches, output by output.
    """
    return {
        case.batch: _evidence(case, [runner.run(batch.inputs) for batch in case.batches], tolerance)
        for case in cases.of_reference(reference, runner.signature, odd=False)
    }


def _ready() -> list[str]:
    return [status.alias for status in survey().providers if status.state == "ready"]


def _everywhere(options: RunOptions) -> list[RunOptions]:
    """Give the options for each ready provider: those of one provider go to it alone."""
    rows = [PROVIDERS[alias] for alias in _ready()]
    found = options_by_provider(rows, options.get("provider_options"))
    return [
        options | RunOptions(provider=row.alias, provider_options=found[row.alias]) for row in rows
    ]


def _rows(
    subject: Subject, expected: Expected, ask: _Ask, options: RunOptions
) -> Iterator[VariantParity | Refused]:
    """Judge each variant on each provider; what cannot be opened raises where one was named."""
    if ask.everywhere:
        # A file that is not there is no matter of a provider.
        model_file(subject.bundle or subject.model, subject.variants[0])
    found: list[Case] = []
    places = _everywhere(options) if ask.everywhere else [options]
    for here, name in itertools.product(places, subject.variants):
        provider = here.get("provider", "cpu")
        label = provider if isinstance(provider, str) else ",".join(provider)
        if not subject.runs_on(name, provider):
            continue
        try:
            runner = subject.open(name, **here)
        except (ModelError, ProviderError) as error:
            if not ask.everywhere:
                raise
            yield _refusal(subject, name, label, error)
            continue
        with runner:
            expected.check_inputs(runner)
            mine = _own_cases(subject, name, expected, runner, ask)
            if mine is None:
                found = mine = found or _cases(expected, runner, ask)
            try:
                row = _judge(subject, name, label, runner, mine)
            except ProviderError as error:
                if not ask.everywhere:
                    raise
                yield _refusal(subject, name, label, error)
                continue
            if len(row.placement.nodes) > 1:
                placed = shares(runner, mine[0].batches[0].inputs, **here)
                row = dataclasses.replace(row, placement=placed)
            yield _completed(subject, expected, ask, runner, row, mine, here)


def _own_cases(
    subject: Subject, name: str | None, expected: Expected, runner: Runner, ask: _Ask
) -> list[Case] | None:
    """Give the cases of a variant that takes other inputs, or other lengths, than the rest."""
    if subject.is_raw(name):
        if ask.worst_case:
            expected.notes.append(f"left out the worst case of {name}: it takes raw input")
        return subject.raw_cases(name, runner.signature)
    if subject.has_lengths(name):
        own = Expected(subject, expected.reference, expected.against, expected.options)
        return fitting(_cases(own, runner, ask), runner.signature)
    return None


def _cases(expected: Expected, runner: Runner, ask: _Ask) -> list[Case]:
    return expected.cases(runner.signature, worst_case=ask.worst_case, seed=ask.seed)


def _completed(
    subject: Subject,
    expected: Expected,
    ask: _Ask,
    runner: Runner,
    row: VariantParity,
    found: list[Case],
    options: RunOptions,
) -> VariantParity:
    """Add the metric, and the node that a failure comes from."""
    # On all providers the metric would take long, and say less than the parity does.
    left_out = ask.everywhere or subject.is_raw(row.variant)
    metric = None if left_out else _metric(subject, runner, row)
    finding = None
    if ask.debug and not row.passed and not subject.is_raw(row.variant):
        finding = _search(expected, runner, row, found, options)
    return dataclasses.replace(row, metric=metric, finding=finding)


def _refusal(
    subject: Subject, name: str | None, alias: str, error: ModelError | ProviderError
) -> Refused:
    step = error.step if isinstance(error, ProviderError) else "open"
    reason = error.reason if isinstance(error, ProviderError) else str(error)
    fix = error.fix if isinstance(error, ProviderError) else None
    return Refused(subject.name(name), subject.precision_of(name), alias, step, reason, fix)


def _judge(
    subject: Subject,
    name: str | None,
    alias: str,
    runner: Runner,
    found: list[Case],
) -> VariantParity:
    """Run every case; a sample's answers alone are kept for the comparison with its batch."""
    precision, tolerance = subject.precision_of(name), subject.tolerance_of(name, alias)
    checks: list[Check] = []
    alone: dict[str, Outputs] = {}
    effects: list[tuple[OutputParity, ...]] = []
    for case in found:
        made, answers = _check(runner, case, tolerance, precision, first=not checks)
        checks.append(made)
        joined = _joined(answers) if case.inputs == REFERENCE else None
        where = cases.lengths_text(case.axes)
        if joined and case.batch == 1:
            alone[where] = joined
        elif joined and len(case.batches) == 1 and where in alone:
            effect = parity.compare(alone[where], joined, tolerance)
            # What is no number or has the wrong shape has failed by that name.
            if all(o.failure in (None, "tolerance", "sqnr") for o in effect):
                effects.append(effect)
    return VariantParity(
        variant=subject.name(name),
        precision=precision,
        asked=alias,
        provider=runner.provider,
        placement=runner.placement,
        tolerance=tolerance,
        checks=tuple(checks),
        batch_effect=tuple(parity.worst(outputs) for outputs in zip(*effects, strict=True)),
    )


def _metric(subject: Subject, runner: Runner, row: VariantParity) -> float | None:
    """Give the task's metric, where the answers have the shape that it takes."""
    if subject.bundle is None or {"shape", "run"} & {failure.kind for failure in row.failures}:
        return None
    return evaluate(subject.bundle, runner)


def _search(
    expected: Expected,
    runner: Runner,
    row: VariantParity,
    found: list[Case],
    options: RunOptions,
) -> Finding | None:
    """Search for the node that the first wrong output comes from.

    Beside the same file on the CPU, where it ran elsewhere; then beside the float file; then for
    what is no number in it alone.
    """
    name = f"{row.variant} on {row.asked}"
    feeds = _failing_feeds(runner, row, found)
    if feeds is None:
        expected.notes.append(f"{name} fails in a way that has no single node for a cause")
        return None
    ours = Side(runner.path, name, row.precision, options)
    for theirs in (*expected.sides(ours, f"{row.variant} on cpu"), None):
        finding = locate(ours, theirs, feeds, row.tolerance)
        if finding is not None:
            return finding
    expected.notes.append(
        f"{name} parts from its reference, no other file that was given does so, and all inside "
        "of it is finite: give one that is right with --against"
    )
    return None


def _failing_feeds(runner: Runner, row: VariantParity, found: list[Case]) -> Feeds | None:
    """Give the inputs with the worst answer in the first case with a wrong one."""
    for made, case in zip(row.checks, found, strict=True):
        if made.passed or made.error is not None or not made.counted:
            continue
        worst = [
            parity.worst(parity.compare(b.outputs, runner.run(b.inputs), row.tolerance))
            for b in case.batches
        ]
        return case.batches[worst.index(parity.worst(worst))].inputs
    return None


def _check(
    runner: Runner, case: Case, tolerance: Tolerance, precision: str, *, first: bool
) -> tuple[Check, list[Outputs]]:
    answers: list[Outputs] = []
    outputs: tuple[OutputParity, ...] = ()
    error = None
    try:
        answers = [runner.run(batch.inputs) for batch in case.batches]
        outputs = _evidence(case, answers, tolerance)
    except (ModelError, ProviderError) as failure:
        if first and isinstance(failure, ProviderError):
            raise  # a provider of fixed shapes opens its sessions now, and cannot open any
        error = str(failure)
    # Integer ranges were fixed for the values of the calibration: beyond them they clip.
    counted = not (case.beyond and precision == "int8")
    made = Check(case.inputs, case.batch, case.axes, case.expected_from, outputs, error, counted)
    return made, answers


def _evidence(case: Case, answers: list[Outputs], tolerance: Tolerance) -> tuple[OutputParity, ...]:
    return parity.compare_all((batch.outputs for batch in case.batches), answers, tolerance)


def _joined(answers: list[Outputs]) -> Outputs | None:
    """Put the answers of several batches together, where their shapes allow it."""
    if not answers:
        return None
    with contextlib.suppress(ValueError):
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}
    return None
