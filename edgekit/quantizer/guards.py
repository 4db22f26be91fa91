"""Guards of the data: another range is refused, a reference that proves nothing is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekit import parity
from edgekit.errors import QuantizeError
from edgekit.quantizer.calibration import ranges_of
from edgekit.verdicts import Failure

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.quantizer.calibration import Ranges
    from edgekit.signature import Feeds

#: Values may lie outside of the calibration's range by this share of it: what lies outside is cut.
MAX_OUTSIDE = 0.5
#: Values that use less than this share of the calibration's range lose 3 of the 8 bits.
MIN_SHARE = 1 / 8
#: Data may lie outside of the range that a manifest declares by this share of it.
MAX_BEYOND = 0.1
#: Data has to cover more than this share of the range that a manifest declares.
MIN_COVER = 0.5


@dataclass(frozen=True)
class InputRange:
    """The (least, greatest) value of one input in the calibration data, and where it should be.

    `reference` is the range of the bundle's reference inputs, `declared` that of its manifest's
    preprocessing; each is None where there is none.
    """

    name: str
    calibration: tuple[float, float]
    reference: tuple[float, float] | None = None
    declared: tuple[float, float] | None = None


def check_inputs(
    given: Ranges, reference: Feeds | None, preprocessing: dict[str, Any] | None
) -> tuple[InputRange, ...]:
    """Compare the range of the calibration data with what is known of the model's inputs.

    Raises `QuantizeError` with both ranges where they are of different scales.
    """
    known, declared = ranges_of(reference or {}), declared_ranges(preprocessing)
    found = tuple(
        InputRange(name, values, known.get(name), declared.get(name))
        for name, values in given.items()
    )
    for row in found:
        if row.declared is not None:
            _check_declared(row.name, row.calibration, row.declared)
        if row.reference is not None:
            check_range(row.name, row.calibration, row.reference, "the model's reference inputs go")
    if given and reference is None and all(low == high for low, high in given.values()):
        name, (low, _) = next(iter(given.items()))
        raise QuantizeError(
            f"degenerate: the calibration data of the input {name!r} is {low:g} everywhere, which "
            "says nothing of a range: give data as the model meets it."
        )
    return found


def declared_ranges(preprocessing: dict[str, Any] | None) -> Ranges:
    """Give the range that a manifest's preprocessing declares for its input, by name."""
    spec = preprocessing or {}
    declared, name = spec.get("range"), spec.get("input")
    if not isinstance(declared, list) or len(declared) != 2 or not isinstance(name, str):
        return {}
    low, high = map(float, declared)
    return {name: (min(low, high), max(low, high))}


def check_range(
    name: str, given: tuple[float, float], expected: tuple[float, float], whose: str
) -> None:
    """Raise `QuantizeError` where calibration data is in another range than the model's inputs.

    `expected` is the range of inputs known to be right. A few known inputs may reach beyond the
    data, or use a part of its range; half of the range beyond it, or an eighth of it used, is
    another scale: 0..1 where the model takes 0..16 leaves an int8 model guessing.
    """
    (least, greatest), (low, high) = given, expected
    span = greatest - least
    outside = max(0.0, least - low) + max(0.0, high - greatest)
    unused = 0.0 < high - low < MIN_SHARE * span
    if outside > MAX_OUTSIDE * span or unused:
        raise _mismatch(name, given, expected, whose)


def _check_declared(name: str, given: tuple[float, float], declared: tuple[float, float]) -> None:
    """Raise `QuantizeError` for data beyond what the preprocessing can give, or for half of it.

    A manifest declares the ends: no value lies beyond them but by the rounding of a filter, and
    what never leaves one half was scaled in another way (0..1 where -1..1 is declared).
    """
    (least, greatest), (low, high) = given, declared
    beyond = max(low - least, greatest - high)
    if beyond > MAX_BEYOND * (high - low) or greatest - least <= MIN_COVER * (high - low):
        whose = "the manifest's preprocessing gives values that go"
        raise _mismatch(name, given, declared, whose)


def _mismatch(
    name: str, given: tuple[float, float], expected: tuple[float, float], whose: str
) -> QuantizeError:
    return QuantizeError(
        f"The calibration data of the input {name!r} goes from {given[0]:g} to {given[1]:g} "
        f"where {whose} from {expected[0]:g} to {expected[1]:g}: give data prepared as the model's "
        "inputs are."
    )


def check_reference(bundle: Bundle) -> tuple[list[Failure], list[str]]:
    """Name data that proves nothing, `degenerate`: gives failures, and notes.

    A reference with one answer for all samples is a failure, for no error would show in it.
    Held-out data of one class is a note: the metric says nothing, and parity still does.
    """
    outputs = (bundle.data("reference") or {}).get("outputs", {})
    exact = parity.Tolerance(None)
    same = [parity.compare_output(name, array, array, exact) for name, array in outputs.items()]
    failures, notes = [], []
    if same and all(output.degenerate for output in same):
        detail = "every sample has the same answer, so it proves nothing; give other inputs"
        failures.append(Failure("degenerate", "the reference", detail))
    targets = (bundle.data("evaluation") or {}).get("targets", {}).get("")
    whole = targets is not None and targets.dtype.kind in "iub" and len(targets) > 1
    if targets is not None and whole and (targets == targets[:1]).all():
        notes.append(
            f"degenerate: all {len(targets)} samples of the held-out data are of one class, so the "
            "metric proves nothing; give some of several"
        )
    return failures, notes
