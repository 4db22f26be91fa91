"""What `Runner.run` adds to a bare `InferenceSession.run` of the same session.

    python benchmarks/runner_overhead.py

Prints a table for a model of one node and for a small CNN (the bundle `artifacts/cnn` where it
exists). Both sides run the same open session in turns of a few milliseconds, so that the noise of
the machine hits both; the target is 5% or 10 microseconds, whichever is larger. Exit code 1 says
that the target was missed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgekit.latency import timing
from edgekit.latency.worker import timed_block
from edgekit.runtime.runner import Runner, open_runner

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 300
BLOCK_NS = 4_000_000
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


def measure(runner: Runner, rounds: int = ROUNDS) -> Overhead:
    """Time bare and runner in turns, each first as often as second."""
    feeds = runner.signature.check(runner.signature.sample())
    session: Any = runner._session
    sides: list[Callable[[], object]] = [
        lambda: session.run(None, feeds),
        lambda: runner.run(feeds),
    ]
    for side in sides:
        timed_block(side, 50 * BLOCK_NS)
    medians: list[list[float]] = [[], []]
    for _, order in zip(range(rounds), timing.orders(2, seed=0), strict=False):
        for index in order:
            medians[index].append(float(np.median(timed_block(sides[index], BLOCK_NS))) / 1e3)
    bare, ours = medians
    ratio, interval = timing.paired_ratio(ours, bare, seed=0)
    added = float(np.median(np.subtract(ours, bare)))
    return Overhead(float(np.median(bare)), float(np.median(ours)), ratio, interval, added)


def one_node(folder: Path) -> Path:
    """Write a model that is one Relu over eight floats."""
    return _save(folder / "one_node.onnx", [helper.make_node("Relu", ["x"], ["y"])], [8], [8], {})


def small_cnn(folder: Path) -> Path:
    """Give the exported cnn where there is one, else write its like with random weights."""
    exported = Path("artifacts/cnn")
    if (exported / "manifest.json").is_file():
        return exported
    rng = np.random.default_rng(0)
    shapes = {"w1": (32, 1, 3, 3), "w2": (64, 32, 3, 3), "w3": (64 * 7 * 7, 64), "w4": (64, 10)}
    weights = {n: (rng.standard_normal(s) / 10).astype(np.float32) for n, s in shapes.items()}
    same: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    half: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], **same),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], **half),
        helper.make_node("Conv", ["p1", "w2"], ["c2"], **same),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("MaxPool", ["r2"], ["p2"], **half),
        helper.make_node("Flatten", ["p2"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["d"]),
        helper.make_node("Relu", ["d"], ["r3"]),
        helper.make_node("MatMul", ["r3", "w4"], ["y"]),
    ]
    return _save(folder / "small_cnn.onnx", nodes, [1, 28, 28], [10], weights)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    takes: list[int],
    gives: list[int],
    weights: dict[str, np.ndarray[Any, Any]],
) -> Path:
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *takes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *gives])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(
        helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]), path
    )
    return path


def main() -> int:
    """Measure both models and print the table."""
    print(f"onnxruntime {onnxruntime.__version__}, CPU, 1 thread, batch 1, {ROUNDS} rounds of")
    print(f"{BLOCK_NS / 1e6:g} ms a side in turns, {time.strftime('%Y-%m-%d')}; p50 in us")
    print(f"{'model':28}{'bare':>9}{'runner':>9}{'added':>8}{'ratio':>8}{'95% interval':>18}")
    within = True
    with tempfile.TemporaryDirectory() as folder:
        for path in (one_node(Path(folder)), small_cnn(Path(folder))):
            with open_runner(path, threads=1) as runner:
                found = measure(runner)
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
