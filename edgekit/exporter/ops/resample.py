"""Pictures resized by weights that TensorFlow makes: two products, one for each axis.

ONNX's Resize has these kernels too, but TensorFlow rounds its cubic weights to a table's, and cuts
its Lanczos and antialiased ones at the border as no attribute of Resize does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


#: The attributes of the ops that resize to a size by kernels of their own.
ATTRIBUTES = {
    "ResizeArea": ("align_corners",),
    "ResizeBicubic": ("align_corners", "half_pixel_centers"),
}


def resize(ctx: Any, node: Any, name: str, args: Any) -> None:
    """`images` (b, h, w, c) to `size` by cubic kernels, or by what each pixel covers."""
    import tensorflow as tf

    make = getattr(tf.raw_ops, node.type)
    options = {key: bool(node.get_attr_value(key)) for key in ATTRIBUTES[node.type]}
    sizes, _ = _sizes(ctx, node)
    _replace(
        ctx,
        node,
        name,
        lambda picture, axis: make(images=picture, size=_along(axis, sizes[axis], 1), **options),
    )


def scale_and_translate(ctx: Any, node: Any, name: str, args: Any) -> None:
    """`images` (b, h, w, c) to `size` by a Lanczos kernel, or one that looks at every pixel.

    A scale that is computed is taken for `tf.image.resize`'s, the new size over the old.
    """
    import tensorflow as tf

    sizes, pixels = _sizes(ctx, node)
    scale, shift = (_constant(node.inputs[i]) for i in (2, 3))
    if scale is None:
        scale = np.array(sizes, np.float32) / np.array(pixels, np.float32)
    if shift is None:
        shift = np.zeros(2, np.float32)
    kernel = node.get_attr_value("kernel_type")
    options = {
        "kernel_type": kernel.decode() if isinstance(kernel, bytes) else kernel,
        "antialias": bool(node.get_attr_value("antialias")),
    }
    _replace(
        ctx,
        node,
        name,
        lambda picture, axis: tf.raw_ops.ScaleAndTranslate(
            images=picture,
            size=_along(axis, sizes[axis], 1),
            scale=_along(axis, float(scale[axis]), 1.0),
            translation=_along(axis, float(shift[axis]), 0.0),
            **options,
        ),
    )


def _along(axis: int, value: Any, other: Any) -> list[Any]:
    """Give a pair for both axes; the picture that shows the weights has one pixel along `other`."""
    return [value, other] if axis == 0 else [other, value]


def _constant(node: Any) -> np.ndarray[Any, Any] | None:
    return np.asarray(node.get_tensor_value(as_list=False)) if node.is_const() else None


def _sizes(ctx: Any, node: Any) -> tuple[list[int], list[int]]:
    """Give the new and the old height and width; raises `ValueError` where they are free."""
    shape, size = ctx.get_shape(node.input[0]), _constant(node.inputs[1])
    if size is None or shape is None or min(shape[1:]) < 1:
        raise ValueError("its picture has a free axis, or a size that is computed: fix both")
    return [int(length) for length in size], shape[1:3]


def _replace(ctx: Any, node: Any, name: str, resize: Callable[[Any, int], Any]) -> None:
    """Write the products with the matrices that resizing an identity gives."""
    import tensorflow as tf
    from tf2onnx import utils

    _, height, width, channels = ctx.get_shape(node.input[0])
    with tf.Graph().as_default() as graph:
        rows = resize(np.eye(height, dtype=np.float32)[None, :, None], 0)[0, :, 0]
        columns = resize(np.eye(width, dtype=np.float32)[None, None], 1)[0, 0]
        with tf.compat.v1.Session(graph=graph) as session:
            down, across = session.run([rows, columns])
    images, outputs = node.input[0], list(node.output)
    shapes, dtypes = node.output_shapes, node.output_dtypes
    ctx.remove_node(node.name)

    def op(kind: str, *inputs: Any, **attributes: Any) -> str:
        names = [value if isinstance(value, str) else constant(value) for value in inputs]
        made = ctx.make_node(kind, names, attr=attributes, op_name_scope=name)
        return str(made.output[0])

    def constant(array: Any) -> str:
        return str(ctx.make_const(utils.make_name(f"{name}/weights"), array).output[0])

    floats = op("Cast", images, to=utils.map_numpy_to_onnx_dtype(np.dtype(np.float32)))
    flat = op("Reshape", floats, np.array([-1, height, width * channels], np.int64))
    high = op("MatMul", down, flat)
    apart = op("Reshape", high, np.array([-1, len(down), width, channels], np.int64))
    inputs = [constant(across), apart]
    ctx.make_node("MatMul", inputs, outputs=outputs, shapes=shapes, dtypes=dtypes, name=name)
