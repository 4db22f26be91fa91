"""Arithmetic that ONNX writes otherwise: remainders, shifts, selections, extremes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.ops.site import Site


def select(at: Site, condition: str, x: str, y: str) -> Any:
    """One Where; tf2onnx multiplies by 0 and 1, which makes NaN of what is not finite."""
    if at.kind == "Select" and at.shape(condition) is not None:
        missing = at.rank(x) - at.rank(condition)
        if missing and at.rank(condition):
            axes = at.ints(*range(at.rank(condition), at.rank(x)))
            condition = at.op("Unsqueeze", condition, axes)
    return at.op("Where", condition, x, y)


def any_of(at: Site, x: str, axes: str) -> Any:
    """Whether some count; of what is not true, whether fewer than all are."""
    over = at.value(axes)
    if over is None:
        raise ValueError("the axes to look along are computed")
    kind, inputs = at.producer(x)
    shape = at.shape(x)
    lengths = [None] if shape is None else [shape[i] for i in over.reshape(-1)]
    total, compare = 0, "Greater"
    if kind == "Not" and None not in lengths:
        x, total, compare = inputs[0], math.prod(n for n in lengths if n is not None), "Less"
    options = {"keepdims": int(at.attribute("keep_dims", 0)), "noop_with_empty_axes": 1}
    count = at.op("ReduceSum", at.cast(x, np.float32), at.ints(*over.reshape(-1)), **options)
    return at.op(compare, count, np.array(total, np.float32))


def floor_mod(at: Site, x: str, y: str) -> Any:
    """ONNX's integer Mod has the divisor's sign, as TensorFlow's; its fmod the dividend's."""
    if at.dtype(x).kind in "iu":
        return at.op("Mod", x, y)
    rest = at.op("Mod", x, y, fmod=1)
    other = at.op("Less", at.op("Mul", rest, y), at.number(0, x))
    return at.op("Where", other, at.op("Add", rest, y), rest)


def floor_div(at: Site, x: str, y: str) -> Any:
    """ONNX divides integers towards zero: what is left over goes first."""
    kind = at.dtype(x).kind
    if kind == "u":
        return at.op("Div", x, y)
    if kind == "i":
        return at.op("Div", at.op("Sub", x, at.op("Mod", x, y)), y)
    return at.op("Floor", at.op("Div", x, y))


def truncate_mod(at: Site, x: str, y: str) -> Any:
    """The remainder with the dividend's sign."""
    return at.op("Mod", x, y, fmod=1)


def maximum(at: Site, x: str, y: str) -> Any:
    """Max of the type itself: tf2onnx goes through float32, which rounds large integers."""
    return at.op("Max", x, y)


def minimum(at: Site, x: str, y: str) -> Any:
    """Min of the type itself."""
    return at.op("Min", x, y)


def expm1(at: Site, x: str) -> Any:
    """exp(x) - 1."""
    return at.op("Sub", at.op("Exp", x), at.number(1, x))


def log1p(at: Site, x: str) -> Any:
    """log(x + 1)."""
    return at.op("Log", at.op("Add", x, at.number(1, x)))


def log(at: Site, x: str) -> Any:
    """Log of the type itself: tf2onnx takes a float64 through float32."""
    return at.op("Log", x)


def invert(at: Site, x: str) -> Any:
    """Every bit turned: -1 - x, or the largest minus x."""
    kind = at.dtype(x)
    return at.op("Sub", np.array(np.iinfo(kind).max if kind.kind == "u" else -1, kind), x)


def left_shift(at: Site, x: str, count: str) -> Any:
    """ONNX shifts unsigned numbers only; what falls out is cut by the cast back."""
    bits = [at.cast(value, np.uint64) for value in (x, count)]
    return at.op("BitShift", *bits, direction="LEFT")


def right_shift(at: Site, x: str, count: str) -> Any:
    """A signed shift rounds down: the bits that fall out are subtracted, then it divides."""
    if at.dtype(x).kind == "u":
        bits = [at.cast(value, np.uint64) for value in (x, count)]
        return at.op("BitShift", *bits, direction="RIGHT")
    wide = at.cast(x, np.int64)
    one = np.array(1, np.uint64)
    power = at.cast(at.op("BitShift", one, at.cast(count, np.uint64), direction="LEFT"), np.int64)
    return at.op("Div", at.op("Sub", wide, at.op("Mod", wide, power)), power)


def broadcast_shapes(at: Site, first: str, second: str) -> Any:
    """The shape that two shapes broadcast to, each a vector of known length."""
    lengths = [(at.shape(name) or [None])[0] for name in (first, second)]
    if None in lengths:
        raise ValueError("the number of axes to broadcast is not known")
    whole = max(length or 0 for length in lengths)
    padded = []
    for name, length in zip((first, second), lengths, strict=True):
        ones = np.ones(whole - (length or 0), at.dtype(name))
        padded.append(at.op("Concat", ones, name, axis=0) if ones.size else name)
    return at.op("Max", *padded)


def is_finite(at: Site, x: str) -> Any:
    """Less than infinity without its sign; what is not a number is less than nothing."""
    return at.op("Less", at.op("Abs", x), at.number(np.inf, x))


def is_infinite(at: Site, x: str) -> Any:
    """IsInf, which takes no float16 before opset 20."""
    return at.op("IsInf", at.cast(x, np.float32) if at.dtype(x) == np.float16 else x)
