"""The guard of the calibration data's range, and what a quantised file is checked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import QuantizeError
from edgekit.quantizer import quantize
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
