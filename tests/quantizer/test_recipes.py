"""What each recipe promises of its file: operators, dtypes, forms, and what it refuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.errors import ProviderError, QuantizeError
from edgekit.parity import sqnr_db
from edgekit.quantizer import RECIPES, quantize
from edgekit.quantizer.recipes import Settings, recipes_for
from edgekit.runtime.providers import PROVIDERS
from edgekit.runtime.runner import open_runner
from tests.quantizer import models
from tests.quantizer.test_quantize import run, sqnr


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def dtypes(path: Path, op: str, index: int) -> set[str]:
    """Name the dtypes of the constants that an operator reads at an input."""
    model = onnx.load(path)
    kinds = {i.name: TensorProto.DataType.Name(i.data_type) for i in model.graph.initializer}
    names = {node.input[index] for node in model.graph.node if node.op_type == op}
    return {kinds[name] for name in names if name in kinds}


def table(path: Path, rows: int = 400, width: int = 32) -> Path:
    """An embedding whose rows are of very different size, and a MatMul on what it gives."""
    sizes = np.logspace(-2, 1, rows, dtype=np.float32)[:, np.newaxis]
    nodes = [
        helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT64),
        helper.make_node("Gather", ["rows", "ids"], ["e"], "embedding"),
        helper.make_node("MatMul", ["e", "w"], ["y"], "dense"),
    ]
    weights = {"rows": models.normal(0, rows, width) * sizes, "w": models.normal(1, width, 16)}
    return models.write(path, nodes, {"x": ["batch", 4]}, {"y": ["batch", 4, 16]}, weights)


IDS = {"x": np.random.default_rng(3).integers(0, 400, (64, 4)).astype(np.float32)}

#: (recipe, form, model): what becomes of the operators that it is for.
INSIDE = [
    ("static-int8", "s8s8", "convnet", {"Conv": 3, "Gemm": 1, "QLinearConv": 0}),
    ("static-int8", "qoperator", "convnet", {"QLinearConv": 3, "QGemm": 1, "QLinearAdd": 1}),
    ("static-int8", "qoperator", "transformer", {"QLinearMatMul": 5, "MatMul": 2}),
    ("static-int8", "qoperator", "mlp", {"QGemm": 2}),
    ("dynamic-int8", None, "transformer", {"MatMulInteger": 5, "MatMul": 2}),
    ("dynamic-int8", None, "lstm", {"DynamicQuantizeLSTM": 1, "LSTM": 0, "MatMulInteger": 1}),
    ("weight-int8", None, "convnet", {"Conv": 3, "Gemm": 1, "Cast": 4, "Mul": 4}),
    ("weight-int8", "blockwise", "convnet", {"MatMulNBits": 1, "Gemm": 0, "Cast": 3}),
    ("weight-int4", None, "transformer", {"MatMulNBits": 5, "MatMul": 2, "Cast": 0}),
    ("weight-int4", None, "gru", {"GRU": 1, "Cast": 2}),
]


@pytest.mark.parametrize(
    ("recipe", "form", "kind", "inside"), INSIDE, ids=lambda v: str(v) if v else "default"
)
def test_operators_of_a_file(
    recipe: str, form: str | None, kind: str, inside: dict[str, int], tmp_path: Path
) -> None:
    source, made = run(kind, recipe, tmp_path, form)
    found = operators(made.path)
    assert {op: found[op] for op in inside} == inside
    floor = 13 if recipe == "weight-int4" else 20
    assert sqnr(source, made.path, models.data(kind, rows=16, seed=8)) > floor


@pytest.mark.parametrize(
    ("recipe", "form", "activations", "weights"),
    [
        ("static-int8", "u8s8", "UINT8", {"INT8", "INT32"}),
        ("static-int8", "s8s8", "INT8", {"INT8"}),
        ("npu-int8", None, "UINT8", {"UINT8", "INT32"}),
        ("a16w8", None, "UINT16", {"UINT8", "INT32"}),
    ],
)
def test_dtypes_of_a_qdq_file(
    recipe: str, form: str | None, activations: str, weights: set[str], tmp_path: Path
) -> None:
    _, made = run("convnet", recipe, tmp_path, form)
    assert dtypes(made.path, "QuantizeLinear", 2) == {activations}
    assert dtypes(made.path, "DequantizeLinear", 0) == weights
    assert onnx.load(made.path).opset_import[0].version >= RECIPES[recipe].min_opset


def test_s8s8_is_symmetric_for_tensorrt(tmp_path: Path) -> None:
    _, made = run("convnet", "static-int8", tmp_path, "s8s8")
    arrays = {i.name: numpy_helper.to_array(i) for i in onnx.load(made.path).graph.initializer}
    for node in onnx.load(made.path).graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert not arrays[node.input[2]].any(), node.name


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8", "weight-int8"])
def test_a_table_has_a_scale_for_every_row(recipe: str, tmp_path: Path) -> None:
    source = table(tmp_path / "model.onnx")
    data = IDS if RECIPES[recipe].needs_calibration else None
    made = quantize(source, recipe, calibration=data)
    assert made.float_size_bytes / made.size_bytes > 3
    assert dtypes(made.path, "Cast", 0) == {"INT8"}
    for row in (0, 399):  # 1/1000 of the size, and the largest
        ids = np.full((1, 4), row, np.float32)
        with open_runner(source) as want, open_runner(made.path) as got:
            a, b = want.run({"x": ids})["y"], got.run({"x": ids})["y"]
        # Static ranges are for the table as a whole: only the others keep small rows.
        assert sqnr_db(a, b) > (30 if row or recipe != "static-int8" else -1)


def test_weights_alone_are_float_again_in_the_session(tmp_path: Path) -> None:
    """Engines fold Cast and Mul: nothing but float's own operators is left to run."""
    import onnxruntime as ort

    for kind in ("convnet", "gru", "transformer"):
        folder = tmp_path / kind
        folder.mkdir()
        source, made = run(kind, "weight-int8", folder)
        found = []
        for path in (source, made.path):
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(folder / "optimised.onnx")
            ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            found.append(operators(folder / "optimised.onnx"))
        assert found[0] == found[1]


def test_a_large_layer_is_a_quarter_and_an_eighth(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx", 256, 512, 256)
    ratios = {}
    for recipe in ("static-int8", "dynamic-int8", "weight-int8", "weight-int4"):
        data = {"x": models.normal(0, 64, 256)} if RECIPES[recipe].needs_calibration else None
        made = quantize(source, recipe, calibration=data)
        ratios[recipe] = made.float_size_bytes / made.size_bytes
    assert min(ratios.values()) > 3.7
    assert ratios["weight-int4"] > 6


def lstm(path: Path, used: str = "", directions: int = 1, **attributes: Any) -> Path:
    """An LSTM with some of its inputs: b(ias), s(equence lengths), h, c(ell), p(eepholes)."""
    time, batch, width, hidden = 7, 3, 12, 16
    shapes = {"b": (8 * hidden,), "h": (batch, hidden), "c": (batch, hidden), "p": (3 * hidden,)}
    weights = {
        "w": models.normal(0, directions, 4 * hidden, width, scale=0.3),
        "r": models.normal(1, directions, 4 * hidden, hidden, scale=0.3),
    }
    for seed, (name, shape) in enumerate(shapes.items()):
        if name in used:
            weights[name] = models.normal(2 + seed, directions, *shape, scale=0.3)
    if "s" in used:
        weights["s"] = np.array([7, 4, 2], np.int32)
    names = [name if name in used else "" for name in "bshcp"]
    node = helper.make_node(
        "LSTM", ["x", "w", "r", *names], ["y", "last", "cell"], "lstm",
        hidden_size=hidden, **attributes,
    )  # fmt: skip
    state: list[int | str] = [directions, batch, hidden]
    outputs = {"y": [time, *state], "last": state, "cell": state}
    return models.write(path, [node], {"x": [time, batch, width]}, outputs, weights)


@pytest.mark.parametrize(
    ("used", "directions", "attributes"),
    [
        pytest.param("", 1, {}, id="plain"),
        pytest.param("b", 1, {"direction": "reverse"}, id="reverse"),
        pytest.param("bs", 1, {}, id="sequence lengths"),
        pytest.param("bs", 1, {"direction": "reverse"}, id="reverse with lengths"),
        pytest.param("bhc", 1, {}, id="initial states"),
        pytest.param("bp", 1, {}, id="peepholes"),
        pytest.param("bshcp", 2, {"direction": "bidirectional"}, id="all of it, both ways"),
        pytest.param("b", 1, {"clip": 1.0}, id="clip"),
        pytest.param("b", 1, {"activations": ["Sigmoid", "Relu", "Relu"]}, id="activations"),
    ],
)
def test_an_lstm_of_any_mode_is_quantised(
    used: str, directions: int, attributes: dict[str, Any], tmp_path: Path
) -> None:
    source = lstm(tmp_path / "model.onnx", used, directions, **attributes)
    made = quantize(source, "dynamic-int8")
    assert made.quantized_ops == {"LSTM": (1, 1)}
    assert operators(made.path) == {"DynamicQuantizeLSTM": 1}
    feeds = {"x": models.normal(9, 7, 3, 12)}
    assert sqnr(source, made.path, feeds) > 28
    if "s" in used:
        assert any("beyond a sequence's length" in note for note in made.notes)
        with open_runner(made.path) as runner:
            answer = runner.run(feeds)
        assert not answer["y"][4:, :, 1].any()  # nothing comes after the end of the second


def test_an_lstm_with_the_batch_first_keeps_float_arithmetic(tmp_path: Path) -> None:
    """onnxruntime runs no such LSTM, and its int8 form would drop the attribute."""
    node = helper.make_node("LSTM", ["x", "w", "r"], ["", "last"], "lstm", hidden_size=16, layout=1)
    dense = helper.make_node("MatMul", ["a", "d"], ["b"], "dense")
    weights = {
        "w": models.normal(0, 1, 64, 8),
        "r": models.normal(1, 1, 64, 16),
        "d": models.normal(2, 8, 8),
    }
    from edgekit.quantizer import choose, graph

    source = models.write(
        tmp_path / "m.onnx",
        [node, dense],
        {"x": [3, 7, 8], "a": [3, 8]},
        {"last": [3, 1, 16], "b": [3, 8]},
        weights,
    )
    model = graph.load(source)
    kinds = [n.op_type for n in choose.candidates(model, RECIPES["dynamic-int8"], ())]
    assert "LSTM" not in kinds


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8"])
@pytest.mark.parametrize("op", ["GRU", "RNN"])
def test_what_has_no_int8_kernel_is_said_and_stored(recipe: str, op: str, tmp_path: Path) -> None:
    source = models.recurrent(tmp_path / "m.onnx", op, hidden=32)
    data = models.data("gru") if RECIPES[recipe].needs_calibration else None
    made = quantize(source, recipe, calibration=data)
    assert operators(made.path)[op] == 1
    assert dtypes(made.path, "Cast", 0) == {"INT8"}
    assert made.notes[0] == (
        f"the recurrent layers are computed in float (1 {op}): onnxruntime has no int8 kernel for "
        "them"
    )
    assert f"computed in float with weights of 8 bits in the file: 1 {op}" in made.notes


@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8"])
def test_a_model_of_nothing_else_is_refused(recipe: str, tmp_path: Path) -> None:
    node = helper.make_node("GRU", ["x", "w", "r"], ["", "last"], "gru", hidden_size=16)
    weights = {"w": models.normal(0, 1, 48, 8), "r": models.normal(1, 1, 48, 16)}
    source = models.write(
        tmp_path / "m.onnx", [node], {"x": [5, 3, 8]}, {"last": [1, 3, 16]}, weights
    )
    data = {"x": models.normal(2, 5, 3, 8)} if RECIPES[recipe].needs_calibration else None
    with pytest.raises(QuantizeError, match=r"has 1 GRU\): use weight-int8, which"):
        quantize(source, recipe, calibration=data)
    assert quantize(source, "weight-int8").quantized_ops == {"GRU": (1, 1)}


def masked(path: Path, value: float, op: str) -> Path:
    """Attention of which the last key is left out, by a Where or an added constant."""
    nodes = [
        helper.make_node("MatMul", ["x", "wq"], ["q"], "q"),
        helper.make_node("MatMul", ["x", "wk"], ["k"], "k"),
        helper.make_node("Transpose", ["k"], ["kt"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "kt"], ["s"], "scores"),
        helper.make_node("Where", ["keep", "s", "large"], ["m"], "mask")
        if op == "Where"
        else helper.make_node("Add", ["s", "mask"], ["m"], "mask"),
        helper.make_node("Softmax", ["m"], ["p"], "softmax", axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"], "context"),
    ]
    keep = np.array([True, True, True, True, True, False])
    weights = {"wq": models.normal(0, 16, 16, scale=0.4), "wk": models.normal(1, 16, 16, scale=0.4)}
    if op == "Where":
        weights |= {"keep": keep, "large": np.array(value, np.float32)}
    else:
        weights["mask"] = np.where(keep, 0, np.float32(value)).astype(np.float32)
    shape: list[int | str] = ["batch", 6, 16]
    return models.write(path, nodes, {"x": shape}, {"y": shape}, weights)


@pytest.mark.parametrize("op", ["Where", "Add"])
@pytest.mark.parametrize("value", [-1e4, -1e9, float(np.finfo(np.float32).min)])
@pytest.mark.parametrize("recipe", ["npu-int8", "a16w8"])
def test_a_mask_does_not_take_the_range_of_the_scores(
    recipe: str, value: float, op: str, tmp_path: Path
) -> None:
    source = masked(tmp_path / "m.onnx", value, op)
    made = quantize(source, recipe, calibration={"x": models.normal(5, 256, 6, 16)})
    feeds = {"x": models.normal(6, 16, 6, 16) * 0.8}
    assert sqnr(source, made.path, feeds) > (30 if recipe == "a16w8" else 18)
    constants = [numpy_helper.to_array(i) for i in onnx.load(source).graph.initializer]
    assert min(a.min() for a in constants if a.dtype == np.float32) < -9999  # the source stays


def test_a_gelu_is_one_operator_on_an_npu(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "up"),
        helper.make_node("Div", ["h", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["f"]),
        helper.make_node("Mul", ["h", "f"], ["g"]),
        helper.make_node("Mul", ["g", "half"], ["y"]),
    ]
    weights = {name: np.float32(v) for name, v in (("root", 2**0.5), ("one", 1), ("half", 0.5))}
    constants = {name: np.asarray(value) for name, value in weights.items()}
    constants["w"] = models.normal(0, 16, 16, scale=0.25)
    source = models.write(
        tmp_path / "m.onnx", nodes, {"x": ["batch", 16]}, {"y": ["batch", 16]}, constants
    )
    made = quantize(source, "a16w8", calibration={"x": models.normal(1, 256, 16)})
    found = operators(made.path)
    assert (found["Gelu"], found["Erf"]) == (1, 0)
    assert sqnr(source, made.path, {"x": models.normal(2, 32, 16) * 0.7}) > 35


def test_mixed_wants_layers_to_leave_and_names_them(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "model.onnx")
    data = models.data("convnet")
    with pytest.raises(
        QuantizeError, match="leaves in float what does not bear 8 bits, and all layers of"
    ):
        quantize(source, "mixed", calibration=data)
    made = quantize(source, "mixed", calibration=data, exclude=["conv1"])
    assert made.quantized_ops == {"Conv": (2, 3), "Gemm": (1, 1)}
    assert "left in float as asked: conv1" in made.notes
    floats = {i.name: i.data_type for i in onnx.load(made.path).graph.initializer}
    (node,) = [n for n in onnx.load(made.path).graph.node if n.name.startswith("conv1")]
    assert floats[node.input[1]] == TensorProto.FLOAT


@pytest.mark.parametrize("recipe", ["weight-int8", "weight-int4"])
def test_what_is_excluded_keeps_float_weights(recipe: str, tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx", 64, 128, 64)
    made = quantize(source, recipe, exclude=["dense0"])
    assert made.quantized_ops == {"Gemm": (0, 1), "MatMul": (1, 1)}
    arrays = {i.name: i.data_type for i in onnx.load(made.path).graph.initializer}
    assert arrays["w0"] == TensorProto.FLOAT


def test_a_weight_that_loops_and_branches_share_is_stored_once(tmp_path: Path) -> None:
    source, made = run("loop", "weight-int8", tmp_path)
    assert operators(made.path)["Cast"] == 1
    assert made.quantized_ops == {"MatMul": (2, 3)}
    assert sqnr(source, made.path, models.data("loop", seed=3)) > 35


@pytest.mark.parametrize("recipe", ["weight-int8", "weight-int4"])
def test_weights_alone_make_a_row_independent_of_its_batch(recipe: str, tmp_path: Path) -> None:
    _, made = run("transformer", recipe, tmp_path)
    feeds = models.data("transformer", rows=4)
    with open_runner(made.path) as runner:
        alone = runner.run({"x": feeds["x"][:1]})["y"]
        wild = np.concatenate([feeds["x"][:1], 100 * feeds["x"][1:]])
        together = runner.run({"x": wild})["y"][:1]
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", ["weight-int8", "weight-int4", "static-int8", "dynamic-int8"])
@pytest.mark.parametrize("first", ["weight-int8", "weight-int4", "static-int8", "dynamic-int8"])
def test_no_recipe_takes_what_another_has_made(first: str, recipe: str, tmp_path: Path) -> None:
    _, made = run("transformer", first, tmp_path)
    data = models.data("transformer") if RECIPES[recipe].needs_calibration else None
    with pytest.raises(QuantizeError, match="quantised already"):
        quantize(made.path, recipe, calibration=data)


def test_a_form_must_be_one_of_the_recipe() -> None:
    with pytest.raises(QuantizeError, match="no form 's4': it has u8s8 or s8s8 or qoperator"):
        Settings(form="s4").check(RECIPES["static-int8"])
    with pytest.raises(QuantizeError, match="no form 'u8s8': it has one form only"):
        Settings(form="u8s8").check(RECIPES["fp16"])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_has_recipes_of_precisions_that_suit_it(provider: str) -> None:
    chosen = recipes_for(provider)
    assert chosen
    for recipe, form in chosen:
        Settings(exclude=("any",), form=form).check(recipe)
        # Folded weights are float, and blocks are rounded to int8 by kernels of their own.
        suits = recipe.tool == "weights" or recipe.precision in PROVIDERS[provider].precisions
        assert suits, recipe.name


def test_what_the_npu_wants_first() -> None:
    assert [recipe.name for recipe, _ in recipes_for("qnn")][:2] == ["a16w8", "npu-int8"]
    assert (RECIPES["static-int8"], "s8s8") in recipes_for("tensorrt")
    with pytest.raises(ProviderError, match="did you mean 'qnn'"):
        recipes_for("qn")
