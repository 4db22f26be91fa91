"""Edge inputs: always of the right shape and dtype, and never an id that there is no row for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit import edges
from edgekit.signature import Signature, TensorSpec

SIGNATURE = Signature(
    (
        TensorSpec("pixels", "float32", ("batch", 4)),
        TensorSpec("ids", "int64", ("batch", "time")),
        TensorSpec("mask", "bool", ("batch", "time")),
    ),
    (),
)


@st.composite
def samples(draw: st.DrawFn) -> dict[str, Any]:
    batch, time = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return {
        "pixels": draw(hnp.arrays(np.float32, (batch, 4), elements=st.floats(-9, 9, width=32))),
        "ids": draw(hnp.arrays(np.int64, (batch, time), elements=st.integers(0, 50))),
        "mask": draw(hnp.arrays(np.bool_, (batch, time))),
    }


@given(samples(), st.integers(0, 2**31))
def test_every_edge_is_safe_and_another_one(inputs: dict[str, Any], seed: int) -> None:
    ranges = edges.known_ranges(inputs, (), None)
    made = list(edges.of(SIGNATURE, inputs, ranges, seed=seed))
    again = list(edges.of(SIGNATURE, inputs, ranges, seed=seed))
    seen = [inputs]
    for (name, feeds), (_, same) in zip(made, again, strict=True):
        checked = SIGNATURE.check(feeds)
        assert np.isfinite(checked["pixels"]).all(), name
        assert checked["ids"].min() >= 0, name
        assert checked["ids"].max() <= max(ranges["ids"]), name
        assert all(np.array_equal(feeds[key], same[key]) for key in feeds), name
        for other in seen if name != "seeded" else ():
            assert any(not np.array_equal(feeds[key], other[key]) for key in feeds), name
        seen.append(feeds)


@pytest.mark.parametrize(
    ("edge", "low", "high", "beyond"),
    [
        pytest.param("zeros", 0, 0, False, id="zeros"),
        pytest.param("highest", 2, 2, False, id="highest"),
        pytest.param("lowest", -1, -1, False, id="lowest"),
        pytest.param("large", 0, 20000, True, id="large"),
        pytest.param("negative", -2, 0, True, id="negative"),
        pytest.param("tiny", 0, 1e-38, False, id="tiny"),
    ],
)
def test_what_an_edge_is_made_of(edge: str, low: float, high: float, beyond: bool) -> None:
    inputs = {"x": np.array([[-1.0, 0.0, 2.0]], np.float32)}
    signature = Signature((TensorSpec("x", "float32", ("batch", 3)),), ())
    ranges = edges.known_ranges(inputs, (), None)
    feeds = dict(edges.of(signature, inputs, ranges, seed=0))[edge]
    assert (feeds["x"].min() >= low, feeds["x"].max() <= high) == (True, True)
    assert edges.is_beyond(feeds, ranges) is beyond
    if edge == "tiny":
        assert 0 < feeds["x"].max() < np.finfo(np.float32).tiny


def test_the_range_of_ids_is_that_of_samples_calibration_and_vocabulary() -> None:
    inputs = {"ids": np.array([[3, 5]])}
    known = edges.known_ranges(inputs, [{"ids": np.array([[1, 9]])}], None)
    assert known == {"ids": (1.0, 9.0)}
    spec = {"kind": "characters", "input": "ids", "alphabet": "abc", "offset": 2, "padding": 0}
    assert edges.known_ranges(inputs, (), spec) == {"ids": (0.0, 4.0)}


def test_text_is_left_as_it_is() -> None:
    words = {"words": np.array([["a"], ["b"]], object)}
    signature = Signature((TensorSpec("words", "str", ("batch", 1)),), ())
    ranges = edges.known_ranges(words, (), None)
    assert [name for name, _ in edges.of(signature, words, ranges, seed=0)] == ["seeded"]
