"""XNNPACK, which runs a part of a graph on a phone's CPU; see xnnpack.sh for where to run this."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from edgekit import parity
from edgekit.errors import ProviderError
from edgekit.infer import infer
from tests.devices.models import MODELS

pytestmark = pytest.mark.xnnpack


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_with_the_cpu_behind_it_the_answers_are_right(
    tmp_path: Path, model: str, batch: int
) -> None:
    # With a free batch its Gemm answers in the wrong shape; edgekit fixes the lengths.
    path = MODELS[model](tmp_path / "model.onnx")
    with edgekit.open(path) as cpu:
        feeds = cpu.signature.sample(seed=1, batch=batch, axes={"time": 8}, limits={"tokens": 20})
        expected = cpu.run(feeds)
    with edgekit.open(path, provider="xnnpack,cpu") as runner:
        actual = runner.run(feeds)
    for output in parity.compare(expected, actual, parity.TOLERANCES["fp32"]):
        assert output.passed, output


def test_a_profile_proves_that_it_ran(tmp_path: Path) -> None:
    path = MODELS["cnn"](tmp_path / "cnn.onnx")
    found = infer(path, None, provider="xnnpack,cpu", profile=True)
    assert 0 < found.placement.time["xnnpack"] < 1


def test_alone_it_does_not_run_a_whole_model(tmp_path: Path) -> None:
    path = MODELS["cnn"](tmp_path / "cnn.onnx")
    with edgekit.open(path, provider="xnnpack") as runner:
        feeds = runner.signature.sample(seed=1)
        with pytest.raises(ProviderError, match="cannot run all of") as caught:
            runner.run(feeds)
    assert caught.value.step == "placement"
