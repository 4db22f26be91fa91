"""Percentiles that enough runs stand behind, and the intervals around them. Needs numpy only.

The p90 and p99 are MLPerf's early-stopping estimates (LoadGen, `loadgen/early_stopping.cc` and
`results.cc` of mlcommons/inference): the t-th slowest of n runs, with the largest t for which t or
fewer runs above the true percentile would be seen with a probability of at most 1 - 0.99. Where
even t = 1 is too many there is no estimate: it takes 64 runs for a p90 and 662 for a p99.

Neighbouring runs share the machine's mood, so the bootstrap draws whole blocks, never single runs.
A block is the run of one candidate in one round: an array of nanoseconds, one a run.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Block = np.ndarray[Any, np.dtype[np.int64]]

#: LoadGen's own: `double confidence = 0.99; double tolerance = 0.0;`
CONFIDENCE = 0.99
#: The percentiles that a latency has, by name.
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

RESAMPLES = 1000
#: The bootstrap's pool is thinned to about this many order statistics, for speed.
POOL = 2000


def discarded(runs: int, quantile: float) -> int:
    """Give the largest t with P(t or fewer of `runs` are above the quantile) <= 1 - 0.99.

    The number above the true quantile is binomial: `runs` draws of probability 1 - quantile. 0
    says that there are too few runs for an estimate.
    """
    # log P(X = k) step by step: a million runs neither overflow nor vanish. The sum up to the mean
    # is a half already, so t lies below it.
    k = np.arange(min(runs, math.ceil(runs * (1 - quantile))))
    steps = np.log((runs - k) / (k + 1)) + math.log((1 - quantile) / quantile)
    logs = runs * math.log(quantile) + np.concatenate(([0.0], np.cumsum(steps)))
    at_most = np.logaddexp.accumulate(logs)
    return max(0, int(np.searchsorted(at_most, math.log(1 - CONFIDENCE), side="right")) - 1)


@functools.cache
def runs_needed(quantile: float) -> int:
    """Give the fewest runs that have an early-stopping estimate of a quantile."""
    runs = 1
    while discarded(runs, quantile) < 1:
        runs += 1
    return runs


def early_stopping_ms(runs: Block, quantile: float) -> float | None:
    """Give MLPerf's early-stopping estimate in milliseconds, None where the runs are too few.

    With 99% confidence at least `quantile` of all runs take no longer.
    """
    t = discarded(len(runs), quantile)
    return None if t < 1 else float(np.sort(runs)[len(runs) - t]) / 1e6


def percentile_ms(runs: Block, q: float) -> float:
    """Give a percentile in milliseconds: numpy's default, linear between the two nearest runs."""
    return float(np.percentile(runs, q)) / 1e6


def intervals_ms(blocks: Sequence[Block], seed: int) -> dict[str, tuple[float, float]]:
    """Give the 95% bootstrap intervals of `p50`, `p90`, `p99` and `mean`, in milliseconds.

    Whole blocks are drawn with replacement, `RESAMPLES` times. An interval holds its estimate; a
    percentile that the runs are too few for has none.
    """
    runs = np.concatenate(list(blocks))
    counts = _draws(len(blocks), seed)
    pool, weight = _weights(blocks, counts)
    found: dict[str, tuple[float, float]] = {}
    for name, quantile in QUANTILES.items():
        estimate = percentile_ms(runs, 50) if name == "p50" else early_stopping_ms(runs, quantile)
        if estimate is not None:
            drawn = pool[(weight >= quantile * weight[:, -1:]).argmax(axis=1)]
            found[name] = interval(drawn / 1e6, estimate)
    totals = counts @ np.array([block.sum(dtype=np.float64) for block in blocks])
    means = totals / (counts @ np.array([len(block) for block in blocks]))
    found["mean"] = interval(means / 1e6, float(runs.mean()) / 1e6)
    return found


def rate_interval(runs: Sequence[int], wall_ns: Sequence[float], seed: int) -> tuple[float, float]:
    """Give the 95% bootstrap interval of runs a second over blocks: sums of runs over sums of time.

    `runs` and `wall_ns` are one number a block.
    """
    counts = _draws(len(runs), seed)
    rates = 1e9 * (counts @ np.asarray(runs)) / (counts @ np.asarray(wall_ns))
    return interval(rates, 1e9 * sum(runs) / sum(wall_ns))


def interval(draws: Any, estimate: float) -> tuple[float, float]:
    """Give the middle 95% of the draws, widened to hold the estimate."""
    low, high = (float(bound) for bound in np.percentile(draws, (2.5, 97.5)))
    return min(low, estimate), max(high, estimate)


def _draws(blocks: int, seed: int) -> np.ndarray[Any, Any]:
    """How often each of `RESAMPLES` draws holds each block."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES).astype(np.int32)


def _weights(
    blocks: Sequence[Block], counts: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give the sorted runs, and for each draw how often runs up to there are in it."""
    step = max(1, sum(map(len, blocks)) // POOL)
    # Every step-th of a block's sorted runs: the same distribution and weight, fewer numbers.
    thin = [np.sort(block)[min(step // 2, len(block) // 2) :: step] for block in blocks]
    owner = np.repeat(np.arange(len(thin)), [len(block) for block in thin])
    pool = np.concatenate(thin)
    order = np.argsort(pool, kind="stable")
    return pool[order], np.cumsum(counts[:, owner[order]], axis=1)
