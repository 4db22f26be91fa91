"""A picture in, the model's floats out: what `edgekit.preprocess.image` does, as nodes.

`pixels` is standard ONNX. `encoded` decodes a file with onnxruntime-extensions, whose decoder ends
the process at bytes that are neither PNG nor JPEG and never returns from a JPEG that was cut off:
the graph looks at the bytes first. A JPEG that is damaged inside can still end the process, so an
app that takes files of strangers decodes them itself and feeds `pixels`. (onnxruntime-extensions
0.15.2.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.ingraph.nodes import Nodes

#: Pillow's weights of red, green and blue for the brightness, in 16 bits; a half is added.
LUMINANCE = (19595, 38470, 7471)
#: What a picture may have: brightness, brightness and alpha, RGB, RGBA. Alpha is left out.
MOST_CHANNELS = 4
PNG = bytes.fromhex("89504e470d0a1a0a")
JPEG, JPEG_END = b"\xff\xd8", b"\xff\xd9"
#: Where a PNG says how many bits a sample has.
PNG_DEPTH = 24


def prepare(nodes: Nodes, pixels: Any, spec: dict[str, Any]) -> Any:
    """Turn uint8 `('batch', 'height', 'width', 'channels')` into the model's float32 input."""
    from edgekit.ingraph.resample import resize

    gray = spec["channels"] == 1
    channels = (_brightness if gray else _colours)(nodes, pixels)
    small = resize(nodes, channels, spec["height"], spec["width"])
    low, high = spec["range"]
    shape = np.array([-1, spec["height"], spec["width"], spec["channels"]])
    levels = nodes.op("Reshape", nodes.cast(small, "FLOAT"), shape)
    value = nodes.op("Div", levels, np.float32(255))
    if high - low != 1:
        value = nodes.op("Mul", value, np.float32(high - low))
    return value if low == 0 else nodes.op("Add", value, np.float32(low))


def _channels(nodes: Nodes, pixels: Any) -> Any:
    """Give the number of channels as a tensor of one element; another than 1 to 4 is refused."""
    count = nodes.op("Gather", nodes.op("Shape", pixels), np.array([3]))
    # One of 1, 2, 3, 4 is at most 1.5 away from 2.5.
    distance = nodes.op("Abs", nodes.op("Sub", nodes.op("Mul", count, 2), 5))
    fine = nodes.refuse(
        nodes.op("Squeeze", nodes.op("Greater", distance, MOST_CHANNELS - 1), np.array([0])),
        "a picture has 1 to 4 channels (grey, grey and alpha, RGB, RGBA)",
    )
    return nodes.op("Add", count, fine)


def _brightness(nodes: Nodes, pixels: Any) -> Any:
    """Weigh the channels as Pillow does; float32 holds these sums of integers exactly."""
    table = np.zeros((MOST_CHANNELS, MOST_CHANNELS), np.float32)
    table[:2, 0] = 1
    table[2:, :3] = np.array(LUMINANCE) / (1 << 16)
    count = _channels(nodes, pixels)
    row = nodes.op("Gather", table, nodes.op("Sub", count, 1))
    weights = nodes.op("Slice", row, np.array([0]), count, np.array([1]))
    column = nodes.op("Transpose", weights, perm=(1, 0))
    total = nodes.op("MatMul", nodes.cast(pixels, "FLOAT"), column)
    return nodes.cast(nodes.op("Floor", nodes.op("Add", total, np.float32(0.5))), "UINT8")


def _colours(nodes: Nodes, pixels: Any) -> Any:
    """Keep red, green and blue, or repeat the one brightness."""
    coloured = nodes.op("Greater", _channels(nodes, pixels), 2)
    kept = nodes.op("Where", coloured, np.array([3]), np.array([1]))
    first = nodes.op("Slice", pixels, np.array([0]), kept, np.array([3]))
    return nodes.op("Expand", first, np.array([1, 1, 1, 3]))


def decode(nodes: Nodes, data: Any) -> Any:
    """Decode a PNG or JPEG file, uint8 `(1, 'bytes')`, to `(1, 'height', 'width', 1 or 3)`."""
    data = nodes.op("Reshape", data, np.array([-1]))
    is_png, is_jpeg = _is_png(nodes, data), _is_jpeg(nodes, data)
    known = nodes.op("Or", is_png, is_jpeg)
    fine = nodes.refuse(
        nodes.op("Not", known),
        "the bytes are no whole PNG of 8 bits a sample or JPEG that ends with its marker",
    )
    # The decoder runs after the look: its input depends on it.
    checked = nodes.op("Reshape", data, nodes.op("Add", np.array([-1]), fine))
    decoded = nodes.op("DecodeImage", checked, domain="com.microsoft.extensions", color_space="rgb")
    # A JPEG of four channels is CMYK, which would pass for RGBA.
    four = nodes.op("Greater", nodes.size(decoded, 2), 3)
    rgb = nodes.refuse(four, "the picture is CMYK, give it as RGB")
    first = nodes.op("Unsqueeze", rgb, np.array([0]))
    return nodes.op("Unsqueeze", decoded, first)


def _is_png(nodes: Nodes, data: Any) -> Any:
    head = np.frombuffer(PNG, np.uint8)
    padded = nodes.op("Concat", data, np.full(PNG_DEPTH + 1, 255, np.uint8), axis=0)
    same = _equal(nodes, nodes.op("Slice", padded, np.array([0]), np.array([len(head)])), head)
    depth = nodes.cast(nodes.op("Gather", padded, PNG_DEPTH), "INT64")
    return nodes.op("And", same, nodes.op("Less", depth, 9))


def _is_jpeg(nodes: Nodes, data: Any) -> Any:
    ends = nodes.op("Concat", np.zeros(2, np.uint8), data, axis=0)
    begins = nodes.op("Concat", data, np.zeros(2, np.uint8), axis=0)
    return nodes.op(
        "And",
        _equal(
            nodes,
            nodes.op("Slice", begins, np.array([0]), np.array([2])),
            np.frombuffer(JPEG, np.uint8),
        ),
        _equal(
            nodes,
            nodes.op("Slice", ends, np.array([-2]), np.array([np.iinfo(np.int64).max])),
            np.frombuffer(JPEG_END, np.uint8),
        ),
    )


def _equal(nodes: Nodes, values: Any, wanted: np.ndarray[Any, Any]) -> Any:
    """Tell whether all of a short uint8 tensor are the wanted ones, a scalar bool."""
    difference = nodes.op("Sub", nodes.cast(values, "INT64"), wanted.astype(np.int64))
    worst = nodes.op("ReduceMax", nodes.op("Abs", difference), keepdims=0)
    return nodes.op("Equal", worst, 0)
