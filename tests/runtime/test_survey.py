"""Every provider is told, and no broken library takes `edgekit providers` with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from edgekit.report.text.providers import STATES
from edgekit.runtime import child, probe, survey
from edgekit.runtime.providers import PROVIDERS
from tests.runtime.stubs import built


def test_the_survey_tells_every_provider_and_the_cpu_passes() -> None:
    found = survey.survey(trials=True)
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
) -> survey.Status:
    """Survey with a package in the place of onnxruntime-qnn, and give qnn's status."""
    (tmp_path / "onnxruntime_qnn.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    call = child.call

    def impatient(function: str, *args: Any, timeout_s: float) -> Any:
        hangs = args[:1] == ("qnn",) and "sleep" in source
        return call(function, *args, timeout_s=1.0 if hangs else timeout_s)

    monkeypatch.setattr(child, "call", impatient)
    found = {status.alias: status for status in survey.survey().providers}
    assert found["cpu"].state == "ready"
    return found["qnn"]


def test_without_onnxruntime_every_provider_says_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime_qnn.py").write_text(PACKAGE.format("return ''"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(child, "call", lambda *_, **options: {"version": None, "available": []})
    monkeypatch.setattr(probe, "owners", lambda: ())
    found = survey.survey()
    assert found.onnxruntime is None
    assert {status.state for status in found.providers} == {"wheel", "platform"}
    fixes = {status.alias: status.fix for status in found.providers}
    assert fixes["cpu"] == "pip install 'edgekit-onnx[cpu]'"
    assert fixes["qnn"] == "pip install 'edgekit-onnx[qnn]'"


def test_an_onnxruntime_that_crashes_on_import_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(tmp_path)
    found = survey.survey()
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
