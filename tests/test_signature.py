from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.errors import FeedError
from edgekit.signature import MOST_SHAPES, Signature, TensorSpec, check_finite, format_shape

TWO = Signature(
    (
        TensorSpec("image", "float32", ("batch", 2, 2)),
        TensorSpec("ids", "int32", ("batch", "time")),
    ),
    (TensorSpec("y", "float32", ("batch", 3)),),
)
GOOD = {"image": np.zeros((2, 2, 2), np.float32), "ids": np.zeros((2, 5), np.int32)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"image": None}, "missing 'image'", id="missing"),
        pytest.param({"imgae": GOOD["image"]}, "unknown 'imgae'", id="unknown"),
        pytest.param({"image": np.zeros((2, 2), np.float32)}, "(2, 2)", id="rank"),
        pytest.param({"image": np.zeros((2, 3, 2), np.float32)}, "(2, 3, 2)", id="fixed axis"),
        pytest.param({"image": np.zeros((3, 2, 2), np.float32)}, "axis 'batch' is 3", id="batch"),
        pytest.param({"image": np.zeros((2, 2, 2), complex)}, "complex128", id="dtype"),
        pytest.param({"ids": np.zeros((2, 5), np.float32)}, "'ids' is float32", id="float for int"),
        pytest.param({"ids": np.full((2, 5), 2**40)}, "1099511627776 at (0, 0)", id="int too wide"),
        pytest.param({"ids": [[1, 2], [3]]}, "ragged", id="ragged"),
        pytest.param({"ids": [[1, "a"], [2, "b"]]}, "'ids' is <U21", id="text for int"),
        pytest.param({"ids": np.ma.masked_equal([[1, 2]], 2)}, "masked values", id="masked"),
        pytest.param({"ids": np.array([["2026-11-24"]], "M8[D]")}, "datetime64", id="date"),
    ],
)
def test_check_refuses_and_quotes_the_signature(change: dict[str, object], message: str) -> None:
    feeds = {name: array for name, array in (GOOD | change).items() if array is not None}
    with pytest.raises(FeedError, match=re.escape(message)):
        TWO.check(feeds)


def of(dtype: str) -> Signature:
    """A signature of one input of two free axes."""
    return Signature((TensorSpec("x", dtype, ("rows", "columns")),), ())


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        pytest.param([[1, 2]], "int32", [[1, 2]], id="list of ints"),
        pytest.param([[0.1, 2]], "float32", [[np.float32(0.1), 2]], id="list of floats, rounded"),
        pytest.param([[]], "int32", [[]], id="empty list"),
        pytest.param(((1, 2),), "int64", [[1, 2]], id="tuple"),
        pytest.param(np.ones((1, 2), np.int64), "int32", [[1, 1]], id="int64 that fits"),
        pytest.param(np.ones((1, 2), np.uint8), "int32", [[1, 1]], id="uint8"),
        pytest.param(np.array([[2**64 - 1]], np.uint64), "uint64", [[2**64 - 1]], id="uint64"),
        pytest.param([[True, False]], "int64", [[1, 0]], id="bool for int: a mask"),
        pytest.param([[True, False]], "float32", [[1, 0]], id="bool for float"),
        pytest.param([[1, 0]], "bool", [[True, False]], id="0 and 1 for bool"),
        pytest.param([[2**24]], "float32", [[2**24]], id="the last of the exact ints"),
        pytest.param([[2**24 + 2]], "float32", [[2**24 + 2]], id="a larger int that is exact"),
        pytest.param([[-(2**63)]], "float32", [[-(2**63)]], id="the least int64, exact"),
        pytest.param([[NAN, INF, -INF]], "float32", [[NAN, INF, -INF]], id="NaN, infinities"),
        pytest.param([[1e-60]], "float32", [[0]], id="rounded to zero"),
        pytest.param(np.ones((1, 1), ">f4"), "float32", [[1]], id="other byte order"),
        pytest.param([["a", "\u00e9"]], "str", [["a", "\u00e9"]], id="strings"),
        pytest.param(np.array([[b"\xc3\xa9"]]), "str", [["\u00e9"]], id="UTF-8"),
        pytest.param(np.array([["a"]], object), "str", [["a"]], id="objects that are strings"),
    ],
)
def test_check_takes_what_no_value_is_changed_by(given: Any, dtype: str, expected: Any) -> None:
    checked = of(dtype).check({"x": given})["x"]
    assert checked.dtype == (object if dtype == "str" else np.dtype(dtype))
    np.testing.assert_array_equal(checked, np.array(expected, checked.dtype))


@pytest.mark.parametrize(
    ("given", "dtype", "message"),
    [
        pytest.param([[0, 2**24 + 1]], "float32", "16777217 at (0, 1)", id="no float32"),
        pytest.param([[2**63 - 1]], "float32", "9223372036854775807", id="rounds up past int64"),
        pytest.param([[2**53 + 1]], "float64", "9007199254740993 at", id="no float64"),
        pytest.param([[2049]], "float16", "2049 at (0, 0)", id="no float16"),
        pytest.param([[70000]], "float16", "70000 at (0, 0)", id="int beyond float16"),
        pytest.param([[1e39]], "float32", "1e+39 at (0, 0)", id="becomes infinite"),
        pytest.param([[NAN, 65520.0]], "float16", "65520.0 at (0, 1)", id="infinite as float16"),
        pytest.param([[-1]], "uint64", "-1 at (0, 0)", id="negative for unsigned"),
        pytest.param(
            [[128]], "int8", "where the input's dtype has every value", id="says the rule"
        ),
        pytest.param([[2]], "bool", "2 at (0, 0)", id="2 for bool"),
        pytest.param([[1.0]], "int32", "'x' is float64", id="a whole float for int"),
        pytest.param([[1.0]], "bool", "'x' is float64", id="float for bool"),
        pytest.param([[1j]], "float32", "'x' is complex128", id="complex"),
        pytest.param([[2**70]], "int64", "'x' is object", id="a Python int of no dtype"),
        pytest.param([[1, 2]], "str", "'x' is int64", id="int for string"),
        pytest.param(np.array([["a", 1]], object), "str", "1 at (0, 1)", id="an object in strings"),
        pytest.param(np.array([[b"a"]], object), "str", "b'a' at (0, 0)", id="bytes in objects"),
        pytest.param(np.array([[b"\xff"]]), "str", "not UTF-8", id="no UTF-8"),
    ],
)
def test_check_refuses_what_a_value_is_changed_by(given: Any, dtype: str, message: str) -> None:
    with pytest.raises(FeedError, match=re.escape(message)) as caught:
        of(dtype).check({"x": given})
    assert f"the model takes x: {dtype} (rows, columns)" in str(caught.value)


NUMBERS = ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
NUMBERS += ["float16", "float32", "float64"]
arrays = st.sampled_from(NUMBERS).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=3))
)


@given(array=arrays, dtype=st.sampled_from(NUMBERS))
def test_a_value_is_never_changed_but_by_the_rounding_of_a_float(array: Any, dtype: str) -> None:
    kinds = array.dtype.kind, np.dtype(dtype).kind
    before = array.copy()
    try:
        checked = of(dtype).check({"x": array})["x"]
    except FeedError:
        # Not out of caution: some value is none of that dtype's, or the kinds never go together.
        assert kinds in {("f", "b"), ("f", "i"), ("f", "u")} or not _representable(array, dtype)
        return
    finally:
        assert array.tobytes() == before.tobytes()
    assert checked.dtype == np.dtype(dtype)
    if kinds == ("f", "f"):
        assert np.array_equal(np.isnan(checked), np.isnan(array))
        assert np.array_equal(np.isinf(checked), np.isinf(array))
        exact = array[np.isfinite(array)].astype(np.float64)
        made = checked[np.isfinite(array)]
        with np.errstate(over="ignore"):  # the step after the largest float is infinite
            step = np.spacing(np.abs(made)).astype(np.float64)
        assert (np.abs(made.astype(np.float64) - exact) <= step / 2).all()
    else:
        # Python's numbers compare exactly, whatever their width.
        assert [int(value) for value in checked.flat] == [int(value) for value in array.flat]


def _representable(array: Any, dtype: str) -> bool:
    """Whether Python's exact numbers find every value among those of a dtype."""
    kind = np.dtype(dtype).kind
    values = [value.item() for value in array.flat]
    if kind == "b":
        return all(value in (0, 1) for value in values)
    if kind in "iu":
        return all(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max for value in values)
    with np.errstate(over="ignore"):
        made = [np.float64(value).astype(dtype).item() for value in values]
    if array.dtype.kind == "f":
        return all(np.isinf(m) <= np.isinf(v) for m, v in zip(made, values, strict=True))
    return all(m == v for m, v in zip(made, values, strict=True))


@pytest.mark.parametrize("feeds", [np.zeros((1, 2)), [[1, 2]], None, "ids"], ids=repr)
def test_a_feed_that_is_no_mapping_is_told_the_names(feeds: Any) -> None:
    with pytest.raises(FeedError, match=r"give a dict .*image: float32 .*; ids: int32"):
        TWO.check(feeds)


def test_any_mapping_is_a_feed() -> None:
    assert TWO.check(MappingProxyType(GOOD))["ids"] is GOOD["ids"]


def test_what_is_no_array_says_why() -> None:
    class Far:
        def __array__(self, dtype: object = None, copy: object = None) -> object:
            raise TypeError("it is on another device")

    with pytest.raises(FeedError, match="it is on another device"):
        TWO.check(GOOD | {"ids": Far()})


@given(
    st.lists(
        st.tuples(
            st.tuples(st.integers(1, 3), st.integers(2, 3), st.just(2)),
            st.tuples(st.integers(1, 3), st.integers(1, 3)),
        ),
        max_size=9,
    )
)
def test_shapes_that_come_again_are_judged_as_the_first_time(shapes: list[Any]) -> None:
    again = Signature(TWO.inputs, TWO.outputs)
    for image, ids in shapes * 2:
        feeds = {"image": np.zeros(image, np.float32), "ids": np.zeros(ids, np.int32)}
        fits = image[1] == 2 and image[0] == ids[0]
        assert (again._as_they_are(feeds) is not None) is fits
        assert again._as_they_are(feeds | {"more": feeds["ids"]}) is None


def test_a_signature_remembers_a_bounded_number_of_shapes() -> None:
    x = of("float32")
    for rows in range(2 * MOST_SHAPES):
        assert x.check({"x": np.zeros((rows, 1), np.float32)})["x"].shape == (rows, 1)
    assert len(x._known) == MOST_SHAPES


@pytest.mark.parametrize("dtype", ["str", "float32"])
def test_an_empty_feed_names_what_is_missing(dtype: str) -> None:
    with pytest.raises(FeedError, match="missing 'x'"):
        of(dtype).check({})


def test_an_array_that_fits_is_not_copied() -> None:
    assert TWO.check(GOOD)["image"] is GOOD["image"]


@given(batch=st.integers(1, 5), time=st.integers(1, 7), seed=st.integers(0, 100))
def test_a_sample_always_passes_its_own_check(batch: int, time: int, seed: int) -> None:
    feeds = TWO.sample(seed, batch=batch, axes={"time": time})
    assert TWO.check(feeds) == feeds or all(
        np.array_equal(feeds[name], array) for name, array in TWO.check(feeds).items()
    )
    assert feeds["ids"].shape == (batch, time)


def test_a_sample_is_the_same_for_a_seed() -> None:
    assert np.array_equal(TWO.sample(7)["image"], TWO.sample(7)["image"])
    assert not np.array_equal(TWO.sample(7)["image"], TWO.sample(8)["image"])


@pytest.mark.parametrize(
    ("first", "second", "batched"),
    [
        pytest.param(("batch", 2), ("batch", 3), True, id="one free axis"),
        pytest.param((1, 2), (1, 3), False, id="fixed"),
        pytest.param(("batch", 2), ("rows", 3), False, id="two axes"),
        pytest.param(("batch", 2), (), False, id="scalar output"),
    ],
)
def test_batched(
    first: tuple[int | str, ...], second: tuple[int | str, ...], batched: bool
) -> None:
    signature = Signature(
        (TensorSpec("x", "float32", first),), (TensorSpec("y", "float32", second),)
    )
    assert signature.batched is batched


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_check_finite_names_the_place(value: float) -> None:
    array = np.zeros((2, 3), np.float32)
    array[1, 2] = value
    with pytest.raises(FeedError, match=r"'x' has .* at \(1, 2\)"):
        check_finite({"x": array})


@pytest.mark.parametrize(
    ("shape", "text"), [((), "()"), ((3,), "(3,)"), (("batch", 2), "(batch, 2)")]
)
def test_format_shape(shape: tuple[int | str, ...], text: str) -> None:
    assert format_shape(shape) == text
