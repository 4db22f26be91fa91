"""One table of execution providers, and the checks that say why one cannot run here.

onnxruntime answers a request for an absent provider with a warning and a CPU session. edgekit
asks first, in the order in which things go missing: the platform, the wheel, a library by name,
a device. The checks open no session; `session.py` proves what then really ran.
"""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import importlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.errors import ProviderError, one_line, require

if TYPE_CHECKING:
    from collections.abc import Mapping

CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Provider:
    """A row of the table.

    `alias` is what users type and `name` what onnxruntime calls it; `install` brings the wheel, in
    the place of the wheel `replaces`, since both install the one module `onnxruntime`. A built-in
    provider may live in a shared `library` of its own that needs a `driver`; a plugin is registered
    from the package `plugin`, whose functions give the paths that it wants as options.
    """

    alias: str
    name: str
    hardware: str
    install: str
    replaces: str = ""
    platforms: tuple[str, ...] = ("linux", "win32", "darwin")
    library: str | None = None
    driver: str | None = None
    plugin: str | None = None
    plugin_paths: tuple[tuple[str, str], ...] = ()
    fixed_shapes: bool = False

    @property
    def fix(self) -> str:
        """The command that brings the wheel."""
        remove = f"pip uninstall -y {self.replaces} && " if self.replaces else ""
        return remove + self.install


@dataclass(frozen=True)
class Status:
    """What a check found: `ready`, or the step that failed, why, and the command that mends it."""

    alias: str
    name: str
    hardware: str
    state: str
    reason: str | None = None
    fix: str | None = None


def _pip(extra: str) -> str:
    return f"pip install 'edgekit-onnx[{extra}]'"


PROVIDERS = {
    row.alias: row
    for row in (
        Provider("cpu", CPU, "any CPU", _pip("cpu")),
        Provider(
            "cuda",
            "CUDAExecutionProvider",
            "NVIDIA GPU",
            _pip("cuda"),
            replaces="onnxruntime",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_cuda.so",
            driver="libcuda.so.1",
        ),
        Provider(
            "tensorrt",
            "TensorrtExecutionProvider",
            "NVIDIA GPU",
            _pip("cuda") + " tensorrt",
            replaces="onnxruntime",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_tensorrt.so",
            driver="libcuda.so.1",
        ),
        Provider(
            "webgpu",
            "WebGpuExecutionProvider",
            "any GPU, through Vulkan, Metal or Direct3D 12",
            _pip("webgpu"),
            plugin="onnxruntime_ep_webgpu",
            fixed_shapes=True,
        ),
        Provider(
            "openvino",
            "OpenVINOExecutionProvider",
            "Intel CPU, GPU and NPU",
            _pip("openvino"),
            replaces="onnxruntime",
            platforms=("linux", "win32"),
            library="libonnxruntime_providers_openvino.so",
        ),
        Provider(
            "qnn",
            "QNNExecutionProvider",
            "Qualcomm NPU",
            _pip("qnn"),
            platforms=("linux", "win32"),
            plugin="onnxruntime_qnn",
            plugin_paths=(("backend_path", "get_qnn_htp_path"),),
            fixed_shapes=True,
        ),
        Provider(
            "migraphx",
            "MIGraphXExecutionProvider",
            "AMD GPU",
            "pip install onnxruntime-migraphx",
            replaces="onnxruntime",
            platforms=("linux",),
            library="libonnxruntime_providers_migraphx.so",
        ),
        Provider(
            "rocm",
            "ROCMExecutionProvider",
            "AMD GPU",
            "pip install onnxruntime-rocm",
            replaces="onnxruntime",
            platforms=("linux",),
            library="libonnxruntime_providers_rocm.so",
        ),
        Provider(
            "directml",
            "DmlExecutionProvider",
            "any GPU of a Windows machine",
            "pip install onnxruntime-directml",
            replaces="onnxruntime",
            platforms=("win32",),
        ),
        Provider(
            "coreml",
            "CoreMLExecutionProvider",
            "Apple GPU and Neural Engine",
            _pip("cpu"),
            platforms=("darwin",),
            fixed_shapes=True,
        ),
        Provider(
            "xnnpack",
            "XnnpackExecutionProvider",
            "mobile CPU",
            "build onnxruntime with --use_xnnpack",
            fixed_shapes=True,
        ),
        Provider(
            "nnapi",
            "NnapiExecutionProvider",
            "Android NPU",
            "use onnxruntime-android in the app",
            platforms=("android",),
            fixed_shapes=True,
        ),
    )
}


def resolve(provider: str) -> Provider:
    """Find a row by alias or by onnxruntime's name, exactly; raises `ProviderError`."""
    for row in PROVIDERS.values():
        if provider in (row.alias, row.name):
            return row
    near = difflib.get_close_matches(provider.lower(), PROVIDERS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(PROVIDERS)}"
    raise ProviderError(f"There is no provider {provider!r}", hint, step="name")


def statuses() -> list[Status]:
    """Check every provider of the table on this machine; never raises for one that is missing."""
    return [status(row) for row in PROVIDERS.values()]


def status(row: Provider) -> Status:
    """Check one provider: `ready`, or the first step that fails."""
    try:
        check(row)
    except ProviderError as error:
        return Status(row.alias, row.name, row.hardware, error.step, error.reason, error.fix)
    return Status(row.alias, row.name, row.hardware, "ready")


def check(row: Provider) -> None:
    """Raise `ProviderError` with the first step that fails; `step` is the name of it."""
    ort = require("onnxruntime", "run models")
    if sys.platform not in row.platforms:
        raise ProviderError(
            f"The provider {row.alias!r} does not exist on {sys.platform}",
            f"use it on {' or '.join(row.platforms)}",
            step="platform",
        )
    if row.plugin is not None:
        plugin_devices(row)
        return
    if row.name not in ort.get_available_providers():
        raise ProviderError(
            f"The provider {row.alias!r} is not in the installed onnxruntime wheel, which has "
            f"{', '.join(ort.get_available_providers())}",
            row.fix,
            step="wheel",
        )
    if row.library is not None and sys.platform == "linux":
        _check_library(ort, row, row.library)
    if row.driver is not None and sys.platform == "linux":
        _check_driver(row, row.driver)


def plugin_devices(row: Provider) -> list[Any]:
    """Register a plugin's library once and give the devices that it offers."""
    ort = require("onnxruntime", "run models")
    try:
        package = importlib.import_module(str(row.plugin))
    except ImportError as error:
        raise ProviderError(
            f"The provider {row.alias!r} needs the package {row.plugin!r}, which is not installed",
            row.fix,
            step="wheel",
        ) from error
    devices = _devices(ort, row)
    if devices:
        return devices
    try:
        ort.register_execution_provider_library(row.name, package.get_library_path())
    except Exception as error:  # onnxruntime's errors have no base but Exception
        # A second registration says so and is no failure: whether there are devices decides.
        if "already" not in str(error):
            raise ProviderError(
                f"The library of the provider {row.alias!r} cannot be loaded ({one_line(error)})",
                row.fix,
                step="library",
            ) from error
    devices = _devices(ort, row)
    if not devices:
        raise ProviderError(
            f"The provider {row.alias!r} finds no device on this machine",
            f"run it where there is one ({row.hardware})",
            step="device",
        )
    return devices


def plugin_options(row: Provider) -> dict[str, str]:
    """Give the options that a plugin cannot do without: paths inside its own package."""
    package = importlib.import_module(str(row.plugin))
    return {option: str(getattr(package, function)()) for option, function in row.plugin_paths}


def _devices(ort: Any, row: Provider) -> list[Any]:
    return [device for device in ort.get_ep_devices() if device.ep_name == row.name]


def _check_library(ort: Any, row: Provider, library: str) -> None:
    """Load the provider's own library: the loader names the first library that it misses."""
    folder = Path(ort.__file__).parent / "capi"
    if hasattr(ort, "preload_dlls"):
        # It prints what it cannot find; the loader below names that in an error.
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / library))
    except OSError as error:
        raise ProviderError(
            f"The provider {row.alias!r} cannot load the library {str(error).partition(':')[0]!r}",
            row.install,
            step="library",
        ) from error


def _check_driver(row: Provider, driver: str) -> None:
    """Ask NVIDIA's driver for a device; 100 is its CUDA_ERROR_NO_DEVICE."""
    try:
        library = ctypes.CDLL(driver)
    except OSError as error:
        raise ProviderError(
            f"The provider {row.alias!r} cannot load the library {driver!r}, which comes with the "
            "NVIDIA driver",
            "install the driver of the GPU",
            step="library",
        ) from error
    code = library.cuInit(0)
    if code != 0:
        what = "no NVIDIA device" if code == 100 else f"an NVIDIA driver that fails (code {code})"
        raise ProviderError(
            f"The provider {row.alias!r} finds {what} (cuInit in {driver!r})",
            "run it on a machine with a GPU, and check `nvidia-smi`",
            step="device",
        )


def alias_of(name: str) -> str:
    """Give the alias of one of onnxruntime's provider names; an unknown one stays as it is."""
    known: Mapping[str, str] = {row.name: row.alias for row in PROVIDERS.values()}
    return known.get(name, name)
