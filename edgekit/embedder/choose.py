"""Which variant of a bundle goes into an app, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.bundle import TENSORS
from edgekit.errors import EmbedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgekit.bundle import Bundle, Variant
    from edgekit.embedder.targets import Target

#: The most by which a variant's metric may be below the float's: one point of a hundred.
MOST_DROP = 0.01


def choose(bundle: Bundle, target: Target) -> tuple[Variant, str]:
    """Give the best variant for a target, and the reason in words.

    A variant that a provider compiled, that has its preprocessing inside, that failed its parity,
    or whose metric was measured more than `MOST_DROP` below the float's is never chosen; one in
    integers needs a metric that says so. Of the others the target's first precision stands,
    unless it goes by latency and another was measured to be faster under the same conditions.
    """
    fit = [variant for variant in bundle.manifest.variants if _may(bundle, variant)]
    fit = [variant for variant in fit if variant.precision in target.precisions]
    if not fit:
        raise EmbedError(
            f"The bundle {str(bundle.path)!r} has no variant for {target.name!r} that passed its "
            f"parity, in {' or '.join(target.precisions)}: name one with --variant."
        )
    first = min(fit, key=lambda variant: target.precisions.index(variant.precision))
    if target.by_latency:
        for fastest, reason in _faster(first, fit):
            return fastest, reason
    usual = first.precision == target.precisions[0]
    return first, target.why if usual else f"the best that passed is {first.precision}"


def _may(bundle: Bundle, variant: Variant) -> bool:
    float_file = bundle.variant()
    if variant.provider is not None or variant.takes != TENSORS or _failed(variant):
        return False
    if variant.name == float_file.name:
        return True
    ours, theirs = _metric(variant), _metric(float_file)
    if ours is None or theirs is None:
        return variant.precision != "int8"
    return ours >= theirs - MOST_DROP


def _failed(variant: Variant) -> bool:
    found = variant.measured.get("parity", {})
    rows = found.values() if isinstance(found, dict) else ()
    return any(isinstance(row, dict) and row.get("passed") is False for row in rows)


def _metric(variant: Variant) -> float | None:
    found = variant.measured.get("metric", {})
    value = found.get("cpu") if isinstance(found, dict) else None
    return value if isinstance(value, float) else None


def _faster(first: Variant, others: list[Variant]) -> Iterator[tuple[Variant, str]]:
    """Yield the fastest of several under a condition of the first, where it is another."""
    for conditions, ours in _latencies(first):
        timed = [
            (theirs, variant)
            for variant in others
            for known, theirs in _latencies(variant)
            if known == conditions
        ]
        best, variant = min(timed, key=lambda pair: pair[0])
        if variant.name != first.name:
            yield variant, f"p50 {best:.4g} ms where {first.name} takes {ours:.4g} ({conditions})"


def _latencies(variant: Variant) -> Iterator[tuple[str, float]]:
    found: Any = variant.measured.get("latency", {})
    for conditions, row in found.items() if isinstance(found, dict) else ():
        if isinstance(row, dict) and isinstance(row.get("p50_ms"), float):
            yield conditions, row["p50_ms"]
