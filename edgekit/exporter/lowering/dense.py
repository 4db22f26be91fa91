"""Dense and EinsumDense: one MatMul or Gemm with its bias, whatever the rank of the input.

tf2onnx writes a Dense on three axes as shape arithmetic around a two-dimensional product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

#: EinsumDense's equations that are one product of matrices, as Keras's own layers write them, by
#: the input axes that are summed over and the weight axes that come out.
EQUATIONS = {
    "ab,bc->ac": (1, 1),
    "abc,cd->abd": (1, 1),
    "abc,cde->abde": (1, 2),
    "abcd,cde->abe": (2, 1),
}


def plan_dense(layer: Any, inputs: Any, training: Any = None) -> Call | None:
    """Take any Dense; its activation stays outside of the marker."""
    from edgekit.exporter.lowering import Call

    shape = inputs.shape
    if shape.rank is None or shape.rank < 2:
        return None
    return Call([inputs], [[*shape[:-1], layer.units]], _activated(layer))


def lower_dense(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Gemm for two axes, else MatMul and Add."""
    (x,) = inputs
    return [_product(op, x, op.weight(layer.kernel), _bias(op, layer))]


def plan_einsum(layer: Any, inputs: Any, training: Any = None) -> Call | None:
    """Take the projections of attention layers: `(batch, time, depth)` to or from heads."""
    from edgekit.exporter.lowering import Call

    equation = _canonical(layer.equation)
    rank = inputs.shape.rank
    if equation not in EQUATIONS or rank != len(equation.partition(",")[0]):
        return None
    summed, _ = EQUATIONS[equation]
    kernel = layer.kernel.shape
    if layer.bias is not None and tuple(layer.bias.shape) != tuple(kernel[summed:]):
        return None
    return Call([inputs], [[*inputs.shape[: rank - summed], *kernel[summed:]]], _activated(layer))


def lower_einsum(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """MatMul and Add on three axes, with the heads split or joined by a Reshape."""
    (x,) = inputs
    summed, made = EQUATIONS[_canonical(layer.equation)]
    kernel = op.weight(layer.kernel)
    depth = int(np.prod(kernel.shape[:summed]))
    if summed == 2:
        x = op.op("Reshape", x, op.ints(0, 0, depth))
    bias = _bias(op, layer)
    flat = None if bias is None else bias.reshape(-1)
    y = _product(op, x, kernel.reshape(depth, -1), flat)
    if made == 2:
        y = op.op("Reshape", y, op.ints(0, 0, *kernel.shape[1:]))
    return [y]


def _product(op: Builder, x: Any, kernel: Any, bias: Any) -> Any:
    y = op.op("MatMul", x, kernel)
    return y if bias is None else op.op("Add", y, bias)


def _bias(op: Builder, layer: Any) -> Any:
    return None if layer.bias is None else op.weight(layer.bias)


def _activated(layer: Any) -> Any:
    if layer.activation is None:
        return lambda outputs: outputs[0]
    return lambda outputs: layer.activation(outputs[0])


def _canonical(equation: str) -> str:
    """Rename the letters of an equation in order of appearance: `btd,dnh->btnh`."""
    letters = dict.fromkeys(c for c in equation if c.isalpha())
    names = {letter: chr(ord("a") + i) for i, letter in enumerate(letters)}
    return "".join(names.get(c, c) for c in equation)
