"""The one seam between edgekit and onnxruntime: how a session is made and read.

onnxruntime's exceptions are translated here and nowhere else.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import EdgekitError, FeedError, ModelError, ProviderError, one_line, require
from edgekit.runtime import providers
from edgekit.runtime.placement import (
    Opened,
    Placement,
    main_provider,
    nodes_by_provider,
    unplaced_nodes,
)
from edgekit.runtime.turns import TURN, InTurns
from edgekit.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.bundle import Bundle

#: What onnxruntime puts before the cause: its own name and a code, which a plugin repeats after a
#: place in its source, and the path; then the place and the condition of an assertion.
_PREFIX = re.compile(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?")
_ASSERTION = re.compile(r"^/\S+:\d+ (.* was false\. |.*?\) )")

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
    path = Path(model) if isinstance(model, (str, Path)) else model.path
    if path.is_dir():
        from edgekit.bundle import Bundle

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
    return _ASSERTION.sub("", _PREFIX.sub("", one_line(error)))


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


@dataclass(frozen=True)
class Plan:
    """What a model is opened with: the file, its providers in order, and their options.

    `threads` is onnxruntime's intra-op count, `options` the provider options by alias, `fallback`
    why a provider that was asked for is not among `rows`. Without the CPU in `rows` a session is
    strict: all nodes run on the providers, or it does not open.
    """

    path: Path
    rows: tuple[providers.Provider, ...]
    threads: int | None = None
    options: Mapping[str, dict[str, str]] = field(default_factory=dict)
    fallback: str | None = None

    @property
    def strict(self) -> bool:
        """Whether no node may run on the CPU that was not asked to."""
        return all(row.alias != "cpu" for row in self.rows)


def plan_session(
    path: Path,
    provider: str | Sequence[str],
    *,
    threads: int | None,
    allow_fallback: bool,
    provider_options: Mapping[str, Any] | None,
) -> Plan:
    """Check the providers that are asked for, and leave out what cannot run before a fallback.

    Raises `ProviderError` of the first one where none can run.
    """
    rows = providers.rows_of(provider, allow_fallback=allow_fallback)
    options = providers.options_by_provider(rows, provider_options, threads)
    ready, errors = [], []
    for row in rows:
        try:
            _check(row)
        except ProviderError as error:
            errors.append(error)
        else:
            ready.append(row)
    if not ready:
        raise errors[0]
    fallback = "; ".join(map(str, errors)) or None
    return Plan(path, tuple(ready), threads, options, fallback)


def _check(row: providers.Provider) -> None:
    if row.alias != "cpu":  # the CPU is in every wheel, and the checks load much
        from edgekit.runtime import probe

        probe.check(row)


def open_session(
    plan: Plan, axes: Mapping[str, int] | None = None, profile: Path | None = None
) -> Opened:
    """Open a plan's model with free axes fixed to lengths, and say what runs where.

    With `profile` onnxruntime writes a profile, to a file whose path begins so. Raises
    `ProviderError` that names the nodes which would run elsewhere. A provider that cannot make a
    session at all gives way to the next of the plan.
    """
    at_fault = plan.rows[:1]
    try:
        session = _session(plan, axes, profile)
        at_fault = left_out(session, plan)
        if at_fault:
            raise left_out_error(plan, at_fault[0])
    except ProviderError as error:
        rows = tuple(row for row in plan.rows if row not in at_fault)
        if not rows or error.step == "placement":
            raise
        reasons = "; ".join(filter(None, (plan.fallback, str(error))))
        return open_session(replace(plan, rows=rows, fallback=reasons), axes, profile)
    nodes = nodes_by_provider(session, plan.rows)
    left = unplaced_nodes(session, plan.rows)
    placement = Placement(nodes, plan.fallback, left)
    return Opened(session, main_provider(nodes, plan.rows), placement)


def declared_signature(path: Path) -> Signature:
    """Read the signature as the file has it, before any axis is fixed."""
    ort = require("onnxruntime", "run models")
    options = _session_options(ort, threads=1)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    with engine_errors(path, "cpu"):
        session = ort.InferenceSession(str(path), options, providers=[providers.CPU])
    return read_signature(session, path)


def profiled_session(plan: Plan, axes: Mapping[str, int] | None, prefix: Path) -> Any:
    """Open a plan's model with a profile that is written to `prefix` and a date."""
    return _session(plan, axes, profile=prefix)


def _session_options(ort: Any, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # an error is raised, and need not be printed as well
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _session(plan: Plan, axes: Mapping[str, int] | None, profile: Path | None = None) -> Any:
    ort = require("onnxruntime", "run models")
    options = _session_options(ort, plan.threads)
    for axis, size in (axes or {}).items():
        options.add_free_dimension_override_by_name(axis, size)
    if plan.rows[0].alias != "cpu":
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if plan.strict:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    # enable_fallback=0: or onnxruntime's own retry on the CPU hides the first error.
    extra: dict[str, Any] = {"enable_fallback": 0}
    if any(row.plugin is not None for row in plan.rows):
        _add_providers(options, plan)
    else:
        extra["providers"] = [(row.name, plan.options.get(row.alias, {})) for row in plan.rows]
    in_turns = any(row.one_run for row in plan.rows)
    turn = TURN if in_turns else contextlib.nullcontext()
    with _placement_errors(plan, axes), engine_errors(plan.path, plan.rows[0].alias), turn:
        session = ort.InferenceSession(str(plan.path), options, **extra)
    return InTurns(session) if in_turns else session


def _add_providers(options: Any, plan: Plan) -> None:
    """Add providers to a session's options in order, plugins by their devices."""
    from edgekit.runtime import probe

    for row in plan.rows:
        given = plan.options.get(row.alias, {})
        if row.plugin is not None:
            paths = probe.plugin_options(row)
            options.add_provider_for_devices(probe.plugin_devices(row), paths | given)
        elif row.alias != "cpu":  # onnxruntime puts the CPU last by itself
            options.add_provider(row.name, given)


def left_out(session: Any, plan: Plan) -> tuple[providers.Provider, ...]:
    """Give the providers of a plan that onnxruntime could not start, which it only logs."""
    started = session.get_providers()
    return tuple(row for row in plan.rows if row.name not in started)


def left_out_error(plan: Plan, row: providers.Provider) -> ProviderError:
    """Say that a provider did not start."""
    return ProviderError(
        f"onnxruntime left the provider {row.alias!r} out when it opened {str(plan.path)!r}, as "
        "its log says",
        "check its --provider-option and its driver",
        step="session",
    )


#: What a provider says when it opens a session and finds no device after all.
_NO_DEVICE = ("Failed to get a WebGPU adapter", "no CUDA-capable device", "CUDA failure 100")


@contextlib.contextmanager
def _placement_errors(plan: Plan, axes: Mapping[str, int] | None) -> Iterator[None]:
    row = plan.rows[0]
    try:
        yield
    except ModelError as error:
        if row.alias == "cpu":
            raise
        reason = engine_reason(error.__cause__ or error)
        asked = ",".join(each.alias for each in plan.rows)
        if plan.strict and "fallback to CPU EP" in reason:
            from edgekit.runtime.explain import placement_error

            raise placement_error(plan, axes) from error
        if any(words in reason for words in _NO_DEVICE):
            raise ProviderError(
                f"The provider {row.alias!r} finds no device on this machine ({reason})",
                row.device_fix or f"run it where there is one ({row.hardware})",
                step="device",
            ) from error
        raise ProviderError(
            f"The provider {asked!r} cannot run {str(plan.path)!r} ({reason})",
            row.session_fix
            or "check its --provider-option, try another variant, or give --allow-fallback",
            step="session",
        ) from error
