"""The real onnxruntime-gpu on a machine without CUDA: what is missing is named, step by step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.errors import ProviderError

pytestmark = pytest.mark.cuda

#: Asks for the provider as `check` does after the libraries, which take 2.5 GB to be there.
ASK_THE_DRIVER = """
from edgekit.errors import ProviderError
from edgekit.runtime import probe, providers
probe._check_library = lambda *args: None
try:
    probe.check(providers.PROVIDERS["cuda"])
except ProviderError as error:
    print(error.step, error.reason)
"""


def test_onnxruntime_itself_falls_back_to_the_cpu(classifier: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    asked = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    session = onnxruntime.InferenceSession(str(classifier), options, providers=asked)
    assert session.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    ("provider", "library", "fix"),
    [("cuda", "libcublasLt.so", "edgekit-onnx[cuda]"), ("tensorrt", "libcublas.so", "tensorrt")],
)
def test_the_library_that_is_missing_is_named(
    classifier: Path, provider: str, library: str, fix: str
) -> None:
    with pytest.raises(ProviderError, match=library) as caught:
        edgekit.open(classifier, provider=provider)
    assert caught.value.step == "library"
    assert fix in caught.value.fix


def test_a_fallback_is_explicit_and_said(classifier: Path) -> None:
    with edgekit.open(classifier, provider="cuda", allow_fallback=True) as runner:
        assert runner.provider == "cpu"
        assert "libcublasLt.so" in str(runner.placement.fallback)


def command(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_fail_with_the_library(classifier: Path) -> None:
    refused = command("infer", classifier, "--provider", "cuda")
    assert refused.returncode == 3
    assert "libcublasLt.so" in refused.stderr
    states: dict[str, Any] = {
        row["alias"]: row for row in json.loads(command("providers", "--json").stdout)["providers"]
    }
    assert (states["cuda"]["state"], states["cpu"]["state"]) == ("library", "ready")


@pytest.mark.parametrize(
    ("code", "state", "words"),
    [
        pytest.param(None, "library", "'libcuda.so.1'", id="no driver"),
        pytest.param(100, "device", "no NVIDIA device", id="a driver without a device"),
    ],
)
def test_the_driver_is_found_by_name_and_asked(
    tmp_path: Path, code: int | None, state: str, words: str
) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stub of the driver with")
    if code is not None:
        source = tmp_path / "stub.c"
        source.write_text(f"int cuInit(unsigned flags) {{ return {code}; }}\n")
        library = tmp_path / "libcuda.so.1"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    done = subprocess.run(
        [sys.executable, "-c", ASK_THE_DRIVER],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
    )
    assert done.stdout.startswith(state)
    assert words in done.stdout
