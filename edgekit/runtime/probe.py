"""What can run here, and why the rest cannot: the checks behind `edgekit providers` and `open`.

onnxruntime answers a request for an absent provider with a warning and a CPU session. edgekit asks
first, in the order in which things go missing: the platform, the wheel, a library by name, a
device. `check` asks in this process, before a model is opened. `survey` asks for every provider and
lets native code run in child processes only, because a broken library takes its process with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
import io
import re
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import ProviderError, one_line, require
from edgekit.runtime import child
from edgekit.runtime.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

#: Seconds that a provider may take to answer whether it is there, and to run the small model.
PROBE_S, TRIAL_S = 60.0, 300.0
#: How a dynamic loader names what it does not find.
_MISSING_LIBRARY = re.compile(r"(\S+\.(?:so[.\d]*|dll|dylib)): cannot open shared object file")


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
        return _conflict(self.wheels) if len(self.wheels) > 1 else None

    @property
    def passed(self) -> bool:
        """Whether every trial that was run passed."""
        return all(status.trial is None or status.trial.passed for status in self.providers)


def survey(*, trials: bool = False) -> Survey:
    """Check every provider of the table; with `trials`, run a small model on each ready one.

    Never raises for what is missing or broken, and never crashes with it.
    """
    wheels = owners()
    try:
        base = child.call(f"{__name__}:installed", timeout_s=PROBE_S)
    except child.ChildError as error:
        reason = f"The process that imports onnxruntime {error}"
        state = "hang" if error.hung else "crash"
        broken = [_status(row, state, reason, _reinstall(row)) for row in PROVIDERS.values()]
        return Survey(None, wheels, tuple(broken))
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
    found = asdict(status(row))
    if trial and found["state"] == "ready":
        from edgekit.runtime.trial import run_trial

        found["trial"] = asdict(run_trial(row))
    return found


def _ask(row: Provider, available: Collection[str], *, trials: bool) -> Status:
    """Check one provider, with its native code in a child process."""
    try:
        _check_installed(row, available)
    except ProviderError as error:
        return _status(row, error.step, error.reason, error.fix)
    try:
        found = child.call(
            f"{__name__}:examine", row.alias, trials, timeout_s=TRIAL_S if trials else PROBE_S
        )
    except child.ChildError as error:
        doing = "tries" if trials else "asks for"
        reason = f"The process that {doing} the provider {row.alias!r} {error}"
        return _status(row, "hang" if error.hung else "crash", reason, _reinstall(row))
    trial = found["trial"]
    devices = tuple(Device(**device) for device in found["devices"])
    return Status(
        **found
        | {"devices": devices, "trial": trial and Trial(**trial)}
        | {"precisions": tuple(found["precisions"])}
    )


def _status(row: Provider, state: str, reason: str | None = None, fix: str | None = None) -> Status:
    return Status(
        row.alias, row.name, row.hardware, state, reason, fix, row.precisions, row.licence
    )


def status(row: Provider) -> Status:
    """Check one provider in this process: `ready` with devices, or the first step that fails."""
    try:
        check(row)
    except ProviderError as error:
        return _status(row, error.step, error.reason, error.fix)
    ready = asdict(_status(row, "ready"))
    return Status(**ready | {"devices": tuple(_described(device) for device in ep_devices(row))})


def check(row: Provider) -> None:
    """Raise `ProviderError` with the first step that fails; `step` is the name of it."""
    ort = require("onnxruntime", "run models")
    _check_installed(row, ort.get_available_providers())
    if row.plugin is not None:
        plugin_devices(row)
        return
    if row.library is not None and sys.platform == "linux":
        _check_library(ort, row, row.library)
    if row.driver is not None and sys.platform == "linux":
        _check_driver(row, row.driver)


def _check_installed(row: Provider, available: Collection[str]) -> None:
    """Check the platform and the wheel, which needs no native code."""
    if sys.platform not in row.platforms:
        raise ProviderError(
            f"The provider {row.alias!r} does not exist on {sys.platform}",
            f"use it on {' or '.join(row.platforms)}",
            step="platform",
        )
    if row.plugin is not None:
        if importlib.util.find_spec(row.plugin) is None:
            raise ProviderError(
                f"The provider {row.alias!r} needs the package {row.plugin!r}, which is not "
                "installed",
                install_command(row),
                step="wheel",
            )
        return
    if row.name in available:
        return
    wheels = owners()
    if row.wheel in wheels and len(wheels) > 1:
        raise ProviderError(
            f"The provider {row.alias!r} is not in the module onnxruntime: {_conflict(wheels)}",
            _reinstall(row),
            step="conflict",
        )
    has = f", which has {', '.join(available)}" if available else ""
    raise ProviderError(
        f"The provider {row.alias!r} is not in the installed onnxruntime wheel{has}",
        install_command(row),
        step="wheel",
    )


@functools.cache
def owners() -> tuple[str, ...]:
    """Give the distributions whose files are the module `onnxruntime`: one where all is well."""
    # Not packages_distributions(): it reads the file lists of everything that is installed.
    return tuple(
        sorted(
            {
                distribution.name
                for distribution in importlib.metadata.distributions()
                if distribution.name.startswith(("onnxruntime", "ort-"))
                and any(file.parts[0] == "onnxruntime" for file in distribution.files or ())
            }
        )
    )


def _conflict(wheels: Sequence[str]) -> str:
    return f"{' and '.join(wheels)} are installed over each other"


def install_command(row: Provider) -> str:
    """Give the command that brings a provider, without the wheels that would be in its way."""
    # Of two wheels both have to go: removing one takes the files of the other with it.
    alone = owners() in ((), (row.wheel,))
    return row.install if alone else _after_removing(owners(), row)


def _reinstall(row: Provider) -> str:
    """Give the command that brings a provider anew, whatever is there."""
    return _after_removing(
        (*owners(), *([row.plugin.replace("_", "-")] if row.plugin else [])), row
    )


def _after_removing(packages: Sequence[str], row: Provider) -> str:
    remove = f"pip uninstall -y {' '.join(packages)} && " if packages and row.wheel else ""
    return remove + row.install


def plugin_devices(row: Provider) -> list[Any]:
    """Register a plugin's library once and give the devices that it offers."""
    try:
        package = importlib.import_module(str(row.plugin))
    except ImportError as error:
        raise ProviderError(
            f"The provider {row.alias!r} needs the package {row.plugin!r}, which cannot be "
            f"imported ({one_line(error)})",
            install_command(row),
            step="wheel",
        ) from error
    try:
        _register(row, str(package.get_library_path()))
    except Exception as error:  # onnxruntime's errors have no base but Exception
        missing = _MISSING_LIBRARY.search(str(error))
        what = repr(missing[1]) if missing else f"of {row.plugin} ({one_line(error)})"
        raise ProviderError(
            f"The provider {row.alias!r} cannot load the library {what}",
            _library_fix(row, missing[1] if missing else ""),
            step="library",
        ) from error
    devices = ep_devices(row)
    if not devices:
        raise ProviderError(
            f"The provider {row.alias!r} finds no device on this machine",
            row.device_fix or f"run it where there is one ({row.hardware})",
            step="device",
        )
    return devices[:1] if row.one_device else devices


_registered: set[str] = set()
_registering = threading.Lock()


def _register(row: Provider, library: str) -> None:
    """Register a plugin's library, once in the life of a process.

    onnxruntime refuses a second registration with an error, and the next session on WebGPU
    (onnxruntime-ep-webgpu 0.4) is then a segmentation fault.
    """
    ort = require("onnxruntime", "run models")
    with _registering:
        if row.name in _registered or ep_devices(row):
            return
        ort.register_execution_provider_library(row.name, library)
        _registered.add(row.name)


def plugin_options(row: Provider) -> dict[str, str]:
    """Give the options that a plugin cannot do without: paths inside its own package."""
    if row.plugin is None:
        return {}
    package = importlib.import_module(row.plugin)
    return {option: str(getattr(package, function)()) for option, function in row.plugin_paths}


def ep_devices(row: Provider) -> list[Any]:
    """Give the devices that onnxruntime reports for a provider; older ones report none."""
    ort = require("onnxruntime", "run models")
    if not hasattr(ort, "get_ep_devices"):
        return []
    return [device for device in ort.get_ep_devices() if device.ep_name == row.name]


def _described(found: Any) -> Device:
    return Device(
        kind=str(found.device.type).rpartition(".")[2],
        vendor=found.device.vendor,
        provider_vendor=found.ep_vendor,
        provider_version=found.ep_metadata.get("version"),
    )


def _check_library(ort: Any, row: Provider, library: str) -> None:
    """Load the provider's own library: the loader names the first library that it misses."""
    folder = Path(ort.__file__).parent / "capi"
    # They print what they cannot find; the loader below names that in an error.
    with contextlib.redirect_stdout(io.StringIO()):
        if row.driver is not None and hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        for package in row.preload:
            with contextlib.suppress(ImportError):
                importlib.import_module(package)
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / library))
    except OSError as error:
        missing = str(error).partition(":")[0]
        raise ProviderError(
            f"The provider {row.alias!r} cannot load the library {missing!r}",
            _library_fix(row, missing),
            step="library",
        ) from error


#: What brings a library that the wheel does not, by how its name begins.
_LIBRARY_FIXES = (
    ("libnvinfer", "pip install tensorrt"),
    ("libcuda.", "install the driver of the GPU"),
    ("libvulkan", "install the Vulkan loader (Debian and Ubuntu: apt install libvulkan1)"),
)


def _library_fix(row: Provider, library: str) -> str:
    name = Path(library).name
    fixes = [fix for start, fix in _LIBRARY_FIXES if name.startswith(start)]
    return fixes[0] if fixes else install_command(row)


def _check_driver(row: Provider, driver: str) -> None:
    """Ask NVIDIA's driver for a device; 100 is its CUDA_ERROR_NO_DEVICE."""
    try:
        library = ctypes.CDLL(driver)
    except OSError as error:
        raise ProviderError(
            f"The provider {row.alias!r} cannot load the library {driver!r}, which comes with the "
            "NVIDIA driver",
            _library_fix(row, driver),
            step="library",
        ) from error
    code = library.cuInit(0)
    if code != 0:
        what = "no NVIDIA device" if code == 100 else f"an NVIDIA driver that fails (code {code})"
        raise ProviderError(
            f"The provider {row.alias!r} finds {what} (cuInit in {driver!r})",
            str(row.device_fix),
            step="device",
        )
