"""A model's scores in, its answer out: softmax where it is missing, top-k, labels.

All of it is standard ONNX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.ingraph.nodes import Nodes

#: What may stand between the operator that makes probabilities and the output.
PASSES_ON = {
    "Cast",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Squeeze",
}
#: Operators whose outputs are probabilities already: of one label, or of each by itself.
PROBABILITIES = {"Softmax", "Sigmoid"}


def explain(nodes: Nodes, scores: Any, labels: Sequence[str], top: int) -> dict[str, Any]:
    """Give the outputs for scores `('batch', labels)`, by name, the probabilities first.

    `label` and `probability` are `('batch',)`, `top_labels` and `top_probabilities`
    `('batch', top)`, the likeliest first; of equal ones the first label.
    """
    if not are_probabilities(scores):
        scores = nodes.op("Softmax", scores, axis=-1)
    values, indices = nodes.op("TopK", scores, np.array([top]), outputs=2)
    names = nodes.op("Gather", list(labels), indices)
    return {
        "probabilities": scores,
        "label": nodes.op("Gather", names, 0, axis=1),
        "probability": nodes.op("Gather", values, 0, axis=1),
        "top_labels": names,
        "top_probabilities": values,
    }


def are_probabilities(scores: Any) -> bool:
    """Tell from the operator that makes them whether scores are probabilities."""
    node = scores.producer()
    while node is not None and node.op_type in PASSES_ON:
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return node is not None and node.op_type in PROBABILITIES
