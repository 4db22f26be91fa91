"""Percentiles that enough runs stand behind: LoadGen's numbers, and the intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.latency import percentiles

MS = 1_000_000


def block(*milliseconds: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([round(ms * MS) for ms in milliseconds], np.int64)


@pytest.mark.parametrize(
    ("runs", "q", "expected"),
    [
        ((1, 2, 3), 50, 2.0),
        ((1, 2), 50, 1.5),
        ((0, 10), 90, 9.0),
        ((7,), 99, 7.0),
        (range(101), 99, 99.0),
    ],
)
def test_percentiles_are_linear_between_runs(runs: Any, q: float, expected: float) -> None:
    assert percentiles.percentile_ms(block(*runs), q) == pytest.approx(expected)


# MLPerf's early stopping.


@pytest.mark.parametrize(
    ("quantile", "runs"),
    [
        pytest.param(0.9, 64, id="single-stream, as LoadGen says"),
        pytest.param(0.99, 662, id="multi-stream, as LoadGen says"),
        pytest.param(0.5, 11, id="median"),
    ],
)
def test_a_percentile_takes_as_many_runs_as_loadgen_asks_for(quantile: float, runs: int) -> None:
    assert percentiles.runs_needed(quantile) == runs


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.sampled_from([0.5, 0.9, 0.97, 0.99]))
def test_discarding_one_more_run_would_not_be_99_percent_sure(runs: int, quantile: float) -> None:
    def at_most(t: int) -> float:
        """The binomial distribution, term by term."""
        return math.fsum(
            math.exp(
                math.lgamma(runs + 1)
                - math.lgamma(k + 1)
                - math.lgamma(runs - k + 1)
                + k * math.log(1 - quantile)
                + (runs - k) * math.log(quantile)
            )
            for k in range(t + 1)
        )

    t = percentiles.discarded(runs, quantile)
    assert t == 0 or at_most(t) <= 0.01 * (1 + 1e-9)
    assert at_most(t + 1) > 0.01 * (1 - 1e-9)


@pytest.mark.parametrize(
    ("count", "quantile", "expected"),
    [
        pytest.param(63, 0.9, None, id="too few for a p90"),
        pytest.param(64, 0.9, 63.0, id="the slowest of all"),
        pytest.param(661, 0.99, None, id="too few for a p99"),
        pytest.param(662, 0.99, 661.0, id="p99"),
        pytest.param(2000, 0.9, 1832.0, id="above the 90th of 2000"),
        pytest.param(0, 0.5, None, id="none"),
    ],
)
def test_the_estimate_is_the_slowest_run_that_is_left(
    count: int, quantile: float, expected: float | None
) -> None:
    runs = np.random.default_rng(0).permutation(block(*range(count)))
    assert percentiles.early_stopping_ms(runs, quantile) == expected


@pytest.mark.parametrize("quantile", [0.9, 0.99])
def test_the_estimate_is_above_the_true_percentile_99_times_of_100(quantile: float) -> None:
    rng = np.random.default_rng(0)
    true_ms = -math.log(1 - quantile)  # of the exponential distribution
    found = [
        percentiles.early_stopping_ms((rng.exponential(MS, 1000)).astype(np.int64), quantile)
        for _ in range(1000)
    ]
    assert np.mean([estimate is not None and estimate >= true_ms for estimate in found]) >= 0.98


# Intervals.

blocks = st.lists(
    st.lists(st.integers(1_000, 10**9), min_size=1, max_size=40), min_size=1, max_size=12
).map(lambda rows: [np.array(row, np.int64) for row in rows])


@settings(max_examples=25, deadline=None)
@given(blocks, st.integers(0, 5))
def test_an_interval_is_seeded_and_holds_the_p50(rows: Any, seed: int) -> None:
    interval = percentiles.intervals_ms(rows, seed)["p50"]
    assert interval == percentiles.intervals_ms(rows, seed)["p50"]
    pool = np.concatenate(rows)
    assert pool.min() / 1e6 <= interval[0] * (1 + 1e-12)
    assert interval[0] <= percentiles.percentile_ms(pool, 50) * (1 + 1e-12)
    assert percentiles.percentile_ms(pool, 50) <= interval[1] * (1 + 1e-12)
    assert interval[1] <= pool.max() / 1e6 * (1 + 1e-12)


def test_thinning_for_the_bootstrap_keeps_the_distribution() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.gamma(4, MS, 20_000).astype(np.int64) for _ in range(20)]
    low, high = percentiles.intervals_ms(rows, seed=0)["p50"]
    p50 = percentiles.percentile_ms(np.concatenate(rows), 50)
    assert p50 * 0.99 < low <= p50 <= high < p50 * 1.01


def test_an_interval_is_as_wide_as_the_blocks_differ() -> None:
    low, high = percentiles.intervals_ms([block(1, 1, 1), block(9, 9, 9)] * 5, seed=0)["p50"]
    assert (low, high) == (1.0, 9.0)


@settings(max_examples=25, deadline=None)
@given(blocks)
def test_an_interval_holds_its_estimate_and_a_missing_one_has_none(rows: Any) -> None:
    found = percentiles.intervals_ms(rows, seed=0)
    pool = np.concatenate(rows)
    for name, quantile in (("p90", 0.9), ("p99", 0.99)):
        estimate = percentiles.early_stopping_ms(pool, quantile)
        assert (name in found) is (estimate is not None)
        if estimate is not None:
            assert found[name][0] <= estimate <= found[name][1]
    low, high = found["mean"]
    assert low <= float(pool.mean()) / MS <= high


def test_a_rate_is_of_all_runs_in_all_of_the_time() -> None:
    low, high = percentiles.rate_interval([10, 30], [1e9, 1e9], seed=0)
    assert (low, high) == (10.0, 30.0)
    assert percentiles.rate_interval([20, 20], [1e9, 1e9], seed=0) == (20.0, 20.0)
