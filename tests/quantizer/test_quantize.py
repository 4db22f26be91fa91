"""Every recipe on every kind of model: precision, postconditions, determinism, bundles."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgekit import files
from edgekit.bundle import Bundle
from edgekit.parity import sqnr_db
from edgekit.quantizer import RECIPES, Quantized, quantize
from edgekit.runtime.runner import open_runner
from tests.conftest import write_bundle
from tests.quantizer import models

#: The least SQNR in dB that each recipe has to keep. Four bits of random weights are 21 dB a layer.
FLOORS = {
    "static-int8": 28.0,
    "dynamic-int8": 30.0,
    "mixed": 28.0,
    "npu-int8": 20.0,
    "a16w8": 20.0,  # outputs are rounded, and those beyond the calibration's are cut
    "weight-int8": 36.0,
    "weight-int4": 13.0,
    "fp16": 55.0,
}
#: (recipe, model): what is quantised of what there is, in the model as it is prepared.
COUNTS = {
    ("static-int8", "mlp"): {"Gemm": (2, 2)},
    ("static-int8", "convnet"): {"Conv": (3, 3), "Gemm": (1, 1)},
    ("static-int8", "transformer"): {"MatMul": (5, 7)},
    ("static-int8", "loop"): {"MatMul": (1, 3)},
    ("static-int8", "lstm"): {"Gemm": (1, 1)},
    ("mixed", "convnet"): {"Conv": (2, 3), "Gemm": (1, 1)},
    ("npu-int8", "convnet"): {"Conv": (3, 3), "Gemm": (1, 1)},
    ("a16w8", "transformer"): {"MatMul": (5, 7)},
    ("dynamic-int8", "mlp"): {"Gemm": (2, 2)},
    ("dynamic-int8", "convnet"): {"Gemm": (1, 1)},
    ("dynamic-int8", "transformer"): {"MatMul": (5, 7)},
    ("dynamic-int8", "loop"): {"MatMul": (1, 3)},
    ("dynamic-int8", "gru"): {"Gemm": (1, 1)},
    ("dynamic-int8", "lstm"): {"LSTM": (1, 1), "Gemm": (1, 1)},
    ("weight-int8", "convnet"): {"Conv": (3, 3), "Gemm": (1, 1)},
    ("weight-int8", "loop"): {"MatMul": (2, 3)},
    ("weight-int8", "gru"): {"GRU": (1, 1), "Gemm": (0, 1)},
    ("weight-int4", "transformer"): {"MatMul": (5, 7)},
    ("fp16", "transformer"): {"MatMul": (7, 7)},
    ("fp16", "rnn"): {"RNN": (1, 1), "Gemm": (1, 1)},
}
#: The layer that `mixed` leaves in float; the other models have one layer that could be int8.
LEFT = {"mlp": "dense0", "convnet": "conv1", "transformer": "expand"}
PAIRS = [
    pytest.param(recipe, kind, id=f"{recipe}-{kind}")
    for recipe, row in RECIPES.items()
    for kind in models.MODELS
    if kind in LEFT or not row.needs_exclusions
]


def run(kind: str, recipe: str, folder: Path, form: str | None = None) -> tuple[Path, Quantized]:
    source = models.MODELS[kind](folder / "model.onnx")
    row = RECIPES[recipe]
    given_data = models.data(kind) if row.needs_calibration else None
    exclude = [LEFT[kind]] if row.needs_exclusions else []
    return source, quantize(source, recipe, calibration=given_data, exclude=exclude, form=form)


def sqnr(source: Path, made: Path, feeds: dict[str, Any]) -> float:
    with open_runner(source) as want, open_runner(made) as got:
        expected, actual = want.run(feeds), got.run(feeds)
    return min(sqnr_db(expected[name], actual[name]) for name in expected)


@pytest.mark.parametrize(("recipe", "kind"), PAIRS)
def test_a_recipe_keeps_the_interface_and_the_signal(
    kind: str, recipe: str, tmp_path: Path
) -> None:
    source = models.MODELS[kind](tmp_path / "model.onnx")
    before = files.digest(source)
    source, made = run(kind, recipe, tmp_path)
    row = RECIPES[recipe]
    assert made.path == tmp_path / f"model.{row.variant}.onnx"
    assert sqnr(source, made.path, models.data(kind, rows=16, seed=8)) >= FLOORS[recipe]
    with open_runner(source) as want, open_runner(made.path) as got:
        assert got.signature == want.signature
    if (recipe, kind) in COUNTS:
        assert made.quantized_ops == COUNTS[recipe, kind]
    assert files.digest(source) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, made.path.name])
    assert made.size_bytes == made.path.stat().st_size


@pytest.mark.parametrize("kind", ["convnet", "transformer"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_file_is_valid_and_says_what_it_is(kind: str, recipe: str, tmp_path: Path) -> None:
    _, made = run(kind, recipe, tmp_path)
    model = onnx.load(made.path)
    assert {entry.domain for entry in model.opset_import} <= {"", "com.microsoft"}
    blocks = {"MatMulNBits"} if recipe == "weight-int4" else set()
    assert {node.op_type for node in model.graph.node if node.domain} == blocks
    onnx.checker.check_model(model, full_check=True)
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert props == {"edgekit.labels": '["a", "b"]', "edgekit.recipe": recipe}
    assert (model.producer_name, model.ir_version) == ("edgekit", 10)


def test_static_int8_makes_an_island_of_int8(tmp_path: Path) -> None:
    """From the first Conv to the last Gemm nothing goes back to float."""
    _, made = run("convnet", "static-int8", tmp_path)
    nodes = onnx.load(made.path).graph.node
    makers = {name: node.op_type for node in nodes for name in node.output}
    readers: dict[str, list[str]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    assert not [node for node in nodes if node.op_type in ("Relu", "BatchNormalization")]
    for node in nodes:
        if node.op_type in ("Conv", "MaxPool", "Add", "Flatten"):
            assert makers[node.input[0]] == "DequantizeLinear", node
            assert readers[node.output[0]] == ["QuantizeLinear"], node
    assert "logits" in [node.output[0] for node in nodes if node.op_type == "Gemm"]


def test_static_int8_leaves_attention_and_norms_in_float(tmp_path: Path) -> None:
    _, made = run("transformer", "static-int8", tmp_path)
    nodes = onnx.load(made.path).graph.node
    dequantised = {name for n in nodes if n.op_type == "DequantizeLinear" for name in n.output}
    for node in nodes:
        inside = [name for name in node.input if name in dequantised]
        if node.op_type == "MatMul" and node.name not in ("scores", "context"):
            assert len(inside) == 2, node.name
        elif node.op_type != "QuantizeLinear":
            assert not inside, node.name


def test_npu_int8_leaves_no_float_between_the_first_node_and_the_last(tmp_path: Path) -> None:
    _, made = run("transformer", "npu-int8", tmp_path)
    nodes = onnx.load(made.path).graph.node
    weights = {tensor.name for tensor in onnx.load(made.path).graph.initializer}
    dequantised = {name for n in nodes if n.op_type == "DequantizeLinear" for name in n.output}
    for node in nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        floats = [n for n in node.input if n and n not in dequantised and n not in weights]
        assert floats in ([], ["tokens"]), node.name


def test_int8_weights_are_per_channel_symmetric_and_of_seven_bits(tmp_path: Path) -> None:
    _, made = run("convnet", "static-int8", tmp_path)
    model = onnx.load(made.path)
    arrays = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    weights = [
        [arrays[name] for name in node.input]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and arrays.get(node.input[0], np.zeros(0)).ndim > 1
    ]
    assert len(weights) == 4
    for array, scale, zero in weights:
        channels = array.shape[0] if array.ndim == 4 else array.shape[1]
        assert scale.shape == (channels,)
        assert not zero.any()
        assert array.dtype == np.int8
        assert np.abs(array.astype(int)).max() == 64


def test_a_bias_that_two_layers_share_gets_the_scale_of_each(tmp_path: Path) -> None:
    _, made = run("convnet", "static-int8", tmp_path)
    nodes = onnx.load(made.path).graph.node
    biases = [node.input[2] for node in nodes if node.op_type == "Conv"]
    assert len(set(biases)) == 3


def test_dynamic_int8_has_no_integer_convolution(tmp_path: Path) -> None:
    _, made = run("convnet", "dynamic-int8", tmp_path)
    kinds = [node.op_type for node in onnx.load(made.path).graph.node]
    assert kinds.count("Conv") == 3
    assert "ConvInteger" not in kinds


def test_fp16_nodes_come_in_order(tmp_path: Path) -> None:
    _, made = run("convnet", "fp16", tmp_path)
    model = onnx.load(made.path)
    known = {i.name for i in (*model.graph.initializer, *model.graph.input)} | {""}
    for node in model.graph.node:
        assert set(node.input) <= known
        known |= set(node.output)


def test_notes_say_what_stays_in_float(tmp_path: Path) -> None:
    _, made = run("lstm", "static-int8", tmp_path)
    assert made.notes[0].startswith("the recurrent layers are computed in float (1 LSTM):")
    assert "computed in float with weights of 8 bits in the file: 1 LSTM" in made.notes
    assert made.calibration is not None
    assert made.calibration.samples == 32
    _, made = run("loop", "dynamic-int8", tmp_path)
    assert "what is inside of loops and branches is computed in float (1 nodes)" in made.notes
    assert any("a row's answer depends" in note for note in made.notes)
    (tmp_path / "other").mkdir()
    _, made = run("loop", "npu-int8", tmp_path / "other")
    assert any(note.startswith("not smaller than float (") for note in made.notes)


def test_fp16_notes_weights_that_it_cannot_say(tmp_path: Path) -> None:
    weights = {"w": models.normal(0, 8, 8), "mask": np.array([-1e9, 1e-9] * 4, np.float32)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "mask"], ["y"]),
    ]
    source = models.write(
        tmp_path / "m.onnx", nodes, {"x": ["batch", 8]}, {"y": ["batch", 8]}, weights
    )
    made = quantize(source, "fp16")
    assert "constants that were clamped to 65504, the most fp16 can say: 4" in made.notes
    assert "constants that were raised to 5.96e-08, the least fp16 can say: 4" in made.notes


def test_exclude_leaves_a_layer_in_float(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    made = quantize(source, calibration=models.data("mlp"), exclude=["dense0"])
    assert made.quantized_ops == {"Gemm": (1, 2)}
    half = quantize(source, "fp16", exclude=["dense0"])
    assert half.quantized_ops["Gemm"] == (0, 1)
    assert half.quantized_ops["MatMul"] == (1, 1)


def test_a_gemm_without_a_bias_is_taken_whatever_its_beta(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], beta=0.0, transB=1),
        helper.make_node("Gemm", ["h", "w2", "b"], ["y"], beta=0.0),
    ]
    weights = {
        "w": models.normal(0, 64, 32),
        "w2": models.normal(1, 64, 8),
        "b": models.normal(2, 8),
    }
    source = models.write(
        tmp_path / "m.onnx", nodes, {"x": ["batch", 32]}, {"y": ["batch", 8]}, weights
    )
    for recipe, data in (("static-int8", models.data("mlp")), ("dynamic-int8", None)):
        made = quantize(source, recipe, calibration=data)
        assert made.quantized_ops == {"Gemm": (2, 2)}
        assert sqnr(source, made.path, models.data("mlp", seed=8)) > FLOORS[recipe]


def test_an_old_opset_is_raised(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "model.onnx", opset=11)
    made = quantize(source, calibration=models.data("convnet"))
    assert onnx.load(made.path).opset_import[0].version == 13
    assert sqnr(source, made.path, models.data("convnet", seed=8)) > FLOORS["static-int8"]


def test_a_model_with_functions_and_external_weights(tmp_path: Path) -> None:
    model = onnx.load(models.mlp(tmp_path / "plain.onnx"))
    opsets = [helper.make_opsetid("", 18)]
    body = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    function = helper.make_function("local", "Dense", ["a", "b"], ["c"], body, opsets)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    node = model.graph.node[2]
    node.op_type, node.domain = "Dense", "local"
    source = tmp_path / "model.onnx"
    onnx.save(model, source, save_as_external_data=True, location="w.bin", size_threshold=0)
    made = quantize(source, calibration=models.data("mlp"))
    assert made.quantized_ops == {"Gemm": (2, 2)}
    assert made.float_size_bytes == source.stat().st_size + (tmp_path / "w.bin").stat().st_size
    assert sqnr(source, made.path, models.data("mlp", seed=8)) > FLOORS["static-int8"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_bytes_are_the_same_in_every_process(recipe: str, tmp_path: Path) -> None:
    """Python's hashes differ from process to process; the file must not."""
    _, made = run("convnet", recipe, tmp_path)
    code = (
        "import sys; from pathlib import Path; from tests.quantizer.test_quantize import run;"
        "run('convnet', sys.argv[1], Path(sys.argv[2]))"
    )
    again = tmp_path / "again"
    again.mkdir()
    subprocess.run([sys.executable, "-c", code, recipe, str(again)], check=True)
    assert (again / made.path.name).read_bytes() == made.path.read_bytes()


def test_nothing_is_printed_and_logging_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), [list(h.filters) for h in root.handlers])
    for recipe in RECIPES:
        run("transformer", recipe, tmp_path)
    assert capfd.readouterr() == ("", "")
    assert (list(root.handlers), [list(h.filters) for h in root.handlers]) == before


@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(
    features=st.integers(8, 48),
    hidden=st.integers(64, 160),
    seed=st.integers(0, 1000),
    recipe=st.sampled_from(["static-int8", "dynamic-int8"]),
)
def test_int8_of_any_small_network_is_smaller_and_close(
    tmp_path_factory: pytest.TempPathFactory, features: int, hidden: int, seed: int, recipe: str
) -> None:
    folder = tmp_path_factory.mktemp("mlp")
    source = models.mlp(folder / "model.onnx", features, hidden, 64, seed)
    feeds = {"x": models.normal(seed, 64, features)}
    calibration = feeds if recipe == "static-int8" else None
    made = quantize(source, recipe, calibration=calibration)
    assert sqnr(source, made.path, feeds) > 25
    assert made.size_bytes < made.float_size_bytes


def make_bundle(folder: Path) -> Bundle:
    source = models.mlp(folder / "model.onnx")
    return write_bundle(folder / "bundle", source, inputs=models.data("mlp", rows=4))


def test_a_bundle_gets_a_variant(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    bundle = quantize(bundle, "dynamic-int8").bundle or bundle
    made = quantize(bundle.path, calibration=models.data("mlp"), samples=20)
    assert made.bundle is not None
    assert [v.name for v in made.bundle.manifest.variants] == ["fp32", "int8-dynamic", "int8"]
    variant = Bundle.open(bundle.path).variant("int8")
    assert (made.variant, variant.precision, variant.recipe) == ("int8", "int8", "static-int8")
    assert made.calibration is not None
    assert (variant.opset, made.calibration.samples) == (18, 20)
    assert made.path == bundle.path / "model.int8.onnx"
    assert made.path == made.bundle.file(variant.file)


def test_a_bundle_calibrates_with_its_own_data(bundle: Bundle) -> None:
    made = quantize(bundle)
    assert made.calibration is not None
    assert made.calibration.samples == 16


def test_out_writes_a_file_and_leaves_the_bundle_alone(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    made = quantize(bundle, "fp16", out=tmp_path / "elsewhere" / "half.onnx")
    assert made.path.is_file()
    assert (made.variant, made.bundle) == (None, None)
    assert len(Bundle.open(bundle.path).manifest.variants) == 1
