"""Quantised files say no more than an engine needs, and every product keeps its int8 kernel."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.quantizer import quantize
from tests.quantizer import models

ort = pytest.importorskip("onnxruntime")


def run_by(path: Path, folder: Path) -> Counter[str]:
    """Count the nodes of a file once onnxruntime has fused them."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def test_a_convolution_has_a_float_bias_and_is_run_in_int8(tmp_path: Path) -> None:
    model = models.convnet(tmp_path / "m.onnx")
    made = quantize(model, calibration={"x": models.normal(0, 16, 3, 8, 8)})
    graph = onnx.load(made.path).graph
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds = {constants[n.input[2]] for n in graph.node if n.op_type == "Conv" and len(n.input) > 2}
    assert kinds == {TensorProto.FLOAT}
    assert run_by(made.path, tmp_path)["QLinearConv"] == made.quantized_ops["Conv"][0]


def test_nothing_is_left_that_no_node_reads(tmp_path: Path) -> None:
    model = models.convnet(tmp_path / "m.onnx")
    made = quantize(model, calibration={"x": models.normal(0, 16, 3, 8, 8)})
    graph = onnx.load(made.path).graph
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read
    assert not [n.name for n in graph.node if n.op_type.endswith("eLinear") and n.name]


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh", "LeakyRelu"])
def test_a_gemm_before_an_activation_that_float_reads_is_run_in_int8(
    activation: str, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], "hidden/Gemm"),
        helper.make_node(activation, ["h"], ["a"], "hidden/activation"),
        helper.make_node("Gemm", ["a", "v"], ["y"], "last/Gemm"),
    ]
    weights = {
        "w": models.normal(0, 64, 64, scale=0.1),
        "b": models.normal(1, 64),
        "v": models.normal(2, 64, 8, scale=0.1),
    }
    model = models.write(
        tmp_path / "m.onnx", nodes, {"x": ["batch", 64]}, {"y": ["batch", 8]}, weights
    )
    made = quantize(model, exclude=["last"], calibration={"x": models.normal(3, 32, 64)})
    found = run_by(made.path, tmp_path)
    assert found["QGemm"] == 1
    assert found["FusedGemm"] == 0
    feeds = {"x": models.normal(4, 8, 64)}
    exact, near = (
        ort.InferenceSession(str(p), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for p in (model, made.path)
    )
    assert np.abs(exact - near).max() < 0.1 * np.abs(exact).max()


def test_a_shallow_convolution_stays_float_and_its_pool_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "v", "b"], ["a"], "first/Conv"),
        helper.make_node("Relu", ["a"], ["r"], "first/Relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "w"], ["y"], "second/Conv"),
    ]
    weights = {
        "v": models.normal(0, 32, 1, 3, 3, scale=0.3),
        "b": models.normal(1, 32, scale=0.3),
        "w": models.normal(2, 32, 32, 3, 3, scale=0.1),
    }
    model = models.write(
        tmp_path / "m.onnx",
        nodes,
        {"x": ["batch", 1, 16, 16]},
        {"y": ["batch", 32, 5, 5]},
        weights,
    )
    made = quantize(model, calibration={"x": models.normal(3, 16, 1, 16, 16)})
    assert made.quantized_ops == {"Conv": (1, 2)}
    order = [node.op_type for node in onnx.load(made.path).graph.node]
    # Behind a pool that reads a Relu, onnxruntime would round before the pool.
    assert order.index("MaxPool") < order.index("Relu") < order.index("QuantizeLinear")
    feeds = {"x": models.normal(4, 2, 1, 16, 16)}
    exact, near = (
        ort.InferenceSession(str(p), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for p in (model, made.path)
    )
    assert np.abs(exact - near).max() < 0.1 * np.abs(exact).max()
