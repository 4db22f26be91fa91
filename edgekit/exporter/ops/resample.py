"""Pictures resized by weights that TensorFlow makes: two products, one for each axis.

ONNX's Resize has these kernels too, but TensorFlow rounds its cubic weights to a table's, and cuts
its Lanczos and antialiased ones at the border as no attribute of Resize does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.exporter.ops.site import Site

#: The attributes of the ops that resize to a size by kernels of their own.
ATTRIBUTES = {
    "ResizeArea": ("align_corners",),
    "ResizeBicubic": ("align_corners", "half_pixel_centers"),
}


def resize(at: Site, images: str, size: str) -> Any:
    """`images` (b, h, w, c) to `size` by cubic kernels, or by what each pixel covers."""
    import tensorflow as tf

    make = getattr(tf.raw_ops, at.kind)
    options = {key: bool(at.attribute(key)) for key in ATTRIBUTES[at.kind]}
    sizes, _ = _sizes(at, images, size)
    return _products(
        at,
        images,
        lambda picture, axis: make(images=picture, size=_along(axis, sizes[axis], 1), **options),
    )


def scale_and_translate(at: Site, images: str, size: str, scales: str, shifts: str) -> Any:
    """`images` (b, h, w, c) to `size` by a Lanczos kernel, or one that looks at every pixel.

    A scale that is computed is taken for `tf.image.resize`'s, the new size over the old.
    """
    import tensorflow as tf

    sizes, pixels = _sizes(at, images, size)
    scale, shift = at.value(scales), at.value(shifts)
    if scale is None:
        scale = np.array(sizes, np.float32) / np.array(pixels, np.float32)
    if shift is None:
        shift = np.zeros(2, np.float32)
    kernel = at.attribute("kernel_type")
    options = {
        "kernel_type": kernel.decode() if isinstance(kernel, bytes) else kernel,
        "antialias": bool(at.attribute("antialias")),
    }
    return _products(
        at,
        images,
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


def _sizes(at: Site, images: str, size: str) -> tuple[list[int], list[int]]:
    """Give the new and the old height and width; raises `ValueError` where they are free."""
    shape, after = at.shape(images), at.value(size)
    before = [length for length in (shape or [])[1:] if length]
    if after is None or len(before) < 3:
        raise ValueError("its picture has a free axis, or a size that is computed: fix both")
    return [int(length) for length in after], before[:2]


def _products(at: Site, images: str, resize: Callable[[Any, int], Any]) -> Any:
    """Write the products with the matrices that resizing an identity gives."""
    import tensorflow as tf

    height, width, channels = (length or 0 for length in (at.shape(images) or [])[1:])
    with tf.Graph().as_default() as graph:
        rows = resize(np.eye(height, dtype=np.float32)[None, :, None], 0)[0, :, 0]
        columns = resize(np.eye(width, dtype=np.float32)[None, None], 1)[0, 0]
        with tf.compat.v1.Session(graph=graph) as session:
            down, across = session.run([rows, columns])
    flat = at.op("Reshape", at.cast(images, np.float32), at.ints(-1, height, width * channels))
    apart = at.op("Reshape", at.op("MatMul", down, flat), at.ints(-1, len(down), width, channels))
    return at.op("MatMul", across, apart)
