"""Pillow's bilinear resize of 8-bit pictures, as standard ONNX operators, equal bit for bit.

onnxruntime's `Resize` with `antialias` is up to 20 of 255 levels off at the borders, and with
`exclude_outside` still one level in some pixels, because its coefficients are float32. So the
steps of Pillow's own resample are written out: coefficients in double, rounded to 22 bits, sums
of integers, a rounding after each of the two passes. `MatMulInteger` adds up 8-bit numbers, so a
coefficient is three of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.ingraph.nodes import Nodes

#: The bits of a coefficient behind the point.
BITS = 22
#: The version of Pillow since which a tall picture is resized along its columns first.
COLUMNS_FIRST = 13


def resize(nodes: Nodes, pixels: Any, height: int, width: int) -> Any:
    """Resize uint8 `('batch', 'height', 'width', channels)` to `height` and `width`.

    Pillow goes along the rows first; since version 13 along the columns where the height loses
    more than twice as many pixels as the width. It is done as the Pillow does that is installed.
    """
    import onnx_ir as ir

    tall = _is_tall(nodes, pixels, height, width)
    # Plane by plane: onnxruntime moves single bytes ten times as fast as three of them.
    planes = nodes.op("Transpose", pixels, perm=(0, 3, 1, 2))
    planes.type = ir.TensorType(ir.DataType.UINT8)
    first = nodes.transpose_if(tall, planes, (2, 0, 1, 3), (3, 0, 1, 2))
    sizes = nodes.op("Where", tall, np.array([height, width]), np.array([width, height]))
    once = _along_first(nodes, first, nodes.op("Gather", sizes, 0))
    second = nodes.op("Transpose", once, perm=(3, 0, 1, 2))
    twice = _along_first(nodes, second, nodes.op("Gather", sizes, 1))
    twice.type = planes.type
    return nodes.transpose_if(tall, twice, (2, 1, 0, 3), (2, 0, 1, 3))


def _is_tall(nodes: Nodes, pixels: Any, height: int, width: int) -> Any:
    import PIL

    if int(PIL.__version__.partition(".")[0]) < COLUMNS_FIRST:
        return nodes.constant(np.array(False))
    lost_height = nodes.op("Sub", nodes.size(pixels, 1), height)
    lost_width = nodes.op("Sub", nodes.size(pixels, 2), width)
    return nodes.op(
        "And",
        nodes.op("Greater", lost_height, 0),
        nodes.op("Greater", lost_height, nodes.op("Mul", lost_width, 2)),
    )


def _along_first(nodes: Nodes, pixels: Any, length: Any) -> Any:
    """Resample uint8 of four axes along the first of them to `length`, a scalar."""
    shape = nodes.op("Shape", pixels)
    size, rest = (
        nodes.op("Gather", shape, 0),
        nodes.op("Slice", shape, np.array([1]), np.array([4])),
    )
    flat = nodes.op("Reshape", pixels, nodes.op("Concat", nodes.vector(size), [-1], axis=0))
    index, weights = _windows(nodes, size, length)
    windows = nodes.op("Gather", flat, index, axis=0)  # (length, taps, rest)
    sums = nodes.op("MatMulInteger", weights, windows)  # (length, 3, rest)
    parts = nodes.op("Mul", sums, np.array([[1], [1 << 8], [1 << 16]], np.int32))
    total = nodes.op("ReduceSum", parts, np.array([1]), keepdims=0)
    half = nodes.op("Add", total, np.int32(1 << (BITS - 1)))
    made = nodes.cast(nodes.op("Div", half, np.int32(1 << BITS)), "UINT8")
    return nodes.op("Reshape", made, nodes.op("Concat", nodes.vector(length), rest, axis=0))


def _windows(nodes: Nodes, size: Any, length: Any) -> tuple[Any, Any]:
    """Give which pixels each of `length` is made of, and with which weights.

    `(length, taps)` int64 and `(length, 3, taps)` uint8, the low byte of each weight first.
    """
    double = nodes.cast(size, "DOUBLE")
    scale = nodes.op("Div", double, nodes.cast(length, "DOUBLE"))
    support = nodes.op("Max", scale, 1.0)
    number = nodes.cast(nodes.op("Range", 0, length, 1), "DOUBLE")
    center = nodes.op("Mul", nodes.op("Add", number, 0.5), scale)
    low, high = (
        nodes.cast(nodes.op("Add", nodes.op(kind, center, support), 0.5), "INT64")
        for kind in ("Sub", "Add")
    )
    low, high = nodes.op("Max", low, 0), nodes.op("Min", high, size)
    taps = nodes.op("ReduceMax", nodes.op("Sub", high, low), keepdims=0)
    column = np.array([1])
    index = nodes.op("Add", nodes.op("Unsqueeze", low, column), nodes.op("Range", 0, taps, 1))
    inside = nodes.op("Less", index, nodes.op("Unsqueeze", high, column))
    offset = nodes.op("Sub", nodes.cast(index, "DOUBLE"), nodes.op("Unsqueeze", center, column))
    distance = nodes.op("Mul", nodes.op("Add", offset, 0.5), nodes.op("Div", 1.0, support))
    slope = nodes.op("Max", nodes.op("Sub", 1.0, nodes.op("Abs", distance)), 0.0)
    weight = nodes.op("Where", inside, slope, 0.0)
    share = nodes.op("Div", weight, nodes.op("ReduceSum", weight, column))
    whole = nodes.cast(nodes.op("Add", nodes.op("Mul", share, float(1 << BITS)), 0.5), "INT64")
    digits = [nodes.op("Mod", nodes.op("Div", whole, 1 << shift), 256) for shift in (0, 8, 16)]
    rows = [nodes.op("Unsqueeze", digit, column) for digit in digits]
    weights = nodes.cast(nodes.op("Concat", *rows, axis=1), "UINT8")
    return nodes.op("Min", index, nodes.op("Sub", size, 1)), weights
