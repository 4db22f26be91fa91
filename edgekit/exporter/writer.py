"""Writing an `onnx_ir.Model` without copies of its weights.

Serialising a model takes three times its weights in memory: as messages, as bytes, and as the
buffer that the bytes grow in. So the messages are made without the large weights, and these
follow straight from where they lie; the file is the same one message that protobuf would write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.bundle import EXTERNAL

if TYPE_CHECKING:
    from pathlib import Path

#: Smaller weights are serialised with the graph.
LARGE_BYTES = 2**20
#: Protobuf holds no message of 2 GiB: from here on weights go to a file beside the model's.
EXTERNAL_BYTES = 2**31 - 2**26
# Field numbers of onnx.proto, and the wire type of what carries its length.
_GRAPH, _INITIALIZER, _RAW_DATA, _LENGTH_DELIMITED = 7, 5, 9, 2


def save(model: Any, path: Path) -> None:
    """Write a model, with `NAME.data` beside it where its weights do not fit into one file."""
    import onnx_ir as ir

    weights = [value.const_value for value in model.graph.initializers.values()]
    if sum(tensor.nbytes for tensor in weights) >= EXTERNAL_BYTES:
        ir.save(model, path, external_data=f"{path.name}{EXTERNAL}")
        return
    large = [tensor for tensor in weights if tensor.nbytes >= LARGE_BYTES]
    proto = _without(model, {tensor.name for tensor in large})
    graph = proto.graph.SerializeToString(deterministic=True)
    proto.ClearField("graph")
    heads = [_head(tensor) for tensor in large]
    size = len(graph) + sum(
        len(head) + tensor.nbytes for head, tensor in zip(heads, large, strict=True)
    )
    with path.open("wb") as file:
        file.write(proto.SerializeToString(deterministic=True))
        file.write(_field(_GRAPH, size) + graph)
        for head, tensor in zip(heads, large, strict=True):
            file.write(head)
            tensor.tofile(file)


def _without(model: Any, names: set[str]) -> Any:
    """Serialise a model without some of its initializers."""
    import onnx_ir as ir

    graph = model.graph
    taken = [graph.initializers.pop(name) for name in list(graph.initializers) if name in names]
    try:
        return ir.to_proto(model)
    finally:
        for value in taken:
            graph.initializers.add(value)


def _head(tensor: Any) -> bytes:
    """Give what stands before a tensor's own bytes in a graph."""
    import onnx

    about: bytes = onnx.TensorProto(
        name=tensor.name, data_type=int(tensor.dtype), dims=list(tensor.shape)
    ).SerializeToString(deterministic=True)
    data = _field(_RAW_DATA, tensor.nbytes)
    return _field(_INITIALIZER, len(about) + len(data) + tensor.nbytes) + about + data


def _field(number: int, size: int) -> bytes:
    """Give the tag and length of a field that carries its length."""
    return bytes([number << 3 | _LENGTH_DELIMITED]) + _varint(size)


def _varint(number: int) -> bytes:
    low = number & 127
    return bytes([low]) if number < 128 else bytes([low | 128]) + _varint(number >> 7)
