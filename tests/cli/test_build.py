"""The build machine's commands, on the smallest of the reference models and on plain files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import whole
from edgekit.bundle import Bundle
from tests.cli.test_bad_input import INTERRUPTIBLE, check
from tests.cli.test_device import answer, run

keras_only = pytest.mark.keras


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and a bundle of the attention model, trained for one epoch."""
    folder = tmp_path_factory.mktemp("artifacts")
    found = answer("train", "attention", "--epochs", "1", "--artifacts", folder)
    assert found["path"] == str(folder / "attention.keras")
    return folder


@keras_only
def test_the_whole_way(artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    args: list[Any] = [
        "run",
        "attention",
        "--artifacts",
        artifacts,
        "--out",
        out,
        "--duration",
        "0.05",
    ]
    result = run(*args, "--json")
    found = json.loads(result.stdout)
    assert [row["variant"] for row in found["rows"]] == ["fp32", "int8", "int8-dynamic", "fp16"]
    assert result.exit_code == (0 if all(row["passed"] for row in found["rows"]) else 1)
    assert found["metric_name"] == "row_accuracy"
    for row in found["rows"]:
        assert row["latency"]["p50_ms"] > 0
        assert 0 <= row["metric"] <= 1
    for variant in Bundle.open(out).manifest.variants:
        assert {"parity", "metric", "latency"} <= variant.measured.keys()
    again = run(*args)
    assert again.exit_code == 3
    assert "--force" in again.stderr


@keras_only
def test_export_prints_its_parity(artifacts: Path, tmp_path: Path) -> None:
    args: list[Any] = ["export", "attention", "--artifacts", artifacts, "--out"]
    found = answer(*args, tmp_path / "bundle")
    assert found["path"] == str(tmp_path / "bundle")
    assert [row["batch"] for row in found["variants"][0]["measured"]["parity"]["cpu"]] == [1, 8]
    text = run(*args, tmp_path / "model.onnx")
    assert text.exit_code == 0, text.stderr
    assert "checked against Keras" in text.stdout
    assert "SQNR dB" in text.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "model.onnx"}


@keras_only
@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        pytest.param(["export", "transfomer"], 3, "did you mean 'transformer'", id="name"),
        pytest.param(["train", "cmn"], 3, "did you mean 'cnn'", id="train name"),
        pytest.param(["export", "nothing.keras"], 3, "does not exist", id="missing file"),
        pytest.param(["export", "cnn", "--set", "units"], 2, "KEY=VALUE", id="set"),
        pytest.param(["export", "cnn", "--opset", "99"], 3, "from 13 to 25", id="opset"),
        pytest.param(["export", "cnn", "--input", "x"], 3, "write name:dtype", id="input"),
        pytest.param(["export", "seq2seq", "--out", "m.onnx"], 3, "in 2 parts", id="parts"),
    ],
)
def test_what_cannot_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    check(code, message, *args)
    assert list(tmp_path.iterdir()) == []


@keras_only
def test_ctrl_c_while_training(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "train", "transformer", "--artifacts", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "training transformer" not in process.stderr.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_quantize_a_bundle(bundle: Bundle) -> None:
    found = answer("quantize", bundle.path, "--no-bench")
    assert [row["variant"] for row in found["rows"]] == ["fp32", "int8"]
    assert Bundle.open(bundle.path).variant("int8").recipe == "static-int8"
    again = run("quantize", bundle.path, "--no-bench")
    assert again.exit_code == 3
    assert "--force" in again.stderr
    assert run("quantize", bundle.path, "--no-bench", "--force").exit_code == 0


def test_quantize_a_file(classifier: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((32, 4), np.float32))
    args: list[Any] = ["quantize", classifier, "--calibration", tmp_path / "data.npz", "--no-bench"]
    text = run(*args)
    assert text.exit_code == 0, text.stderr
    assert "not smaller than float" in text.stdout
    assert (tmp_path / "classifier.int8.onnx").exists()
    timed = answer("quantize", classifier, "--recipe", "fp16", "--out", tmp_path / "half.onnx")
    assert timed["rows"][1]["against_float"]["ratio"] > 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(["--recipe", "int9"], "did you mean 'int8'", id="recipe"),
        pytest.param([], "give --calibration", id="no calibration"),
        pytest.param(["--calibration", "x.npz"], "does not exist", id="missing calibration"),
        pytest.param(["--recipe", "fp16", "--exclude", "nope"], "'nope'", id="exclude"),
    ],
)
def test_what_cannot_be_quantized(classifier: Path, args: list[str], message: str) -> None:
    before = sorted(classifier.parent.iterdir())
    check(3, message, "quantize", str(classifier), *args)
    assert sorted(classifier.parent.iterdir()) == before


def test_a_variant_that_gained_nothing_is_told_so(bundle: Bundle) -> None:
    found = whole.quantize_and_compare(bundle.path, "static-int8", bench=False)
    assert any("not smaller than float" in note for note in found.notes)
