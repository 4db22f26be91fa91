"""Resizing to a size: tf2onnx gives scales, from which engines compute a size one too small.

Sizes with `axes` would say it in one word, but onnxruntime 1.32 breaks them where it moves a
Transpose across.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.ops.site import Site

#: TensorFlow op -> ONNX mode.
MODES = {"ResizeBilinear": "linear", "ResizeNearestNeighbor": "nearest"}


def resize(at: Site, images: str, size: str) -> Any:
    """Resize `(batch, height, width, channels)` to a size."""
    mode = MODES[at.kind]
    # TensorFlow interpolates in float32 whatever comes; ONNX in the type of the picture.
    pixels = images if mode == "nearest" else at.op("Cast", images, to=1)
    image = at.op("Transpose", pixels, perm=[0, 3, 1, 2])
    before, after = (at.shape(images) or [None] * 4)[1:3], at.value(size)
    scales = None if after is None or None in before else _scales(before, after, mode)
    if scales is not None:
        inputs = [image, "", np.array([1, 1, *scales], np.float32)]
    else:
        start = at.op("Slice", at.op("Shape", image), at.ints(0), at.ints(2))
        end = at.op("Cast", size, to=7) if after is None else after.astype(np.int64)
        inputs = [image, "", "", at.op("Concat", start, end, axis=0)]
    resized = at.op("Resize", *inputs, mode=mode, **_coordinates(at, mode))
    return at.op("Transpose", resized, perm=[0, 2, 3, 1])


def _coordinates(at: Site, mode: str) -> dict[str, Any]:
    """Name where a pixel's value is taken from."""
    if at.attribute("align_corners"):
        nearest, name = "round_prefer_ceil", "align_corners"
    elif at.attribute("half_pixel_centers"):
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
