"""Equalisation and bias correction: what each keeps, what each gains, and where neither helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgekit.errors import QuantizeError
from edgekit.parity import sqnr_db
from edgekit.quantizer import graph, quantize
from edgekit.quantizer.equalize import equalize
from edgekit.runtime.runner import open_runner
from tests.quantizer import models


def pictures(seed: int, rows: int = 48) -> dict[str, models.Array]:
    """Pictures of very different brightness and contrast, so that their answers differ."""
    rng = np.random.default_rng(seed)
    contrast, light = rng.uniform(0.2, 2, (rows, 1, 1, 1)), rng.normal(size=(rows, 3, 1, 1))
    return {"x": (rng.normal(size=(rows, 3, 16, 16)) * contrast + light).astype(np.float32)}


def answers(path: Path, feeds: dict[str, Any]) -> models.Array:
    with open_runner(path) as runner:
        return next(iter(runner.run(feeds).values()))


def sqnr(source: Path, made: Path) -> float:
    feeds = pictures(2)
    want, got = answers(source, feeds), answers(made, feeds)
    # What tells one picture from another: a mean that all share is no signal.
    return sqnr_db(want - want.mean(0), got - want.mean(0))


def chain(path: Path, op: str) -> Path:
    """Two products of one kind with channels 2**12 apart between them."""
    scale = np.exp2(np.linspace(-6, 6, 12)).astype(np.float32)
    first, second = models.normal(0, 8, 12) * scale, models.normal(1, 12, 5) / scale[:, None]
    nodes = {
        "Gemm": [
            helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], "first", transB=1),
            helper.make_node("LeakyRelu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "w1"], ["y"], "second"),
        ],
        "MatMul": [
            helper.make_node("MatMul", ["x", "w0"], ["m"], "first"),
            helper.make_node("Add", ["m", "b0"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "w1"], ["y"], "second"),
        ],
    }[op]
    weights: dict[str, models.Array] = {
        "w0": first.T if op == "Gemm" else first,
        "b0": models.normal(2, 12) * scale,
        "w1": second,
    }
    weights = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    return models.write(path, nodes, {"x": ["batch", 8]}, {"y": ["batch", 5]}, weights)


@pytest.mark.parametrize("kind", ["mobile", "Gemm", "MatMul"])
def test_the_float_answers_stay_equal_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path = models.mobile(path, spread=5) if kind == "mobile" else chain(path, kind)
    model = graph.load(path)
    (note,) = equalize(model)
    assert note.startswith(f"equalised {4 if kind == 'mobile' else 1} pairs of layers")
    graph.save(model, tmp_path / "equal.onnx")
    feeds = pictures(0) if kind == "mobile" else {"x": models.normal(5, 32, 8)}
    before, after = answers(path, feeds), answers(tmp_path / "equal.onnx", feeds)
    np.testing.assert_array_equal(before, after)


def pair(**changes: Any) -> dict[str, Any]:
    """A Conv, a Relu and a Conv, with something in the way of equalising them."""
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["h"], "first"),
        helper.make_node(changes.get("between", "Relu"), ["h"], ["r"], "between"),
        helper.make_node("Conv", ["r", "w1"], ["y"], "second"),
        *changes.get("more", ()),
    ]
    scale = np.exp2(np.linspace(-6, 6, 8)).astype(np.float32)[:, None, None, None]
    weights = {
        "w0": models.normal(0, 8, 3, 1, 1) * scale,
        "w1": models.normal(1, 3, 8, 1, 1) / scale.swapaxes(0, 1),
    }
    return {"nodes": nodes, "weights": weights}


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        pytest.param({}, "equalised 1 pairs", id="nothing"),
        pytest.param({"between": "Sigmoid"}, "changed nothing", id="a Sigmoid"),
        pytest.param(
            {"more": [helper.make_node("Tanh", ["r"], ["z"])]}, "changed nothing", id="a reader"
        ),
        pytest.param(
            {"more": [helper.make_node("Conv", ["x", "w0"], ["z"])]},
            "changed nothing",
            id="a shared weight",
        ),
    ],
)
def test_what_is_in_the_way_of_a_pair(changes: dict[str, Any], note: str, tmp_path: Path) -> None:
    parts = pair(**changes)
    shape: list[int | str] = ["batch", 3, 4, 4]
    outputs: dict[str, list[int | str]] = {"y": shape}
    if changes.get("more"):
        outputs["z"] = ["batch", 8, 4, 4]
    path = models.write(
        tmp_path / "m.onnx", parts["nodes"], {"x": shape}, outputs, parts["weights"]
    )
    assert note in equalize(graph.load(path))[0]


def test_a_clip_keeps_its_pairs_from_being_equalised(tmp_path: Path) -> None:
    notes = equalize(graph.load(models.mobile(tmp_path / "m.onnx", activation="Clip")))
    assert notes == [
        "equalisation changed nothing: no pair of layers has channels that differ",
        "pairs that a Clip keeps from being equalised: 5",
    ]


#: (recipe, spread): what equalisation, bias correction and both gain in dB, at least and at most.
#: One scale a channel bears a spread of channels in its weights, and not in its activations.
GAINS = {
    ("static-int8", 0): ((-1, 1), (3, 9), (3, 9)),  # channels that are alike are left alone
    ("npu-int8", 0): ((-1, 1), (-1, 3), (-1, 3)),
    ("static-int8", 4): ((20, 40), (5, 20), (25, 45)),
    ("npu-int8", 4): ((30, 50), (5, 20), (30, 50)),
    ("a16w8", 4): ((30, 50), (5, 20), (30, 50)),
}


@pytest.mark.parametrize(("recipe", "spread"), GAINS)
def test_what_they_gain(recipe: str, spread: int, tmp_path: Path) -> None:
    source = models.mobile(tmp_path / "m.onnx", spread)
    found = []
    for equal, corrected in ((False, False), (True, False), (False, True), (True, True)):
        made = quantize(
            source, recipe, calibration=pictures(1), force=True, equalize=equal,
            correct_bias=corrected,
        )  # fmt: skip
        found.append(sqnr(source, made.path))
    for db, (least, most) in zip(found[1:], GAINS[recipe, spread], strict=True):
        assert least <= db - found[0] <= most, found


def test_bias_correction_reaches_layers_without_a_bias_and_products_with_an_addition(
    tmp_path: Path,
) -> None:
    parts = pair()
    shape: list[int | str] = ["batch", 3, 4, 4]
    path = models.write(
        tmp_path / "m.onnx", parts["nodes"], {"x": shape}, {"y": shape}, parts["weights"]
    )
    data = {"x": models.normal(3, 32, 3, 4, 4)}
    made = quantize(path, calibration=data, correct_bias=True)
    assert any("the biases of 2 layers were corrected" in note for note in made.notes)
    product = chain(tmp_path / "product.onnx", "MatMul")
    made = quantize(product, calibration={"x": models.normal(4, 32, 8)}, correct_bias=True)
    assert any("the biases of 1 layers were corrected" in note for note in made.notes)


@pytest.mark.parametrize(
    ("option", "name"),
    [({"equalize": True}, "--equalize"), ({"correct_bias": True}, "--correct-bias")],
)
@pytest.mark.parametrize("recipe", ["dynamic-int8", "fp16"])
def test_a_recipe_that_does_not_calibrate_refuses_them(
    recipe: str, option: Any, name: str, tmp_path: Path
) -> None:
    source = models.mlp(tmp_path / "m.onnx")
    with pytest.raises(QuantizeError, match=f"'{recipe}' does not calibrate and {name} was given"):
        quantize(source, recipe, **option)


def test_a_form_whose_layers_cannot_be_measured_refuses_bias_correction(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "m.onnx")
    with pytest.raises(QuantizeError, match="'qoperator' was given with --correct-bias"):
        quantize(source, calibration=models.data("mlp"), form="qoperator", correct_bias=True)
