"""The Snapdragon NPU in Qualcomm's simulator: precisions, and models compiled ahead of time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit import parity
from edgekit.bundle import Bundle
from edgekit.errors import ModelError, OutputError, ProviderError
from tests.devices.conftest import OPTIONS
from tests.devices.models import MODELS, write_untakable

pytestmark = pytest.mark.qnn

QNN: dict[str, Any] = {"provider": "qnn", "provider_options": OPTIONS["qnn"]}
ON_QNN = ("--provider", "qnn", "--provider-option", "soc_model=69")


def fp32(source: Path) -> Path:
    return source


def fp16(source: Path) -> Path:
    return edgekit.quantize(source, "fp16").path


def a8w8(source: Path) -> Path:
    with edgekit.open(source) as runner:
        calibration = runner.signature.sample(seed=5, batch=64)
    return edgekit.quantize(source, "npu-int8", calibration=calibration).path


@pytest.mark.parametrize(
    ("make", "options", "tolerance"),
    [
        pytest.param(fp32, {}, "fp32", id="fp32"),
        pytest.param(fp32, OPTIONS["qnn"], "fp16", id="fp32 computed in fp16"),
        pytest.param(fp16, OPTIONS["qnn"], "fp16", id="fp16"),
        pytest.param(a8w8, {}, "int8", id="int8, a8w8"),
    ],
)
def test_a_convolutional_network_in_each_precision(
    tmp_path: Path, make: Any, options: dict[str, str], tolerance: str
) -> None:
    source = MODELS["cnn"](tmp_path / "cnn.onnx")
    with edgekit.open(source) as cpu:
        feeds = cpu.signature.sample(seed=100, batch=1)
        expected = cpu.run(feeds)
    with edgekit.open(make(source), provider="qnn", provider_options=options) as runner:
        actual = runner.run(feeds)
        assert set(runner.placement.nodes) == {"qnn"}
    for output in parity.compare(expected, actual, parity.TOLERANCES[tolerance]):
        assert output.passed, output


def edgekit_in_a_process(*args: str | Path) -> Any:
    """A command as a user runs it; the simulator prints on stdout, which must stay clean."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *map(str, args), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_bundle_is_compiled_and_opened_again_in_another_process(cnn: Bundle) -> None:
    made = edgekit_in_a_process("compile", cnn.path, *ON_QNN)
    assert made["axes"] == {"batch": 1}
    assert made["outputs"][0]["max_abs_error"] == 0  # the same compiler made both
    assert made["load_ms"] < made["source_load_ms"]
    variant = Bundle.open(cnn.path).variant("fp32-qnn")
    assert variant.file.path == "model.fp32.qnn.onnx"
    assert (variant.provider, variant.precision) == ("qnn", "fp16")

    found = edgekit_in_a_process("validate", cnn.path, "--variant", "fp32-qnn", *ON_QNN)
    assert found["passed"]
    assert found["variants"][0]["placement"]["nodes"] == {"qnn": 1}
    inferred = edgekit_in_a_process("infer", cnn.path, "--variant", "fp32-qnn", *ON_QNN)
    assert inferred["provider"] == "qnn"
    pair = ("--variant", "fp32", "--variant", "fp32-qnn")
    timed = edgekit_in_a_process("bench", cnn.path, *pair, *ON_QNN, "--duration", "0.1")
    source, compiled = timed["results"]
    assert compiled["load_ms"] < source["load_ms"]


def test_a_compiled_file_is_for_its_provider_alone(cnn: Bundle) -> None:
    edgekit.compile(cnn, **QNN)
    with pytest.raises(ModelError, match="was compiled for the provider 'qnn'"):
        edgekit.open(cnn.path / "model.fp32.qnn.onnx")
    assert [each.variant for each in edgekit.validate(cnn.path).variants] == ["fp32"]
    both = edgekit.validate(cnn.path, **QNN)
    assert both.passed
    assert [(each.variant, each.outputs.keys() >= {4}) for each in both.variants] == [
        ("fp32", True),
        ("fp32-qnn", False),
    ]


def test_a_plain_file_is_compiled_for_the_axes_that_are_given(tmp_path: Path) -> None:
    path = MODELS["attention"](tmp_path / "attention.onnx")
    made = edgekit.compile(path, **QNN, axes={"batch": 2, "time": 6})
    assert made.path.name == "attention.qnn.onnx"
    with edgekit.open(made.path, **QNN) as runner:
        assert runner.signature.inputs[0].shape == (2, 6)
        feeds = runner.signature.sample(seed=3)
        actual = runner.run(feeds)
    with edgekit.open(path) as cpu:
        expected = cpu.run(feeds)
    for output in parity.compare(expected, actual, parity.TOLERANCES["fp16"]):
        assert output.passed, output
    with pytest.raises(OutputError, match="--force"):
        edgekit.compile(path, **QNN, axes={"batch": 2, "time": 6})


def test_int8_is_compiled(tmp_path: Path) -> None:
    small = a8w8(MODELS["cnn"](tmp_path / "cnn.onnx"))
    made = edgekit.compile(small, provider="qnn", precision="int8", out=tmp_path / "small.qnn.onnx")
    with edgekit.open(made.path, provider="qnn") as runner:
        assert set(runner.placement.nodes) == {"qnn"}


def test_a_model_that_it_cannot_run_is_not_compiled(tmp_path: Path) -> None:
    path = write_untakable(tmp_path / "model.onnx")
    with pytest.raises(ProviderError, match="NonZero"):
        edgekit.compile(path, **QNN)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
