"""Every failure that edgekit expects, as one tree.

::

    EdgekitError
    ├── SourceError           what was handed to `export` or `train` cannot be used
    ├── ExportError           the conversion failed, or its result did not match Keras
    ├── BundleError           not a bundle, or a bundle whose files do not match its manifest
    ├── ModelError            onnxruntime cannot open or run this file
    ├── FeedError             inputs that do not fit the model's signature
    ├── ProviderError         the provider is not available, or is not what ran
    ├── QuantizeError         a recipe that does not apply to this model
    ├── CompileError          a model that does not compile ahead of time, or comes out another
    ├── EmbedError            a model that a target's runtime cannot run
    ├── BaselineError         an earlier measurement that cannot be compared with
    ├── OutputError           the output exists, or cannot be written
    └── MissingExtraError     a package of an optional extra is not installed

Catch `EdgekitError` to be safe, a leaf to recover. A message is one sentence: what came, what
was expected, what to do. Mistakes in a program (a wrong argument type) stay `TypeError` and
`ValueError`.

This module imports only the standard library, because everything else imports it.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class EdgekitError(Exception):
    """The root of every expected failure; the command line turns it into exit code 3."""


class SourceError(EdgekitError):
    """What was handed to `export` or `train` cannot be used."""


class ExportError(EdgekitError):
    """The conversion failed, or the converted file did not match Keras."""


class BundleError(EdgekitError):
    """A path that is no bundle, or a bundle whose files do not match its manifest."""


class ModelError(EdgekitError):
    """A model file that onnxruntime cannot open or run."""


class FeedError(EdgekitError):
    """Inputs that do not fit the model's signature."""


class ProviderError(EdgekitError):
    """An execution provider that is not available, or is not what ran.

    `step` names the check that failed: `name`, `platform`, `wheel`, `library`, `device`, `session`
    or `placement`; `reason` says what was found, and `fix` what to do about it.
    """

    def __init__(self, reason: str, fix: str, *, step: str) -> None:
        super().__init__(f"{reason}: {fix}")
        self.reason, self.fix, self.step = reason, fix, step

    def __reduce__(self) -> tuple[Any, ...]:
        return _provider_error, (self.reason, self.fix, self.step)


def _provider_error(reason: str, fix: str, step: str) -> ProviderError:
    return ProviderError(reason, fix, step=step)


class QuantizeError(EdgekitError):
    """A recipe that does not apply to this model, or calibration data that does not fit it."""


class CompileError(EdgekitError):
    """A model that cannot be compiled ahead of time, or whose compiled file answers otherwise."""


class EmbedError(EdgekitError):
    """A model that the pinned runtime of an app's target cannot run, or that no app can take."""


class BaselineError(EdgekitError):
    """An earlier measurement that is no report, or that was taken on another machine."""


class OutputError(EdgekitError):
    """An output that exists already, or that cannot be written."""


class MissingExtraError(EdgekitError):
    """A package that belongs to an optional extra is not installed."""


#: The extra that brings each optional package, by the name that is imported.
EXTRA_OF = {
    "keras": "export",
    "tensorflow": "export",
    "tf2onnx": "export",
    "onnxscript": "export",
    "onnx": "export",
    "onnx_ir": "export",
    "sympy": "quantize",
    "onnxruntime": "cpu",
    "sklearn": "zoo",
    "sktime": "zoo",
    "pycountry": "zoo",
    "faker": "zoo",
    "emoji": "zoo",
    "PIL": "image",
    "onnxruntime_extensions": "extensions",
    "jinja2": "report",
    "matplotlib": "report",
    "ai_edge_litert": "peers",
    "openvino": "peers",
}


@contextlib.contextmanager
def needs_extra(purpose: str, extra: str | None = None) -> Iterator[None]:
    """Turn a missing optional package inside the block into a `MissingExtraError`.

    `purpose` completes the sentence "... is needed to <purpose>"; `extra` names the extra where it
    is another than the package's usual one. A missing module that belongs to no extra is a broken
    installation or a bug, and passes through.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        raise MissingExtraError(
            f"The package {package!r} is needed to {purpose} and is not installed: "
            f"pip install 'edgekit-onnx[{extra or EXTRA_OF[package]}]'."
        ) from error


def require(module: str, purpose: str) -> Any:
    """Import an optional package by name, or raise `MissingExtraError` naming its extra."""
    with needs_extra(purpose):
        return importlib.import_module(module)


def one_line(error: BaseException) -> str:
    """Give the first line of a foreign error's message, or its type's name where it has none."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(". ") if text else type(error).__name__
