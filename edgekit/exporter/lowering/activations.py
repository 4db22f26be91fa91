"""Activations as the operator, or the few, that onnxruntime computes fastest.

Measured: its Shrink is five times slower than what is written here, its PRelu three times, its
Celu slower than Keras's own form, which stays. Swish and Mish have no kernel of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

GELU_OPSET = 20
#: The types whose kernels onnxruntime has, or casts to.
FLOATS = ("bfloat16", "float16", "float32")


def _plan(x: Any, values: Any = None) -> Call | None:
    from edgekit.exporter.lowering import Call

    if getattr(getattr(x, "dtype", None), "name", None) not in FLOATS:
        return None
    return Call([x], [x.shape], values=values)


def plan_gelu(x: Any, approximate: bool = True) -> Call | None:
    """Take either form; the exact one has a pattern of its own in `passes.rewrites`."""
    return _plan(x, bool(approximate))


def lower_gelu(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Gelu where there is one, else Horner's form, without a Pow."""
    (x,) = inputs
    if op.opset >= GELU_OPSET:
        return [op.op("Gelu", x, approximate="tanh" if values else "none")]
    one, half = _number(op, 1), _number(op, 0.5)
    if not values:
        erf = op.op("Erf", op.op("Div", x, _number(op, 2**0.5)))
        return [op.op("Mul", op.op("Mul", x, op.op("Add", erf, one)), half)]
    root = (2 / np.pi) ** 0.5
    inner = op.op("Mul", op.op("Mul", x, x), _number(op, 0.044715 * root))
    inner = op.op("Mul", op.op("Add", inner, _number(op, root)), x)
    return [op.op("Mul", op.op("Mul", x, half), op.op("Add", op.op("Tanh", inner), one))]


def plan_silu(x: Any) -> Call | None:
    """Take any floats."""
    return _plan(x)


def lower_silu(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """The product that onnxruntime fuses."""
    (x,) = inputs
    return [op.op("Mul", x, op.op("Sigmoid", x))]


def plan_elu(x: Any, alpha: Any = 1.0) -> Call | None:
    """Take a number for `alpha`."""
    return _plan(x, float(alpha)) if isinstance(alpha, (int, float)) else None


def lower_elu(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Elu."""
    return [op.op("Elu", inputs[0], alpha=values)]


def plan_hard_tanh(x: Any) -> Call | None:
    """Take any floats."""
    return _plan(x)


def lower_hard_tanh(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Clip."""
    return [op.op("Clip", inputs[0], _number(op, -1), _number(op, 1))]


def plan_shrink(x: Any, threshold: Any = 0.5) -> Call | None:
    """Take a threshold that is not negative; below zero the two sides overlap."""
    known = isinstance(threshold, (int, float)) and threshold >= 0
    return _plan(x, float(threshold)) if known else None


def lower_soft_shrink(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """What lies beyond the thresholds; NaN stays NaN."""
    (x,) = inputs
    return [op.op("Sub", x, op.op("Clip", x, _number(op, -values), _number(op, values)))]


def lower_hard_shrink(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Each side by a ThresholdedRelu."""
    (x,) = inputs
    above = op.op("ThresholdedRelu", x, alpha=values)
    below = op.op("ThresholdedRelu", op.op("Neg", x), alpha=values)
    return [op.op("Sub", above, below)]


def plan_prelu(layer: Any, inputs: Any) -> Call | None:
    """Take any floats."""
    return _plan(inputs) if inputs.dtype.name == layer.compute_dtype else None


def lower_prelu(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """The larger of `x` and its slope, the smaller where every slope is steeper than one.

    A slope of zero times infinity is not a number, so those go by the sign.
    """
    (x,) = inputs
    slope = op.weight(layer.alpha)
    for kind, fits in (("Max", slope <= 1), ("Min", slope >= 1)):
        if fits.all() and slope.all():
            return [op.op(kind, x, op.op("Mul", x, slope))]
    zero = _number(op, 0)
    return [op.op("Add", op.op("Max", x, zero), op.op("Mul", op.op("Min", x, zero), slope))]


def _number(op: Builder, number: float) -> np.ndarray[Any, Any]:
    return np.array(number, op.dtype)
