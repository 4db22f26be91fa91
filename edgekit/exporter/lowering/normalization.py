"""LayerNormalization and GroupNormalization: one operator where tf2onnx writes a dozen.

Keras computes float16 in float32 and casts back, and so does the file: the operators themselves
round otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.exporter.lowering import Builder, Call


def plan_layer(layer: Any, inputs: Any) -> Call | None:
    """Take a normalisation by mean and variance, over any axes whose lengths are known."""
    from edgekit.exporter.lowering import Call

    rank = inputs.shape.rank
    if rank is None or layer.rms_scaling or not _narrower(layer, inputs):
        return None
    given = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = sorted(axis % rank for axis in given)
    lengths = [inputs.shape[axis] for axis in axes]
    # Keras gives the weights the order of the axes as they were given.
    if None in lengths or axes != [axis % rank for axis in given]:
        return None
    return Call([inputs], [inputs.shape], values=(rank, axes, lengths, inputs.dtype.name))


def lower_layer(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One LayerNormalization over the last axes; a scale that the layer does not have is one."""
    rank, axes, lengths, come = values
    wide = _wide(op)
    scale = np.ones(lengths, wide) if layer.gamma is None else op.weight(layer.gamma, wide)
    bias = [] if layer.beta is None else [op.weight(layer.beta, wide)]
    order = [axis for axis in range(rank) if axis not in axes] + axes
    x = _turned(op, _cast(op, inputs[0], come, wide), order)
    y = op.op("LayerNormalization", x, scale, *bias, axis=-len(axes), epsilon=float(layer.epsilon))
    return [_cast(op, _turned(op, y, [int(i) for i in np.argsort(order)]), wide, op.dtype)]


def plan_group(layer: Any, inputs: Any) -> Call | None:
    """Take channels on any axis but the batch's; onnxruntime normalises float32 alone."""
    from edgekit.exporter.lowering import Call

    shape = inputs.shape
    if shape.rank is None or not _narrower(layer, inputs) or inputs.dtype == "float64":
        return None
    axis = layer.axis % shape.rank
    if axis == 0 or shape[axis] is None:
        return None
    return Call([inputs], [shape], values=(list(shape), axis, inputs.dtype.name))


def lower_group(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Normalise the groups as the channels of an InstanceNormalization, then scale the channels.

    onnxruntime writes GroupNormalization itself out in thirty nodes, which takes twice as long.
    """
    shape, axis, come = values
    wide, channels, groups = _wide(op), shape[axis], layer.groups
    order = [0, axis, *(i for i in range(1, len(shape)) if i != axis)]
    first = _turned(op, _cast(op, inputs[0], come, wide), order)
    gamma, beta = (
        None if weight is None else op.weight(weight, wide) for weight in (layer.gamma, layer.beta)
    )
    alone = groups == channels
    scale = gamma if alone and gamma is not None else np.ones(groups, wide)
    bias = beta if alone and beta is not None else np.zeros(groups, wide)
    split = len(shape) == 2 or not alone
    x = op.op("Reshape", first, op.ints(0, groups, -1)) if split else first
    y = op.op("InstanceNormalization", x, scale, bias, epsilon=float(layer.epsilon))
    if split:
        y = op.op("Reshape", y, _lengths(op, inputs[0], shape, axis))
    for kind, weight in (("Mul", gamma), ("Add", beta)):
        if weight is not None and not alone:
            y = op.op(kind, y, weight.reshape(channels, *[1] * (len(shape) - 2)))
    return [_cast(op, _turned(op, y, [int(i) for i in np.argsort(order)]), wide, op.dtype)]


def _lengths(op: Builder, x: Any, shape: Sequence[int | None], axis: int) -> Any:
    """Give the shape of `x` with the channels first, for a Reshape that keeps axis 0.

    It is constant where at most one axis is free.
    """
    rest = [i for i in range(1, len(shape)) if i != axis]
    target = [0, shape[axis] or 0, *(shape[i] or -1 for i in rest)]
    if target.count(-1) < 2:
        return op.ints(*target)
    ranges = [(start, end) for start, end in ((1, axis), (axis + 1, len(shape))) if start < end]
    parts = [op.op("Shape", x, start=start, end=end) for start, end in ranges]
    return op.op("Concat", op.ints(*target[:2]), *parts, axis=0)


def _narrower(layer: Any, inputs: Any) -> bool:
    """Tell whether the layer puts out what comes in, or rounds it: Keras hands it over uncast."""
    come, out = inputs.dtype.name, layer.compute_dtype
    return bool(come == out or (come == "float32" and out == "float16"))


def _wide(op: Builder) -> np.dtype[Any]:
    return np.dtype("float32") if op.dtype == "float16" else op.dtype


def _cast(op: Builder, x: Any, come: Any, to: Any) -> Any:
    import onnx_ir as ir

    # No bfloat16 is left in the graph: `trace` widens it.
    if np.dtype("float32" if come == "bfloat16" else come) == to:
        return x
    return op.op("Cast", x, to=int(ir.DataType.from_numpy(to)))


def _turned(op: Builder, x: Any, order: Sequence[int]) -> Any:
    return x if list(order) == sorted(order) else op.op("Transpose", x, perm=list(order))
