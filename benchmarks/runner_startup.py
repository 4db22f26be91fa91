"""From the start of a process to its first answer: edgekit's runner and bare onnxruntime.

    python benchmarks/runner_startup.py [--clock cpu]

Each side is a process of its own that imports, opens the small CNN (the bundle `artifacts/cnn`
where it exists) on one thread, and runs it once; they take turns. `cpu` is the time that the
process computes, to which other work on the machine adds less. The target is 50 ms more than
onnxruntime alone. Exit code 1 says that it was missed.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import time
from pathlib import Path

import children
import numpy as np
import onnxruntime
import small_models
import turns

from edgekit.runtime.runner import open_runner

ROUNDS = 30
MOST_MS = 50.0
MOST_GIB = 4.0

BARE = """
import sys, numpy, onnxruntime
path, name, shape = sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
session.run(None, {name: numpy.zeros(shape, numpy.float32)})
"""
EDGEKIT = """
import sys, numpy, edgekit
path, name, shape = sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]]
with edgekit.open(path, threads=1) as runner:
    runner.run({name: numpy.zeros(shape, numpy.float32)})
"""


def took_ms(code: str, arguments: list[str], clock: str) -> float:
    """Run a program to its end, and give its milliseconds."""
    done = children.run([sys.executable, "-c", code, *arguments], MOST_GIB)
    if done.reason:
        raise SystemExit(done.reason)
    return 1e3 * (done.cpu_s if clock == "cpu" else done.seconds)


def measure(model: Path, rounds: int, clock: str) -> dict[str, list[float]]:
    """Take turns between onnxruntime, edgekit on the file, and edgekit on its bundle."""
    with open_runner(model) as runner:
        file, (spec,) = runner.path, runner.signature.inputs
    feed = [spec.name, *(str(size) if isinstance(size, int) else "1" for size in spec.shape)]
    programs = {"onnxruntime": (BARE, file), "edgekit, file": (EDGEKIT, file)}
    if model != file:
        programs["edgekit, bundle"] = (EDGEKIT, model)
    sides = {
        name: functools.partial(took_ms, code, [str(path), *feed], clock)
        for name, (code, path) in programs.items()
    }
    turns.take(sides, rounds=1)  # the files are read into memory, and the bytecode written
    return turns.take(sides, rounds)


def main() -> int:
    """Print the table."""
    arguments = turns.parser(__doc__, ROUNDS).parse_args()
    # An installed package has its bytecode; a checkout has it where the environment lets it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        model = small_models.small_cnn(Path(folder))
        found = measure(model, arguments.rounds, arguments.clock)
    print(f"onnxruntime {onnxruntime.__version__}, CPU, 1 thread, {model.name}, {arguments.rounds}")
    print(f"rounds in turns, {arguments.clock} time, {time.strftime('%Y-%m-%d')}; median in ms")
    print(f"{'process':20}{'start to answer':>16}{'added':>8}{'95% interval':>18}")
    within = True
    for name, times in found.items():
        added, (low, high) = turns.difference(times, found["onnxruntime"])
        within &= added <= MOST_MS
        interval = f"{low:.0f} .. {high:.0f}"
        print(f"{name:20}{np.median(times):16.0f}{added:8.0f}{interval:>18}")
    print(f"{'within' if within else 'OVER'} the target: {MOST_MS:g} ms")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
