from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from edgekit.cli import cli
from edgekit.errors import FeedError, ModelError
from edgekit.mobile import TARGETS, MobileReport, readiness
from tests.conftest import write_model

F = TensorProto.FLOAT
Node = helper.make_node


def model(path: Path, nodes: list[Any], batch: int | str = "batch", **weights: Any) -> Path:
    shape = [batch, 4]
    return write_model(path / "m.onnx", nodes, [("x", F, shape)], [("y", F, shape)], **weights)


def by_target(report: MobileReport) -> dict[str, Any]:
    return {each.target: each for each in report.targets}


def test_axes_are_fixed_and_the_advice_says_so(tmp_path: Path) -> None:
    report = readiness(model(tmp_path, [Node("Relu", ["x"], ["r"]), Node("Tanh", ["r"], ["y"])]))
    assert report.axes == {"batch": 1}
    for each in report.targets:
        assert (each.as_is.taken, each.as_is.dynamic, each.as_is.verdict) == (0, 2, "no")
        assert each.fixed is not None
        assert (each.fixed.taken, each.fixed.sizes, each.fixed.verdict) == (2, (2,), "yes")
    fix, ship = report.advice
    assert "Fix batch=1" in fix
    assert all(target in fix for target in TARGETS)
    assert "--style runtime" in ship


def test_without_free_axes_there_is_nothing_to_fix(tmp_path: Path) -> None:
    report = readiness(model(tmp_path, [Node("Relu", ["x"], ["y"])], batch=2))
    assert report.axes == {}
    assert all(each.fixed is None and each.best.verdict == "yes" for each in report.targets)
    assert len(report.advice) == 1


@pytest.mark.parametrize(
    ("nodes", "weights", "target", "unsupported", "advice"),
    [
        pytest.param(
            [Node("Relu", ["x"], ["r"]), Node("Acos", ["r"], ["a"]), Node("Relu", ["a"], ["y"])],
            {},
            "nnapi",
            {"Acos": 1},
            "for the CPU",
            id="an operator in the middle",
        ),
        pytest.param(
            [Node("LayerNormalization", ["x", "g"], ["y"])],
            {"g": np.ones(4, np.float32)},
            "nnapi",
            {"LayerNormalization": 1},
            "edgekit export --opset 16` for nnapi",
            id="another opset",
        ),
        pytest.param(
            [
                Node("QuantizeLinear", ["x", "s", "z"], ["q"]),
                Node("DequantizeLinear", ["q", "s", "z"], ["d"]),
                Node("Relu", ["d"], ["y"]),
            ],
            {"s": np.float32(0.1), "z": np.uint8(0)},
            "coreml-mlprogram",
            {"DequantizeLinear": 1, "QuantizeLinear": 1},
            "which has no DequantizeLinear, QuantizeLinear, the float variant",
            id="another variant",
        ),
    ],
)
def test_what_is_not_taken_and_what_follows(
    tmp_path: Path,
    nodes: list[Any],
    weights: dict[str, Any],
    target: str,
    unsupported: dict[str, int],
    advice: str,
) -> None:
    report = readiness(model(tmp_path, nodes, **weights))
    assert by_target(report)[target].unsupported == unsupported
    assert advice in "\n".join(report.advice)


def test_a_caveat_is_told(tmp_path: Path) -> None:
    report = readiness(
        model(tmp_path, [Node("Gemm", ["x", "w"], ["y"])], w=np.eye(4, dtype=np.float32))
    )
    assert "transB" in by_target(report)["nnapi"].caveats["Gemm"]


@pytest.mark.parametrize(
    ("content", "axes", "error"),
    [
        pytest.param(b"x" * 100, {}, ModelError, id="no model"),
        pytest.param(None, {"tim": 3}, FeedError, id="no such axis"),
    ],
)
def test_refusals(tmp_path: Path, content: bytes | None, axes: Any, error: Any) -> None:
    path = model(tmp_path, [Node("Relu", ["x"], ["y"])])
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error):
        readiness(path, axes)


def test_inspect_mobile_on_the_command_line(classifier: Path) -> None:
    def run(*args: str) -> str:
        done = CliRunner().invoke(cli, ["inspect", str(classifier), "--mobile", *args])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    text = run()
    assert "with batch 1" in text
    assert all(target in text for target in TARGETS)
    found = json.loads(run("--json", "--fix-axis", "batch=3"))
    assert found["axes"] == {"batch": 3}
    assert {each["target"] for each in found["targets"]} == set(TARGETS)
