"""Every provider of the table on this machine: what `edgekit providers` shows.

Native code runs in child processes only, because a broken library takes its process with it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from edgekit.errors import ProviderError, require
from edgekit.runtime import child, probe
from edgekit.runtime.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from collections.abc import Collection

#: Seconds that a provider may take to answer whether it is there, and to run the small model.
PROBE_S, TRIAL_S = 60.0, 300.0


@dataclass(frozen=True)
class Device:
    """A device as onnxruntime reports it: `kind` is CPU, GPU or NPU, `vendor` the hardware's.

    `provider_vendor` and `provider_version` are what the provider's library says of itself.
    """

    kind: str
    vendor: str
    provider_vendor: str
    provider_version: str | None


@dataclass(frozen=True)
class Trial:
    """A small model run strictly on a provider against the same sum in numpy.

    `max_abs_error` is None where it did not run, and `detail` says why it failed.
    """

    passed: bool
    max_abs_error: float | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Status:
    """What a check found: `ready`, or the step that failed, why, and the command that mends it.

    The steps are `platform`, `wheel`, `conflict`, `library`, `device`, and `crash` or `hang` for a
    library that ended the process that asked, or never answered. `trial` is None where none was
    asked for.
    """

    alias: str
    name: str
    hardware: str
    state: str
    reason: str | None = None
    fix: str | None = None
    precisions: tuple[str, ...] = ()
    licence: str | None = None
    devices: tuple[Device, ...] = ()
    trial: Trial | None = None


@dataclass(frozen=True)
class Survey:
    """Every provider's status, onnxruntime's version (None without one), and its conflict.

    `wheels` are the installed distributions of the module `onnxruntime`: more than one is a
    conflict, since each overwrites the others' files.
    """

    onnxruntime: str | None
    wheels: tuple[str, ...]
    providers: tuple[Status, ...]

    @property
    def conflict(self) -> str | None:
        """Say which wheels overwrite each other."""
        return probe.conflict_of(self.wheels) if len(self.wheels) > 1 else None

    @property
    def passed(self) -> bool:
        """Whether every trial that was run passed."""
        return all(status.trial is None or status.trial.passed for status in self.providers)


def survey(*, trials: bool = False) -> Survey:
    """Check every provider of the table; with `trials`, run a small model on each ready one.

    Never raises for what is missing or broken, and never crashes with it.
    """
    wheels = probe.owners()
    try:
        base = child.call(f"{__name__}:installed", timeout_s=PROBE_S)
    except child.ChildError as error:
        reason = f"The process that imports onnxruntime {error}"
        broken = tuple(_broken(row, error, reason) for row in PROVIDERS.values())
        return Survey(None, wheels, broken)
    found = [_ask(row, base["available"], trials=trials) for row in PROVIDERS.values()]
    return Survey(base["version"], wheels, tuple(found))


def installed() -> dict[str, Any]:
    """Say which onnxruntime is installed and what is built into it; for a child process."""
    if importlib.util.find_spec("onnxruntime") is None:
        return {"version": None, "available": []}
    ort = require("onnxruntime", "run models")
    return {"version": ort.__version__, "available": ort.get_available_providers()}


def examine(alias: str, trial: bool) -> dict[str, Any]:
    """Check one provider and try it; for a child process, which it may take with it."""
    row = PROVIDERS[alias]
    found = status(row)
    if trial and found.state == "ready":
        from edgekit.runtime.trial import run_trial

        found = replace(found, trial=run_trial(row))
    return asdict(found)


def status(row: Provider) -> Status:
    """Check one provider in this process: `ready` with devices, or the first step that fails."""
    try:
        probe.check(row)
    except ProviderError as error:
        return _status(row, error.step, error.reason, error.fix)
    devices = tuple(map(_described, probe.ep_devices(row)))
    return replace(_status(row, "ready"), devices=devices)


def _ask(row: Provider, available: Collection[str], *, trials: bool) -> Status:
    """Check one provider, with its native code in a child process."""
    try:
        probe.check_installed(row, available)
    except ProviderError as error:
        return _status(row, error.step, error.reason, error.fix)
    patience_s = TRIAL_S if trials else PROBE_S
    try:
        found = child.call(f"{__name__}:examine", row.alias, trials, timeout_s=patience_s)
    except child.ChildError as error:
        doing = "tries" if trials else "asks for"
        return _broken(row, error, f"The process that {doing} the provider {row.alias!r} {error}")
    return replace(
        _status(row, found["state"], found["reason"], found["fix"]),
        devices=tuple(Device(**device) for device in found["devices"]),
        trial=Trial(**found["trial"]) if found["trial"] else None,
    )


def _status(row: Provider, state: str, reason: str | None = None, fix: str | None = None) -> Status:
    return Status(
        row.alias, row.name, row.hardware, state, reason, fix, row.precisions, row.licence
    )


def _broken(row: Provider, error: child.ChildError, reason: str) -> Status:
    return _status(row, "hang" if error.hung else "crash", reason, probe.reinstall_command(row))


def _described(found: Any) -> Device:
    return Device(
        kind=str(found.device.type).rpartition(".")[2],
        vendor=found.device.vendor,
        provider_vendor=found.ep_vendor,
        provider_version=found.ep_metadata.get("version"),
    )
