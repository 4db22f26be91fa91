"""Every function of `keras.ops` that has a meaning in ONNX, and the few that have none."""

from __future__ import annotations

from tests.exporter.cases import functions_core, functions_image, functions_nn, functions_numpy

CASES = (
    *functions_numpy.CASES,
    *functions_nn.CASES,
    *functions_image.CASES,
    *functions_core.CASES,
)

#: By name, why a function has no row.
NO_MEANING = {
    "convert_to_numpy": "leaves the graph: its answer is an array",
    "ctc_loss": "a loss: it needs labels, which inference has not",
    "image.elastic_transform": "random: it deforms pictures for training",
    "vectorize": "refused by Keras itself on TensorFlow",
}
