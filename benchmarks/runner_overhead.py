"""What `Runner.run` adds to a bare `InferenceSession.run` of the same session.

    python benchmarks/runner_overhead.py [--clock cpu]

Prints a table for a model of one node and for a small CNN (the bundle `artifacts/cnn` where it
exists), on one thread. Both sides run the same open session in turns of a few milliseconds; the
target is 5% or 10 microseconds, whichever is larger. Exit code 1 says that it was missed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import small_models
import turns

from edgekit.latency import timing
from edgekit.runtime.runner import Runner, open_runner

ROUNDS = 300
MOST_PERCENT, MOST_US = 5.0, 10.0


@dataclass(frozen=True)
class Overhead:
    """The p50 of both sides in microseconds, and what the runner adds, paired by round."""

    bare_us: float
    runner_us: float
    ratio: float
    ci95: tuple[float, float]
    added_us: float

    @property
    def within(self) -> bool:
        """Whether the runner keeps to the target."""
        return self.ratio <= 1 + MOST_PERCENT / 100 or self.added_us <= MOST_US


def measure(runner: Runner, rounds: int, clock: turns.Clock) -> Overhead:
    """Time bare and runner in turns."""
    feeds = runner.signature.check(runner.signature.sample())
    session: Any = runner._session
    runner.warmup(feeds, runs=200)
    found = turns.take(
        {
            "bare": lambda: turns.block(lambda: session.run(None, feeds), clock),
            "runner": lambda: turns.block(lambda: runner.run(feeds), clock),
        },
        rounds,
    )
    bare, ours = found["bare"], found["runner"]
    ratio, interval = timing.paired_ratio(ours, bare, seed=0)
    added = float(np.median(np.subtract(ours, bare)))
    return Overhead(float(np.median(bare)), float(np.median(ours)), ratio, interval, added)


def main() -> int:
    """Measure both models and print the table."""
    arguments = turns.parser(__doc__, ROUNDS).parse_args()
    print(
        f"onnxruntime {onnxruntime.__version__}, CPU, 1 thread, batch 1, {arguments.rounds} rounds"
    )
    print(f"in turns, {arguments.clock} time, {time.strftime('%Y-%m-%d')}; p50 in us")
    print(f"{'model':28}{'bare':>9}{'runner':>9}{'added':>8}{'ratio':>8}{'95% interval':>18}")
    within = True
    with tempfile.TemporaryDirectory() as folder:
        for make in (small_models.one_node, small_models.small_cnn):
            path = make(Path(folder))
            with open_runner(path, threads=1) as runner:
                found = measure(runner, arguments.rounds, turns.CLOCKS[arguments.clock])
            within &= found.within
            interval = f"{found.ci95[0]:.3f} .. {found.ci95[1]:.3f}"
            print(
                f"{path.name:28}{found.bare_us:9.1f}{found.runner_us:9.1f}{found.added_us:8.2f}"
                f"{found.ratio:8.3f}{interval:>18}"
            )
    verdict = "within" if within else "OVER"
    print(f"{verdict} the target: {MOST_PERCENT:g}% or {MOST_US:g} us, whichever is larger")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
