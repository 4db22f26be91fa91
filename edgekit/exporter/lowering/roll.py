"""`roll` by a number along an axis of known length: one Gather, or two Slices and a Concat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

#: How much a Gather copies at once for it to be faster than two Slices and a Concat, in elements.
LEAST = 16
END = 2**62


def plan(x: Any, shift: Any, axis: Any = None) -> Call | None:
    """Take numbers; each axis once, for the rolls along it add up."""
    from edgekit.exporter.lowering import Call

    pairs = _pairs(shift, axis)
    if pairs is None or not hasattr(x, "shape") or x.shape.rank is None:
        return None
    moves: dict[int, int] = {}
    for by, along in pairs:
        moves[along % x.shape.rank] = moves.get(along % x.shape.rank, 0) + by
    if any(not x.shape[along] for along in moves):
        return None
    return Call([x], [x.shape], values=(list(x.shape), moves))


def _pairs(shift: Any, axis: Any) -> list[tuple[int, int]] | None:
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    shifts = list(shift) if isinstance(shift, (list, tuple)) else [shift] * len(axes)
    if len(axes) != len(shifts) or not all(isinstance(n, int) for n in (*axes, *shifts)):
        return None
    return list(zip(shifts, axes, strict=True))


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Move along one axis after the other."""
    (x,) = inputs
    shape, moves = values
    for axis, by in moves.items():
        x = _along(op, x, shape, axis, by)
    # A marker's output is never its input.
    return [op.op("Identity", x) if x is inputs[0] else x]


def _along(op: Builder, x: Any, shape: list[int | None], axis: int, by: int) -> Any:
    length, inner = shape[axis], [1 if size is None else size for size in shape[axis + 1 :]]
    if length is None or by % length == 0:
        return x
    by %= length
    if np.prod(inner) >= LEAST:
        return op.op("Gather", x, np.roll(np.arange(length), by), axis=axis)
    along = op.ints(axis)
    start = op.ints(-by)
    end = op.op("Slice", x, start, op.ints(END), along)
    return op.op("Concat", end, op.op("Slice", x, op.ints(0), start, along), axis=axis)
