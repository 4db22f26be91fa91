"""Patterns that engines run faster in another form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import edgekit
from edgekit.exporter import trace

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
L: Any = keras.layers


def operators(model: Any, path: Path) -> list[str]:
    """Export a model, compare it with Keras on values of both signs, and list its operators."""
    made = edgekit.export(model, path)
    with edgekit.open(made.path) as runner:
        (spec,) = runner.signature.inputs
        shape = [axis if isinstance(axis, int) else 3 for axis in spec.shape]
        feed = {spec.name: np.random.default_rng(0).normal(size=shape).astype(np.float32)}
        expected = trace.predict(model, runner.signature.inputs, feed)
        for name, array in runner.run(feed).items():
            np.testing.assert_allclose(array, expected[name], atol=2e-6)
    return [node.op_type for node in onnx.load(made.path).graph.node]


def fused_by_onnxruntime(path: Path, tmp_path: Path) -> list[str]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(lambda: L.Dense(8, activation="gelu"), id="of a Dense"),
        pytest.param(lambda: L.Activation("gelu"), id="alone"),
    ],
)
def test_an_exact_gelu_is_one_kernel(tmp_path: Path, layer: Any) -> None:
    x = keras.Input((None, 4), name="x")
    found = operators(keras.Model(x, layer()(x)), tmp_path / "m.onnx")
    assert [kind for kind in found if kind in {"Div", "Erf", "Add", "Mul"}][-5:] == [
        "Div",
        "Erf",
        "Add",
        "Mul",
        "Mul",
    ]
    fused = fused_by_onnxruntime(tmp_path / "m.onnx", tmp_path)
    assert {"Gelu", "BiasGelu"} & set(fused)
    assert "Erf" not in fused


def test_erfc_of_any_argument(tmp_path: Path) -> None:
    class Erfc(L.Layer):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.math.erfc(x)

    x = keras.Input((4,), name="x")
    assert "Erf" in operators(keras.Model(x, Erfc()(x)), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("steps", "depth", "expected"),
    [
        pytest.param(6, 8, ["MatMul", "Add", "Neg", "Sub", "LayerNormalization"], id="three axes"),
        pytest.param(
            64, 512, ["Reshape", "Gemm", "Add", "LayerNormalization", "Reshape"], id="rows"
        ),
    ],
)
def test_a_residual_sum_is_not_fused_into_a_slower_kernel(
    tmp_path: Path, steps: int, depth: int, expected: list[str]
) -> None:
    x = keras.Input((steps, depth), name="x")
    y = L.LayerNormalization(epsilon=1e-6, name="norm")(L.Add()([x, L.Dense(depth)(x)]))
    found = operators(keras.Model(x, y), tmp_path / "m.onnx")
    assert found == expected
    names = [node.name for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert not [name for name in names if name.startswith("node_")], names
    assert "SkipLayerNormalization" not in fused_by_onnxruntime(tmp_path / "m.onnx", tmp_path)


def test_what_is_computed_twice_is_computed_once(tmp_path: Path) -> None:
    x = keras.Input((8,), name="x")
    y = L.Add()([L.Dense(8, activation="tanh")(L.ReLU()(x)), L.ReLU()(x)])
    found = operators(keras.Model(x, y), tmp_path / "m.onnx")
    assert found.count("Relu") == 1
