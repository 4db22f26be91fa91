"""The ranking of layers by their damage, beside files that quantise one layer, and its use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from edgekit.bundle import Bundle
from edgekit.errors import QuantizeError
from edgekit.parity import sqnr_db
from edgekit.quantizer import quantize
from edgekit.quantizer.sensitivity import Damage, Ranking, choose_exclusions, exclusions, rank
from edgekit.runtime.runner import open_runner
from tests.cli.test_device import run
from tests.quantizer import models


def outlier(path: Path) -> Path:
    """Three layers; one value that goes into the second is a thousand times the others."""
    first, middle = models.normal(0, 32, 32, scale=0.2), models.normal(1, 32, 32, scale=0.2)
    first[:, 0] *= 1000
    middle[0] /= 1000
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "net/first/MatMul"),
        helper.make_node("MatMul", ["a", "w1"], ["c"], "net/bad/MatMul"),
        helper.make_node("Tanh", ["c"], ["d"], "net/bad/Tanh"),
        helper.make_node("MatMul", ["d", "w2"], ["y"], "net/last/MatMul"),
    ]
    weights = {
        "w0": first,
        "w1": middle,
        "w2": models.normal(2, 32, 8, scale=0.2),
    }
    return models.write(path, nodes, {"x": ["batch", 32]}, {"y": ["batch", 8]}, weights)


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        ("mlp", "static-int8"),
        ("convnet", "static-int8"),
        ("transformer", "static-int8"),
        ("transformer", "dynamic-int8"),
        ("lstm", "weight-int8"),
        ("convnet", "weight-int8"),
        ("gru", "weight-int8"),
        ("lstm", "dynamic-int8"),
        ("transformer", "weight-int4"),
    ],
)
def test_a_layer_alone_is_as_in_a_file_where_only_it_is_quantised(
    kind: str, recipe: str, tmp_path: Path
) -> None:
    source = models.MODELS[kind](tmp_path / "model.onnx")
    data = models.data(kind)
    ranking = rank(source, recipe, calibration=data)
    assert [row.sqnr_db for row in ranking.layers] == sorted(r.sqnr_db for r in ranking.layers)
    feeds = {"x": data["x"][: ranking.samples]}
    names = [row.node for row in ranking.layers]
    for row in [row for row in ranking.layers if row.parameters]:
        others = [name for name in names if name != row.node]
        made = quantize(
            source, recipe, calibration=data, exclude=others, out=tmp_path / "one.onnx", force=True
        )
        with open_runner(source) as want, open_runner(made.path) as got:
            alone = sqnr_db(*(next(iter(r.run(feeds).values())) for r in (want, got)))
        # A kernel rounds its result too, where the switch rounds what goes in.
        assert row.sqnr_db == pytest.approx(alone, abs=3.5)


def test_the_damage_of_the_layers_adds_up(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    ranking = rank(source, calibration=models.data("mlp"))
    power = sum(10 ** (-layer.sqnr_db / 10) for layer in ranking.layers)
    assert ranking.all_sqnr_db == pytest.approx(-10 * np.log10(power), abs=2)


def test_the_layer_at_fault_is_first_and_leaving_it_in_float_mends_the_file(
    tmp_path: Path,
) -> None:
    source = outlier(tmp_path / "model.onnx")
    data = {"x": models.normal(9, 64, 32)}
    ranking = rank(source, calibration=data)
    worst = ranking.layers[0]
    assert (worst.node, worst.layer) == ("net/bad/MatMul", "net/bad")
    chosen = choose_exclusions(ranking, min_sqnr_db=ranking.layers[1].sqnr_db - 4)
    assert chosen == ("net/bad/MatMul",)
    made = quantize(source, calibration=data, exclude=chosen, out=tmp_path / "mixed.onnx")
    with open_runner(source) as want, open_runner(made.path) as got:
        mended = sqnr_db(want.run(data)["y"], got.run(data)["y"])
    assert mended > ranking.all_sqnr_db + 6


def test_mixed_without_exclusions_takes_them_from_the_ranking(tmp_path: Path) -> None:
    source = outlier(tmp_path / "model.onnx")
    data = {"x": models.normal(9, 64, 32)}
    made = quantize(source, "mixed", calibration=({"x": row[None]} for row in data["x"]))
    assert made.quantized_ops == {"MatMul": (2, 3)}
    with open_runner(source) as want, open_runner(made.path) as got:
        assert sqnr_db(want.run(data)["y"], got.run(data)["y"]) > 20


def test_mixed_of_a_model_that_bears_8_bits(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    with pytest.raises(QuantizeError, match="use static-int8, or name layers"):
        quantize(source, "mixed", calibration=models.data("mlp"))


def test_exclusions_grow_until_the_file_that_was_measured_is_good(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "model.onnx")
    data = models.data("convnet")
    ranking = rank(source, calibration=data)
    chosen = exclusions(source, calibration=data, min_sqnr_db=ranking.all_sqnr_db + 3)
    assert chosen == tuple(layer.node for layer in ranking.layers[: len(chosen)])
    assert 0 < len(chosen) < len(ranking.layers)
    assert exclusions(source, calibration=data, min_sqnr_db=ranking.all_sqnr_db - 1) == ()


def test_the_command_shows_the_ranking_and_writes_nothing(bundle: Bundle) -> None:
    before = sorted(bundle.path.iterdir())
    shown = run("quantize", bundle.path, "--explain")
    assert shown.exit_code == 0, shown.stderr
    assert "static-int8 of" in shown.stdout
    assert "Leave the worst in float with --exclude MatMul_0." in shown.stdout
    found = json.loads(run("quantize", bundle.path, "--explain", "--json").stdout)
    assert [layer["op_type"] for layer in found["layers"]] == ["MatMul"]
    assert found["metric_name"] == "accuracy"
    assert sorted(bundle.path.iterdir()) == before


def test_a_bundle_brings_its_data_and_its_metric(bundle: Bundle) -> None:
    ranking = rank(bundle)
    assert ranking.metric_name == "accuracy"
    assert ranking.float_metric == 1.0
    (layer,) = ranking.layers
    assert layer.op_type == "MatMul"
    assert layer.metric == ranking.all_metric
    assert [v.name for v in Bundle.open(bundle.path).manifest.variants] == ["fp32"]


def test_what_changes_float_weights_is_left_out_of_a_ranking(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "model.onnx")
    data = models.data("convnet")
    plain = rank(source, calibration=data)
    ranking = rank(source, calibration=data, equalize=True, correct_bias=True)
    assert ranking.layers == plain.layers
    assert ranking.notes == ("equalisation and bias correction are left out of the ranking",)


def test_a_ranking_that_is_stopped_says_so(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "model.onnx")
    asked = iter([False, False, True, True, True])
    ranking = rank(source, calibration=models.data("convnet"), stop=lambda: next(asked))
    assert len(ranking.layers) == 2
    assert ranking.notes == ("the time ended before 3 of the layers",)


def test_a_model_with_nothing_to_quantise(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    shape: list[int | str] = ["batch", 4]
    source = models.write(tmp_path / "relu.onnx", [node], {"x": shape}, {"y": shape}, {})
    with pytest.raises(QuantizeError, match="finds none that qualifies"):
        rank(source, calibration={"x": models.normal(0, 8, 4)})


def ranking_of(levels: list[float]) -> Ranking:
    layers = [Damage(f"n{i}", "MatMul", None, 1, level) for i, level in enumerate(sorted(levels))]
    return Ranking("m", "static-int8", 16, None, None, 0.0, None, tuple(layers))


@pytest.mark.parametrize(
    ("levels", "target", "most", "expected"),
    [
        pytest.param([40, 40], 30, None, (), id="good as it is"),
        pytest.param([10, 40, 40], 30, None, ("n0",), id="one is bad"),
        pytest.param([10, 20, 40], 30, None, ("n0", "n1"), id="two are bad"),
        pytest.param([33.1, 33.1, 33.1], 30, None, ("n0",), id="the sum of them is bad"),
        pytest.param([10, 10, 10], 30, None, ("n0", "n1"), id="never all"),
        pytest.param([10, 10, 10], 30, 1, ("n0",), id="at most"),
        pytest.param([10], 30, None, (), id="one layer"),
    ],
)
def test_exclusions(
    levels: list[float], target: float, most: int | None, expected: tuple[str, ...]
) -> None:
    assert choose_exclusions(ranking_of(levels), min_sqnr_db=target, most=most) == expected


@given(
    levels=st.lists(st.floats(-20, 120), min_size=1, max_size=12),
    targets=st.tuples(st.floats(-20, 120), st.floats(-20, 120)),
)
@settings(deadline=None)
def test_a_higher_target_leaves_out_the_same_layers_and_more(
    levels: list[float], targets: tuple[float, float]
) -> None:
    ranking = ranking_of(levels)
    less, more = (choose_exclusions(ranking, min_sqnr_db=t) for t in sorted(targets))
    assert more[: len(less)] == less
    assert len(more) < len(levels)
