"""The roofline: the file written by hand, the probes, the limit, and where there is none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.latency import Candidate, benchmark, probes, roofline
from edgekit.report.text.latency import latency as text
from edgekit.runtime import wire
from edgekit.runtime.runner import open_runner
from tests.test_latency import write_products


@pytest.mark.parametrize("side", [1, 7, 128, 512])
def test_the_product_is_a_model_that_onnx_and_onnxruntime_take(tmp_path: Path, side: int) -> None:
    path = tmp_path / "product.onnx"
    path.write_bytes(probes.product_model(side))
    onnx.checker.check_model(onnx.load(path), full_check=True)
    a, b = np.random.default_rng(0).normal(size=(2, side, side)).astype(np.float32)
    with open_runner(path) as runner:
        found = runner.run({"a": a, "b": b})["y"]
    np.testing.assert_allclose(found, a @ b, rtol=1e-3, atol=1e-3)


@given(st.integers(0, 2**63 - 1))
def test_a_number_is_written_as_protocol_buffers_write_it(number: int) -> None:
    info = onnx.TensorShapeProto.Dimension(dim_value=number)
    assert wire.number(1, number) == info.SerializeToString()


def test_probes_measure_something_plausible() -> None:
    assert 0.1 < probes.product_gmacs(1, side=64, seconds=0.01) < 1e5
    for threads in (1, 2):
        assert 0.1 < probes.copy_gb_s(threads, 2**20, seconds=0.01) < 1e5


@pytest.mark.parametrize(
    ("macs", "moved", "limit_ms", "bound"),
    [
        pytest.param(10**9, 10**6, 10.0, "compute", id="a product"),
        pytest.param(10**6, 10**9, 50.0, "memory", id="a copy"),
        pytest.param(0, 10**9, 50.0, "memory", id="no product at all"),
    ],
)
def test_the_limit_is_the_longer_of_two_times(
    macs: int, moved: int, limit_ms: float, bound: str
) -> None:
    found = roofline.place(macs, moved, 100.0, 20.0, p50_ms=100.0, uncounted=())
    assert found.limit_ms == pytest.approx(limit_ms)
    assert found.bound == bound
    assert found.share == pytest.approx(limit_ms / 100)


def test_a_benchmark_says_how_far_it_is_from_the_limit(tmp_path: Path) -> None:
    model = write_products(tmp_path / "model.onnx", 256, 20)
    report = benchmark(model, batch=2, threads=(1, 2), duration_s=0.1, with_roofline=True)
    for result in report.results:
        limit = result.roofline
        assert limit is not None
        assert limit.macs == 20 * 2 * 256 * 256
        assert limit.bytes == model.stat().st_size + 2 * 2 * 256 * 4
        assert 0 < limit.share < 3
        assert limit.share == pytest.approx(limit.limit_ms / result.p50_ms)
    lines = [line for line in text(report) if str(line).startswith("Roofline of ")]
    assert len(lines) == 2
    assert "2.62 M MACs at" in lines[0]


def test_without_onnx_the_report_says_how_to_get_it(
    classifier: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys; sys.modules['onnx'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(hidden))
    report = benchmark(classifier, duration_s=0.05, with_roofline=True)
    assert report.results[0].roofline is None
    (line,) = [line for line in text(report) if str(line).startswith("No roofline")]
    assert "pip install 'edgekit-onnx[quantize]'" in line
    assert "onnx" not in sys.modules or sys.modules["onnx"] is not None


def test_another_provider_has_no_limit_of_the_processors() -> None:
    class Lane:
        opened: dict[str, Any] = {"provider": "cuda", "axes": {}}  # noqa: RUF012 - a stand-in
        candidate = Candidate("m.onnx")

    class Stack:
        def enter_context(self, worker: Any) -> Any:
            worker.close()
            return worker

    machine = roofline.Machine(Stack(), [Lane()])  # type: ignore[arg-type, list-item]
    machine.measure()
    assert machine.limit(Lane(), 1.0) is None  # type: ignore[arg-type]
    assert machine.reason is None


def test_the_command_measures_it_unless_told_not_to(bundle: Bundle) -> None:
    args = ["bench", str(bundle.path), "--duration", "0.05"]
    assert "Roofline of " in CliRunner().invoke(cli, args).stdout
    assert "oofline" not in CliRunner().invoke(cli, [*args, "--no-roofline"]).stdout
