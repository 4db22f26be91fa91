"""8-bit products added in pairs do not fit into 16 bits: no CPU may answer differently for it.

x86 without VNNI has only an instruction that saturates. The recipes' 7-bit weights cannot reach
its limit. Other people's 8-bit files can, and a runner answers as an app would: parity shows
it; onnxruntime's `session.x64quantprecision` would hide it here and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edgekit.quantizer import quantize
from edgekit.quantizer.recipes import RECIPES
from edgekit.runtime.runner import open_runner
from tests.quantizer import models

DEPTH, WIDTH = 64, 16
INT16_MAX = 2**15 - 1


def plain_run(path: Path, feeds: dict[str, Any]) -> Any:
    """Run as an app does that knows nothing of edgekit."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def cpu_saturates() -> bool:
    flags = Path("/proc/cpuinfo")
    text = flags.read_text(encoding="utf-8") if flags.is_file() else ""
    return " avx2" in text and "vnni" not in text


def extreme(kind: str) -> tuple[dict[str, models.Array], dict[str, tuple[int, ...]], list[Any]]:
    """Weights at one end of their range, inputs at the end of theirs: every pair saturates."""
    if kind == "Conv":
        node = helper.make_node("Conv", ["a", "w"], ["m"], "core")
        return {"w": np.ones((WIDTH, DEPTH, 3, 3), np.float32)}, {"x": (4, DEPTH, 6, 6)}, [node]
    node = helper.make_node(kind, ["a", "w"], ["m"], "core")
    return {"w": np.ones((DEPTH, WIDTH), np.float32)}, {"x": (4, DEPTH)}, [node]


@pytest.mark.parametrize("kind", ["Conv", "Gemm", "MatMul"])
def test_a_runner_shows_what_an_app_gets_from_eight_bits(kind: str, tmp_path: Path) -> None:
    weights, shapes, nodes = extreme(kind)
    width = weights["w"].shape[0 if kind == "Conv" else 1]
    signs = np.random.default_rng(0).choice([127, 127, 127, -127], size=weights["w"].shape)
    top = float(np.abs(signs).sum() / WIDTH / 127)
    graph = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["a"]),
        helper.make_node(
            "DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0 if kind == "Conv" else 1
        ),
        *nodes,
        helper.make_node("QuantizeLinear", ["m", "ms", "xz"], ["mq"]),
        helper.make_node("DequantizeLinear", ["mq", "ms", "xz"], ["y"]),
    ]
    constants = {
        "xs": np.float32(1 / 255),
        "xz": np.uint8(0),
        "wq": signs.astype(np.int8),
        "ws": np.full(width, 1 / 127, np.float32),
        "wz": np.zeros(width, np.int8),
        "ms": np.float32(top / 255),
    }
    axes: list[int | str] = ["batch", *shapes["x"][1:]]
    out: list[int | str] = ["batch", WIDTH, 4, 4] if kind == "Conv" else ["batch", WIDTH]
    path = models.write(
        tmp_path / "m.onnx", graph, {"x": axes}, {"y": out},
        {name: np.asarray(value) for name, value in constants.items()}, opset=19,
    )  # fmt: skip
    x = np.random.default_rng(1).uniform(0.8, 1, size=shapes["x"]).astype(np.float32)
    results: Any = ReferenceEvaluator(str(path)).run(None, {"x": x})
    expected = results[0]
    with open_runner(path) as runner:
        got = runner.run({"x": x})["y"]
    step = top / 255
    np.testing.assert_array_equal(got, plain_run(path, {"x": x}))
    error = np.abs(got - expected).max()
    assert error > 10 * step if cpu_saturates() else error <= 1.01 * step


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        ("static-int8", "Conv"),
        ("static-int8", "Gemm"),
        ("static-int8", "MatMul"),
        ("dynamic-int8", "Gemm"),
        ("dynamic-int8", "MatMul"),
        ("npu-int8", "Conv"),
        ("npu-int8", "Gemm"),
        ("npu-int8", "MatMul"),
    ],
)
def test_a_recipe_gives_the_same_answer_in_any_app(kind: str, recipe: str, tmp_path: Path) -> None:
    weights, shapes, nodes = extreme(kind)
    nodes = [helper.make_node("Identity", ["x"], ["a"]), *nodes]
    nodes.append(helper.make_node("Tanh", ["m"], ["y"]))
    weights["w"] /= np.float32(weights["w"].size / WIDTH)
    axes: list[int | str] = ["batch", *shapes["x"][1:]]
    out: list[int | str] = ["batch", WIDTH, 4, 4] if kind == "Conv" else ["batch", WIDTH]
    path = models.write(tmp_path / "m.onnx", nodes, {"x": axes}, {"y": out}, weights)
    x = np.random.default_rng(1).uniform(0.8, 1, size=shapes["x"]).astype(np.float32)
    data = {"x": x} if RECIPES[recipe].needs_calibration else None
    made = quantize(path, recipe, calibration=data)
    with open_runner(path) as runner:
        expected = runner.run({"x": x})["y"]
    with open_runner(made.path) as runner:
        got = runner.run({"x": x})["y"]
    np.testing.assert_allclose(got, expected, atol=0.01)
    np.testing.assert_array_equal(plain_run(made.path, {"x": x}), got)


def test_the_weights_of_the_recipes_leave_room_in_sixteen_bits() -> None:
    for recipe in RECIPES.values():
        if (recipe.activations, recipe.weights) == ("UINT8", "INT8"):  # others add in 32 bits
            assert 2 * 255 * 2 ** (recipe.weight_bits - 1) <= INT16_MAX
