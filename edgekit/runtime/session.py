"""The runner: an open model on a provider. The one seam between edgekit and onnxruntime.

A provider that was asked for and cannot run the whole model is an error that names the reason;
`allow_fallback` is explicit, and `Runner.placement` says what ran where. onnxruntime's exceptions
are translated here and nowhere else.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, FeedError, ModelError, ProviderError, one_line, require
from edgekit.runtime import providers
from edgekit.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from edgekit.signature import Outputs

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


@dataclass(frozen=True)
class Placement:
    """How many nodes each provider runs, by alias, and why it is not what was asked for."""

    nodes: dict[str, int]
    fallback: str | None = None


class Runner:
    """An open model: `run(feeds) -> outputs`. Made by `edgekit.open`, closed by `with`.

    `run` may be called from several threads. The arrays that it returns belong to the caller.
    """

    def __init__(self, session: Any, path: Path, provider: str, placement: Placement) -> None:
        self.path = path
        self.provider = provider
        self.placement = placement
        self.signature = read_signature(session, path)
        self._names = [spec.name for spec in self.signature.outputs]
        self._session: Any = session

    def run(self, feeds: Mapping[str, Any]) -> Outputs:
        """Check the feed against the signature and run it: `{output name: array}`.

        Raises `FeedError` for a feed that does not fit, `ModelError` where the engine fails.
        """
        checked = self.signature.check(feeds)
        if self._session is None:
            raise ModelError(f"The runner of {str(self.path)!r} is closed: open it again.")
        try:
            values = self._session.run(self._names, checked)
        except Exception:
            # Not around the run: entering a context costs as much as the check of the feed.
            with engine_errors(self.path, self.provider):
                raise
        return dict(zip(self._names, values, strict=True))

    def close(self) -> None:
        """Let go of the session and its memory; a second call does nothing."""
        self._session = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_runner(
    model: str | Path | Bundle,
    *,
    provider: str = "cpu",
    variant: str | None = None,
    threads: int | None = None,
    allow_fallback: bool = False,
    axes: Mapping[str, int] | None = None,
) -> Runner:
    """Open a bundle's variant, or an `.onnx` file, on a provider.

    `threads` is onnxruntime's intra-op count (None leaves it to onnxruntime), `axes` fixes free
    axes to a length. Raises `ProviderError` where the provider cannot run all of the model and
    `allow_fallback` is off, `ModelError` for a file that cannot be opened.
    """
    path = model_file(model, variant)
    row = providers.resolve(provider)
    reason: str | None = None
    try:
        providers.check(row)
        session = _open(path, row, threads=threads, strict=not allow_fallback, axes=axes)
    except ProviderError as error:
        if not allow_fallback or row.alias == "cpu":
            raise
        reason = str(error)
        row = providers.PROVIDERS["cpu"]
        session = _open(path, row, threads=threads, strict=True, axes=axes)
    placement = Placement(_placement(session, row), reason)
    return Runner(session, path, _ran_on(placement, row), placement)


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


def _open(
    path: Path,
    row: providers.Provider,
    *,
    threads: int | None,
    strict: bool,
    axes: Mapping[str, int] | None,
) -> Any:
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


def _placement(session: Any, row: providers.Provider) -> dict[str, int]:
    """Count the nodes of each provider; `get_providers()` would only tell what was asked for."""
    if row.alias == "cpu" or not hasattr(session, "get_provider_graph_assignment_info"):
        return {}
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[providers.alias_of(part.ep_name)] += len(part.get_nodes())
    return dict(counts)


def _ran_on(placement: Placement, row: providers.Provider) -> str:
    """Name the provider that ran the model: the one with the most nodes."""
    if not placement.nodes:
        return row.alias
    return max(placement.nodes, key=lambda alias: placement.nodes[alias])
