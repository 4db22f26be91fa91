"""LayerNormalization over the last axis: one node where tf2onnx writes ten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


def plan_layer(layer: Any, inputs: Any) -> Call | None:
    """Take a normalisation of the last axis by mean and variance."""
    from edgekit.exporter.lowering import Call

    rank = inputs.shape.rank
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    last = rank is not None and [axis % rank for axis in axes] == [rank - 1]
    # Keras computes float16 in float32 and casts back: another result than the operator's.
    exact = inputs.dtype.name == layer.compute_dtype != "float16"
    if not last or layer.rms_scaling or not exact:
        return None
    depth = inputs.shape[-1]
    return None if depth is None else Call([inputs], [inputs.shape], values=depth)


def lower_layer(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One LayerNormalization; a scale that the layer does not have is one."""
    (x,) = inputs
    scale = op.weight(layer.gamma) if layer.gamma is not None else np.ones(values, op.dtype)
    bias = [op.weight(layer.beta)] if layer.beta is not None else []
    return [op.op("LayerNormalization", x, scale, *bias, axis=-1, epsilon=float(layer.epsilon))]
