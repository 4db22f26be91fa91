"""Normalisations, activations and rolls: the nodes they become, and that those answer alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import edgekit
from edgekit.exporter import trace
from edgekit.exporter.passes import norms
from tests.exporter.graphs import Graph, operators_after

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
L: Any = keras.layers
ops: Any = keras.ops

RNG = np.random.default_rng(3)
#: Both signs, what saturates, and the thresholds themselves.
VALUES = np.array(
    [-np.inf, -1e4, -90, -20, -6, -3, -1, -0.5, -1e-4, 0, 1e-4, 0.5, 1, 3, 20, 30, 90, np.inf],
    np.float32,
)


def exported(
    function: Callable[[Any], Any], path: Path, shape: tuple[int | None, ...], **options: Any
) -> str:
    """Export a function of `x`, compare it with Keras, and give its operators in order."""
    x = keras.Input(shape, name="x", dtype=options.pop("dtype", "float32"))
    feed, atol = options.pop("feed", None), options.pop("atol", 2e-5)
    model = keras.Model(x, function(x))
    for weight in model.weights:
        weight.assign(RNG.uniform(0.3, 1.7, size=weight.shape))
    made = edgekit.export(model, path, **options)
    with edgekit.open(made.path) as runner:
        drawn = RNG.normal(size=[2, *(size or 5 for size in shape)]).astype(x.dtype)
        feeds = {"x": drawn if feed is None else feed}
        expected = trace.predict(model, runner.signature.inputs, feeds)
        for name, array in runner.run(feeds).items():
            np.testing.assert_allclose(array, expected[name], atol=atol, rtol=1e-4)
    return " ".join(node.op_type for node in onnx.load(made.path).graph.node)


GROUPS = "Transpose Reshape InstanceNormalization Reshape Mul Add Transpose"
TURNED = "Transpose LayerNormalization Transpose"


@pytest.mark.parametrize(
    ("layer", "shape", "operators"),
    [
        pytest.param(lambda: L.GroupNormalization(2), (5, 6, 4), GROUPS, id="groups"),
        pytest.param(lambda: L.GroupNormalization(2), (None, 4), GROUPS, id="groups of a series"),
        pytest.param(
            lambda: L.GroupNormalization(2),
            (None, None, 4),
            "Transpose Reshape InstanceNormalization Shape Gather Gather Concat Reshape Mul Add "
            "Transpose",
            id="groups of any picture",
        ),
        pytest.param(
            lambda: L.GroupNormalization(2, axis=1),
            (4, 5, 6),
            "Reshape InstanceNormalization Reshape Mul Add",
            id="groups, channels first",
        ),
        pytest.param(
            lambda: L.GroupNormalization(2, scale=False, center=False),
            (4,),
            "Reshape InstanceNormalization Reshape",
            id="groups of a vector",
        ),
        pytest.param(
            lambda: L.GroupNormalization(-1),
            (5, 6, 4),
            "Transpose InstanceNormalization Transpose",
            id="each channel",
        ),
        pytest.param(
            lambda: L.GroupNormalization(2, dtype="float16"),
            (5, 6, 4),
            GROUPS.replace("Add", "Add Cast"),
            id="half",
        ),
        pytest.param(
            lambda: L.LayerNormalization(axis=[2, 3]),
            (5, 6, 4),
            "LayerNormalization",
            id="two axes",
        ),
        pytest.param(lambda: L.LayerNormalization(axis=1), (5, 4), TURNED, id="the first axis"),
        pytest.param(lambda: L.LayerNormalization(axis=[1, 3]), (5, 6, 4), TURNED, id="axes apart"),
        pytest.param(
            lambda: L.LayerNormalization(dtype="float16"),
            (5, 4),
            "LayerNormalization Cast",
            id="f16",
        ),
    ],
)
def test_normalisation(
    tmp_path: Path, layer: Any, shape: tuple[int | None, ...], operators: str
) -> None:
    half = "Cast" in operators
    found = exported(layer(), tmp_path / "m.onnx", shape, atol=2e-3 if half else 2e-5)
    assert found == operators


def test_a_half_is_normalised_as_float32(tmp_path: Path) -> None:
    found = exported(
        L.LayerNormalization(dtype="float16"),
        tmp_path / "m.onnx",
        (5, 4),
        dtype="float16",
        atol=2e-3,
    )
    assert found == "Cast LayerNormalization Cast"


FUSED = "Pow ReduceMean Add Sqrt Div Mul"


@pytest.mark.parametrize(
    ("function", "opset", "operators"),
    [
        pytest.param(lambda x: L.RMSNormalization()(x), 18, FUSED, id="layer"),
        pytest.param(lambda x: L.RMSNormalization()(x), 13, FUSED, id="axes as an attribute"),
        pytest.param(lambda x: L.RMSNormalization()(x), 23, "RMSNormalization", id="operator"),
        pytest.param(ops.rms_normalization, 18, FUSED, id="no scale"),
        pytest.param(
            lambda x: x / ops.sqrt(ops.mean(x * x, axis=-1, keepdims=True) + 1e-6),
            18,
            FUSED,
            id="by hand",
        ),
        pytest.param(
            lambda x: ops.rms_normalization(x, axis=1),
            18,
            "Mul ReduceMean Add Sqrt Reciprocal Mul",
            id="not the last axis",
        ),
    ],
)
def test_root_mean_square(tmp_path: Path, function: Any, opset: int, operators: str) -> None:
    path = tmp_path / "m.onnx"
    assert exported(function, path, (5, 4), opset=opset) == operators
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fused = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    alone = fused in (["SimplifiedLayerNormalization"], ["RMSNormalization"])
    assert alone == ("Reciprocal" not in operators)


def rms(g: Graph, *, axis: int = -1, scale: Any = None, root: str = "Reciprocal") -> str:
    mean = g.op("ReduceMean", g.op("Mul", "x", "x"), np.array([axis]), keepdims=1)
    value = g.op("Sqrt", g.op("Add", mean, np.array(1e-3)))
    y = g.op("Div", "x", value) if root == "Div" else g.op("Mul", g.op(root, value), "x")
    return str(y if scale is None else g.op("Mul", scale, y))


@pytest.mark.parametrize(
    ("options", "pows"),
    [
        pytest.param({}, 1, id="reciprocal"),
        pytest.param({"root": "Div", "scale": np.arange(4.0)}, 1, id="division and scale"),
        pytest.param({"scale": np.arange(4.0).reshape(1, 1, 4)}, 1, id="scale of three axes"),
        pytest.param({"scale": np.array(3.0)}, 1, id="a number is no scale"),
        pytest.param({"axis": 1}, 0, id="another axis"),
        pytest.param({"root": "Exp"}, 0, id="not a root"),
    ],
)
def test_root_mean_square_in_a_graph(options: dict[str, Any], pows: int) -> None:
    g = Graph(6, 4)
    assert operators_after(g.model(rms(g, **options)), norms.name)["Pow"] == pows


def test_what_others_read_of_a_norm_stays() -> None:
    g = Graph(6, 4)
    mean = g.op("ReduceMean", g.op("Mul", "x", "x"), np.array([-1]), keepdims=1)
    root = g.op("Sqrt", g.op("Add", mean, np.array(1e-3)))
    found = operators_after(g.model(g.op("Div", "x", root), g.op("Neg", root)), norms.name)
    assert found["Pow"] == 0


HORNER = "Mul Mul Mul Add Mul Tanh Add Mul"


@pytest.mark.parametrize(
    ("function", "opset", "operators"),
    [
        pytest.param(lambda x: ops.gelu(x, False), 18, "Div Erf Add Mul Mul", id="gelu"),
        pytest.param(lambda x: ops.gelu(x, False), 20, "Gelu", id="gelu operator"),
        pytest.param(ops.gelu, 18, HORNER, id="gelu by tanh"),
        pytest.param(ops.gelu, 20, "Gelu", id="gelu by tanh operator"),
        pytest.param(ops.silu, 18, "Sigmoid Mul", id="silu"),
        pytest.param(
            lambda x: L.Activation("mish")(x), 18, "Min Exp Add Mul Add Div Mul", id="mish"
        ),
        pytest.param(lambda x: ops.tanh(ops.softplus(x)), 18, "Softplus Tanh", id="no mish"),
        pytest.param(lambda x: ops.elu(x, 0.5), 18, "Elu", id="elu"),
        pytest.param(ops.hard_tanh, 18, "Clip", id="hard tanh"),
        pytest.param(lambda x: ops.soft_shrink(x, 1.0), 18, "Clip Sub", id="soft shrink"),
        pytest.param(
            lambda x: ops.hard_shrink(x, 0.5),
            18,
            "ThresholdedRelu Neg ThresholdedRelu Sub",
            id="hard shrink",
        ),
        pytest.param(lambda x: ops.threshold(x, 0.5, 0.0), 18, "ThresholdedRelu", id="threshold"),
        pytest.param(lambda x: ops.threshold(x, -3, 0.0), 18, "ThresholdedRelu", id="below zero"),
        pytest.param(lambda x: ops.threshold(x, 0.5, 1.0), 18, "Greater Where", id="another value"),
        pytest.param(lambda x: L.ReLU(threshold=0.5)(x), 18, "ThresholdedRelu", id="relu"),
    ],
)
def test_activation(tmp_path: Path, function: Any, opset: int, operators: str) -> None:
    found = exported(function, tmp_path / "m.onnx", (18,), opset=opset, feed=VALUES[None])
    assert Counter(found.split()) == Counter(operators.split())


@pytest.mark.parametrize(
    ("slopes", "operators"),
    [
        pytest.param((0.25, -0.5), "Mul Max", id="flat"),
        pytest.param((1.5, 2.0), "Mul Min", id="steep"),
        pytest.param((0.25, 2.0), "Max Min Mul Add", id="both"),
        pytest.param((0.25, 0.0), "Max Min Mul Add", id="zero times infinity"),
    ],
)
def test_slopes_of_a_prelu(tmp_path: Path, slopes: tuple[float, float], operators: str) -> None:
    x = keras.Input((None, 2), name="x")
    layer = L.PReLU(shared_axes=[1])
    model = keras.Model(x, layer(x))
    layer.alpha.assign(np.array([slopes], np.float32))
    made = edgekit.export(model, tmp_path / "m.onnx")
    # Keras multiplies zero by infinity below zero.
    feed = {"x": np.stack([VALUES, VALUES], axis=-1)[None, 1:]}
    with edgekit.open(made.path) as runner:
        expected = trace.predict(model, runner.signature.inputs, feed)
        for name, array in runner.run(feed).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-6)
    nodes = onnx.load(made.path).graph.node
    assert [node.op_type for node in nodes] == operators.split()


MOVED = "Mod Slice Slice Concat"


@pytest.mark.parametrize(
    ("function", "shape", "operators"),
    [
        pytest.param(lambda x: ops.roll(x, 2, 1), (5, 16), "Gather", id="rows"),
        pytest.param(lambda x: ops.roll(x, -9, 1), (5, 16), "Gather", id="more than all"),
        pytest.param(lambda x: ops.roll(x, -2, -1), (5, 16), "Slice Slice Concat", id="numbers"),
        pytest.param(lambda x: ops.roll(x, (2, 3), (1, 1)), (5, 16), "Identity", id="all around"),
        pytest.param(lambda x: ops.roll(x, (1, -2), (1, 2)), (5, 6, 16), "Gather Gather", id="two"),
        pytest.param(lambda x: ops.roll(x, 7, 1), (None, 16), None, id="any number of rows"),
    ],
)
def test_roll(tmp_path: Path, function: Any, shape: Any, operators: str | None) -> None:
    found = exported(function, tmp_path / "m.onnx", shape)
    assert found == operators if operators else "Mod" in found


def test_initializers_are_named_after_the_variables_they_hold(tmp_path: Path) -> None:
    x = keras.Input((5, 4), name="x")
    y = L.Dense(6, name="dense")(L.LayerNormalization(name="norm")(x))
    heads = L.EinsumDense("btd,dnh->btnh", (None, 2, 3), bias_axes="nh", name="heads")(y)
    model = keras.Model(x, L.GRU(3, name="gru")(L.Reshape((5, 6))(heads)))
    for weight in model.weights:
        weight.assign(RNG.normal(size=weight.shape))
    files = [edgekit.export(model, tmp_path / f"{i}.onnx").path for i in range(2)]
    first, second = ([t.name for t in onnx.load(file).graph.initializer] for file in files)
    assert first == second
    expected = {"norm/gamma", "norm/beta", "dense/kernel", "dense/bias", "heads/kernel"}
    assert expected | {"heads/bias", "gru/gru_cell/kernel"} <= set(first)
