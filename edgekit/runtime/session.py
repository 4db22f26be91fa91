"""The one seam between edgekit and onnxruntime: how a session is made and read.

onnxruntime's exceptions are translated here and nowhere else.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, FeedError, ModelError, ProviderError, one_line, require
from edgekit.runtime import providers
from edgekit.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What onnxruntime puts before the cause: its own name, a code, and the path again.
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?")

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
} | {
    f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def model_file(model: str | Path | Bundle, variant: str | None = None) -> Path:
    """Give the `.onnx` file of a model once it is known to be there and undamaged."""
    path = Path() if isinstance(model, Bundle) else Path(model)
    if isinstance(model, Bundle) or path.is_dir():
        bundle = model if isinstance(model, Bundle) else Bundle.open(path)
        return bundle.file(bundle.variant(variant).file)
    if not path.exists():
        raise ModelError(f"The path {str(path)!r} does not exist: give a bundle or an .onnx file.")
    if variant is not None:
        raise ModelError(
            f"The file {str(path)!r} has no variants, {variant!r} was asked for: give its bundle."
        )
    return path


@contextlib.contextmanager
def engine_errors(path: Path, provider: str) -> Iterator[None]:
    """Translate what onnxruntime raises; its exceptions have no base but `Exception`."""
    try:
        yield
    except (EdgekitError, KeyboardInterrupt):
        raise
    except Exception as error:
        text = engine_reason(error)
        kind = type(error).__name__
        if kind == "InvalidArgument" and "invalid dimensions" in text:
            raise FeedError(
                f"The inputs do not fit the model {str(path)!r} ({text}): "
                "see `edgekit inspect` for the shapes it takes."
            ) from error
        what = "run" if "running" in text else "open"
        raise ModelError(
            f"onnxruntime cannot {what} {str(path)!r} on {provider} ({text}): "
            "check that it is a complete ONNX model of an opset that this onnxruntime knows."
        ) from error


def engine_reason(error: BaseException) -> str:
    """Give the cause in an error of onnxruntime, without its code and the path."""
    return _PREFIX.sub("", one_line(error))


def read_signature(session: Any, path: Path) -> Signature:
    """Read names, dtypes and shapes back from an open session."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    # Anonymous leading axes are one batch by convention; any other anonymous axis stands alone.
    batch = "batch" if all(arg.shape and arg.shape[0] is None for arg in inputs) else None
    return Signature(
        tuple(_spec(arg, path, batch) for arg in inputs),
        tuple(_spec(arg, path, batch) for arg in outputs),
    )


def _spec(arg: Any, path: Path, batch: str | None) -> TensorSpec:
    if arg.type not in DTYPES:
        raise ModelError(
            f"The model {str(path)!r} has {arg.name!r} of type {arg.type}: edgekit runs models "
            "whose inputs and outputs are tensors of numbers, booleans or strings."
        )
    shape = tuple(
        axis if axis is not None else (batch if batch and i == 0 else f"{arg.name}_axis{i}")
        for i, axis in enumerate(arg.shape)
    )
    return TensorSpec(arg.name, DTYPES[arg.type], shape)


def open_session(
    path: Path,
    row: providers.Provider,
    *,
    threads: int | None,
    strict: bool,
    axes: Mapping[str, int] | None,
) -> Any:
    """Make a session on one provider, strictly on it unless told otherwise."""
    ort = require("onnxruntime", "run models")
    options = ort.SessionOptions()
    options.log_severity_level = 4  # an error is raised, and need not be printed as well
    if threads is not None:
        options.intra_op_num_threads = threads
    for axis, size in (axes or {}).items():
        options.add_free_dimension_override_by_name(axis, size)
    names: Sequence[str] = [row.name]
    if row.alias != "cpu":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if strict:
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        else:
            names = [row.name, providers.CPU]
    if row.plugin is not None:
        options.add_provider_for_devices(
            providers.plugin_devices(row), providers.plugin_options(row)
        )
        names = []
    with _placement_errors(row, path, strict=strict), engine_errors(path, row.alias):
        # enable_fallback=0: or onnxruntime's own retry on the CPU hides the first error.
        extra = {} if row.plugin else {"providers": list(names), "enable_fallback": 0}
        return ort.InferenceSession(str(path), options, **extra)


@contextlib.contextmanager
def _placement_errors(row: providers.Provider, path: Path, *, strict: bool) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        if row.alias == "cpu":
            raise
        placed = strict and "fallback" in str(error).lower()
        raise ProviderError(
            f"The provider {row.alias!r} cannot run all of {str(path)!r} "
            f"({engine_reason(error.__cause__ or error)})",
            "fix its free axes, try another variant, or give --allow-fallback",
            step="placement" if placed else "session",
        ) from error
