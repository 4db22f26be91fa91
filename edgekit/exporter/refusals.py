"""Layers that no ONNX file can stand for, refused by name before any work is done.

What else cannot be converted is found by converting it; these would fail late, or be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgekit.signature import TensorSpec

#: Layers that compute with text, if only with a number's digits, and what to do instead.
TEXT = {
    "StringLookup": "look the strings up before the model, and give it the indices",
    "TextVectorization": "vectorize the text before the model, and give it the tokens",
    "Hashing": "hash before the model (it hashes the digits of a number), and give it the bins",
    "HashedCrossing": "cross the features before the model, and give it the bins",
}


def check(model: Any, inputs: Sequence[TensorSpec]) -> None:
    """Raise `ExportError` for the first layer or input that ONNX cannot express."""
    for path, layer in _layers(model):
        kind = type(layer).__name__
        if kind in TEXT:
            raise ExportError(
                f"The layer {path!r} is a {kind}, which computes with strings, and no ONNX "
                f"operator does: {TEXT[kind]}."
            )
        if getattr(layer, "stateful", False) is True:
            raise ExportError(
                f"The layer {path!r} is stateful: it keeps its state from one call to the next, "
                "which a file cannot; build it with stateful=False and return_state=True, and "
                "make its states inputs (initial_state=) and outputs of the model."
            )
        if getattr(layer, "quantization_mode", None) == "float8":
            raise ExportError(
                f"The layer {path!r} is quantised to float8, whose kernels engines on a CPU lack: "
                "export the model before its quantisation, and use `edgekit quantize`."
            )
    for spec in inputs:
        if spec.dtype in {"str", "string", "object"}:
            raise ExportError(
                f"The input {spec.name!r} is of strings, and no ONNX operator computes with them: "
                "turn them into numbers before the model."
            )


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Give every layer with its path, once each."""
    seen: set[int] = set()
    stack = [(model, model.name)]
    while stack:
        layer, path = stack.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield path, layer
        stack.extend(
            (inner, f"{path}/{inner.name}") for inner in reversed(getattr(layer, "_layers", ()))
        )
