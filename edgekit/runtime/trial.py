"""A small model that `edgekit providers --check` runs on each ready provider.

Conv, Relu, MaxPool, Reshape, MatMul, Add and Softmax with fixed shapes, which every provider of the
table has. The expected answer is the same arithmetic in numpy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit import parity
from edgekit.errors import EdgekitError
from edgekit.runtime.survey import Trial
from edgekit.runtime.wire import model, node

if TYPE_CHECKING:
    from edgekit.runtime.providers import Provider
    from edgekit.signature import Array

#: What float16 loses, since that is what a float32 model runs in on an NPU.
TOLERANCE = parity.TOLERANCES["fp16"]


def run_trial(row: Provider) -> Trial:
    """Run the model strictly on a provider and compare it with numpy."""
    from edgekit.runtime.runner import open_runner

    weights, image = _weights(), _image()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.onnx"
        path.write_bytes(model_bytes(weights))
        try:
            with open_runner(path, provider=row.alias) as runner:
                outputs = runner.run({"image": image})
        except EdgekitError as error:
            return Trial(passed=False, detail=str(error))
    (found,) = parity.compare({"probabilities": expected(weights, image)}, outputs, TOLERANCE)
    return Trial(found.passed, found.max_abs_error, found.detail)


def expected(weights: dict[str, Array], image: Array) -> Array:
    """Compute the model's answer in numpy: (1, 5) float32 probabilities of a (1, 1, 8, 8) image."""
    windows = np.lib.stride_tricks.sliding_window_view(image[0, 0], (3, 3))
    maps = np.einsum("yxij,oij->oyx", windows, weights["kernel"][:, 0])
    maps = np.maximum(maps + weights["shift"][:, None, None], 0)
    pooled = maps.reshape(4, 3, 2, 3, 2).max(axis=(2, 4))
    logits = pooled.reshape(1, 36) @ weights["dense"] + weights["bias"]
    powers = np.exp(logits - logits.max())
    probabilities: Array = powers / powers.sum()
    return probabilities.astype(np.float32)


def _weights() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shapes = {"kernel": (4, 1, 3, 3), "shift": (4,), "dense": (36, 5), "bias": (5,)}
    return {
        name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()
    } | {"flat": np.array([1, 36], np.int64)}


def _image() -> Array:
    return np.random.default_rng(1).random((1, 1, 8, 8), np.float32)


def model_bytes(weights: dict[str, Array]) -> bytes:
    """Write the model as an `.onnx` file."""
    nodes = (
        node("Conv", ("image", "kernel", "shift"), "maps"),
        node("Relu", ("maps",), "positive"),
        node("MaxPool", ("positive",), "pooled", kernel_shape=(2, 2), strides=(2, 2)),
        node("Reshape", ("pooled", "flat"), "row"),
        node("MatMul", ("row", "dense"), "product"),
        node("Add", ("product", "bias"), "logits"),
        node("Softmax", ("logits",), "probabilities", axis=-1),
    )
    return model("trial", nodes, {"image": (1, 1, 8, 8)}, {"probabilities": (1, 5)}, weights)
