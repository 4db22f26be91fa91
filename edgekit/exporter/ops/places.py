"""Where values lie: searching, bucketing, scattering by segment, slices written into a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.ops.site import Site


def lower_bound(at: Site, ordered: str, values: str) -> Any:
    """How many of `ordered` `(rows, n)` are less than each of `values` `(rows, m)`."""
    return _count(at, "Less", ordered, values)


def upper_bound(at: Site, ordered: str, values: str) -> Any:
    """How many of `ordered` are no more than each of `values`."""
    return _count(at, "LessOrEqual", ordered, values)


def _count(at: Site, comparison: str, ordered: str, values: str) -> Any:
    pairs = at.op("Unsqueeze", ordered, at.ints(1)), at.op("Unsqueeze", values, at.ints(2))
    return _sum(at, at.op(comparison, *pairs))


def bucketize(at: Site, x: str) -> Any:
    """How many boundaries are no more than each value."""
    boundaries = np.array(at.attribute("boundaries"), np.float32)
    wide = np.float64 if at.dtype(x) == np.float64 else np.float32
    values = at.op("Unsqueeze", at.cast(x, wide), at.ints(-1))
    return _sum(at, at.op("GreaterOrEqual", values, boundaries.astype(wide)))


def _sum(at: Site, mask: str) -> Any:
    return at.op("ReduceSum", at.cast(mask, np.int32), at.ints(-1), keepdims=0)


#: ScatterND's reduction by TensorFlow's op, with what a segment starts from.
SEGMENTS = {"Sum": "add", "Max": "max", "Min": "min", "Prod": "mul"}


def segment(at: Site, data: str, ids: str, count: str) -> Any:
    """Scatter rows into `count` segments; a negative id drops its row into one that is cut off."""
    reduction = SEGMENTS[at.kind.removeprefix("UnsortedSegment")]
    ids, count = at.cast(ids, np.int64), at.cast(count, np.int64)
    count = at.op("Reshape", count, at.ints(1))
    inside = at.op("Less", ids, np.array(0, np.int64))
    rows = at.op("Unsqueeze", at.op("Where", inside, count, ids), at.ints(-1))
    rest = at.op("Slice", at.op("Shape", data), at.ints(at.rank(ids)), at.ints(2**31))
    shape = at.op("Concat", at.op("Add", count, at.ints(1)), rest, axis=0)
    start = at.op("Expand", _start(reduction, at.dtype(data)), shape)
    made = at.op("ScatterND", start, rows, data, reduction=reduction)
    return at.op("Slice", made, at.ints(0), count, at.ints(0))


def _start(reduction: str, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    value = {"add": 0, "mul": 1, "max": limits.min, "min": limits.max}[reduction]
    return np.array(value, dtype)


def scatter(at: Site, indices: str, updates: str, shape: str) -> Any:
    """Add updates to zeros: where an index comes twice, both count."""
    zeros = at.op("Expand", at.number(0, updates), at.cast(shape, np.int64))
    indices = at.cast(indices, np.int64)
    return at.op("ScatterND", zeros, indices, updates, reduction="add")


def scatter_extreme(at: Site, x: str, indices: str, updates: str) -> Any:
    """Keep the least at each index."""
    reduction = {"TensorScatterMin": "min", "TensorScatterMax": "max"}[at.kind]
    return at.op("ScatterND", x, at.cast(indices, np.int64), updates, reduction=reduction)


def update_slice(at: Site, x: str, update: str, start: str) -> Any:
    """Write a block into a tensor where it fits: the start is moved back as XLA does it."""
    size, block = at.op("Shape", x), at.op("Shape", update)
    most = at.op("Sub", size, block)
    first = at.op("Max", at.op("Min", at.cast(start, np.int64), most), np.array(0, np.int64))
    pads = at.op("Concat", first, at.op("Sub", most, first), axis=0)
    ones = at.op("Expand", np.array(1, np.int32), block)
    inside = at.op("Greater", at.op("Pad", ones, pads), np.array(0, np.int32))
    return at.op("Where", inside, at.op("Pad", update, pads), x)


def bincount(at: Site, x: str, size: str, weights: str) -> Any:
    """Add ones, or weights, into `size` bins of `(n,)` or of each row of `(rows, n)`."""
    x, size = at.cast(x, np.int64), at.op("Reshape", at.cast(size, np.int64), at.ints(1))
    dtype = at.dtype(weights)
    given = at.shape(weights)
    weighted = given is None or 0 not in given
    one = np.array(1, dtype)
    added = weights if weighted else at.op("Expand", one, at.op("Shape", x))
    binary = bool(at.attribute("binary_output", False))
    # What is beyond the bins goes into one more, which is cut off.
    places = at.op("Min", x, size)
    axis = at.rank(x) - 1
    shape = at.op("Add", size, at.ints(1))
    if axis:
        shape = at.op("Concat", at.axis_size(x, 0), shape, axis=0)
    zeros = at.op("Expand", np.array(0, dtype), shape)
    reduction = "none" if binary else "add"
    if binary:
        added = at.op("Expand", one, at.op("Shape", x))
    made = at.op("ScatterElements", zeros, places, added, axis=axis, reduction=reduction)
    return at.op("Slice", made, at.ints(0), size, at.ints(axis))


def invert_permutation(at: Site, x: str) -> Any:
    """Where each number of a permutation is."""
    size = at.op("Squeeze", at.op("Shape", x), at.ints(0))
    numbers = at.op("Range", np.array(0, np.int64), size, np.array(1, np.int64))
    return at.cast(at.op("ScatterElements", numbers, at.cast(x, np.int64), numbers), at.dtype(x))


def in_top_k(at: Site, predictions: str, targets: str, k: str) -> Any:
    """Whether fewer than k of a row `(batch, classes)` are more than the target's, all finite."""
    places = at.op("Unsqueeze", at.cast(targets, np.int64), at.ints(1))
    classes = at.axis_size(predictions, 1)
    zero = np.array(0, np.int64)
    valid = at.op("And", at.op("Less", places, classes), at.op("GreaterOrEqual", places, zero))
    own = at.op("GatherElements", predictions, at.op("Where", valid, places, zero), axis=1)
    ahead = at.op("ReduceSum", at.cast(at.op("Greater", predictions, own), np.int64), at.ints(1))
    finite = at.op("Less", at.op("Abs", own), at.number(np.inf, own))
    chosen = at.op("And", at.op("Less", ahead, at.cast(k, np.int64)), at.op("And", valid, finite))
    return at.op("Squeeze", chosen, at.ints(1))


def one_hot(at: Site, indices: str, depth: str, on: str, off: str) -> Any:
    """Compare with 0, 1, 2...: an index outside of them is all off; ONNX's counts from the end."""
    axis = at.attribute("axis", -1)
    wide = at.cast(indices, np.int64)
    rank = at.rank(indices)
    axis = rank if axis == -1 else axis
    value = at.value(depth)
    if value is not None:
        classes: Any = np.arange(int(value), dtype=np.int64)
    else:
        zero, one = np.array(0, np.int64), np.array(1, np.int64)
        scalar = at.op("Reshape", at.cast(depth, np.int64), np.zeros(0, np.int64))
        classes = at.op("Range", zero, scalar, one)
    if rank > axis:
        classes = at.op("Unsqueeze", _name(at, classes), at.ints(*range(1, rank - axis + 1)))
    chosen = at.op("Equal", at.op("Unsqueeze", wide, at.ints(axis)), classes)
    values = at.value(on), at.value(off)
    if [None if value is None else float(value) for value in values] == [1, 0]:
        return at.cast(chosen, at.dtype(on))
    return at.op("Where", chosen, on, off)


def _name(at: Site, value: Any) -> str:
    return at.constant(value) if isinstance(value, np.ndarray) else value
