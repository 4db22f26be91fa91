"""UpSampling2D: one Resize by whole factors, whatever the length of the free axes.

TensorFlow resizes to a size, which Keras has to know while it is traced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

#: Interpolation -> the attributes of Resize that compute as TensorFlow does.
MODES = {
    "nearest": ("nearest", "asymmetric"),
    "bilinear": ("linear", "half_pixel"),
}


def plan(layer: Any, inputs: Any) -> Call | None:
    """Take pictures whose pixels are repeated or interpolated linearly."""
    from edgekit.exporter.lowering import Call

    if layer.interpolation not in MODES or inputs.dtype.name != layer.compute_dtype:
        return None
    return Call([inputs], [layer.compute_output_shape(tuple(inputs.shape))])


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Resize with the channels in front."""
    (x,) = inputs
    last = layer.data_format == "channels_last"
    mode, coordinates = MODES[layer.interpolation]
    picture = op.op("Transpose", x, perm=[0, 3, 1, 2]) if last else x
    scales = np.array([1, 1, *layer.size], np.float32)
    resized = op.op(
        "Resize",
        picture,
        None,
        scales,
        mode=mode,
        nearest_mode="floor",
        coordinate_transformation_mode=coordinates,
    )
    return [op.op("Transpose", resized, perm=[0, 2, 3, 1]) if last else resized]
