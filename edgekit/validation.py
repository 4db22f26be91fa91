"""Run a model's variants on a provider and compare each with the reference.

A bundle brings its reference; a plain `.onnx` file is compared with a reference file, or with
another model on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgekit import parity
from edgekit.bundle import Bundle
from edgekit.errors import FeedError, ModelError
from edgekit.files import MANIFEST
from edgekit.metrics import evaluate
from edgekit.reference import Reference
from edgekit.runtime.runner import Runner, open_runner

if TYPE_CHECKING:
    from edgekit.parity import OutputParity, Tolerance
    from edgekit.runtime.placement import Placement
    from edgekit.runtime.runner import RunOptions

#: Samples made for a model that has no reference of its own.
SAMPLES = 4


@dataclass(frozen=True)
class VariantParity:
    """One variant on one provider: the evidence by batch size, and the task's metric."""

    variant: str
    precision: str
    provider: str
    placement: Placement
    tolerance: Tolerance
    outputs: dict[int, tuple[OutputParity, ...]]
    metric: float | None = None

    @property
    def passed(self) -> bool:
        """Whether every output passed at every batch size, and the reference proves anything."""
        found = [output for outputs in self.outputs.values() for output in outputs]
        return all(output.passed for output in found) and not self.degenerate

    @property
    def degenerate(self) -> bool:
        """Whether no output of the reference tells one sample from another."""
        return all(output.degenerate for output in self.outputs[max(self.outputs)])


@dataclass(frozen=True)
class ParityReport:
    """The variants of a model against its reference."""

    model: str
    metric_name: str | None
    variants: tuple[VariantParity, ...]

    @property
    def passed(self) -> bool:
        """Whether every variant passed."""
        return all(variant.passed for variant in self.variants)


def validate(
    model: str | Path | Bundle,
    *,
    variant: str | None = None,
    reference: str | Path | None = None,
    against: str | Path | None = None,
    tolerance: Tolerance | None = None,
    precision: str | None = None,
    **run: Unpack[RunOptions],
) -> ParityReport:
    """Compare a model with its reference, at batch size 1 and at all samples at once.

    Every variant of a bundle is checked, or the one named. `tolerance` replaces the one that goes
    with a variant's precision (`parity.TOLERANCES`); `precision` tells that of a plain file, else
    fp32. `run` is how the model is run (`RunOptions`). Raises an `EdgekitError` where a variant
    cannot be opened or run; a difference is a verdict, not an error.
    """
    bundle, variant = _as_bundle(model, variant)
    names: list[str | None] = [variant]
    if bundle is not None and variant is None:
        names = [each.name for each in bundle.manifest.variants]
    source = bundle if bundle is not None else Path(str(model))
    found = []
    for name in names:
        with open_runner(source, variant=name, **run) as runner:
            wanted = _reference(bundle, runner, reference, against)
            known = bundle.variant(name).precision if bundle else "fp32"
            limit = tolerance or parity.TOLERANCES[precision or known]
            # Before the placement is read: lengths that come from the feeds are part of it.
            evidence = check(runner, wanted, limit)
            found.append(
                VariantParity(
                    variant=name or runner.path.name,
                    precision=precision or known,
                    provider=runner.provider,
                    placement=runner.placement,
                    tolerance=limit,
                    outputs=evidence,
                    metric=evaluate(bundle, runner) if bundle else None,
                )
            )
    metric_name = bundle.manifest.metric if bundle else None
    return ParityReport(str(bundle.path if bundle else model), metric_name, tuple(found))


def check(
    runner: Runner, reference: Reference, tolerance: Tolerance
) -> dict[int, tuple[OutputParity, ...]]:
    """Compare an open model with a reference at batch size 1 and at all samples at once.

    The evidence of a batch size is the worst over its batches, output by output.
    """
    count = len(next(iter(reference.inputs.values()))) if runner.signature.batched else 1
    evidence = {}
    for size in dict.fromkeys((1, count)):
        found = [
            parity.compare(case.outputs, runner.run(case.inputs), tolerance)
            for case in reference.batches(runner.signature, size)
        ]
        whole = [_worst(outputs) for outputs in zip(*found, strict=True)]
        evidence[size] = tuple(whole)
    return evidence


def _worst(outputs: tuple[OutputParity, ...]) -> OutputParity:
    """Keep the batch that failed, else the one with the largest error."""
    return max(outputs, key=lambda output: (not output.passed, output.max_abs_error or 0.0))


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


def _reference(
    bundle: Bundle | None,
    runner: Runner,
    reference: str | Path | None,
    against: str | Path | None,
) -> Reference:
    if against is not None:
        inputs = runner.signature.sample(batch=SAMPLES)
        with open_runner(against) as other:
            if other.signature.inputs != runner.signature.inputs:
                raise ModelError(
                    f"The models cannot be compared: {str(against)!r} takes "
                    f"{other.signature}, {str(runner.path)!r} takes {runner.signature}."
                )
            return Reference(inputs, other.run(inputs))
    if reference is not None:
        return Reference.load(Path(reference))
    if bundle is None or "reference" not in bundle.manifest.data:
        raise FeedError(
            f"The model {str(runner.path)!r} has no reference: give --reference FILE.npz, or "
            "--against MODEL to compare it with another file."
        )
    return Reference.load(bundle.file(bundle.manifest.data["reference"]))
