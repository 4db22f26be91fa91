"""TensorFlow ops that tf2onnx has no handler for, or a wrong one, written in ONNX.

`HANDLERS` is handed to tf2onnx; a module here holds a family of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.exporter.ops import (
    arithmetic,
    colours,
    convolution,
    places,
    products,
    resample,
    resize,
    special,
)
from edgekit.exporter.ops.site import handled

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITTEN: dict[str, Callable[..., Any]] = {
    "Any": arithmetic.any_of,
    "BesselI0": special.bessel_i0,
    "BroadcastArgs": arithmetic.broadcast_shapes,
    "Bucketize": places.bucketize,
    "Cross": products.cross,
    "DenseBincount": places.bincount,
    "Erf": special.erf,
    "Erfc": special.erfc,
    "Erfinv": special.erfinv,
    "Expm1": arithmetic.expm1,
    "FloorDiv": arithmetic.floor_div,
    "FloorMod": arithmetic.floor_mod,
    "HSVToRGB": colours.hsv_to_rgb,
    "ImageProjectiveTransformV3": colours.project,
    "InTopKV2": places.in_top_k,
    "Invert": arithmetic.invert,
    "InvertPermutation": places.invert_permutation,
    "IsFinite": arithmetic.is_finite,
    "IsInf": arithmetic.is_infinite,
    "LeftShift": arithmetic.left_shift,
    "Log": arithmetic.log,
    "Log1p": arithmetic.log1p,
    "LowerBound": places.lower_bound,
    "Maximum": arithmetic.maximum,
    "Minimum": arithmetic.minimum,
    "OneHot": places.one_hot,
    "RGBToHSV": colours.rgb_to_hsv,
    **dict.fromkeys(resize.MODES, resize.resize),
    **dict.fromkeys(resample.ATTRIBUTES, resample.resize),
    "RightShift": arithmetic.right_shift,
    "ScaleAndTranslate": resample.scale_and_translate,
    "ScatterNd": places.scatter,
    "Select": arithmetic.select,
    "SelectV2": arithmetic.select,
    "TensorScatterMax": places.scatter_extreme,
    "TensorScatterMin": places.scatter_extreme,
    "TruncateMod": arithmetic.truncate_mod,
    "Unique": products.unique,
    "UniqueWithCounts": products.unique,
    "UnsortedSegmentMax": places.segment,
    "UnsortedSegmentMin": places.segment,
    "UnsortedSegmentProd": places.segment,
    "UnsortedSegmentSum": places.segment,
    "UpperBound": places.upper_bound,
    "XlaDynamicUpdateSlice": places.update_slice,
}
HANDLERS: dict[str, tuple[Any, list[Any]]] = {
    "Conv3D": (convolution.conv3d, []),
    **{kind: handled(write) for kind, write in _WRITTEN.items()},
    "MatrixDiagV2": (products.diagonal, []),
    "MatrixDiagV3": (products.diagonal, []),
    "Einsum": (products.einsum, []),
}
