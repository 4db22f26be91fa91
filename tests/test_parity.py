from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit import parity
from edgekit.parity import Tolerance, compare, compare_output

LOOSE = Tolerance(atol=0.1, rtol=0.1)
Y = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)


def changed(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    array = Y.copy()
    array[1, 0] = value
    return array


@pytest.mark.parametrize(
    ("actual", "failure"),
    [
        pytest.param(Y, None, id="equal"),
        pytest.param(Y + 0.05, None, id="within"),
        pytest.param(changed(4.0), "tolerance", id="outside"),
        pytest.param(changed(np.nan), "nan", id="nan"),
        pytest.param(changed(np.inf), "nan", id="infinite"),
        pytest.param(Y[:1], "shape", id="broadcasts"),
        pytest.param(Y.astype(np.float64), "dtype", id="dtype"),
        pytest.param(None, "shape", id="missing"),
    ],
)
def test_what_fails_has_a_name(
    actual: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None, failure: str | None
) -> None:
    found = compare_output("y", Y, actual, LOOSE)
    assert found.failure == failure
    assert found.passed is (failure is None)
    assert (found.detail is None) is (failure is None)


def test_the_evidence_names_the_worst_element_and_the_tolerance_that_would_pass() -> None:
    found = compare_output("y", Y, changed(4.0), LOOSE)
    assert (found.index, found.actual, found.expected) == ((1, 0), 4.0, 3.0)
    assert found.max_abs_error == pytest.approx(1.0)
    assert found.max_rel_error == pytest.approx(1 / 3)
    assert found.worst_sample == 1
    assert found.required_atol == pytest.approx(1.0 - 0.1 * 3.0)
    assert found.required_atol is not None
    assert compare_output("y", Y, changed(4.0), Tolerance(found.required_atol, 0.1)).passed


def test_a_reference_with_nan_is_no_reference() -> None:
    assert compare_output("y", changed(np.nan), Y, LOOSE).failure == "reference"


def test_nan_and_infinities_are_counted() -> None:
    array = Y.copy()
    array[0] = [np.nan, np.inf]
    found = compare_output("y", Y, array, LOOSE)
    assert (found.nan_count, found.inf_count) == (1, 1)


@pytest.mark.parametrize(
    ("want", "got", "cosine", "sqnr"),
    [
        pytest.param([0.0, 0.0], [0.0, 0.0], 1.0, parity.MAX_SQNR_DB, id="zeros"),
        pytest.param([0.0, 0.0], [0.0, 1.0], 0.0, -parity.MAX_SQNR_DB, id="noise on zeros"),
        pytest.param([1.0, 0.0], [0.0, 0.0], 0.0, 0.0, id="zeros for a signal"),
        pytest.param([10.0, 0.0], [9.0, 0.0], 1.0, 20.0, id="a tenth"),
    ],
)
def test_cosine_and_sqnr(want: list[float], got: list[float], cosine: float, sqnr: float) -> None:
    found = compare_output("y", np.array([want]), np.array([got]), Tolerance(None))
    assert found.cosine == pytest.approx(cosine)
    assert found.sqnr_db == pytest.approx(sqnr)


@pytest.mark.parametrize(("floor", "passed"), [(19.0, True), (21.0, False)])
def test_sqnr_floor(floor: float, passed: bool) -> None:
    tolerance = Tolerance(atol=None, min_sqnr_db=floor)
    assert compare_output("y", Y, Y * np.float32(0.9), tolerance).passed is passed


@pytest.mark.parametrize(
    ("want", "got", "failure"),
    [
        pytest.param([1e-3] * 4, [1.05e-3] * 4, "sqnr", id="small as a whole, 5% off"),
        pytest.param([1e-3] * 4, [1.0000001e-3] * 4, None, id="small as a whole"),
        pytest.param([0.0] * 4, [1e-9] * 4, None, id="zeros, nearly"),
        pytest.param([1e-39] * 4, [0.0] * 4, None, id="denormal, flushed"),
        pytest.param([1e-39] * 4, [1e-3] * 4, "tolerance", id="denormal, not flushed"),
        pytest.param([0.0] * 4, [1e-3] * 4, "tolerance", id="zeros, not really"),
    ],
)
def test_float_is_judged_by_its_own_scale(
    want: list[float], got: list[float], failure: str | None
) -> None:
    found = compare_output("y", np.array([want]), np.array([got]), parity.TOLERANCES["fp32"])
    assert found.failure == failure


@pytest.mark.parametrize(
    ("array", "degenerate"),
    [
        pytest.param(np.zeros((3, 2)), True, id="zeros"),
        pytest.param(np.tile([0.2, 0.8], (3, 1)), True, id="one answer for all"),
        pytest.param(np.array([[0.2, 0.8]]), False, id="one sample"),
        pytest.param(np.array([[0.2, 0.8], [0.3, 0.7]]), False, id="answers differ"),
    ],
)
def test_a_degenerate_reference_is_marked(
    array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], degenerate: bool
) -> None:
    assert compare_output("y", array, array, LOOSE).degenerate is degenerate


def test_integers_and_strings() -> None:
    ids = np.array([1, 2, 3])
    assert compare_output("ids", ids, ids, parity.TOLERANCES["fp32"]).passed
    assert not compare_output("ids", ids, ids + 1, parity.TOLERANCES["fp32"]).passed
    words = np.array(["a", "b"], object)
    assert compare_output("words", words, words, LOOSE).passed
    assert compare_output("words", words, words[::-1], LOOSE).max_abs_error == 1.0


def test_every_expected_output_is_compared() -> None:
    found = compare({"a": Y, "b": Y}, {"a": Y}, LOOSE)
    assert [(o.name, o.passed) for o in found] == [("a", True), ("b", False)]


@given(
    hnp.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32)),
    hnp.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32)),
)
def test_the_tolerance_that_would_pass_passes(
    want: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    got: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    needed = compare_output("y", want, got, Tolerance(0.0)).required_atol
    assert needed is not None
    assert compare_output("y", want, got, Tolerance(needed)).passed
    assert compare_output("y", want, want, Tolerance(0.0)).passed


@pytest.mark.parametrize(
    ("scale", "error", "passed"),
    [
        pytest.param(1.0, 5e-4, False, id="of the order of one"),
        pytest.param(100.0, 5e-4, True, id="among hundreds"),
        pytest.param(100.0, 5e-2, False, id="too far among hundreds"),
        pytest.param(1e-3, 5e-4, False, id="among thousandths"),
    ],
)
def test_an_element_near_zero_carries_the_rounding_of_the_others(
    scale: float, error: float, passed: bool
) -> None:
    expected = scale * np.array([[1.0, -1.0, 0.0, 0.5]], np.float32)
    actual = expected + np.array([[0, 0, error, 0]], np.float32)
    found = parity.compare_output("y", expected, actual, parity.TOLERANCES["fp32"])
    assert found.passed is passed
