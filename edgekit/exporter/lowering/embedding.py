"""Embedding: one Gather, whose ids may count from the end as Keras's may; tf2onnx adds them up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


def plan(layer: Any, inputs: Any) -> Call | None:
    """Take a lookup by int32 or int64 ids."""
    from edgekit.exporter.lowering import Call

    if inputs.dtype.name not in {"int32", "int64"} or inputs.shape.rank is None:
        return None
    return Call([inputs], [[*inputs.shape, layer.output_dim]])


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One Gather from the table."""
    return [op.op("Gather", op.weight(layer.embeddings), inputs[0], axis=0)]
