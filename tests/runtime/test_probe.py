"""Why a provider cannot run here, in the order in which things go missing."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from edgekit.errors import ProviderError
from edgekit.runtime import probe
from edgekit.runtime.providers import PROVIDERS, Provider
from edgekit.runtime.survey import status
from tests.runtime.stubs import built

NVIDIA = [PROVIDERS["cuda"], PROVIDERS["tensorrt"]]


def plugin(**changes: Any) -> Provider:
    row = Provider("x", "XExecutionProvider", "X", "pip install x", ("fp32",), plugin="x_plugin")
    return dataclasses.replace(row, **changes)


def pretend_wheel_has(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("noise"))


@pytest.mark.parametrize("row", NVIDIA, ids=["cuda", "tensorrt"])
def test_nvidia_step_1_the_wheel(row: Provider) -> None:
    with pytest.raises(ProviderError, match=r"edgekit-onnx\[cuda\]") as caught:
        probe.check(row)
    assert caught.value.step == "wheel"
    assert caught.value.fix.startswith("pip uninstall -y onnxruntime && pip install")


@pytest.mark.parametrize("row", NVIDIA, ids=["cuda", "tensorrt"])
def test_nvidia_step_2_the_provider_s_own_library(
    row: Provider, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_wheel_has(monkeypatch, row.name)
    with pytest.raises(ProviderError, match=str(row.library)) as caught:
        probe.check(row)
    assert caught.value.step == "library"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("row", "missing", "fix"),
    [
        (NVIDIA[0], "libcublasLt.so.13", "edgekit-onnx[cuda]"),
        (NVIDIA[1], "libnvinfer.so.10", "pip install tensorrt"),
    ],
    ids=["cuda", "tensorrt"],
)
def test_nvidia_step_2_a_library_is_missed_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Provider, missing: str, fix: str
) -> None:
    pretend_wheel_has(monkeypatch, row.name)
    capi = tmp_path / "capi"
    gone = built(tmp_path / "elsewhere", missing, "int gone(void) { return 0; }")
    built(capi, "libonnxruntime_providers_shared.so", "int shared(void) { return 0; }")
    source = "int gone(void); int needs(void) { return gone(); }"
    built(capi, str(row.library), source, gone)
    monkeypatch.setattr(onnxruntime, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(ProviderError) as caught:
        probe.check(row)
    assert caught.value.step == "library"
    assert caught.value.reason == f"The provider {row.alias!r} cannot load the library {missing!r}"
    assert fix in caught.value.fix


@pytest.mark.parametrize("row", NVIDIA, ids=["cuda", "tensorrt"])
def test_nvidia_step_3_the_driver(monkeypatch: pytest.MonkeyPatch, row: Provider) -> None:
    pretend_wheel_has(monkeypatch, row.name)
    monkeypatch.setattr(probe, "_check_library", lambda *_: None)
    absent = dataclasses.replace(row, driver="libcuda.so.0")
    with pytest.raises(ProviderError, match="install the driver of the GPU") as caught:
        probe.check(absent)
    assert caught.value.step == "library"


@pytest.mark.parametrize(("code", "found"), [(100, "no NVIDIA device"), (999, "code 999")])
@pytest.mark.parametrize("row", NVIDIA, ids=["cuda", "tensorrt"])
def test_nvidia_step_4_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: Provider, code: int, found: str
) -> None:
    source = f"int cuInit(unsigned flags) {{ return {code}; }}"
    driver = built(tmp_path, "libcuda.so.1", source)
    pretend_wheel_has(monkeypatch, row.name)
    monkeypatch.setattr(probe, "_check_library", lambda *_: None)
    with pytest.raises(ProviderError, match=found) as caught:
        probe.check(dataclasses.replace(row, driver=str(driver)))
    assert caught.value.step == "device"
    assert "nvidia-smi" in caught.value.fix


def test_a_plugin_without_its_package() -> None:
    with pytest.raises(ProviderError, match="x_plugin") as caught:
        probe.check(plugin())
    assert caught.value.step == "wheel"


@pytest.fixture
def register_nothing() -> Iterator[None]:
    yield
    probe._registered.discard("XExecutionProvider")


@pytest.mark.usefixtures("register_nothing")
@pytest.mark.parametrize(
    ("error", "devices", "step", "words"),
    [
        pytest.param(
            RuntimeError("libvulkan.so.1: cannot open shared object file: No such file"),
            0, "library", "'libvulkan.so.1': install the Vulkan loader", id="a library by name",
        ),
        pytest.param(RuntimeError("bad magic"), 0, "library", "bad magic", id="library"),
        pytest.param(None, 0, "device", "no device", id="no device"),
        pytest.param(None, 2, None, "", id="ready"),
    ],
)  # fmt: skip
def test_the_steps_of_a_plugin(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    devices: int,
    step: str | None,
    words: str,
) -> None:
    found: list[Any] = []
    registered: list[str] = []

    def register(name: str, path: str) -> None:
        registered.append(path)
        if error is not None:
            raise error
        found.extend([SimpleNamespace(ep_name=name)] * devices)

    package = SimpleNamespace(get_library_path=lambda: Path("libx.so"))
    monkeypatch.setattr(importlib, "import_module", lambda name: package)
    ort = SimpleNamespace(
        register_execution_provider_library=register, get_ep_devices=lambda: found
    )
    monkeypatch.setattr(probe, "require", lambda *_: ort)
    if step is None:
        assert len(probe.plugin_devices(plugin())) == devices
        assert len(probe.plugin_devices(plugin(one_device=True))) == 1
    else:
        for _ in range(2):
            with pytest.raises(ProviderError) as caught:
                probe.plugin_devices(plugin())
            assert caught.value.step == step
            assert words in str(caught.value)
    # A second registration makes the next session on WebGPU a segmentation fault.
    assert registered == ["libx.so"] * (2 if error else 1)


def test_a_plugin_gets_the_paths_that_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(get_backend=lambda: Path("/lib/backend.so"))
    monkeypatch.setattr(importlib, "import_module", lambda name: package)
    row = plugin(plugin_paths=(("backend_path", "get_backend"),))
    assert probe.plugin_options(row) == {"backend_path": "/lib/backend.so"}
    assert probe.plugin_options(PROVIDERS["webgpu"]) == {}
    assert probe.plugin_options(PROVIDERS["cuda"]) == {}


def test_a_provider_of_another_platform() -> None:
    found = status(plugin(platforms=("plan9",)))
    assert (found.state, found.fix) == ("platform", "use it on plan9")


@pytest.mark.parametrize(
    ("alias", "installed", "state", "fix"),
    [
        pytest.param(
            "cuda", ("onnxruntime",), "wheel",
            "pip uninstall -y onnxruntime && pip install 'edgekit-onnx[cuda]'", id="another wheel",
        ),
        pytest.param("cuda", (), "wheel", "pip install 'edgekit-onnx[cuda]'", id="no wheel"),
        pytest.param(
            "cuda", ("onnxruntime", "onnxruntime-gpu"), "conflict",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'edgekit-onnx[cuda]'",
            id="both wheels",
        ),
        pytest.param(
            "qnn", ("onnxruntime-openvino",), "wheel",
            "pip uninstall -y onnxruntime-openvino && pip install 'edgekit-onnx[qnn]'",
            id="a plugin beside another wheel",
        ),
        pytest.param(
            "qnn", ("onnxruntime", "onnxruntime-gpu"), "wheel",
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'edgekit-onnx[qnn]'",
            id="a plugin beside two wheels",
        ),
        pytest.param(
            "xnnpack", ("onnxruntime", "onnxruntime-gpu"), "wheel",
            "build onnxruntime with --use_xnnpack", id="no wheel has it",
        ),
    ],
)  # fmt: skip
def test_a_fix_makes_room(
    monkeypatch: pytest.MonkeyPatch, alias: str, installed: tuple[str, ...], state: str, fix: str
) -> None:
    monkeypatch.setattr(probe, "owners", lambda: installed)
    found = status(PROVIDERS[alias])
    assert (found.state, found.fix) == (state, fix)


def test_the_wheel_that_owns_the_module_is_found() -> None:
    assert probe.owners() == ("onnxruntime",)


def test_the_loader_names_what_is_missing() -> None:
    with pytest.raises(OSError, match=r"libnothing\.so\.9"):
        ctypes.CDLL("libnothing.so.9")
