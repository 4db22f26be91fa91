"""TensorFlow ops that tf2onnx has no handler for, or a wrong one, written in ONNX.

`HANDLERS` is handed to tf2onnx; a handler has its signature, and a module here a family of them.
"""

from __future__ import annotations

from typing import Any

from edgekit.exporter.ops import resize, special

HANDLERS: dict[str, tuple[Any, list[Any]]] = {
    "Erfc": (special.erfc, []),
    **{kind: (resize.resize, []) for kind in resize.MODES},
}
