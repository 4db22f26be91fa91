from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import FeedError
from edgekit.signature import Signature, TensorSpec, check_finite, format_shape

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
        pytest.param({"ids": np.full((2, 5), 2**40)}, "outside of int32", id="int too wide"),
        pytest.param({"ids": [[1, 2], [3]]}, "ragged", id="ragged"),
    ],
)
def test_check_refuses_and_quotes_the_signature(change: dict[str, object], message: str) -> None:
    feeds = {name: array for name, array in (GOOD | change).items() if array is not None}
    with pytest.raises(FeedError, match=re.escape(message)):
        TWO.check(feeds)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        pytest.param([[1, 2]], np.int32, id="list"),
        pytest.param(np.ones((1, 2), np.int64), np.int32, id="int64 that fits"),
        pytest.param(np.ones((1, 2), np.uint8), np.int32, id="uint8"),
    ],
)
def test_check_widens_what_loses_nothing(given: object, dtype: type) -> None:
    checked = TWO.check({"image": [[[0, 1], [2, 3]]], "ids": given})
    assert checked["ids"].dtype == dtype
    assert checked["image"].dtype == np.float32


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
