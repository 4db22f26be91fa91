"""The checks that say why a provider cannot run here, before a model is opened on it.

onnxruntime answers a request for an absent provider with a warning and a CPU session. edgekit asks
first, in the order in which things go missing: the platform, the wheel, a library by name, a
device. The checks load native code into this process; `survey.py` keeps it out.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import io
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import ProviderError, one_line, require

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edgekit.runtime.providers import Provider

#: How a dynamic loader names what it does not find.
_MISSING_LIBRARY = re.compile(r"(\S+\.(?:so[.\d]*|dll|dylib)): cannot open shared object file")


def check(row: Provider) -> None:
    """Raise `ProviderError` with the first step that fails; `step` is the name of it."""
    ort = require("onnxruntime", "run models")
    check_installed(row, ort.get_available_providers())
    if row.plugin is not None:
        plugin_devices(row)
        return
    if row.library is not None and sys.platform == "linux":
        _check_library(ort, row, row.library)
    if row.driver is not None and sys.platform == "linux":
        _check_driver(row, row.driver)


def check_installed(row: Provider, available: Collection[str]) -> None:
    """Check the platform and the wheel, which needs no native code."""
    if sys.platform not in row.platforms:
        raise ProviderError(
            f"The provider {row.alias!r} does not exist on {sys.platform}",
            f"use it on {' or '.join(row.platforms)}",
            step="platform",
        )
    if not available:
        raise ProviderError(
            f"The provider {row.alias!r} needs onnxruntime, which is not installed",
            install_command(row),
            step="wheel",
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
            f"The provider {row.alias!r} is not in the module onnxruntime: {conflict_of(wheels)}",
            reinstall_command(row),
            step="conflict",
        )
    raise ProviderError(
        f"The provider {row.alias!r} is not in the installed onnxruntime wheel, which has "
        f"{', '.join(available)}",
        install_command(row),
        step="wheel",
    )


@functools.cache
def owners() -> tuple[str, ...]:
    """Give the distributions whose files are the module `onnxruntime`: one where all is well."""
    from importlib.metadata import distributions

    # Not packages_distributions(): it reads the file lists of everything that is installed.
    return tuple(
        sorted(
            {
                distribution.name
                for distribution in distributions()
                if distribution.name.startswith(("onnxruntime", "ort-"))
                and any(file.parts[0] == "onnxruntime" for file in distribution.files or ())
            }
        )
    )


def conflict_of(wheels: Sequence[str]) -> str:
    """Say which wheels overwrite each other."""
    return f"{' and '.join(wheels)} are installed over each other"


def install_command(row: Provider) -> str:
    """Give the command that brings a provider, without the wheels that would be in its way."""
    # Of two wheels both have to go: removing one takes the files of the other with it.
    alone = owners() in ((), (row.wheel,))
    return row.install if alone else _after_removing(owners(), row)


def reinstall_command(row: Provider) -> str:
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
            row.without_device,
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
            row.without_device,
            step="device",
        )
