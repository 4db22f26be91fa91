"""Bad input: one sentence, the right exit code, no traceback, nothing written or lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgekit.bundle import Bundle
from edgekit.cli import cli

#: Runs edgekit so that Ctrl-C reaches it: what a shell starts in the background ignores it.
INTERRUPTIBLE = (
    "import signal\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from edgekit.__main__ import main\n"
    "main()\n"
)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def truncated(bundle: Bundle) -> Path:
    content = (bundle.path / "model.onnx").read_bytes()
    path = bundle.path.parents[1] / "truncated.onnx"
    path.write_bytes(content[: len(content) // 2])
    return path


def random_bytes(bundle: Bundle) -> Path:
    path = bundle.path.parents[1] / "random.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    return path


def wrong_digest(bundle: Bundle) -> Path:
    with (bundle.path / "model.onnx").open("ab") as file:
        file.write(b"\0")
    return bundle.path


def empty_folder(bundle: Bundle) -> Path:
    path = bundle.path.parents[1] / "folder"
    path.mkdir()
    return path


def manifest_with(bundle: Bundle, **changes: Any) -> Path:
    raw = json.loads(bundle.manifest.to_json()) | changes
    (bundle.path / "manifest.json").write_text(json.dumps(raw))
    return bundle.path


MODELS: dict[str, tuple[Callable[[Bundle], Path], str]] = {
    "missing": (lambda b: b.path.parent / "nothing", "does not exist"),
    "missing onnx": (lambda b: b.path.parent / "nothing.onnx", "does not exist"),
    "no bundle": (empty_folder, "no manifest.json"),
    "truncated": (truncated, "cannot open"),
    "random": (random_bytes, "cannot open"),
    "digest": (wrong_digest, "sha256"),
    "manifest": (lambda b: manifest_with(b, name=7), "'name'"),
    "format": (lambda b: manifest_with(b, format="other"), "'other'"),
}


@pytest.mark.parametrize("command", ["infer", "validate", "bench", "inspect"])
@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_cannot_be_used(bundle: Bundle, command: str, case: str) -> None:
    make, message = MODELS[case]
    model = make(bundle)
    before = snapshot(bundle.path.parents[1])
    check(3, message, command, str(model))
    assert snapshot(bundle.path.parents[1]) == before


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        pytest.param({"y": np.zeros((1, 4), np.float32)}, "missing 'x'", id="name"),
        pytest.param({"x": np.zeros((1, 1, 4), np.float32)}, "(1, 1, 4)", id="rank"),
        pytest.param({"x": np.zeros((1, 5), np.float32)}, "(1, 5)", id="axis"),
        pytest.param({"x": np.zeros((1, 4), np.complex64)}, "complex64", id="dtype"),
        pytest.param({"x": np.full((1, 4), np.nan, np.float32)}, "nan", id="nan"),
    ],
)
def test_a_feed_that_does_not_fit(
    tmp_path: Path, bundle: Bundle, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "feed.npz", **arrays)
    check(3, message, "infer", str(bundle.path), "--input", str(tmp_path / "feed.npz"))


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        pytest.param(["infre"], 2, "No such command", id="command"),
        pytest.param(["infer", "--nope"], 2, "No such option", id="option"),
        pytest.param(["bench", "--threads", "0"], 2, "threads", id="threads"),
        pytest.param(["bench", "--duration", "soon"], 2, "duration", id="duration"),
        pytest.param(["inspect", "MODEL", "--fix-axis", "time"], 2, "NAME=LENGTH", id="axis"),
        pytest.param(["infer", "MODEL", "--variant", "int9"], 3, "no variant 'int9'", id="variant"),
        pytest.param(["infer", "MODEL", "--provider", "cdua"], 3, "mean 'cuda'", id="provider"),
        pytest.param(["infer", "MODEL", "--input", "x.npz"], 3, "does not exist", id="input"),
        pytest.param(["infer", "MODEL", "--out", "x.txt"], 3, "neither .npz nor .json", id="out"),
        pytest.param(["validate", "MODEL", "--reference", "x.npz"], 3, "not exist", id="reference"),
    ],
)
def test_usage_and_names(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(bundle.path.parents[1])
    before = snapshot(Path.cwd())
    check(code, message, *(str(bundle.path) if arg == "MODEL" else arg for arg in args))
    assert snapshot(Path.cwd()) == before


def test_no_bundle_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(3, "edgekit export transformer", "infer")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        with open("/dev/full", "wb", buffering=0) as file:  # noqa: PTH123 - a device, not a path
            file.write(b"x")

    monkeypatch.setattr(np, "savez_compressed", full)
    check(3, "No space left", "infer", str(bundle.path), "--out", str(tmp_path / "out.npz"))
    assert not list(tmp_path.glob("*out*"))


def test_stdout_that_is_closed_early_is_no_error(bundle: Bundle) -> None:
    command = f"{sys.executable} -m edgekit inspect {bundle.path} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_ctrl_c_in_the_middle(bundle: Bundle) -> None:
    before = snapshot(bundle.path.parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "bench", str(bundle.path), "--duration", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "measuring" in process.stderr.readline()
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert snapshot(bundle.path.parents[1]) == before


def check(code: int, message: str, *args: str) -> None:
    result = CliRunner().invoke(cli, args)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    if code == 3:
        assert result.stdout == ""
        *progress, error = result.stderr.splitlines()
        assert error.startswith("Error: ")
        assert all(line.endswith(" ...") for line in progress)
