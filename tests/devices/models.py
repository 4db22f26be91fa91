"""Small graphs of the reference architectures, by hand: a device's environment has no TensorFlow.

Each is what `edgekit export` writes for its architecture, in operators and free axes, at a size
that a simulator runs in a moment. Weights are seeded; opset 18.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.conftest import write_model

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT32
WIDTH, HEADS, TIME, TOKENS, LABELS = 16, 2, 8, 20, 5

Node = helper.make_node


class Weights(dict[str, Any]):
    """Seeded weights by name; asking for one makes it."""

    def __init__(self) -> None:
        super().__init__()
        self._rng = np.random.default_rng(7)

    def normal(self, name: str, *shape: int) -> str:
        scale = 1 / np.sqrt(shape[0] if len(shape) < 4 else np.prod(shape[1:]))
        self[name] = self._rng.normal(scale=scale, size=shape).astype(np.float32)
        return name

    def ints(self, name: str, *values: int) -> str:
        self[name] = np.array(values)
        return name


def write_cnn(path: Path) -> Path:
    """`image` float32 (batch, 12, 12, 1) -> `probabilities` (batch, 5)."""
    w = Weights()
    nodes = [
        Node("Reshape", ["image", w.ints("nchw", -1, 1, 12, 12)], ["x"]),
        Node("Conv", ["x", w.normal("k1", 8, 1, 3, 3), w.normal("b1", 8)], ["c1"], pads=[1] * 4),
        Node("Relu", ["c1"], ["r1"]),
        Node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        Node("Conv", ["p1", w.normal("k2", 8, 8, 3, 3), w.normal("b2", 8)], ["c2"]),
        Node("Relu", ["c2"], ["r2"]),
        Node("Reshape", ["r2", w.ints("flat", -1, 128)], ["f"]),
        Node("Gemm", ["f", w.normal("w", 128, LABELS), w.normal("b", LABELS)], ["logits"]),
        Node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    return _write(path, nodes, ("image", FLOAT, ["batch", 12, 12, 1]), w)


def write_rnn(path: Path) -> Path:
    """`signal` float32 (batch, 8, 4) -> `probabilities` (batch, 5), an LSTM."""
    w = Weights()
    gates = [w.normal("w_in", 1, 4 * WIDTH, 4), w.normal("w_state", 1, 4 * WIDTH, WIDTH)]
    nodes = [
        Node("Transpose", ["signal"], ["steps"], perm=[1, 0, 2]),
        Node(
            "LSTM",
            ["steps", *gates, w.normal("w_bias", 1, 8 * WIDTH)],
            ["", "last"],
            hidden_size=WIDTH,
        ),
        Node("Squeeze", ["last", w.ints("direction", 0)], ["state"]),
        Node("Gemm", ["state", w.normal("w", WIDTH, LABELS), w.normal("b", LABELS)], ["logits"]),
        Node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    return _write(path, nodes, ("signal", FLOAT, ["batch", TIME, 4]), w)


def write_attention(path: Path) -> Path:
    """`tokens` int32 (batch, time) -> `probabilities` (batch, 5), one head over an embedding."""
    w = Weights()
    nodes = [
        Node("Gather", [w.normal("table", TOKENS, WIDTH), "tokens"], ["x"]),
        *(Node("MatMul", ["x", w.normal(f"w_{n}", WIDTH, WIDTH)], [n]) for n in "qkv"),
        Node("Transpose", ["k"], ["k_t"], perm=[0, 2, 1]),
        Node("MatMul", ["q", "k_t"], ["scores"]),
        Node("Softmax", ["scores"], ["weights"], axis=-1),
        Node("MatMul", ["weights", "v"], ["mixed"]),
        Node("ReduceMean", ["mixed", w.ints("over_time", 1)], ["mean"], keepdims=0),
        Node("Gemm", ["mean", w.normal("w", WIDTH, LABELS), w.normal("b", LABELS)], ["logits"]),
        Node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    return _write(path, nodes, ("tokens", INT, ["batch", "time"]), w)


def write_transformer(path: Path) -> Path:
    """`tokens` int32 (batch, 8) -> `probabilities` (batch, 5): heads, residuals, exact GELU."""
    w = Weights()
    w["scale"] = np.float32(1 / np.sqrt(WIDTH // HEADS))
    w["root"], w["half"], w["one"] = (np.float32(v) for v in (np.sqrt(2), 0.5, 1))
    heads = w.ints("heads", -1, TIME, HEADS, WIDTH // HEADS)
    nodes = [
        Node("Gather", [w.normal("table", TOKENS, WIDTH), "tokens"], ["embedded"]),
        Node("Add", ["embedded", w.normal("positions", TIME, WIDTH)], ["x"]),
        *_norm(w, "x", "x_norm"),
    ]
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            Node("MatMul", ["x_norm", w.normal(f"w_{name}", WIDTH, WIDTH)], [f"{name}_flat"]),
            Node("Reshape", [f"{name}_flat", heads], [f"{name}_heads"]),
            Node("Transpose", [f"{name}_heads"], [name], perm=perm),
        ]
    nodes += [
        Node("MatMul", ["q", "k"], ["raw"]),
        Node("Mul", ["raw", "scale"], ["scores"]),
        Node("Softmax", ["scores"], ["weights"], axis=-1),
        Node("MatMul", ["weights", "v"], ["mixed_heads"]),
        Node("Transpose", ["mixed_heads"], ["mixed_time"], perm=[0, 2, 1, 3]),
        Node("Reshape", ["mixed_time", w.ints("joined", -1, TIME, WIDTH)], ["mixed"]),
        Node("MatMul", ["mixed", w.normal("w_o", WIDTH, WIDTH)], ["projected"]),
        Node("Add", ["x", "projected"], ["y"]),
        *_norm(w, "y", "y_norm"),
        Node("MatMul", ["y_norm", w.normal("w_up", WIDTH, 2 * WIDTH)], ["up"]),
        Node("Div", ["up", "root"], ["scaled"]),
        Node("Erf", ["scaled"], ["erf"]),
        Node("Add", ["erf", "one"], ["shifted"]),
        Node("Mul", ["up", "shifted"], ["doubled"]),
        Node("Mul", ["doubled", "half"], ["gelu"]),
        Node("MatMul", ["gelu", w.normal("w_down", 2 * WIDTH, WIDTH)], ["down"]),
        Node("Add", ["y", "down"], ["z"]),
        Node("ReduceMean", ["z", w.ints("over_time", 1)], ["mean"], keepdims=0),
        Node("Gemm", ["mean", w.normal("w", WIDTH, LABELS), w.normal("b", LABELS)], ["logits"]),
        Node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    return _write(path, nodes, ("tokens", INT, ["batch", TIME]), w)


def _norm(w: Weights, x: str, y: str) -> list[Any]:
    gain, shift = f"{y}_gain", f"{y}_shift"
    w[gain], w[shift] = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    return [Node("LayerNormalization", [x, gain, shift], [y], axis=-1, epsilon=1e-6)]


def _write(path: Path, nodes: list[Any], given: tuple[str, int, list[Any]], w: Weights) -> Path:
    return write_model(path, nodes, [given], [("probabilities", FLOAT, ["batch", LABELS])], **w)


def write_untakable(path: Path) -> Path:
    """A relu and a `NonZero`, whose output length no accelerator can know beforehand."""
    return write_model(
        path,
        [Node("Relu", ["x"], ["y"]), Node("NonZero", ["y"], ["places"])],
        [("x", FLOAT, ["batch", 4])],
        [("places", TensorProto.INT64, [2, "found"])],
    )


MODELS: dict[str, Callable[[Path], Path]] = {
    "cnn": write_cnn,
    "rnn": write_rnn,
    "attention": write_attention,
    "transformer": write_transformer,
}
