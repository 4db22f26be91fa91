"""The arithmetic of a benchmark: percentiles, intervals, ratios, and when to stop.

A block is the run of one candidate in one round: an array of nanoseconds, one a run. Neighbouring
runs share the machine's mood, so everything random here draws whole blocks or whole rounds, never
single runs. No clock and no process in this module; it needs numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Block = np.ndarray[Any, np.dtype[np.int64]]

#: A p99 from fewer runs would be little more than the slowest run.
P99_RUNS = 100
#: Consecutive blocks whose medians lie within `STEADY_SPREAD` of each other mean "warm".
STEADY_BLOCKS = 3
STEADY_SPREAD = 0.05
#: Two processes of one and the same file differ, steadily, by where their memory happens to lie
#: (2.6% was seen on a model of 30 us): a difference that small is no property of the model.
SAME = 0.03
#: A change of the p50 from the first to the last third of the rounds that is worth a warning.
DRIFT = 0.05

ROUNDS = 20
LONGEST_BLOCK_S = 0.25
#: Slow models run on past the duration until they have enough runs, but no longer than this.
MOST_STRETCH = 10
FEWEST_RUNS = 10

RESAMPLES = 1000
#: The bootstrap's pool is thinned to about this many order statistics, for speed.
POOL = 2000


@dataclass(frozen=True)
class Plan:
    """How long to measure: the timed seconds of one candidate, split into rounds."""

    duration_s: float

    @property
    def rounds(self) -> int:
        """The rounds that fill the duration: `ROUNDS`, more where blocks would get long."""
        return max(ROUNDS, math.ceil(self.duration_s / LONGEST_BLOCK_S))

    @property
    def block_ms(self) -> float:
        """The length of one candidate's block, in milliseconds."""
        return 1e3 * self.duration_s / self.rounds

    def progress(self, rounds: int, runs: Sequence[int], timed_s: Sequence[float]) -> float:
        """Give the part that is done, in 0..1; 1 means stop.

        `runs` and `timed_s` are what each candidate has so far. It is done when the rounds fill
        the duration and each candidate has `P99_RUNS` runs; a slow one stops short of them at
        `MOST_STRETCH` times the duration. Every candidate gets at least `FEWEST_RUNS` rounds.
        """
        wanted = min(rounds / self.rounds, min(runs) / P99_RUNS)
        spent = max(timed_s) / (MOST_STRETCH * self.duration_s)
        return min(1.0, max(wanted, spent), rounds / FEWEST_RUNS)


def orders(count: int, seed: int) -> Iterator[list[int]]:
    """Give the order of the candidates, round by round: a shuffle, then its mirror image.

    Over each pair of rounds every candidate stands at the same mean place, so a steady drift of
    the machine favours none.
    """
    rng = np.random.default_rng(seed)
    while True:
        order = [int(i) for i in rng.permutation(count)]
        yield order
        yield order[::-1]


def steady(medians: Sequence[float]) -> bool:
    """Tell whether the last `STEADY_BLOCKS` block medians lie within `STEADY_SPREAD`."""
    last = medians[-STEADY_BLOCKS:]
    return len(last) == STEADY_BLOCKS and max(last) <= min(last) * (1 + STEADY_SPREAD)


def percentile_ms(runs: Block, q: float) -> float:
    """Give a percentile in milliseconds: numpy's default, linear between the two nearest runs."""
    return float(np.percentile(runs, q)) / 1e6


def median_interval_ms(blocks: Sequence[Block], seed: int) -> tuple[float, float]:
    """Give the 95% bootstrap interval of the p50 over blocks, in milliseconds.

    Whole blocks are drawn with replacement, `RESAMPLES` times. The interval holds the p50 itself.
    """
    step = max(1, sum(map(len, blocks)) // POOL)
    # Every step-th of a block's sorted runs: the same distribution and weight, fewer numbers.
    thin = [np.sort(block)[min(step // 2, len(block) // 2) :: step] for block in blocks]
    owner = np.repeat(np.arange(len(thin)), [len(block) for block in thin])
    pool = np.concatenate(thin)
    order = np.argsort(pool, kind="stable")
    # How often each draw holds each block; the median is where half of the weight is reached.
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(thin), np.full(len(thin), 1 / len(thin)), RESAMPLES)
    weight = np.cumsum(counts.astype(np.int32)[:, owner[order]], axis=1)
    medians = pool[order][(2 * weight >= weight[:, -1:]).argmax(axis=1)]
    return _interval(medians, float(np.median(np.concatenate(list(blocks)))), 1e-6)


def paired_ratio(
    candidate: Sequence[float], baseline: Sequence[float], seed: int
) -> tuple[float, tuple[float, float]]:
    """Give the median of the rounds' ratios candidate/baseline and its 95% bootstrap interval.

    Both are p50s, one a round, in the same order; rounds are drawn with replacement.
    """
    ratios = np.asarray(candidate, np.float64) / np.asarray(baseline, np.float64)
    ratio = float(np.median(ratios))
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(ratios), (RESAMPLES, len(ratios)))
    return ratio, _interval(np.median(ratios[draws], axis=1), ratio)


def verdict(interval: tuple[float, float]) -> str:
    """Say what a ratio's interval means: `faster`, `slower`, or `no difference`.

    A difference is claimed only where the whole interval is more than `SAME` away from 1.
    """
    low, high = interval
    if high < 1 - SAME:
        return "faster"
    return "slower" if low > 1 + SAME else "no difference"


def drift(p50s: Sequence[float]) -> float:
    """Give the relative change of the p50 from the first third of the rounds to the last."""
    third = max(1, len(p50s) // 3)
    return float(np.median(p50s[-third:]) / np.median(p50s[:third])) - 1


def _interval(draws: Any, estimate: float, scale: float = 1.0) -> tuple[float, float]:
    low, high = (float(bound) for bound in np.percentile(draws, (2.5, 97.5)))
    return min(low, estimate) * scale, max(high, estimate) * scale
