"""Layers with an ONNX operator of their own: the nodes they become, and that they answer alike."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgekit
from edgekit.errors import ExportError
from edgekit.exporter import trace

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
L: Any = keras.layers


def randomised(model: Any) -> Any:
    """Give every weight a value of its own: a bias of zeros would hide a wrong place."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return model


def exported(model: Any, path: Path, feeds: list[dict[str, Any]], **options: Any) -> Counter[str]:
    """Export a model, compare it with Keras on feeds, and count its operators."""
    made = edgekit.export(randomised(model), path, **options)
    with edgekit.open(made.path) as runner:
        for feed in feeds:
            expected = trace.predict(model, runner.signature.inputs, feed)
            for name, array in runner.run(feed).items():
                np.testing.assert_allclose(array, expected[name], atol=2e-5, rtol=1e-4)
    return Counter(node.op_type for node in onnx.load(made.path).graph.node)


def sequence(layer: Any, *, masked: bool = False) -> Any:
    x = keras.Input((None, 3), name="x")
    return keras.Model(x, layer(L.Masking()(x) if masked else x))


RNG = np.random.default_rng(1)
SERIES = RNG.normal(size=(4, 6, 3)).astype(np.float32)
PADDED = SERIES.copy()
PADDED[0, 4:] = PADDED[1, 1:] = 0
HOLES = SERIES.copy()
HOLES[0, 2] = HOLES[1, 0] = HOLES[2, ::2] = 0
EMPTY = SERIES.copy()
EMPTY[1] = 0
MASKED = [{"x": array} for array in (SERIES, PADDED, HOLES, EMPTY, 0 * SERIES)]
CELLS = [("SimpleRNN", "RNN"), ("GRU", "GRU"), ("LSTM", "LSTM")]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"use_bias": False}, id="no bias"),
        pytest.param({"go_backwards": True}, id="backwards"),
        pytest.param({"return_sequences": True}, id="sequences"),
        pytest.param({"return_sequences": True, "go_backwards": True}, id="backwards sequences"),
        pytest.param({"return_state": True}, id="state"),
        pytest.param({"activation": "relu"}, id="relu"),
        pytest.param({"unroll": False, "dropout": 0.5}, id="dropout"),
    ],
)
@pytest.mark.parametrize(("cell", "operator"), CELLS)
def test_recurrent(tmp_path: Path, cell: str, operator: str, options: dict[str, Any]) -> None:
    model = sequence(getattr(L, cell)(5, **options))
    found = exported(model, tmp_path / "m.onnx", [{"x": SERIES}, {"x": SERIES[:1, :2]}])
    assert found[operator] == 1
    assert found["Loop"] == 0


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"return_state": True}, id="state"),
        pytest.param({"go_backwards": True, "zero_output_for_mask": True}, id="backwards zeros"),
        pytest.param({"zero_output_for_mask": True}, id="zeros"),
        pytest.param({"return_sequences": True, "return_state": True}, id="sequences"),
        pytest.param({"return_sequences": True, "go_backwards": True}, id="backwards sequences"),
        pytest.param(
            {"return_sequences": True, "zero_output_for_mask": True}, id="sequences of zeros"
        ),
        pytest.param(
            {"return_sequences": True, "zero_output_for_mask": True, "go_backwards": True},
            id="backwards sequences of zeros",
        ),
    ],
)
@pytest.mark.parametrize(("cell", "operator"), CELLS)
def test_any_mask(tmp_path: Path, cell: str, operator: str, options: dict[str, Any]) -> None:
    model = sequence(getattr(L, cell)(5, **options), masked=True)
    found = exported(model, tmp_path / "m.onnx", MASKED)
    assert (found[operator], found["Loop"]) == (1, 0)


def _steps_with_other_than(value: float, x: Any) -> Any:
    return keras.ops.any(keras.ops.not_equal(x, value), axis=-1)


@pytest.mark.parametrize(
    ("mask", "choices"),
    [
        pytest.param(None, 0, id="the layer's own mask"),
        pytest.param(lambda x: _steps_with_other_than(0.0, x), 0, id="the same mask, made again"),
        pytest.param(lambda x: _steps_with_other_than(1.0, x), 1, id="a mask of another value"),
        pytest.param(lambda x: x[..., 0] > -9, 1, id="a mask of another kind"),
    ],
)
def test_a_masking_layer_costs_nothing_where_hidden_steps_are_not_read(
    tmp_path: Path, mask: Any, choices: int
) -> None:
    x = keras.Input((None, 3), name="x")
    given = {} if mask is None else {"mask": mask(x)}
    model = keras.Model(x, L.GRU(4)(L.Masking()(x), **given))
    assert exported(model, tmp_path / "m.onnx", MASKED)["Where"] == choices


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize(("cell", "operator"), CELLS)
def test_a_state_that_is_given(
    tmp_path: Path, cell: str, operator: str, bidirectional: bool, masked: bool
) -> None:
    x = keras.Input((None, 3), name="x")
    layer = getattr(L, cell)(5, return_state=True)
    layer = L.Bidirectional(layer) if bidirectional else layer
    count = (2 if cell == "LSTM" else 1) * (2 if bidirectional else 1)
    states = [L.Dense(5)(x[:, 0]) for _ in range(count)]
    y = layer(L.Masking()(x) if masked else x, initial_state=states)
    found = exported(keras.Model(x, y), tmp_path / "m.onnx", MASKED)
    assert (found[operator], found["Loop"]) == (1, 0)


@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize(
    ("masked", "options"),
    [
        pytest.param(False, {"return_sequences": True}, id="sequences"),
        pytest.param(True, {}, id="masked"),
        pytest.param(True, {"return_sequences": True, "return_state": True}, id="masked sequences"),
    ],
)
def test_bidirectional(
    tmp_path: Path, merge: str | None, masked: bool, options: dict[str, Any]
) -> None:
    layer = L.Bidirectional(L.LSTM(4, **options), merge_mode=merge)
    found = exported(sequence(layer, masked=masked), tmp_path / "m.onnx", MASKED)
    assert (found["LSTM"], found["Loop"]) == (1, 0)


def test_two_directions_that_differ_are_two_operators(tmp_path: Path) -> None:
    backward = L.GRU(4, activation="relu", go_backwards=True)
    model = sequence(L.Bidirectional(L.GRU(4), backward_layer=backward))
    assert exported(model, tmp_path / "m.onnx", [{"x": SERIES}])["GRU"] == 2


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(
    ("layer", "operators"),
    [
        pytest.param(
            lambda: L.RNN(L.LSTMCell(4), return_state=True), {"LSTM": 1}, id="one with states"
        ),
        pytest.param(
            lambda: L.RNN(
                [L.GRUCell(4), L.SimpleRNNCell(3), L.LSTMCell(5)],
                return_sequences=True,
                go_backwards=True,
            ),
            {"GRU": 1, "RNN": 1, "LSTM": 1},
            id="a stack backwards",
        ),
        pytest.param(
            lambda: L.Bidirectional(L.RNN(L.GRUCell(4), return_sequences=True)),
            {"GRU": 1},
            id="both directions",
        ),
    ],
)
def test_cells(tmp_path: Path, layer: Any, operators: dict[str, int], masked: bool) -> None:
    found = exported(sequence(layer(), masked=masked), tmp_path / "m.onnx", MASKED)
    assert {name: found[name] for name in operators} == operators
    assert found["Loop"] == 0


@pytest.mark.parametrize(
    "activation",
    ["linear", "elu", "hard_sigmoid", "leaky_relu", "softplus", "softsign"],
)
def test_activations(tmp_path: Path, activation: str) -> None:
    x = keras.Input((None, 3), name="x")
    gates = {"activation": activation, "recurrent_activation": "hard_sigmoid"}
    layers = L.SimpleRNN(5, activation=activation), L.GRU(5, **gates), L.LSTM(5, **gates)
    model = keras.Model(x, [L.Bidirectional(layer)(x) for layer in layers])
    found = exported(model, tmp_path / "m.onnx", [{"x": SERIES}, {"x": SERIES[:1]}])
    assert [found[name] for name in ("RNN", "GRU", "LSTM", "Loop")] == [1, 1, 1, 0]


def test_a_gru_that_resets_before(tmp_path: Path) -> None:
    model = sequence(L.GRU(5, reset_after=False))
    assert exported(model, tmp_path / "m.onnx", [{"x": SERIES}])["GRU"] == 1


@pytest.mark.parametrize(
    ("layer", "operators"),
    [
        pytest.param(lambda: L.Dense(4), {"MatMul": 1, "Add": 1}, id="dense"),
        pytest.param(lambda: L.Dense(4, use_bias=False), {"MatMul": 1}, id="no bias"),
        pytest.param(
            lambda: L.Dense(4, activation="tanh"), {"MatMul": 1, "Add": 1, "Tanh": 1}, id="tanh"
        ),
        pytest.param(
            lambda: L.EinsumDense("btd,dnh->btnh", output_shape=(None, 2, 4), bias_axes="nh"),
            {"MatMul": 1, "Add": 1, "Reshape": 1},
            id="heads",
        ),
        pytest.param(lambda: L.LayerNormalization(), {"LayerNormalization": 1}, id="norm"),
        pytest.param(
            lambda: L.LayerNormalization(center=False, scale=False, epsilon=1e-6),
            {"LayerNormalization": 1},
            id="bare norm",
        ),
    ],
)
def test_one_layer_on_three_axes(tmp_path: Path, layer: Any, operators: dict[str, int]) -> None:
    feeds = [{"x": SERIES}, {"x": SERIES[:1, :2]}]
    assert exported(sequence(layer()), tmp_path / "m.onnx", feeds) == operators


def test_below_its_opset_a_layer_is_traced(tmp_path: Path) -> None:
    model = sequence(L.LayerNormalization())
    found = exported(model, tmp_path / "m.onnx", [{"x": SERIES}], opset=13)
    assert found["LayerNormalization"] == 0


def attend(**options: Any) -> Any:
    x = keras.Input((None, 6), name="x")
    kept = keras.Input((None, None), dtype="bool", name="kept")
    layer = L.MultiHeadAttention(2, 3)
    return keras.Model([x, kept], layer(x, x, attention_mask=kept, **options))


@pytest.mark.parametrize("options", [{}, {"use_causal_mask": True}], ids=str)
def test_attention_with_a_mask(tmp_path: Path, options: dict[str, Any]) -> None:
    x = RNG.normal(size=(3, 5, 6)).astype(np.float32)
    kept = RNG.random((3, 5, 5)) > 0.4
    kept[0, 1] = False
    made_of = {"x": x, "kept": kept}
    found = exported(
        attend(**options), tmp_path / "m.onnx", [made_of], reference={"x": x, "kept": kept}
    )
    assert (found["Softmax"], found["MatMul"]) == (1, 6)


def test_attention_over_another_sequence(tmp_path: Path) -> None:
    a, b = keras.Input((None, 6), name="a"), keras.Input((None, 4), name="b")
    model = keras.Model([a, b], L.MultiHeadAttention(2, 3, value_dim=5)(a, b))
    feed = {
        "a": RNG.normal(size=(2, 3, 6)).astype(np.float32),
        "b": RNG.normal(size=(2, 7, 4)).astype(np.float32),
    }
    found = exported(model, tmp_path / "m.onnx", [feed])
    assert found == {"MatMul": 6, "Add": 4, "Reshape": 4, "Transpose": 4, "Softmax": 1}


def test_shapes_that_are_known_are_constants(tmp_path: Path) -> None:
    x = keras.Input((4, 6), name="x")
    model = keras.Model(x, L.Flatten()(L.Reshape((2, -1))(x)))
    feed = {"x": RNG.normal(size=(3, 4, 6)).astype(np.float32)}
    assert set(exported(model, tmp_path / "m.onnx", [feed])) == {"Reshape"}


def test_an_embedding_takes_ids_from_either_end(tmp_path: Path) -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Model(ids, L.Embedding(5, 3)(ids))
    feed = {"ids": np.array([[0, 4, -1], [2, -5, 1]], np.int32)}
    assert exported(model, tmp_path / "m.onnx", [feed]) == {"Gather": 1}


def test_the_file_passes_strict_shape_inference(tmp_path: Path) -> None:
    exported(attend(), tmp_path / "m.onnx", [])
    model = onnx.load(tmp_path / "m.onnx")
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)


def test_a_layer_inside_of_a_layer_and_shared_weights(tmp_path: Path) -> None:
    class Twice(L.Layer):  # type: ignore[misc] # keras ships no types
        def __init__(self) -> None:
            super().__init__()
            self.inner = L.Dense(3)

        def call(self, x: Any) -> Any:
            return self.inner(self.inner(x))

    found = exported(sequence(Twice()), tmp_path / "m.onnx", [{"x": SERIES}])
    assert found == {"MatMul": 2, "Add": 2}
    initializers = onnx.load(tmp_path / "m.onnx").graph.initializer
    assert sorted(len(tensor.dims) for tensor in initializers) == [1, 2]


def test_a_subclass_keeps_what_it_computes(tmp_path: Path) -> None:
    class Doubled(L.Dense):  # type: ignore[misc] # keras ships no types
        def call(self, inputs: Any, training: Any = None) -> Any:
            return 2 * super().call(inputs)

    x = keras.Input((3,), name="x")
    feed = {"x": SERIES[:, 0]}
    exported(keras.Model(x, Doubled(2)(x)), tmp_path / "m.onnx", [feed])


@pytest.mark.parametrize("policy", ["float16", "mixed_float16"])
def test_half_precision(tmp_path: Path, policy: str) -> None:
    x = keras.Input((4, 3), name="x", dtype="float32")
    y = L.Dense(4, dtype=policy)(x)
    y = L.LayerNormalization(dtype=policy)(y)
    model = keras.Model(x, L.GRU(3, dtype="float32")(L.Activation("linear", dtype="float32")(y)))
    made = edgekit.export(randomised(model), tmp_path / "m.onnx")
    assert made.path.exists()


def test_classes_are_as_before_after_an_export(tmp_path: Path) -> None:
    before = L.Dense.call, L.GRU.call, L.MultiHeadAttention._compute_attention
    edgekit.export(sequence(L.Dense(2)), tmp_path / "m.onnx")
    assert before == (L.Dense.call, L.GRU.call, L.MultiHeadAttention._compute_attention)


def test_a_python_function_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    class Python(L.Layer):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            y = tf.py_function(lambda a: a + 1, [x], tf.float32)
            y.set_shape(x.shape)
            return y

    x = keras.Input((3,), name="x")
    with pytest.raises(ExportError, match=r"Python function|EagerPyFunc"):
        edgekit.export(keras.Model(x, Python()(x)), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
