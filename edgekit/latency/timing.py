"""The plan of a benchmark: rounds and their order, when to stop, ratios, drift.

Comparisons draw whole rounds, because neighbouring runs share the machine's mood. No clock and no
process in this module; it needs numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.latency.percentiles import QUANTILES, RESAMPLES, interval, runs_needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        the duration and each candidate has the runs for its p99. A slow one goes on for up to
        `MOST_STRETCH` times the duration, and aims no higher than the percentile that it can reach
        by then. Every candidate gets at least `FEWEST_RUNS` rounds.
        """
        parts = [
            count / self._target(seconds / count)
            for count, seconds in zip(runs, timed_s, strict=True)
        ]
        wanted = min(rounds / self.rounds, *parts)
        spent = max(timed_s) / (MOST_STRETCH * self.duration_s)
        return min(1.0, max(wanted, spent), rounds / FEWEST_RUNS)

    def _target(self, run_s: float) -> int:
        """Give the runs needed for the highest percentile within reach of runs that long."""
        most = MOST_STRETCH * self.duration_s / run_s
        needed = [runs_needed(quantile) for quantile in QUANTILES.values()]
        return max((count for count in needed if count <= most), default=FEWEST_RUNS)


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


def paired_ratio(
    candidate: Sequence[float], baseline: Sequence[float], seed: int
) -> tuple[float, tuple[float, float]]:
    """Give the median of the rounds' ratios candidate/baseline and its 95% bootstrap interval.

    Both are times, one a round, in the same order; rounds are drawn with replacement.
    """
    ratios = np.asarray(candidate, np.float64) / np.asarray(baseline, np.float64)
    ratio = float(np.median(ratios))
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(ratios), (RESAMPLES, len(ratios)))
    return ratio, interval(np.median(ratios[draws], axis=1), ratio)


def verdict(bounds: tuple[float, float]) -> str:
    """Say what a ratio's interval means: `faster`, `slower`, or `no difference`.

    A difference is claimed only where the whole interval is more than `SAME` away from 1.
    """
    low, high = bounds
    if high < 1 - SAME:
        return "faster"
    return "slower" if low > 1 + SAME else "no difference"


def drift(p50s: Sequence[float]) -> float:
    """Give the relative change of the p50 from the first third of the rounds to the last."""
    third = max(1, len(p50s) // 3)
    return float(np.median(p50s[-third:]) / np.median(p50s[:third])) - 1
