"""Run a model's variants on a provider, or on every ready one, and compare with the reference.

A bundle brings its reference; a plain `.onnx` file is compared with a reference file, with another
model on the CPU, or, on another provider, with itself on the CPU.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np

from edgekit import cases, edges, parity
from edgekit.bundle import Bundle
from edgekit.cases import REFERENCE, Base, Case
from edgekit.debug import graphs, locate
from edgekit.debug.pair import Side
from edgekit.errors import FeedError, ModelError, ProviderError
from edgekit.files import MANIFEST
from edgekit.metrics import evaluate
from edgekit.reference import Reference
from edgekit.runtime import providers
from edgekit.runtime.runner import RunOptions, open_runner
from edgekit.runtime.session import model_file
from edgekit.verdicts import Check, ParityReport, Refused, VariantParity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.debug import Finding
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Outputs, Signature

#: Samples made for a model that has no reference of its own.
SAMPLES = 4
#: The provider that stands for every one that is ready.
ALL = "all"


@dataclass(frozen=True)
class Subject:
    """What is judged: a bundle's variants, or one file (whose variant is None)."""

    model: Path
    bundle: Bundle | None
    variants: tuple[str | None, ...]
    precision: str | None
    tolerance: Tolerance | None

    @classmethod
    def of(
        cls,
        model: str | Path | Bundle,
        variant: str | None,
        precision: str | None = None,
        tolerance: Tolerance | None = None,
    ) -> Subject:
        """Find out what a model is: a bundle, a bundle's file, or a file of its own."""
        bundle, variant = _as_bundle(model, variant)
        if bundle is None:
            return cls(Path(str(model)), None, (variant,), precision, tolerance)
        names = [variant] if variant else [each.name for each in bundle.manifest.variants]
        return cls(bundle.path, bundle, tuple(names), precision, tolerance)

    def name(self, variant: str | None) -> str:
        """Name a variant in reports; a plain file has its own name."""
        return variant or self.model.name

    def precision_of(self, variant: str | None) -> str:
        """Tell the precision that decides what counts as equal."""
        known = self.bundle.variant(variant).precision if self.bundle else "fp32"
        return self.precision or known

    def tolerance_of(self, variant: str | None) -> Tolerance:
        """Give the tolerance that was asked for, else that of the precision."""
        return self.tolerance or parity.TOLERANCES[self.precision_of(variant)]

    def open(self, variant: str | None, **options: Unpack[RunOptions]) -> Runner:
        """Open a variant, or the file."""
        return open_runner(self.bundle or self.model, variant=variant, **options)


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
    asked = options.get("provider", "cpu")
    plan = _Plan(subject, reference, against, options)
    found: list[Case] = []
    judged: list[VariantParity] = []
    refused: list[Refused] = []
    if asked == ALL:
        # A file that is not there is no matter of a provider.
        model_file(subject.bundle or subject.model, subject.variants[0])
    for alias in _ready() if asked == ALL else [asked]:
        here: RunOptions = {"provider": alias}
        for name in subject.variants:
            try:
                runner = subject.open(name, **(options | here))
            except (ModelError, ProviderError) as error:
                if asked != ALL:
                    raise
                refused.append(_refusal(subject, name, alias, error))
                continue
            with runner:
                plan.check_inputs(runner)
                if not found:
                    with plan:
                        found = list(plan.cases(runner.signature, worst_case, seed))
                row = _judge(subject, name, alias, runner, found)
                # On all providers it would take long, and say less than the parity does.
                metric = _metric(subject, runner, row) if asked != ALL else None
                finding = _search(plan, runner, row, found) if debug and not row.passed else None
                judged.append(dataclasses.replace(row, metric=metric, finding=finding))
    metric_name = subject.bundle.manifest.metric if subject.bundle else None
    return ParityReport(
        str(subject.model),
        metric_name,
        tuple(judged),
        tuple(refused),
        tuple(plan.notes),
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


class _Plan:
    """What a subject is compared on, and what with; it opens what it needs, once, on the CPU."""

    def __init__(
        self,
        subject: Subject,
        reference: str | Path | None,
        against: str | Path | None,
        options: RunOptions,
    ) -> None:
        self.subject, self.reference, self.against = subject, reference, against
        self.options = options
        self.notes: list[str] = []
        self._base: Base | None = None

    def __enter__(self) -> _Plan:
        return self

    def __exit__(self, *error: object) -> None:
        if self._base is not None:
            self._base.runner.close()

    @property
    def base(self) -> Base:
        """Open the model that says what is expected where the reference does not."""
        if self._base is None:
            model, bundle = self.against or self.subject.model, self.subject.bundle
            label = str(self.against) if self.against else self.subject.model.name
            if bundle and not self.against:
                label = bundle.variant().name
            runner = open_runner(
                model, threads=self.options.get("threads"), axes=self.options.get("axes")
            )
            self._base = Base(runner, f"{label} on cpu")
        return self._base

    def sides(self, ours: Side, name: str) -> Iterator[Side]:
        """Give what a side can be searched beside: itself on the CPU as `name`, the float file."""
        options: RunOptions = {
            "threads": self.options.get("threads"),
            "axes": self.options.get("axes"),
        }
        on_cpu = ours.options.get("provider", "cpu") == "cpu"
        if not on_cpu:
            yield Side(ours.path, name, ours.precision, options)
        if self._has_base and (self.base.runner.path != ours.path):
            yield Side(self.base.runner.path, self.base.name, "fp32", options)

    def check_inputs(self, runner: Runner) -> None:
        """Raise `ModelError` where the model to compare with takes other inputs."""
        if self.against is None:
            return
        other = self.base.runner
        if other.signature.inputs != runner.signature.inputs:
            raise ModelError(
                f"The models cannot be compared: {str(other.path)!r} takes "
                f"{other.signature}, {str(runner.path)!r} takes {runner.signature}."
            )

    def cases(self, signature: Signature, worst_case: bool, seed: int) -> Iterator[Case]:
        """Give every case, those of the reference first."""
        first, origin = self._first()
        yield from cases.of_reference(first, signature, origin)
        if self._has_base and cases.other_axes(signature):
            yield from cases.at_lengths(self.base, first.inputs, self.notes)
        if worst_case:
            if not self._has_base:
                raise FeedError(
                    "The worst case is searched by comparison with another model: give --against "
                    "MODEL, or a bundle."
                )
            bundle = self.subject.bundle
            ranges = edges.known_ranges(
                first.inputs,
                edges.calibration_of(bundle),
                bundle.manifest.preprocessing if bundle else None,
            )
            yield from cases.at_edges(self.base, first.inputs, ranges, self.notes, seed=seed)

    @property
    def _has_base(self) -> bool:
        itself = self.options.get("provider", "cpu") != "cpu" and self.reference is None
        return bool(self.subject.bundle or self.against or itself)

    def _first(self) -> tuple[Reference, str]:
        """Give the reference, and what it is called."""
        if self.against is None and self.reference is not None:
            return Reference.load(Path(self.reference)), REFERENCE
        bundle = self.subject.bundle
        if self.against is None and bundle and "reference" in bundle.manifest.data:
            return Reference.load(bundle.file(bundle.manifest.data["reference"])), REFERENCE
        if not self._has_base or (bundle and self.against is None):
            raise FeedError(
                f"The model {str(self.subject.model)!r} has no reference: give --reference "
                "FILE.npz, or --against MODEL to compare it with another file."
            )
        inputs = self.base.runner.signature.sample(batch=SAMPLES)
        return Reference(inputs, self.base.runner.run(inputs)), self.base.name


def _ready() -> list[str]:
    return [status.alias for status in providers.statuses() if status.state == "ready"]


def _refusal(
    subject: Subject, name: str | None, alias: str, error: ModelError | ProviderError
) -> Refused:
    step = error.step if isinstance(error, ProviderError) else "open"
    reason = error.reason if isinstance(error, ProviderError) else str(error)
    return Refused(subject.name(name), subject.precision_of(name), alias, step, reason)


def _judge(
    subject: Subject,
    name: str | None,
    alias: str,
    runner: Runner,
    found: list[Case],
) -> VariantParity:
    """Run every case; a sample's answers alone are kept for the comparison with its batch."""
    precision, tolerance = subject.precision_of(name), subject.tolerance_of(name)
    checks: list[Check] = []
    alone: dict[str, Outputs] = {}
    effects: list[tuple[OutputParity, ...]] = []
    for case in found:
        made, answers = _check(runner, case, tolerance, precision)
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


def _search(plan: _Plan, runner: Runner, row: VariantParity, found: list[Case]) -> Finding | None:
    """Search for the node that the first wrong output comes from.

    Beside the same file on the CPU, where it ran elsewhere; then beside the float file; then for
    what is no number in it alone.
    """
    name = f"{row.variant} on {row.asked}"
    feeds = _failing_feeds(runner, row, found)
    if feeds is None:
        plan.notes.append(f"{name} fails in a way that has no single node for a cause")
        return None
    ours = Side(runner.path, name, row.precision, plan.options | RunOptions(provider=row.asked))
    for theirs in (*plan.sides(ours, f"{row.variant} on cpu"), None):
        finding = locate(ours, theirs, feeds, row.tolerance)
        if finding is not None:
            return finding
    plan.notes.append(
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
    runner: Runner, case: Case, tolerance: Tolerance, precision: str
) -> tuple[Check, list[Outputs]]:
    answers: list[Outputs] = []
    outputs: tuple[OutputParity, ...] = ()
    error = None
    try:
        answers = [runner.run(batch.inputs) for batch in case.batches]
        outputs = _evidence(case, answers, tolerance)
    except (ModelError, ProviderError) as failure:
        error = str(failure)
    # Integer ranges were fixed for the values of the calibration: beyond them they clip.
    counted = not (case.beyond and precision == "int8")
    made = Check(case.inputs, case.batch, case.axes, case.expected_from, outputs, error, counted)
    return made, answers


def _evidence(case: Case, answers: list[Outputs], tolerance: Tolerance) -> tuple[OutputParity, ...]:
    found = [
        parity.compare(batch.outputs, answer, tolerance)
        for batch, answer in zip(case.batches, answers, strict=True)
    ]
    return tuple(parity.worst(outputs) for outputs in zip(*found, strict=True))


def _joined(answers: list[Outputs]) -> Outputs | None:
    """Put the answers of several batches together, where their shapes allow it."""
    if not answers:
        return None
    with contextlib.suppress(ValueError):
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}
    return None


def _as_bundle(model: str | Path | Bundle, variant: str | None) -> tuple[Bundle | None, str | None]:
    """Open a bundle's folder, or the bundle that an `.onnx` file is a variant of."""
    if isinstance(model, Bundle):
        return model, variant
    path = Path(model)
    if path.is_dir():
        return Bundle.open(path), variant
    if path.is_file() and (path.parent / MANIFEST).is_file() and variant is None:
        bundle = Bundle.open(path.parent)
        for known in bundle.manifest.variants:
            if known.file.path == path.name:
                return bundle, known.name
    return None, variant
