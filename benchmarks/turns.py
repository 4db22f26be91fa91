"""Sides of a comparison that take turns, so that the noise of the machine hits all of them.

Time is `wall`, or `cpu`: what the calling thread computes, to which other work on the machine adds
little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgekit.latency import timing

CLOCKS = {"wall": time.perf_counter, "cpu": time.thread_time}
BLOCK_S = 0.004

Clock = Callable[[], float]


def block(run: Callable[[], object], clock: Clock, seconds: float = BLOCK_S) -> float:
    """Give the median time of a run, in microseconds, of those that fit into `seconds`."""
    times: list[float] = []
    end = clock() + seconds
    while not times or times[-1] < end:
        times.append(clock())
        run()
    times.append(clock())
    return float(np.median(np.diff(times))) * 1e6


def take(
    sides: Mapping[str, Callable[[], float]], rounds: int, seed: int = 0
) -> dict[str, list[float]]:
    """Measure each side once a round, each as often first as last."""
    names = list(sides)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _, order in zip(range(rounds), timing.orders(len(names), seed), strict=False):
        for index in order:
            found[names[index]].append(sides[names[index]]())
    return found


def difference(side: list[float], base: list[float]) -> tuple[float, tuple[float, float]]:
    """Give the median of the rounds' differences, and its 95% bootstrap interval."""
    differences = np.subtract(side, base)
    draws = np.random.default_rng(0).integers(0, len(differences), (2000, len(differences)))
    low, high = np.quantile(np.median(differences[draws], axis=1), [0.025, 0.975])
    return float(np.median(differences)), (float(low), float(high))


def parser(
    doc: str | None, rounds: int, clocks: Sequence[str] = tuple(CLOCKS)
) -> argparse.ArgumentParser:
    """Give the options that every comparison has."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--clock", choices=clocks, default="wall")
    return made
