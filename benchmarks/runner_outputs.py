"""Where an output goes: a new array, one of the caller's, or one that stays bound.

    python benchmarks/runner_outputs.py [--clock cpu]

Each model runs on one thread with an answer from `run`, with that answer copied into an array of
the caller, with `run(out=)`, which binds the array for the run, and from a session of onnxruntime
whose input and output stay bound, which no function of edgekit is: the figures say what each is
worth. `kept` is `run` by a caller who keeps nine answers, and so gets new memory.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import small_models
import turns

from edgekit.runtime.runner import Runner, open_runner

ROUNDS = 100
KEPT = 9


def ways(runner: Runner) -> dict[str, Callable[[], object]]:
    """Give the ways to run, by name; each leaves the same answer."""
    feeds = runner.signature.check(runner.signature.sample())
    (answer,) = runner.run(feeds).items()
    name, array = answer[0], np.empty_like(answer[1])
    kept: list[Any] = []
    session: Any = runner._session
    binding = session.io_binding()
    for given, value in feeds.items():
        binding.bind_cpu_input(given, value)
    bound = np.empty_like(array)
    where = bound.dtype.type, bound.shape, bound.ctypes.data
    binding.bind_output(name, "cpu", 0, *where)

    def keep() -> None:
        if len(kept) >= KEPT:
            kept.clear()
        kept.append(runner.run(feeds))

    return {
        "run": lambda: runner.run(feeds),
        "kept": keep,
        "copied": lambda: np.copyto(array, runner.run(feeds)[name]),
        "out=": lambda: runner.run(feeds, out={name: array}),
        # The array is named here, or it would be gone, and written all the same.
        "bound": lambda: (session.run_with_iobinding(binding), bound),
    }


def main() -> None:
    """Print the table."""
    arguments = turns.parser(__doc__, ROUNDS).parse_args()
    clock = turns.CLOCKS[arguments.clock]
    print(
        f"onnxruntime {onnxruntime.__version__}, CPU, 1 thread, batch 1, {arguments.rounds} rounds"
    )
    print(f"in turns, {arguments.clock} time, {time.strftime('%Y-%m-%d')}; us (ratio to run)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [
            small_models.one_node(folder),
            small_models.small_cnn(folder),
            small_models.upsampling(folder),
            *(small_models.widened(folder, mib) for mib in (1, 4, 16, 64)),
        ]
        for index, path in enumerate(paths):
            with open_runner(path, threads=1) as runner:
                runner.warmup(runs=20)
                sides = ways(runner)
                blocks = {
                    way: functools.partial(turns.block, run, clock) for way, run in sides.items()
                }
                found = turns.take(blocks, arguments.rounds)
            if index == 0:
                print(f"{'model':20}" + "".join(f"{way:>18}" for way in found))
            base = np.array(found["run"])
            cells = (
                f"{np.median(times):10.1f} ({np.median(times / base):5.2f})"
                for times in map(np.array, found.values())
            )
            print(f"{path.name:20}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
