"""How `edgekit.open(replicas=2)` scales over two cores, and what it is measured against.

    python benchmarks/runner_pool.py [--rounds 60]

A stream of the small CNN's inputs (the bundle `artifacts/cnn` where it exists) is run by one
replica and by two, in turns with two threads on one session, two threads on a session each,
onnxruntime's own two threads inside of an operator, and two processes that share nothing, which
is what the machine has to give. The target is 1.8 times the samples a second of one replica, in
runs of 32 samples as for throughput. Runs of one sample, a tenth of a millisecond, wait for
Python's lock as bare threads do. Exit code 1 says that the target was missed.

`cores` is the time that the process computed by the time that passed. onnxruntime's own threads
spin while they wait: where they have less than both cores, other work had the rest, and the
figures are of no use.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import small_models
import turns

from edgekit.latency import timing
from edgekit.runtime.runner import Runner, open_runner
from edgekit.signature import Feeds

ROUNDS = 30
BLOCK_S = 0.25
LEAST = 1.8
BATCHES = (1, 8, 32)
#: The batch that the target is for.
JUDGED = 32
CORES = 2
#: Less than this of the cores for threads that spin, and other work had the rest.
QUIET = 0.93

#: Run so many items to the end, and give the seconds that other processes computed for it.
Way = Callable[[int], float]


def stream(runner: Runner, feeds: Feeds) -> Way:
    """Run items through `run_batches`."""

    def run(count: int) -> float:
        for _ in runner.run_batches(itertools.repeat(feeds, count)):
            pass
        return 0.0

    return run


def threads(runners: list[Runner], feeds: Feeds) -> Way:
    """Run items on a thread for each runner, in no order."""

    def run(count: int) -> float:
        def work(runner: Runner) -> None:
            for _ in range(count // len(runners)):
                runner.run(feeds)

        workers = [threading.Thread(target=work, args=(runner,)) for runner in runners]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return 0.0

    return run


@contextlib.contextmanager
def processes(path: Path, feeds: Feeds) -> Iterator[Way]:
    """Run items in processes that have a runner and the feed each, and are told how many."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for _ in range(CORES):
        mine, theirs = context.Pipe()
        started.append(context.Process(target=_serve, args=(theirs, path, feeds), daemon=True))
        started[-1].start()
        pipes.append(mine)

    def run(count: int) -> float:
        for pipe in pipes:
            pipe.send(count // CORES)
        return float(sum(pipe.recv() for pipe in pipes))

    try:
        yield run
    finally:
        for process in started:
            process.kill()


def _serve(pipe: Any, path: Path, feeds: Feeds) -> None:
    with open_runner(path, threads=1) as runner:
        while True:
            count = pipe.recv()
            start = time.process_time()
            for _ in range(count):
                runner.run(feeds)
            pipe.send(time.process_time() - start)


def timed(way: Way, count: int, computed: list[float]) -> float:
    """Give the seconds that `count` items take; note how many cores computed meanwhile."""
    start, cpu = time.perf_counter(), time.process_time()
    elsewhere = way(count)
    seconds = time.perf_counter() - start
    computed.append((elsewhere + time.process_time() - cpu) / seconds)
    return seconds


def measure(
    runners: dict[str, Runner], batch: int, rounds: int
) -> dict[str, tuple[list[float], float]]:
    """Give each way's seconds for the same items, round by round, and the cores that it had."""
    one, two = runners["one"], runners["two"]
    feeds = one.signature.check(one.signature.sample(batch=batch))
    with processes(one.path, feeds) as apart:
        ways = {
            "1 replica": stream(one, feeds),
            f"{CORES} replicas": stream(two, feeds),
            "2 threads, 1 session": threads([one, one], feeds),
            "2 threads, 2 sessions": threads([one, two], feeds),
            "2 intra-op threads": stream(runners["intra"], feeds),
            "2 processes": apart,
        }
        for way in ways.values():
            way(20)
        once = timed(ways["1 replica"], 20, []) / 20
        count = max(4, round(BLOCK_S / once) // 2 * 2)
        cores: dict[str, list[float]] = {name: [] for name in ways}
        sides = {
            name: functools.partial(timed, way, count, cores[name]) for name, way in ways.items()
        }
        found = turns.take(sides, rounds)
    return {
        name: ([seconds / (count * batch) for seconds in found[name]], float(np.median(had)))
        for name, had in cores.items()
    }


def main() -> int:
    """Print the table."""
    parser = turns.parser(__doc__, ROUNDS, clocks=("wall",))
    parser.add_argument("--batch", type=int, nargs="*", default=BATCHES)
    arguments = parser.parse_args()
    print(f"onnxruntime {onnxruntime.__version__}, CPU, {arguments.rounds} rounds in turns,")
    print(f"{time.strftime('%Y-%m-%d')}; times the samples a second of 1 replica")
    print(f"{'batch':>5}  {'way':24}{'samples/s':>10}{'times':>8}{'95% interval':>18}{'cores':>8}")
    enough, quiet = True, True
    with tempfile.TemporaryDirectory() as folder:
        path = small_models.small_cnn(Path(folder))
        with (
            open_runner(path, threads=1) as one,
            open_runner(path, replicas=CORES) as two,
            open_runner(path, threads=CORES) as intra,
        ):
            runners = {"one": one, "two": two, "intra": intra}
            for batch in arguments.batch:
                found = measure(runners, batch, arguments.rounds)
                base, _ = found["1 replica"]
                quiet &= found["2 intra-op threads"][1] >= QUIET * CORES
                for way, (times, cores) in found.items():
                    gain, (low, high) = timing.paired_ratio(base, times, seed=0)
                    judged = way == f"{CORES} replicas" and batch == JUDGED
                    enough &= not judged or gain >= LEAST
                    print(
                        f"{batch:5}  {way:24}{1 / np.median(times):10.0f}{gain:8.2f}"
                        f"{f'{low:.2f} .. {high:.2f}':>18}{cores:8.2f}",
                        flush=True,
                    )
    if not quiet:
        print(f"other work had a part of the {CORES} cores: measure it when nothing else runs")
    if JUDGED in arguments.batch:
        verdict = "within" if enough else "UNDER"
        print(f"{verdict} the target: {LEAST:g} times with {CORES} replicas, batch {JUDGED}")
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
