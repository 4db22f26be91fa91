"""A small model that `edgekit providers --check` runs on each ready provider.

It is written here, byte by byte, because the device side has no onnx package: Conv, Relu, MaxPool,
Reshape, MatMul, Add and Softmax with fixed shapes, which every provider of the table has. The
expected answer is the same arithmetic in numpy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import parity
from edgekit.errors import EdgekitError
from edgekit.runtime.survey import Trial

if TYPE_CHECKING:
    from edgekit.runtime.providers import Provider

Array = np.ndarray[Any, np.dtype[Any]]

#: What float16 loses, since that is what a float32 model runs in on an NPU.
TOLERANCE = parity.TOLERANCES["fp16"]

_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


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
    """Write the model as an `.onnx` file of opset 13. Field numbers are those of onnx.proto."""
    nodes = (
        _node("Conv", ("image", "kernel", "shift"), "maps"),
        _node("Relu", ("maps",), "positive"),
        _node("MaxPool", ("positive",), "pooled", kernel_shape=(2, 2), strides=(2, 2)),
        _node("Reshape", ("pooled", "flat"), "row"),
        _node("MatMul", ("row", "dense"), "product"),
        _node("Add", ("product", "bias"), "logits"),
        _node("Softmax", ("logits",), "probabilities", axis=-1),
    )
    graph = b"".join(
        (
            *(_bytes(1, node) for node in nodes),
            _bytes(2, b"trial"),
            *(_bytes(5, _tensor(name, array)) for name, array in weights.items()),
            _bytes(11, _value("image", (1, 1, 8, 8))),
            _bytes(12, _value("probabilities", (1, 5))),
        )
    )
    opset = _number(2, 13)
    return _number(1, 7) + _bytes(7, graph) + _bytes(8, opset)


def _node(operator: str, inputs: tuple[str, ...], output: str, **attributes: Any) -> bytes:
    parts = [_bytes(1, name.encode()) for name in inputs]
    parts += [_bytes(2, output.encode()), _bytes(3, output.encode()), _bytes(4, operator.encode())]
    for name, value in attributes.items():
        whole = isinstance(value, int)
        numbers = _number(3, value) if whole else b"".join(_number(8, each) for each in value)
        kind = _number(20, _INT if whole else _INTS)
        parts.append(_bytes(5, _bytes(1, name.encode()) + numbers + kind))
    return b"".join(parts)


def _tensor(name: str, array: Array) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    dims = b"".join(_number(1, size) for size in array.shape)
    little = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return dims + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, little)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    """Write an integer as protobuf does: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
