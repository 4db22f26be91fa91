"""Ranges: onnxruntime's own min-max, bounded memory, and what percentile and entropy cut."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgekit.errors import QuantizeError
from edgekit.parity import sqnr_db
from edgekit.quantizer import quantize, ranges
from edgekit.quantizer.calibration import Calibration
from edgekit.runtime.runner import open_runner
from tests.quantizer import models


def calibration(path: Path, data: dict[str, Any], samples: int = 256) -> Calibration:
    with open_runner(path) as runner:
        return Calibration(runner.signature, data, samples)


class Reader:
    """What onnxruntime's own calibration reads from."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


@pytest.mark.parametrize("kind", ["mlp", "convnet", "transformer", "lstm"])
def test_min_max_is_onnxruntimes_own(kind: str, tmp_path: Path) -> None:
    from onnxruntime.quantization import create_calibrator

    path = models.MODELS[kind](tmp_path / "m.onnx")
    data = calibration(path, models.data(kind, rows=40))
    theirs = create_calibrator(path, None, str(tmp_path / "augmented.onnx"))
    theirs.collect_data(Reader(list(data.batches())))
    expected = {
        name: tuple(float(np.asarray(end).reshape(())) for end in found.range_value)
        for name, found in theirs.compute_data().items()
    }
    assert ranges.find(path, data, "minmax") == expected


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from edgekit.quantizer import ranges
from edgekit.quantizer.calibration import Calibration
from edgekit.signature import Signature, TensorSpec

def feeds(count):
    for i in range(count):
        rng = np.random.default_rng(i)
        yield {"x": rng.normal(size=(3, 32, 32)).astype(np.float32)}

path, method, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
signature = Signature((TensorSpec("x", "float32", ("batch", 3, 32, 32)),), ())
ranges.find(path, Calibration(signature, lambda: feeds(count), count), method)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("method", ranges.METHODS)
def test_memory_does_not_grow_with_the_samples(method: str, tmp_path: Path) -> None:
    """The activations are 0.4 MB a sample: 94 MB for the 240 more, where they are kept."""
    nodes, weights, last = [], {}, "x"
    for i in range(3):
        weights[f"w{i}"] = models.normal(i, 16, 16 if i else 3, 3, 3, scale=0.1)
        nodes.append(helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        last = f"r{i}"
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["y"]))
    shape: list[int | str] = ["batch", 3, 32, 32]
    path = models.write(
        tmp_path / "m.onnx", nodes, {"x": shape}, {"y": ["batch", 16, 1, 1]}, weights
    )

    def peak_kb(samples: int) -> int:
        command = [sys.executable, "-c", MEMORY, str(path), method, str(samples)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert peak_kb(256) - peak_kb(16) < 20_000


def histogram(values: models.Array) -> models.Array:
    """Count values as `find` does."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    bins = ((values - low) * (ranges.BINS / (high - low))).astype(int).clip(0, ranges.BINS - 1)
    return np.bincount(bins, minlength=ranges.BINS)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        pytest.param(np.linspace(0, 1, 100_001)[1:], (1e-5, 1e-5), (0.999, 1), id="one side"),
        pytest.param(np.linspace(-1, 1, 100_001), (-1, -0.999), (0.999, 1), id="both sides"),
        pytest.param(
            np.append(np.linspace(0, 1, 100_000), 64.0), (0, 0), (0.99, 1.01), id="one outlier"
        ),
        pytest.param(np.full(10, -2.0), (-2, -2), (-2, -2), id="one value"),
    ],
)
def test_percentile_cuts_the_ends(
    values: models.Array, low: tuple[float, float], high: tuple[float, float]
) -> None:
    got = ranges.METHODS["percentile"]
    assert got is not None
    least, greatest = got(histogram(values), float(values.min()), float(values.max()))
    assert low[0] <= least <= low[1]
    assert high[0] <= greatest <= high[1]


def test_entropy_keeps_what_is_even_and_cuts_a_long_tail() -> None:
    choose = ranges.METHODS["entropy"]
    assert choose is not None
    rng = np.random.default_rng(0)
    even = rng.uniform(0, 1, 200_000)
    assert choose(histogram(even), 0.0, float(even.max()))[1] > 0.9
    tail = np.append(rng.exponential(1.0, 200_000), 200.0)
    low, high = choose(histogram(tail), 0.0, 200.0)
    assert low == 0
    assert 6 < high < 60


@pytest.mark.parametrize("method", ranges.METHODS)
def test_outliers_cost_min_max_its_precision(method: str, tmp_path: Path) -> None:
    """Two values of 60 among 65536 of about 1: what cuts them keeps the others' steps small."""
    path = models.mlp(tmp_path / "m.onnx")
    data = models.data("mlp", rows=2048)
    data["x"][3, :2] = 60.0
    made = quantize(path, calibration=data, method=method, samples=2048)
    feeds = models.data("mlp", rows=64, seed=11)
    with open_runner(path) as want, open_runner(made.path) as got:
        found = sqnr_db(want.run(feeds)["logits"], got.run(feeds)["logits"])
    assert made.calibration is not None
    assert made.calibration.method == method
    assert found < 25 if method == "minmax" else found > 30


def test_an_unknown_method_is_refused(tmp_path: Path) -> None:
    path = models.mlp(tmp_path / "m.onnx")
    with pytest.raises(QuantizeError, match="no calibration method 'kl': there are 'minmax'"):
        quantize(path, calibration=models.data("mlp"), method="kl")


def test_a_model_that_gives_nan_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Sqrt", ["m"], ["y"]),
    ]
    rows: list[int | str] = ["batch", 4]
    weights = {"w": models.normal(0, 4, 4)}
    path = models.write(tmp_path / "m.onnx", nodes, {"x": rows}, {"y": rows}, weights)
    with pytest.raises(QuantizeError, match="nan: the float model itself gives"):
        quantize(path, calibration={"x": models.normal(1, 8, 4)})
