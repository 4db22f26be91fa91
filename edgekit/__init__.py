"""Ship a Keras model to a device: verified, fast, small ONNX bundles, honestly timed.

The names below are the public interface; everything else may change. Each is imported when it is
first used, so `import edgekit` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekit.bundle import Bundle
    from edgekit.compiler import compile_model as compile
    from edgekit.embedder.project import embed
    from edgekit.errors import EdgekitError
    from edgekit.exporter import export
    from edgekit.latency import benchmark
    from edgekit.parity import Tolerance
    from edgekit.quantizer import quantize
    from edgekit.runtime.runner import Runner
    from edgekit.runtime.runner import open_runner as open
    from edgekit.signature import Signature, TensorSpec
    from edgekit.tuner import tune
    from edgekit.validation import validate

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "EdgekitError",
    "Runner",
    "Signature",
    "TensorSpec",
    "Tolerance",
    "benchmark",
    "compile",
    "embed",
    "export",
    "open",
    "quantize",
    "tune",
    "validate",
]

_HOME = {
    "Bundle": ("edgekit.bundle", "Bundle"),
    "EdgekitError": ("edgekit.errors", "EdgekitError"),
    "Runner": ("edgekit.runtime.runner", "Runner"),
    "Signature": ("edgekit.signature", "Signature"),
    "TensorSpec": ("edgekit.signature", "TensorSpec"),
    "Tolerance": ("edgekit.parity", "Tolerance"),
    "benchmark": ("edgekit.latency", "benchmark"),
    "compile": ("edgekit.compiler", "compile_model"),
    "embed": ("edgekit.embedder.project", "embed"),
    "export": ("edgekit.exporter", "export"),
    "open": ("edgekit.runtime.runner", "open_runner"),
    "quantize": ("edgekit.quantizer", "quantize"),
    "tune": ("edgekit.tuner", "tune"),
    "validate": ("edgekit.validation", "validate"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'edgekit' has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
