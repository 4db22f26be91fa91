"""The guard of the calibration data's range, and what a quantised file is checked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgekit import files
from edgekit.bundle import FileEntry
from edgekit.errors import QuantizeError
from edgekit.quantizer import damage, graph, quantize
from edgekit.quantizer.guards import check_inputs
from tests.conftest import write_bundle
from tests.quantizer import models


def image(low: float, high: float) -> dict[str, Any]:
    return {"kind": "image", "input": "x", "range": [low, high]}


@pytest.mark.parametrize(
    ("given", "expected", "right"),
    [
        ((0, 1), (0, 1), True),
        ((0, 1), (0, 16), False),  # scaled where the model takes raw values
        ((0, 16), (0, 1), False),  # raw where the model takes scaled values
        ((0, 255), (-1, 1), False),
        ((0, 1), (-1, 1), False),  # another normalisation
        ((-1, 1), (0, 1), True),  # a part of the range is enough
        ((-4, 4), (-2.5, 2.8), True),  # 8 normal samples against 256
        ((-3, 3), (-4.5, 3), True),
        ((0, 1), (0.2, 0.4), True),
        ((0, 1), (0.5, 0.5), True),  # a constant reference says nothing of the scale
        ((0, 0), (0, 1), False),
        ((0, 0), (0, 0), True),
        ((5, 6), (0, 1), False),  # shifted
    ],
)
def test_the_range_of_the_reference_inputs(
    given: tuple[float, float], expected: tuple[float, float], right: bool
) -> None:
    reference = {"x": np.array(expected, np.float32)}
    if right:
        (row,) = check_inputs({"x": given}, reference, None)
        assert row.calibration == given
        return
    with pytest.raises(
        QuantizeError, match=r"'x' goes from .* the model's reference inputs go"
    ) as e:
        check_inputs({"x": given}, reference, None)
    for number in (*given, *expected):
        assert f"{number:g}" in str(e.value)


@pytest.mark.parametrize(
    ("given", "declared", "right"),
    [
        ((0, 1), (0, 1), True),
        ((0.05, 0.98), (0, 1), True),
        ((0, 0.6), (0, 1), True),  # pictures without a bright spot
        ((-0.02, 1.03), (0, 1), True),  # a sharp filter overshoots
        ((-1, 1), (0, 1), False),  # below anything that the preprocessing gives
        ((0, 255), (0, 1), False),
        ((0, 1), (0, 255), False),
        ((0, 1), (-1, 1), False),
        ((-1, 1), (1, -1), True),  # declared from bright to dark
    ],
)
def test_the_range_that_the_manifest_declares(
    given: tuple[float, float], declared: tuple[float, float], right: bool
) -> None:
    if right:
        (row,) = check_inputs({"x": given}, None, image(*declared))
        assert row.declared == tuple(sorted(declared))
        return
    with pytest.raises(QuantizeError, match="the manifest's preprocessing gives") as caught:
        check_inputs({"x": given}, None, image(*declared))
    for number in (*given, *declared):
        assert f"{number:g}" in str(caught.value)


def test_an_input_of_another_name_or_kind_has_no_declared_range() -> None:
    assert check_inputs({"y": (0, 9)}, None, image(0, 1))[0].declared is None
    assert check_inputs({"x": (0, 9)}, None, {"kind": "series", "input": "x"})[0].declared is None


def test_data_that_is_one_number_is_degenerate() -> None:
    with pytest.raises(QuantizeError, match=r"degenerate: .* 'x' is 0\.5 everywhere"):
        check_inputs({"x": (0.5, 0.5)}, None, None)
    assert check_inputs({"x": (0.5, 0.5), "y": (0, 1)}, None, None)


def test_data_in_another_range_than_the_bundle_is_refused(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    rng = np.random.default_rng(0)
    raw = {"x": rng.uniform(0, 16, (8, 32)).astype(np.float32)}
    bundle = write_bundle(tmp_path / "bundle", source, inputs=raw)
    with pytest.raises(QuantizeError, match=r"from .* to 0\.9.* go from .* to 1[56]"):
        quantize(bundle)  # its calibration data is in 0..1
    made = quantize(bundle, calibration=raw)
    assert made.variant == "int8"
    assert made.calibration is not None
    (row,) = made.calibration.inputs
    assert row.calibration == row.reference


def rounded(
    path: Path, scale: float, weight_scale: Any, weights: models.Array
) -> tuple[Path, Path]:
    """A float product `x @ w` and a file of it with these scales, named as by onnxruntime."""
    float_file = models.write(
        path / "float.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"], "dense")],
        {"x": ["batch", len(weights)]},
        {"y": ["batch", weights.shape[1]]},
        {"w": weights},
    )
    zero = np.zeros(np.shape(weight_scale), np.int8)
    codes = np.rint(weights / weight_scale).clip(-127, 127).astype(np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero_point"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "x_scale", "x_zero_point"], ["d"]),
        helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero_point"], ["v"]),
        helper.make_node("MatMul", ["d", "v"], ["y"], "dense"),
    ]
    constants = {
        "x_scale": np.array(scale, np.float32),
        "x_zero_point": np.array(0, np.uint8),
        "w_quantized": codes,
        "w_scale": np.asarray(weight_scale, np.float32),
        "w_zero_point": zero,
    }
    shapes: dict[str, list[int | str]] = {"y": ["batch", weights.shape[1]]}
    made = models.write(
        path / "made.onnx", nodes, {"x": ["batch", len(weights)]}, shapes, constants
    )
    return float_file, made


def feed(*columns: float) -> list[dict[str, Any]]:
    """Rows that count up to each column's greatest value."""
    steps = np.linspace(0, 1, 101, dtype=np.float32)[1:, None]
    return [{"x": steps * np.array(columns, np.float32)}]


EVEN = np.linspace(0.5, 1, 8, dtype=np.float32).reshape(4, 2)


@pytest.mark.parametrize(
    ("greatest", "failed", "noted"),
    [
        pytest.param((1, 1, 1, 1), [], [], id="all in range"),
        pytest.param((1, 1, 1, 1.02), [], ["saturation"], id="a little beyond"),
        pytest.param((1, 1, 1, 9), ["saturation"], [], id="far beyond"),
        pytest.param((1, 1, 1, 0.001), [], ["dead-channels"], id="a channel below half a step"),
        pytest.param((1, 1, 1, 0), [], [], id="a channel that is dead in float"),
    ],
)
def test_what_activations_lose(
    greatest: tuple[float, ...], failed: list[str], noted: list[str], tmp_path: Path
) -> None:
    floats, made = rounded(tmp_path, 1 / 255, 1 / 127, EVEN)
    failures, notes = damage.inspect(floats, made, feed(*greatest), "the reference inputs")
    assert [failure.kind for failure in failures] == failed
    assert [note.partition(":")[0] for note in notes if "weights" not in note] == noted


def test_saturation_says_the_share_and_both_ranges(tmp_path: Path) -> None:
    floats, made = rounded(tmp_path, 1 / 255, 1 / 127, EVEN)
    (failure,), _ = damage.inspect(floats, made, feed(4, 4, 4, 4), "the reference inputs")
    assert (failure.kind, failure.where) == ("saturation", "tensor 'x'")
    assert failure.detail == (
        "75.00% of its values lie beyond 0 to 1, where the integers end: they go from 0 to 4 in "
        "the reference inputs; calibrate with data as the model meets it, or with --method minmax"
    )


COLUMNS = np.array([[1, 1e-3], [-1, 2e-3], [0.5, -1e-3], [0.1, 1e-3]], np.float32)


@pytest.mark.parametrize(
    ("weights", "dead"),
    [
        pytest.param(COLUMNS, 1, id="smaller than half a step"),
        pytest.param(COLUMNS * [1, 10], 0, id="some of it is left"),
        pytest.param(COLUMNS * [1, 0], 0, id="dead in float"),
    ],
)
def test_what_weights_lose(weights: models.Array, dead: int, tmp_path: Path) -> None:
    floats, made = rounded(tmp_path, 1 / 255, 1 / 127, weights.astype(np.float32))
    failures, _ = damage.inspect(floats, made, feed(1, 1, 1, 1), "the reference inputs")
    assert [(failure.kind, failure.where) for failure in failures] == [
        ("dead-channels", "weights of 'dense'")
    ] * dead
    assert all(f.detail.startswith("1 of 2 channels are alive in float") for f in failures)


@pytest.mark.parametrize(("size", "saturates"), [(64, False), (127, True)])
def test_weights_that_overflow_sixteen_bits_are_noted(
    size: int, saturates: bool, tmp_path: Path
) -> None:
    floats, made = rounded(tmp_path, 1 / 255, 1 / size, np.ones((4, 2), np.float32))
    _, notes = damage.inspect(floats, made, feed(1, 1, 1, 1), "the reference inputs")
    assert [note.partition(":")[0] for note in notes] == ["saturation"] * saturates
    assert all("(100.0% of the pairs of 'dense')" in note for note in notes)


def test_ranges_are_found_in_the_form_of_operators_too(tmp_path: Path) -> None:
    source = models.convnet(tmp_path / "m.onnx")
    small = {name: array * 0.2 for name, array in models.data("convnet").items()}
    made = quantize(source, calibration=small, form="qoperator")
    floats = graph.load(source)
    graph.save(floats, tmp_path / "floats.onnx")
    large = [{name: array[:4] for name, array in models.data("convnet").items()}]
    failures, _ = damage.inspect(tmp_path / "floats.onnx", made.path, large, "the data")
    assert {failure.kind for failure in failures} == {"saturation"}
    assert {"tensor 'x'", "tensor 'f'"} <= {failure.where for failure in failures}


def test_a_channel_that_one_scale_rounds_to_nothing_is_named_and_equalised(tmp_path: Path) -> None:
    source = models.mobile(tmp_path / "m.onnx", spread=4)
    data = {"x": models.normal(1, 32, 3, 16, 16)}
    made = quantize(source, "npu-int8", calibration=data)
    assert {failure.kind for failure in made.failures} == {"dead-channels"}
    assert "weights of 'dw0'" in {failure.where for failure in made.failures}
    equal = quantize(source, "npu-int8", calibration=data, equalize=True, force=True)
    assert equal.failures == ()


def test_a_range_that_cuts_held_out_data_is_named(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "model.onnx")
    bundle = write_bundle(tmp_path / "bundle", source)
    low = {"x": np.random.default_rng(0).uniform(0, 0.7, (64, 32)).astype(np.float32)}
    (failure,) = quantize(bundle, calibration=low).failures
    assert (failure.kind, failure.where) == ("saturation", "tensor 'x'")
    assert "the reference and held-out inputs" in failure.detail


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        pytest.param({"x": np.full((4, 32), 0.5, np.float32)}, "the reference", id="constant"),
        pytest.param(None, None, id="fine"),
    ],
)
def test_a_reference_that_proves_nothing_is_named(
    inputs: dict[str, Any] | None, where: str | None, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "bundle", models.mlp(tmp_path / "model.onnx"), inputs=inputs)
    found = quantize(bundle, "fp16").failures
    assert [(f.kind, f.where) for f in found] == ([("degenerate", where)] if where else [])


def test_held_out_data_of_one_class_is_named(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", models.mlp(tmp_path / "model.onnx"))
    path = bundle.path / "evaluation.npz"
    groups = files.load_groups(path)
    files.save_arrays(path, groups | {"targets": {"": np.full(8, 3)}})
    bundle = bundle.add(bundle.variant(), {"evaluation": FileEntry.of(path)})
    notes = quantize(bundle, "fp16").notes
    assert any(n.startswith("degenerate: all 8 samples of the held-out data are") for n in notes)
