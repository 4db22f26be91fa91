"""What is judged, and what it is compared with: a reference, a float file, another model.

A model that is not the subject itself is opened on the CPU, and only where it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from edgekit import cases, edges, parity
from edgekit.bundle import TENSORS, Bundle
from edgekit.cases import REFERENCE, Base
from edgekit.debug.pair import Side
from edgekit.errors import FeedError, ModelError
from edgekit.files import MANIFEST
from edgekit.reference import Reference
from edgekit.runtime.providers import PROVIDERS
from edgekit.runtime.runner import open_runner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.cases import Case
    from edgekit.parity import Tolerance
    from edgekit.runtime.runner import Runner, RunOptions
    from edgekit.signature import Signature

#: Samples made for a model that has no reference of its own.
SAMPLES = 4


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

    def runs_on(self, variant: str | None, provider: str | Sequence[str]) -> bool:
        """Whether to judge one of all variants there: not what another provider compiled."""
        if self.bundle is None or len(self.variants) == 1:
            return True
        return self.bundle.variant(variant) in self.bundle.variants_on(provider)

    def has_lengths(self, variant: str | None) -> bool:
        """Whether a variant was compiled for lengths of its own."""
        return self.bundle is not None and bool(self.bundle.variant(variant).axes)

    def is_raw(self, variant: str | None) -> bool:
        """Whether a variant has its preprocessing inside, and takes other inputs than the rest."""
        return self.bundle is not None and self.bundle.variant(variant).takes != TENSORS

    def raw_cases(self, variant: str | None, signature: Signature) -> list[Case]:
        """Give the cases of the reference that goes with what a raw variant takes."""
        bundle = self.bundle
        entry = bundle.reference_of(bundle.variant(variant)) if bundle else None
        if bundle is None or entry is None:
            raise FeedError(
                f"The variant {variant!r} takes raw input and the bundle has no reference of it: "
                "put its preprocessing in again, with edgekit export --with-preprocessing."
            )
        return list(cases.of_reference(Reference.load(bundle.file(entry)), signature))

    def precision_of(self, variant: str | None) -> str:
        """Tell the precision that decides what counts as equal."""
        known = self.bundle.variant(variant).precision if self.bundle else "fp32"
        return self.precision or known

    def tolerance_of(self, variant: str | None, provider: str) -> Tolerance:
        """Give the tolerance that was asked for, else that of the precision on a provider.

        One that computes float32 in fp16 is judged by fp16.
        """
        row, precision = PROVIDERS.get(provider), self.precision_of(variant)
        if row is not None and precision == "fp32":
            precision = row.float_precision
        return self.tolerance or parity.TOLERANCES[precision]

    def open(self, variant: str | None, **options: Unpack[RunOptions]) -> Runner:
        """Open a variant, or the file."""
        return open_runner(self.bundle or self.model, variant=variant, **options)


def fitting(found: list[Case], signature: Signature) -> list[Case]:
    """Leave out the cases of lengths that a signature does not have."""
    return [
        case
        for case in found
        if all(spec.fits(case.batches[0].inputs[spec.name].shape) for spec in signature.inputs)
    ]


class Expected:
    """What a subject is compared on, and what with; it opens what it needs, once, on the CPU.

    `notes` says what was left out, and why.
    """

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

    @property
    def base(self) -> Base:
        """Open the model that says what is expected where the reference does not."""
        if self._base is None:
            model, bundle = self.against or self.subject.model, self.subject.bundle
            label = str(self.against) if self.against else self.subject.model.name
            if bundle and not self.against:
                label = bundle.variant().name
            self._base = Base(open_runner(model, **self._on_cpu), f"{label} on cpu")
        return self._base

    def sides(self, ours: Side, name: str) -> Iterator[Side]:
        """Give what a side can be searched beside: itself on the CPU as `name`, the float file."""
        if ours.options.get("provider", "cpu") != "cpu":
            yield Side(ours.path, name, ours.precision, self._on_cpu)
        if self._has_base and self.base.runner.path != ours.path:
            yield Side(self.base.runner.path, self.base.name, "fp32", self._on_cpu)

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

    def cases(self, signature: Signature, *, worst_case: bool, seed: int) -> list[Case]:
        """Give every case, those of the reference first; then what was opened is closed."""
        try:
            first, origin = self._first()
            found = list(cases.of_reference(first, signature, origin))
            if self._has_base and cases.other_axes(signature):
                found += cases.at_lengths(self.base, first.inputs, self.notes)
            if worst_case:
                found += self._edges(first, seed)
        finally:
            if self._base is not None:
                self._base.runner.close()
        return found

    def _edges(self, first: Reference, seed: int) -> Iterator[Case]:
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
        return cases.at_edges(self.base, first.inputs, ranges, self.notes, seed=seed)

    @property
    def _on_cpu(self) -> RunOptions:
        return {"threads": self.options.get("threads"), "axes": self.options.get("axes")}

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
