from __future__ import annotations

import ctypes
import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from edgekit.errors import ProviderError
from edgekit.runtime import providers
from edgekit.runtime.providers import PROVIDERS, Provider


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=PROVIDERS)
def test_each_row_is_found_by_both_names_and_has_a_fix(row: Provider) -> None:
    assert providers.resolve(row.alias) is row
    assert providers.resolve(row.name) is row
    assert providers.alias_of(row.name) == row.alias
    assert row.fix


@pytest.mark.parametrize(
    ("given", "hint"), [("cudaa", "did you mean 'cuda'"), ("CPU", "'cpu'"), ("quantum", "give one")]
)
def test_an_unknown_name_suggests_the_nearest(given: str, hint: str) -> None:
    with pytest.raises(ProviderError, match=hint):
        providers.resolve(given)


def test_every_status_is_told_and_cpu_is_ready() -> None:
    found = {status.alias: status for status in providers.statuses()}
    assert found.keys() == PROVIDERS.keys()
    assert found["cpu"].state == "ready"
    for status in found.values():
        assert (status.state == "ready") is (status.fix is None)


def pretend_wheel_has(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("noise"))


def test_cuda_step_1_the_wheel() -> None:
    with pytest.raises(ProviderError, match=r"edgekit-onnx\[cuda\]") as caught:
        providers.check(PROVIDERS["cuda"])
    assert caught.value.step == "wheel"


def test_cuda_step_2_a_library_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_wheel_has(monkeypatch, "CUDAExecutionProvider")
    with pytest.raises(ProviderError, match=r"libonnxruntime_providers_cuda\.so") as caught:
        providers.check(PROVIDERS["cuda"])
    assert caught.value.step == "library"
    assert capsys.readouterr().out == ""


def test_cuda_step_3_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_wheel_has(monkeypatch, "CUDAExecutionProvider")
    monkeypatch.setattr(providers, "_check_library", lambda *_: None)
    with pytest.raises(ProviderError, match=r"'libcuda\.so\.1'") as caught:
        providers.check(PROVIDERS["cuda"])
    assert caught.value.step == "library"


@pytest.mark.parametrize(("code", "found"), [(100, "no NVIDIA device"), (999, "code 999")])
def test_cuda_step_4_a_device(tmp_path: Path, code: int, found: str) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stub of the driver with")
    source, library = tmp_path / "stub.c", tmp_path / "libcuda.so.1"
    source.write_text(f"int cuInit(unsigned flags) {{ return {code}; }}\n")
    subprocess.run([compiler, "-shared", "-o", library, source], check=True)
    with pytest.raises(ProviderError, match=found) as caught:
        providers._check_driver(PROVIDERS["cuda"], str(library))
    assert caught.value.step == "device"


def test_a_plugin_without_its_package() -> None:
    row = Provider("x", "XExecutionProvider", "X", "pip install x", plugin="no_such_package")
    with pytest.raises(ProviderError, match="no_such_package") as caught:
        providers.check(row)
    assert caught.value.step == "wheel"


@pytest.mark.parametrize(
    ("error", "devices", "step"),
    [
        pytest.param(RuntimeError("libx.so: cannot open"), 0, "library", id="library"),
        pytest.param(RuntimeError("already registered"), 0, "device", id="registered, no device"),
        pytest.param(None, 0, "device", id="no device"),
        pytest.param(None, 1, None, id="ready"),
    ],
)
def test_the_steps_of_a_plugin(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, devices: int, step: str | None
) -> None:
    row = Provider("x", "XExecutionProvider", "X", "pip install x", plugin="x")
    found: list[Any] = []

    def register(name: str, path: str) -> None:
        if error is not None:
            raise error
        found.extend([SimpleNamespace(ep_name=name)] * devices)

    package = SimpleNamespace(get_library_path=lambda: "libx.so")
    monkeypatch.setattr(importlib, "import_module", lambda name: package)
    ort = SimpleNamespace(
        register_execution_provider_library=register, get_ep_devices=lambda: found
    )
    monkeypatch.setattr(providers, "require", lambda *_: ort)
    if step is None:
        assert len(providers.plugin_devices(row)) == devices
        return
    with pytest.raises(ProviderError) as caught:
        providers.plugin_devices(row)
    assert caught.value.step == step


def test_a_plugin_gets_the_paths_that_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Provider("x", "X", "X", "", plugin="x", plugin_paths=(("backend_path", "get_backend"),))
    package = SimpleNamespace(get_backend=lambda: Path("/lib/backend.so"))
    monkeypatch.setattr(importlib, "import_module", lambda name: package)
    assert providers.plugin_options(row) == {"backend_path": "/lib/backend.so"}
    assert providers.plugin_options(PROVIDERS["webgpu"]) == {}


def test_a_provider_of_another_platform() -> None:
    row = Provider("x", "XExecutionProvider", "X", "", platforms=("plan9",))
    status = providers.status(row)
    assert (status.state, status.fix) == ("platform", "use it on plan9")


def test_the_loader_names_what_is_missing() -> None:
    with pytest.raises(OSError, match=r"libnothing\.so\.9"):
        ctypes.CDLL("libnothing.so.9")
