"""Flatten and Reshape with known axes: one Reshape to a constant shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


def plan(layer: Any, inputs: Any) -> Call | None:
    """Take a call whose result has no free axis but the batch."""
    from edgekit.exporter.lowering import Call

    shape = inputs.shape
    if shape.rank is None or not shape[1:].is_fully_defined():
        return None
    if getattr(layer, "data_format", None) == "channels_first" and shape.rank > 2:
        return None
    if inputs.dtype.name != layer.compute_dtype:
        return None
    size = int(np.prod(shape[1:]))
    target = list(getattr(layer, "target_shape", (size,)))
    if -1 in target:
        target[target.index(-1)] = size // -int(np.prod(target))
    return Call([inputs], [[shape[0], *target]], values=[-1, *target])


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Reshape."""
    return [op.op("Reshape", inputs[0], op.ints(*values))]
