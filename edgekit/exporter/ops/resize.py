"""Resizing to a size: tf2onnx gives scales, from which engines compute a size one too small.

Sizes with `axes` would say it in one word, but onnxruntime 1.32 breaks them where it moves a
Transpose across.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: TensorFlow op -> ONNX mode.
MODES = {"ResizeBilinear": "linear", "ResizeNearestNeighbor": "nearest"}


def resize(ctx: Any, node: Any, name: str, args: Any) -> None:
    """Resize `(batch, height, width, channels)` to the sizes that the second input gives."""
    from tf2onnx import utils

    def make(kind: str, inputs: list[str], attributes: dict[str, Any] | None = None) -> str:
        made = ctx.make_node(kind, inputs, attr=attributes or {}, name=utils.make_name(name))
        return str(made.output[0])

    def ints(*values: int) -> str:
        made = ctx.make_const(utils.make_name("sizes"), np.array(values, np.int64))
        return str(made.output[0])

    mode = MODES[node.type]
    attributes = {"mode": mode} | _coordinates(node, mode)
    # TensorFlow interpolates in float32 whatever comes; ONNX in the type of the picture.
    pixels = node.input[0] if mode == "nearest" else make("Cast", [node.input[0]], {"to": 1})
    image = make("Transpose", [pixels], {"perm": [0, 3, 1, 2]})
    shape = ctx.get_shape(node.input[0]) or [-1] * 4
    size = make("Cast", [node.input[1]], {"to": 7})
    if node.inputs[1].is_const():
        size = ints(*map(int, node.inputs[1].get_tensor_value()))
    sized = node.inputs[1].is_const() and min(shape[1:3]) > 0
    scales = _scales(shape[1:3], node.inputs[1].get_tensor_value(), mode) if sized else None
    if scales is not None:
        constant = ctx.make_const(utils.make_name("scales"), np.array([1, 1, *scales], np.float32))
        inputs = [image, "", constant.output[0]]
    else:
        start = make("Slice", [make("Shape", [image]), ints(0), ints(2)])
        inputs = [image, "", "", make("Concat", [start, size], {"axis": 0})]
    resized = make("Resize", inputs, attributes)
    shapes, dtypes, outputs = node.output_shapes, node.output_dtypes, list(node.output)
    ctx.remove_node(node.name)
    ctx.make_node(
        "Transpose",
        [resized],
        {"perm": [0, 2, 3, 1]},
        name=name,
        outputs=outputs,
        shapes=shapes,
        dtypes=dtypes,
    )


def _coordinates(node: Any, mode: str) -> dict[str, Any]:
    """Name where a pixel's value is taken from."""
    if node.get_attr_value("align_corners"):
        nearest, name = "round_prefer_ceil", "align_corners"
    elif node.get_attr_value("half_pixel_centers"):
        # TensorFlow takes the floor of (i + 1/2) / scale, ONNX counts half a pixel less.
        nearest, name = "round_prefer_ceil" if mode == "nearest" else "floor", "half_pixel"
    else:
        nearest, name = "floor", "asymmetric"
    return {"coordinate_transformation_mode": name, "nearest_mode": nearest}


def _scales(before: Any, after: Any, mode: str) -> list[Any] | None:
    """Give factors from which every engine computes the sizes; None where there are none.

    A factor that is rounded up moves a point by less than a pixel's millionth, which only matters
    where the nearest pixel is asked for.
    """
    found = []
    for a, b in zip(map(int, before), map(int, after), strict=True):
        exact = np.float32(b / a)
        candidates = [exact] if mode == "nearest" else [exact, np.nextafter(exact, np.float32(9e9))]
        fitting = [c for c in candidates if int(a * float(c)) == int(np.float32(a) * c) == b]
        if not fitting:
            return None
        found.append(fitting[0])
    return found
