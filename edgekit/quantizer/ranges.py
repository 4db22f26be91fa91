"""The range of every activation, found with memory that does not grow with the data.

===========  ====================================================================================
minmax       the least and the greatest value: nothing is cut
percentile   99.99% of the values: what is cut is shared by both sides where both have values
entropy      the limit on the absolute value that leaves the 8-bit form the least Kullback-Leibler
             divergence from the distribution (Migacz, "8-bit Inference with TensorRT", 2017); a
             side that ends before it keeps its end
===========  ====================================================================================

onnxruntime's own histograms keep every inner tensor of every batch until the last: 256 pictures
took 1 GB where 16 took 0.15. Its entropy has 128 bins for 128 levels, which leaves nothing to
choose: what it gives is min-max. Here a first pass takes the least and greatest values, by
onnxruntime's own graph of ReduceMin and ReduceMax; a second one counts histograms of fixed bins
between them, which no order of the samples changes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import QuantizeError
from edgekit.quantizer.observe import observe, open_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.quantizer.calibration import Calibration, Ranges

Array = np.ndarray[Any, np.dtype[Any]]

#: Bins between the least and the greatest value.
BINS = 8192
#: Values that 8 bits tell apart.
LEVELS = 256
#: How much of the values `percentile` keeps, in percent.
PERCENTILE = 99.99
#: By how much entropy's candidates for a range differ, and the count that stands for none.
STEP, SMOOTHING = 0.97, 1e-4


def find(
    model: Path, calibration: Calibration, method: str, op_types: Sequence[str] | None = None
) -> Ranges:
    """Give the (least, greatest) value to quantise for every float tensor at nodes of these types.

    Raises `QuantizeError` where the float model itself gives NaN.
    """
    found = min_max(model, calibration, op_types)
    choose = METHODS[method]
    if choose is None:
        return found
    counted = {n: (low, high) for n, (low, high) in found.items() if -np.inf < low < high < np.inf}
    counts = _histograms(model, calibration, counted)
    return found | {name: choose(counts[name], *counted[name]) for name in counts}


def min_max(model: Path, calibration: Calibration, op_types: Sequence[str] | None) -> Ranges:
    """Give the least and greatest value of every float tensor at nodes of these types."""
    from onnxruntime.quantization.calibrate import MinMaxCalibrater

    with tempfile.TemporaryDirectory(dir=model.parent) as folder:
        augmented = Path(folder) / model.name
        writer = MinMaxCalibrater(model, op_types, str(augmented))
        writer.augment_graph()
        session = open_plain(augmented)
        names = [output.name for output in session.get_outputs()]
        own, reduced = names[: writer.num_model_outputs], names[writer.num_model_outputs :]
        ranges: Ranges = {}
        for feed in calibration.batches():
            outputs = dict(zip(names, session.run(names, feed), strict=True))
            _check_numbers({name: outputs[name] for name in own})
            for least, greatest in zip(reduced[::2], reduced[1::2], strict=True):
                name = least.removesuffix("_ReduceMin")
                low, high = ranges.get(name, (np.inf, -np.inf))
                ranges[name] = (
                    min(low, float(outputs[least].min(initial=np.inf))),
                    max(high, float(outputs[greatest].max(initial=-np.inf))),
                )
    # A tensor that is always empty has no values: any range will do.
    return {n: ranges[n] if ranges[n][0] <= ranges[n][1] else (0.0, 0.0) for n in sorted(ranges)}


def _check_numbers(outputs: dict[str, Array]) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise QuantizeError(
                f"nan: the float model itself gives {np.isnan(array).sum()} NaN of {array.size} "
                f"values at {name!r} for the calibration data: mend the model, or give other data."
            )


def _histograms(model: Path, calibration: Calibration, ranges: Ranges) -> dict[str, Array]:
    """Count the values of each tensor in `BINS` bins from its least value, or zero, on.

    Exact zeros are not counted: they come out as zero whatever the range.
    """
    counts = {name: np.zeros(BINS, np.int64) for name in ranges}
    for tensors in observe(model, list(counts), calibration.batches(1)):
        for name, array in tensors.items():
            low, high = _with_zero(*ranges[name])
            values = array[array != 0]
            bins = ((values - np.float32(low)) * np.float32(BINS / (high - low))).astype(np.int32)
            counts[name] += np.bincount(bins.clip(0, BINS - 1), minlength=BINS)
    return counts


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """Give a range that has zero in it, which 8 bits have to say exactly."""
    return min(low, 0.0), max(high, 0.0)


def _percentile(counts: Array, low: float, high: float) -> tuple[float, float]:
    start, stop = _with_zero(low, high)
    total = counts.sum()
    sides = (low < 0) + (high > 0)
    cut = total * (1 - PERCENTILE / 100) / max(sides, 1)
    width = (stop - start) / BINS
    below = np.cumsum(counts)
    first = int(np.searchsorted(below, cut, side="right"))
    last = int(np.searchsorted(below, total - cut))
    return (
        max(low, start + first * width) if low < 0 else low,
        min(high, start + (last + 1) * width) if high > 0 else high,
    )


def _entropy(counts: Array, low: float, high: float) -> tuple[float, float]:
    start, stop = _with_zero(low, high)
    width = (stop - start) / BINS
    zero = round(-start / width)
    best, limit = np.inf, max(-start, stop)
    chosen = limit
    while True:
        reach = round(limit / width)
        first, last = max(0, zero - reach), min(BINS, zero + reach)
        if last - first < LEVELS:
            break
        divergence = _divergence(counts, first, last)
        if divergence < best:
            best, chosen = divergence, limit
        limit *= STEP
    return max(low, -chosen), min(high, chosen)


def _divergence(counts: Array, first: int, last: int) -> float:
    """Give KL(P || Q): P has what is cut at its ends, Q is its 8-bit form without."""
    kept = counts[first:last].astype(np.float64)
    wanted = kept.copy()
    wanted[0] += counts[:first].sum()
    wanted[-1] += counts[last:].sum()
    level = np.arange(last - first) * LEVELS // (last - first)
    taken = kept > 0
    sums = np.bincount(level, kept, LEVELS)
    filled = np.maximum(np.bincount(level, taken, LEVELS), 1)
    made = np.where(taken, (sums / filled)[level], 0.0)
    there = wanted > 0
    p, q = wanted[there], np.maximum(made[there], SMOOTHING)
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


#: How the range is chosen of a histogram and the least and greatest value; None keeps them.
METHODS: dict[str, Callable[[Array, float, float], tuple[float, float]] | None] = {
    "minmax": None,
    "entropy": _entropy,
    "percentile": _percentile,
}


def check_method(name: str) -> str:
    """Give back a method's name; raises `QuantizeError` for one that there is not."""
    if name not in METHODS:
        raise QuantizeError(
            f"There is no calibration method {name!r}: there are {', '.join(map(repr, METHODS))}."
        )
    return name
