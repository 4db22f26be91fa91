"""Small ONNX files written byte by byte: the device side has no onnx package.

Protocol buffers by hand; field numbers are those of onnx.proto. A file of opset 13 has nodes,
float32 inputs and outputs of fixed shapes, and float32 and int64 weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.signature import Array

_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_INT, _INTS = 2, 7  # AttributeProto.AttributeType
_IR_VERSION, _OPSET = 7, 13


def model(
    name: str,
    nodes: Sequence[bytes],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    weights: Mapping[str, Array],
) -> bytes:
    """Write a file of what `node` wrote; inputs and outputs are shapes by name."""
    graph = b"".join(
        (
            *(content(1, each) for each in nodes),
            content(2, name.encode()),
            *(content(5, _tensor(each, array)) for each, array in weights.items()),
            *(content(11, _value(each, shape)) for each, shape in inputs.items()),
            *(content(12, _value(each, shape)) for each, shape in outputs.items()),
        )
    )
    return number(1, _IR_VERSION) + content(7, graph) + content(8, number(2, _OPSET))


def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> bytes:
    """Write a node that is named after its output; attributes are ints or tuples of ints."""
    parts = [content(1, name.encode()) for name in inputs]
    parts += [content(2, output.encode()), content(3, output.encode())]
    parts.append(content(4, operator.encode()))
    for name, value in attributes.items():
        whole = isinstance(value, int)
        numbers = number(3, value) if whole else b"".join(number(8, each) for each in value)
        kind = number(20, _INT if whole else _INTS)
        parts.append(content(5, content(1, name.encode()) + numbers + kind))
    return b"".join(parts)


def _tensor(name: str, array: Array) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    dims = b"".join(number(1, size) for size in array.shape)
    little = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return dims + number(2, kind) + content(8, name.encode()) + content(9, little)


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(content(1, number(1, size)) for size in shape)
    tensor = number(1, _FLOAT) + content(2, dims)
    return content(1, name.encode()) + content(2, content(1, tensor))


def content(field: int, value: bytes) -> bytes:
    """Write a field of bytes, text or a message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def number(field: int, value: int) -> bytes:
    """Write a field of an integer."""
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    """Write an integer as protobuf does: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
