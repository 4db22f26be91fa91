"""TensorFlow ops that tf2onnx has no handler for, or a wrong one, written in ONNX.

`HANDLERS` is handed to tf2onnx; a handler has its signature, and a module here a family of them.
"""

from __future__ import annotations

from typing import Any

from edgekit.exporter.ops import convolution, counting, resize, resizing, special

HANDLERS: dict[str, tuple[Any, list[Any]]] = {
    "Conv3D": (convolution.conv3d, []),
    "DenseBincount": (counting.dense_bincount, []),
    "Erfc": (special.erfc, []),
    **{kind: (resize.resize, []) for kind in resize.MODES},
    "ResizeBicubic": (resizing.resize_bicubic, []),
    "ScaleAndTranslate": (resizing.scale_and_translate, []),
}
