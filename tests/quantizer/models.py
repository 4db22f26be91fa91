"""Tiny models of every kind that the recipes meet, made in code at IR 10 and opset 18."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]


def write(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    weights: dict[str, Array],
    opset: int = 18,
) -> Path:
    """Write a model whose inputs and outputs are float32."""

    def rows(specs: dict[str, list[int | str]]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in specs.items()
        ]

    graph = helper.make_graph(
        nodes,
        "tiny",
        rows(inputs),
        rows(outputs),
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=10,
        producer_name="test",
    )
    helper.set_model_props(model, {"edgekit.labels": '["a", "b"]'})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def normal(seed: int, *shape: int, scale: float = 1.0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def mlp(path: Path, features: int = 32, hidden: int = 64, classes: int = 8, seed: int = 0) -> Path:
    """Gemm (transposed weight), Relu, MatMul and Add, Softmax."""
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], "dense0/Gemm", transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w1"], ["m"], "dense1/MatMul"),
        helper.make_node("Add", ["m", "b1"], ["logits"]),
    ]
    return write(
        path,
        nodes,
        {"x": ["batch", features]},
        {"logits": ["batch", classes]},
        {
            "w0": normal(seed, hidden, features, scale=features**-0.5),
            "b0": normal(seed + 1, hidden, scale=0.1),
            "w1": normal(seed + 2, hidden, classes, scale=hidden**-0.5),
            "b1": normal(seed + 3, classes, scale=0.1),
        },
    )


def convnet(path: Path, opset: int = 18) -> Path:
    """Conv, BatchNormalization, Relu, MaxPool, a residual block, a Flatten and a Gemm."""
    nodes = [
        helper.make_node("Conv", ["x", "c0"], ["a"], "conv0", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "s", "o", "m", "v"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p", "c1", "b"], ["d"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["d", "c2", "b"], ["e"], "conv2", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["e", "p"], ["f"], "residual"),
        helper.make_node("Flatten", ["f"], ["g"], "flatten"),
        helper.make_node("Gemm", ["g", "w", "b2"], ["logits"], "dense"),
    ]
    weights = {
        "c0": normal(0, 16, 3, 3, 3, scale=0.2),
        "c1": normal(1, 16, 16, 3, 3, scale=0.1),
        "c2": normal(2, 16, 16, 3, 3, scale=0.1),
        "b": normal(3, 16, scale=0.1),
        "s": np.abs(normal(4, 16)) + 0.5,
        "o": normal(5, 16, scale=0.1),
        "m": normal(6, 16, scale=0.1),
        "v": np.abs(normal(7, 16)) + 0.5,
        "w": normal(8, 256, 10, scale=0.1),
        "b2": normal(9, 10, scale=0.1),
    }
    inputs: dict[str, list[int | str]] = {"x": ["batch", 3, 8, 8]}
    return write(path, nodes, inputs, {"logits": ["batch", 10]}, weights, opset)


def transformer(path: Path, depth: int = 32) -> Path:
    """One post-norm encoder block: attention of one head, residuals, feed-forward."""
    nodes = []
    for name in ("q", "k", "v"):
        nodes += [
            helper.make_node("MatMul", ["x", f"w{name}"], [f"{name}0"], f"attention/{name}/MatMul"),
            helper.make_node("Add", [f"{name}0", f"b{name}"], [name], f"attention/{name}/Add"),
        ]
    nodes += [
        helper.make_node("Transpose", ["k"], ["kt"], "transpose", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"], "scores"),
        helper.make_node("Softmax", ["s"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["c"], "context"),
        helper.make_node("Add", ["c", "x"], ["r"], "residual"),
        helper.make_node("LayerNormalization", ["r", "g", "o"], ["n"], "norm"),
        helper.make_node("MatMul", ["n", "w1"], ["h0"], "expand/MatMul"),
        helper.make_node("Add", ["h0", "b1"], ["h1"], "expand/Add"),
        helper.make_node("Relu", ["h1"], ["h2"], "expand/Relu"),
        helper.make_node("MatMul", ["h2", "w2"], ["h3"], "contract/MatMul"),
        helper.make_node("Add", ["h3", "n"], ["y"], "residual2"),
    ]
    weights = {f"w{n}": normal(i, depth, depth, scale=depth**-0.5) for i, n in enumerate("qkv")}
    weights |= {f"b{n}": normal(9 + i, depth, scale=0.1) for i, n in enumerate("qkv")}
    weights |= {
        "g": np.ones(depth, np.float32),
        "o": np.zeros(depth, np.float32),
        "w1": normal(4, depth, 4 * depth, scale=depth**-0.5),
        "b1": normal(5, 4 * depth, scale=0.1),
        "w2": normal(6, 4 * depth, depth, scale=0.5 * depth**-0.5),
    }
    shape: list[int | str] = ["batch", "time", depth]
    return write(path, nodes, {"x": shape}, {"y": shape}, weights)


def recurrent(path: Path, op: str, hidden: int = 16, features: int = 8) -> Path:
    """An RNN, GRU or LSTM operator over (batch, time, features), and a Gemm on its last state."""
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "transpose", perm=[1, 0, 2]),
        helper.make_node(op, ["t", "w", "r", "b"], ["", "last"], "recurrent", hidden_size=hidden),
        helper.make_node("Squeeze", ["last", "zero"], ["state"], "squeeze"),
        helper.make_node("Gemm", ["state", "d", "e"], ["logits"], "dense"),
    ]
    weights = {
        "w": normal(0, 1, gates * hidden, features, scale=0.3),
        "r": normal(1, 1, gates * hidden, hidden, scale=0.3),
        "b": normal(2, 1, 2 * gates * hidden, scale=0.1),
        "d": normal(3, hidden, 5),
        "e": normal(4, 5),
        "zero": np.array([0], np.int64),
    }
    inputs: dict[str, list[int | str]] = {"x": ["batch", "time", features]}
    return write(path, nodes, inputs, {"logits": ["batch", 5]}, weights)


def loop(path: Path, features: int = 16) -> Path:
    """A Loop whose body multiplies by a weight that the first step outside reads too."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "w"], ["m"], "body/MatMul"),
            helper.make_node("Tanh", ["m"], ["h_out"]),
            helper.make_node("Identity", ["go"], ["go_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("h_out", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h0"], "first/MatMul"),
        helper.make_node("Loop", ["steps", "yes", "h0"], ["h1"], "loop", body=body),
        helper.make_node("MatMul", ["h1", "d"], ["logits"], "dense/MatMul"),
    ]
    weights = {
        "w": normal(0, features, features, scale=features**-0.5),
        "d": normal(1, features, 5),
        "steps": np.array(3, np.int64),
        "yes": np.array(True),
    }
    inputs: dict[str, list[int | str]] = {"x": ["batch", features]}
    return write(path, nodes, inputs, {"logits": ["batch", 5]}, weights)


def mobile(path: Path, spread: int = 0, activation: str = "Relu", channels: int = 16) -> Path:
    """A MobileNet of two depthwise blocks, whose channels are up to 2**(2 * spread) times apart.

    The factors come in pairs, one layer times and the next one by it: with `Relu` the answer is the
    same for every spread.
    """
    rng = np.random.default_rng(0)
    layers = [("stem", 3, 3, 1), ("dw0", 3, channels, channels), ("pw0", 1, channels, 1)]
    layers += [("dw1", 3, channels, channels), ("pw1", 1, channels, 1)]
    nodes: list[Any] = []
    weights: dict[str, Array] = {}
    last, factors = "x", np.ones(3, np.float32)
    for name, kernel, inputs, group in layers:
        weight = normal(len(nodes), channels, inputs // group, kernel, kernel)
        weight /= np.float32((kernel * kernel * inputs / group / 2) ** 0.5)
        ahead = np.exp2(rng.integers(-spread, spread, channels, endpoint=True)).astype(np.float32)
        ahead = ahead if name != "pw1" else np.ones(channels, np.float32)
        behind = factors[:, None, None, None] if group > 1 else factors[None, :, None, None]
        weights[f"{name}/w"] = weight * ahead[:, None, None, None] / behind
        weights[f"{name}/b"] = normal(len(nodes) + 50, channels, scale=0.1) * ahead
        factors = ahead
        nodes.append(
            helper.make_node(
                "Conv", [last, f"{name}/w", f"{name}/b"], [f"{name}/c"], name,
                pads=[kernel // 2] * 4, group=group,
            )
        )  # fmt: skip
        limits = ["", "six"] if activation == "Clip" else []
        last = f"{name}/a"
        nodes.append(
            helper.make_node(activation, [f"{name}/c", *limits], [last], f"{name}/activation")
        )
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"], "dense"),
    ]
    weights |= {"w": normal(90, channels, 10, scale=0.5), "b": normal(91, 10, scale=0.1)}
    weights |= {"six": np.array(6, np.float32)} if activation == "Clip" else {}
    shape: list[int | str] = ["batch", 3, 16, 16]
    return write(path, nodes, {"x": shape}, {"logits": ["batch", 10]}, weights)


MODELS: dict[str, Callable[[Path], Path]] = {
    "mlp": mlp,
    "convnet": convnet,
    "transformer": transformer,
    "loop": loop,
    "rnn": lambda path: recurrent(path, "RNN"),
    "gru": lambda path: recurrent(path, "GRU"),
    "lstm": lambda path: recurrent(path, "LSTM"),
}
#: The inputs of each, for this many samples.
SHAPES: dict[str, tuple[int, ...]] = {
    "mlp": (32,),
    "convnet": (3, 8, 8),
    "transformer": (12, 32),
    "loop": (16,),
    "rnn": (10, 8),
    "gru": (10, 8),
    "lstm": (10, 8),
}


def data(kind: str, rows: int = 32, seed: int = 7) -> dict[str, Array]:
    """Normal inputs of a model."""
    return {"x": normal(seed, rows, *SHAPES[kind])}
