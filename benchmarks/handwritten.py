"""ONNX files of the small networks as one writes them by hand, node by node, weights from Keras.

What a file converted from Keras may cost at most: `WRITERS` has the networks that there is one for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save, shape_inference

Array = np.ndarray[Any, Any]
F, I32 = TensorProto.FLOAT, TensorProto.INT32


class Sheet:
    """A graph in the making; arrays become initializers."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; give the name of its output, or a list of them."""
        names = [x if isinstance(x, str) else self._constant(np.asarray(x)) for x in inputs]
        made = [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def dense(self, x: str, layer: Any) -> Any:
        """A product with a bias, on any number of axes."""
        return self.op("Add", self.op("MatMul", x, layer.kernel), layer.bias)

    def gemm(self, x: str, layer: Any) -> Any:
        """A product with a bias, on two axes."""
        return self.op("Gemm", x, layer.kernel, layer.bias)

    def _constant(self, array: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def save(self, path: Path, inputs: dict[str, tuple[int, list[Any]]], output: str) -> None:
        """Write the file."""
        graph = helper.make_graph(
            self.nodes,
            "by_hand",
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(output, F, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        model = shape_inference.infer_shapes(model, strict_mode=True)
        del model.graph.value_info[:]
        checker.check_model(model)
        save(model, path)


def write(name: str, model: Any, path: Path) -> None:
    """Write the file of a network."""
    sheet = Sheet()
    inputs, output = WRITERS[name](sheet, model)
    sheet.save(path, inputs, output)


Written = tuple[dict[str, tuple[int, list[Any]]], str]


def _cnn(s: Sheet, model: Any) -> Written:
    y: Any = s.op("Reshape", "image", np.array([-1, 1, 28, 28]))
    height = 28
    for stage in (1, 2):
        conv = model.get_layer(f"conv{stage}")
        y = s.op("Relu", s.op("Conv", y, np.transpose(conv.kernel, (3, 2, 0, 1)), conv.bias))
        y = s.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
        height = (height - 2) // 2
    hidden, last = model.get_layer("hidden"), model.get_layer("probabilities")
    rows = np.asarray(hidden.kernel).reshape(height, height, 64, -1).transpose(2, 0, 1, 3)
    y = s.op("Gemm", s.op("Flatten", y), rows.reshape(height * height * 64, -1), hidden.bias)
    y = s.op("Softmax", s.gemm(s.op("Relu", y), last), axis=-1)
    return {"image": (F, ["batch", 28, 28, 1])}, y


def _lengths(s: Sheet, x: str) -> str:
    counts = s.op("Sign", s.op("ReduceMax", s.op("Abs", x), np.array([2]), keepdims=0))
    return str(s.op("Cast", s.op("ReduceSum", counts, np.array([1]), keepdims=0), to=I32))


#: ONNX's operator and its order of Keras's gates.
_CELLS = {"SimpleRNN": ("RNN", [0]), "GRU": ("GRU", [0, 1, 2]), "LSTM": ("LSTM", [0, 3, 1, 2])}


def _weights(layer: Any) -> tuple[str, list[Array]]:
    kind, order = _CELLS[type(layer).__name__]
    cell = layer.cell

    def arranged(array: Any) -> Array:
        gates = np.split(np.asarray(array), len(order), axis=-1)
        return np.concatenate([gates[i] for i in order], axis=-1)

    biases = np.atleast_2d(np.asarray(cell.bias))
    both = [*biases, np.zeros_like(biases[0])][:2]
    return kind, [
        arranged(cell.kernel).T[None],
        arranged(cell.recurrent_kernel).T[None],
        np.concatenate([arranged(bias) for bias in both])[None],
    ]


def _recurrent(s: Sheet, model: Any) -> Written:
    layer = model.get_layer("recurrent")
    kind, weights = _weights(layer)
    x: Any = s.op("Transpose", "series", perm=[1, 0, 2])
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    made = s.op(
        kind, x, *weights, _lengths(s, "series"), outputs=2, hidden_size=layer.units, **options
    )
    y = s.gemm(s.op("Squeeze", made[1], np.array([0])), model.get_layer("probabilities"))
    return {"series": (F, ["batch", "time", 12])}, s.op("Softmax", y, axis=-1)


def _bidirectional(s: Sheet, model: Any) -> Written:
    _, both, dense = model.layers
    forward, backward = _weights(both.forward_layer)[1], _weights(both.backward_layer)[1]
    weights = [np.concatenate(pair) for pair in zip(forward, backward, strict=True)]
    units = both.forward_layer.units
    x = s.op("Transpose", "series", perm=[1, 0, 2])
    made = s.op("LSTM", x, *weights, outputs=2, hidden_size=units, direction="bidirectional")
    y = s.op("Reshape", s.op("Transpose", made[1], perm=[1, 0, 2]), np.array([-1, 2 * units]))
    y = s.op("Softmax", s.gemm(y, dense), axis=-1)
    return {"series": (F, ["batch", 64, 12])}, y


def _attention(s: Sheet, model: Any) -> Written:
    layer = model.get_layer("attention")
    q = s.op("Tanh", s.dense("query", layer.query_layer))
    k = s.op("Transpose", s.dense("key", layer.key_layer), perm=[0, 2, 1])
    y = s.op("MatMul", s.op("Softmax", s.op("MatMul", q, k), axis=-1), "value")
    y = s.op("Reshape", y, np.array([-1, 3, 10]))
    shapes: dict[str, list[Any]] = {"query": [1, 52], "key": ["n", 104], "value": ["n", 30]}
    return {name: (F, ["batch", *shape]) for name, shape in shapes.items()}, y


def _blocks(model: Any) -> list[tuple[Any, ...]]:
    """Give the layers of each block: attention, norm, Dense, Dense, norm."""
    kinds = ("MultiHeadAttention", "LayerNormalization", "Dense")
    found: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for layer in model.layers:
        found.get(type(layer).__name__, []).append(layer)
    attentions, norms, denses = found.values()
    denses = denses[-2 * len(attentions) :]
    norms = norms[-2 * len(attentions) :]
    return list(zip(attentions, norms[::2], denses[::2], denses[1::2], norms[1::2], strict=True))


def _block(s: Sheet, y: str, block: tuple[Any, ...], length: int, mask: str | None) -> str:
    attention, norm, wide, narrow, second = block
    heads, depth = attention.num_heads, attention.key_dim
    scale = 1 / np.sqrt(np.float32(depth))
    kernels, biases = [], []
    parts = (attention.query_dense, attention.key_dense, attention.value_dense)
    for part, factor in zip(parts, (scale, 1, 1), strict=True):
        kernels.append(factor * np.asarray(part.kernel).reshape(-1, heads * depth))
        biases.append(factor * np.asarray(part.bias).reshape(-1))
    joined = s.op("MatMul", y, np.concatenate(kernels, axis=1).astype(np.float32))
    joined = s.op("Add", joined, np.concatenate(biases).astype(np.float32))
    joined = s.op("Reshape", joined, np.array([-1, length, 3, heads, depth]))
    joined = s.op("Transpose", joined, perm=[2, 0, 3, 1, 4])
    split = s.op("Split", joined, outputs=3, num_outputs=3)
    q, k, v = (s.op("Squeeze", part, np.array([0])) for part in split)
    scores = s.op("MatMul", q, s.op("Transpose", k, perm=[0, 1, 3, 2]))
    if mask is not None:
        scores = s.op("Add", scores, mask)
    mixed = s.op("MatMul", s.op("Softmax", scores, axis=-1), v)
    mixed = s.op("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = s.op("Reshape", mixed, np.array([-1, length, heads * depth]))
    last = attention.output_dense
    kernel = np.asarray(last.kernel).reshape(heads * depth, -1)
    mixed = s.op("Add", s.op("MatMul", mixed, kernel), last.bias)
    y = _norm(s, s.op("Sum", y, mixed), norm)
    update = s.dense(y, wide)
    if wide.activation.__name__ == "gelu":
        root = s.op("Erf", s.op("Div", update, np.float32(2**0.5)))
        update = s.op("Mul", s.op("Mul", update, s.op("Add", root, np.float32(1))), np.float32(0.5))
    else:
        update = s.op("Relu", update)
    return _norm(s, s.op("Sum", y, s.dense(update, narrow)), second)


def _norm(s: Sheet, y: str, layer: Any) -> str:
    return str(s.op("LayerNormalization", y, layer.gamma, layer.beta, epsilon=float(layer.epsilon)))


def _encoder(s: Sheet, model: Any) -> Written:
    y = "x"
    for block in _blocks(model):
        y = _block(s, y, block, 64, None)
    return {"x": (F, ["batch", 64, 128])}, y


def _bert(s: Sheet, model: Any) -> Written:
    words = next(layer for layer in model.layers if type(layer).__name__ == "Embedding")
    # The table of positions is a constant of the first sum.
    first = next(op for op in model.operations if type(op).__name__ == "Add")
    places = np.asarray(first._inbound_nodes[0].arguments.args[1])
    norm = next(layer for layer in model.layers if type(layer).__name__ == "LayerNormalization")
    length = len(places)
    hidden = s.op("Equal", "tokens", np.int32(0))
    mask = s.op("Where", hidden, np.float32(-1e9), np.float32(0))
    mask = s.op("Unsqueeze", mask, np.array([1, 2]))
    y = s.op("Add", s.op("Gather", words.embeddings, "tokens"), places)
    y = _norm(s, y, norm)
    for block in _blocks(model):
        y = _block(s, y, block, length, mask)
    return {"tokens": (I32, ["batch", length])}, y


WRITERS: dict[str, Callable[[Sheet, Any], Written]] = {
    "cnn": _cnn,
    "rnn": _recurrent,
    "gru": _recurrent,
    "lstm": _recurrent,
    "bilstm": _bidirectional,
    "attention": _attention,
    "transformer4": _encoder,
    "bert4": _bert,
}
