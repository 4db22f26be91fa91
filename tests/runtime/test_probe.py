"""Why a provider cannot run here, in the order in which things go missing; and never a crash."""

from __future__ import annotations

import ctypes
import dataclasses
import importlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from edgekit.errors import ProviderError
from edgekit.report.text.providers import STATES
from edgekit.runtime import child, probe
from edgekit.runtime.providers import PROVIDERS, Provider

NVIDIA = [PROVIDERS["cuda"], PROVIDERS["tensorrt"]]


def plugin(**changes: Any) -> Provider:
    row = Provider("x", "XExecutionProvider", "X", "pip install x", ("fp32",), plugin="x_plugin")
    return dataclasses.replace(row, **changes)


def pretend_wheel_has(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("noise"))


def built(folder: Path, name: str, source: str, *libraries: Path) -> Path:
    """Compile a C file to a shared library in `folder`."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stub with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stub.c").write_text(source)
    made = folder / name
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", str(made)]
    subprocess.run([*command, str(folder / "stub.c"), *map(str, libraries)], check=True)
    return made


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
    status = probe.status(plugin(platforms=("plan9",)))
    assert (status.state, status.fix) == ("platform", "use it on plan9")


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
    status = probe.status(PROVIDERS[alias])
    assert (status.state, status.fix) == (state, fix)


def test_the_wheel_that_owns_the_module_is_found() -> None:
    assert probe.owners() == ("onnxruntime",)


def test_the_survey_tells_every_provider_and_the_cpu_passes() -> None:
    found = probe.survey(trials=True)
    assert [status.alias for status in found.providers] == list(PROVIDERS)
    assert found.onnxruntime == onnxruntime.__version__
    assert found.conflict is None
    assert found.passed
    for status in found.providers:
        assert (status.state == "ready") is (status.fix is None) is (status.trial is not None)
        assert status.state in STATES
    cpu = found.providers[0]
    assert cpu.state == "ready"
    assert cpu.trial is not None
    assert cpu.trial.passed
    assert [device.kind for device in cpu.devices] == ["CPU"]


PACKAGE = "from pathlib import Path\ndef get_library_path():\n    {}\n"
#: What a broken plugin does, and what is said of it: the state and words of the reason.
BROKEN = {
    "aborts": ("import os; os.abort()", "crash", "ended by signal SIGABRT"),
    "segfaults": ("import ctypes; ctypes.string_at(0)", "crash", "ended by signal SIGSEGV"),
    "exits": ("import os; os._exit(0)", "crash", "ended with exit code 0"),
    "raises": ("raise ZeroDivisionError('half done')", "library", "half done"),
    "hangs": ("import time; time.sleep(60)", "hang", "did not answer within 1 s"),
    "is no library": ("return Path(__file__)", "library", "of onnxruntime_qnn"),
}


@pytest.mark.parametrize(("body", "state", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_a_state_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, state: str, words: str
) -> None:
    found = survey_with_plugin(tmp_path, monkeypatch, PACKAGE.format(body))
    assert (found.state, words in str(found.reason)) == (state, True), found.reason
    assert found.fix is not None
    assert "pip install 'edgekit-onnx[qnn]'" in found.fix


@pytest.mark.parametrize(
    ("call", "signal"), [("abort()", "SIGABRT"), ("*(volatile int *)0 = 1", "SIGSEGV")]
)
def test_a_library_that_ends_the_process_is_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, signal: str
) -> None:
    source = f"#include <stdlib.h>\n__attribute__((constructor)) void go(void) {{ {call}; }}"
    library = built(tmp_path / "lib", "libbroken.so", source)
    body = PACKAGE.format(f"return Path({str(library)!r})")
    found = survey_with_plugin(tmp_path, monkeypatch, body)
    assert found.state == "crash"
    assert f"ended by signal {signal}" in str(found.reason)
    assert found.fix == (
        "pip uninstall -y onnxruntime onnxruntime-qnn && pip install 'edgekit-onnx[qnn]'"
    )


def survey_with_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> probe.Status:
    """Survey with a package in the place of onnxruntime-qnn, and give qnn's status."""
    (tmp_path / "onnxruntime_qnn.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    call = child.call

    def impatient(function: str, *args: Any, timeout_s: float) -> Any:
        hangs = args[:1] == ("qnn",) and "sleep" in source
        return call(function, *args, timeout_s=1.0 if hangs else timeout_s)

    monkeypatch.setattr(child, "call", impatient)
    found = {status.alias: status for status in probe.survey().providers}
    assert found["cpu"].state == "ready"
    return found["qnn"]


def test_an_onnxruntime_that_crashes_on_import_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(tmp_path)
    found = probe.survey()
    assert found.onnxruntime is None
    assert {status.state for status in found.providers} == {"crash"}
    assert "imports onnxruntime ended by signal SIGABRT" in str(found.providers[0].reason)


def test_a_child_answers_and_its_noise_is_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "noisy.py").write_text(
        "import os\n"
        "def double(x):\n    os.write(1, b'noise')\n    print('more')\n    return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert child.call("noisy:double", [1, "ü"], timeout_s=30) == [1, "ü", 1, "ü"]


def test_the_loader_names_what_is_missing() -> None:
    with pytest.raises(OSError, match=r"libnothing\.so\.9"):
        ctypes.CDLL("libnothing.so.9")
