"""How fast this machine multiplies and copies, and what a model asks of it; run in a child.

The product is one float32 MatMul in onnxruntime, since numpy's BLAS may be slower than that. The
copy has the size of what the model has
to move, so that weights which fit into a cache are compared with that cache.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.runtime.wire import model, node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The side of the square matrices: 134 million multiply-accumulates, about 2 ms a core.
SIDE = 512
PRODUCT_S = 0.15
COPY_S = 0.05
#: A copy below this would be timed more than made.
LEAST_BYTES = 2**16
#: Without an end to it, a model of gigabytes would take as much again for its copy.
MOST_BYTES = 2**28


def measure(threads: int, sizes: Sequence[int]) -> dict[str, Any]:
    """Give `peak_gmacs`, and `copy_gb_s` with a rate for each of the sizes in bytes."""
    return {
        "peak_gmacs": product_gmacs(threads),
        "copy_gb_s": [copy_gb_s(threads, size) for size in sizes],
    }


def count(path: Path, axes: dict[str, int]) -> dict[str, Any]:
    """Count the multiply-accumulates of one run at the lengths of its free axes.

    A model that cannot be counted, or a missing package, is a `reason`.
    """
    from edgekit.graph import inspect

    try:
        found = inspect(path, axes)
    except EdgekitError as error:
        return {"reason": str(error)}
    return {"macs": found.macs, "uncounted": list(found.uncounted)}


def product_gmacs(threads: int, side: int = SIDE, seconds: float = PRODUCT_S) -> float:
    """Give the best rate of a float32 product in onnxruntime, in 1e9 MACs a second."""
    from edgekit.runtime.runner import open_runner

    rng = np.random.default_rng(0)
    feeds = {name: rng.normal(size=(side, side)).astype(np.float32) for name in "ab"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "product.onnx"
        path.write_bytes(product_model(side))
        with open_runner(path, threads=threads) as runner:
            return side**3 / _best_s(lambda: runner.run(feeds), seconds) / 1e9


def copy_gb_s(threads: int, size_bytes: int, seconds: float = COPY_S) -> float:
    """Give the best rate of a copy in 1e9 bytes a second, both sides counted.

    Both sides have `size_bytes` together; each thread copies its part.
    """
    size = min(MOST_BYTES, max(LEAST_BYTES * threads, size_bytes)) // 2 // threads
    parts = [(_aligned(size), _aligned(size)) for _ in range(threads)]

    def best(part: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> float:
        source, target = part
        return _best_s(lambda: np.copyto(target, source), seconds)

    with ThreadPoolExecutor(threads) as pool:
        return sum(2 * size / spent for spent in pool.map(best, parts)) / 1e9


def _aligned(size: int) -> np.ndarray[Any, Any]:
    """Give bytes that start at a page: a copy between odd places was seen to be 12 times slower."""
    whole = np.ones(size + 4096, np.uint8)
    start = -whole.ctypes.data % 4096
    return whole[start : start + size]


def _best_s(run: Callable[[], object], seconds: float) -> float:
    """Give the shortest run of those that fit into the time, at least three."""
    best = float("inf")
    runs, end = 0, time.perf_counter() + seconds
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best


def product_model(side: int) -> bytes:
    """Write an ONNX model of one MatMul: `a` and `b`, float32 (side, side) -> `y`."""
    square = (side, side)
    product = node("MatMul", ("a", "b"), "y")
    return model("product", (product,), {"a": square, "b": square}, {"y": square}, {})
