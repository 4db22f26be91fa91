"""What edgekit promises of any provider, on the real ones: strict, equal to the CPU, and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import edgekit
from edgekit import parity
from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.errors import ProviderError
from edgekit.runtime.providers import PROVIDERS
from tests.devices.conftest import COMPUTES, OPTIONS
from tests.devices.models import MODELS, write_untakable

EACH = pytest.mark.parametrize(
    "provider", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in OPTIONS]
)
#: Those that refuse a NonZero; OpenVINO runs it.
STRICT = pytest.mark.parametrize(
    "provider",
    [
        pytest.param(name, marks=getattr(pytest.mark, name))
        for name in OPTIONS
        if name != "openvino"
    ],
)


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def on(provider: str) -> list[str]:
    given = (f"--provider-option={key}={value}" for key, value in OPTIONS[provider].items())
    return ["--provider", provider, *given]


def answer(*args: str | Path) -> Any:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@EACH
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_all_nodes_run_there_and_answer_as_on_the_cpu(
    tmp_path: Path, provider: str, model: str, batch: int
) -> None:
    path = MODELS[model](tmp_path / "model.onnx")
    with edgekit.open(path) as cpu:
        feeds = cpu.signature.sample(seed=1, batch=batch, axes={"time": 8}, limits={"tokens": 20})
        expected = cpu.run(feeds)
    with edgekit.open(path, provider=provider, provider_options=OPTIONS[provider]) as runner:
        actual = runner.run(feeds)
        assert runner.provider == provider
        assert set(runner.placement.nodes) == {provider}
        assert runner.placement.fallback is None
    for output in parity.compare(expected, actual, parity.TOLERANCES[COMPUTES[provider]]):
        assert output.passed, output


@EACH
def test_lengths_are_fixed_from_the_feeds_and_said(tmp_path: Path, provider: str) -> None:
    path = MODELS["attention"](tmp_path / "model.onnx")
    with edgekit.open(path, provider=provider, provider_options=OPTIONS[provider]) as runner:
        for batch, time in ((1, 4), (2, 6)):
            tokens = np.ones((batch, time), np.int32)
            assert runner.run({"tokens": tokens})["probabilities"].shape == (batch, 5)
        fixed = list(runner.placement.fixed)
    if PROVIDERS[provider].fixed_shapes:
        assert fixed == [{"batch": 1, "time": 4}, {"batch": 2, "time": 6}]
    else:
        assert fixed == []


@STRICT
def test_a_node_that_it_cannot_run_is_named(tmp_path: Path, provider: str) -> None:
    path = write_untakable(tmp_path / "model.onnx")
    feeds = {"x": np.eye(4, dtype=np.float32)}
    with (
        edgekit.open(path, provider=provider, provider_options=OPTIONS[provider]) as runner,
        pytest.raises(ProviderError, match="NonZero") as caught,
    ):
        runner.run(feeds)
    assert caught.value.step == "placement"
    with edgekit.open(
        path, provider=provider, provider_options=OPTIONS[provider], allow_fallback=True
    ) as runner:
        assert runner.run(feeds)["places"].tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
        assert runner.placement.nodes == {provider: 1, "cpu": 1}


@EACH
def test_the_commands_say_what_ran(cnn: Bundle, provider: str) -> None:
    inferred = answer("infer", cnn.path, *on(provider))
    assert inferred["provider"] == provider
    assert set(inferred["placement"]["nodes"]) == {provider}
    atol = parity.TOLERANCES[COMPUTES[provider]].atol
    found = answer("validate", cnn.path, *on(provider), "--atol", str(atol))
    assert (found["passed"], found["provider"]) == (True, provider)
    assert {row["batch"] for row in found["outputs"]} >= {1, 4}
    (timed,) = answer("bench", cnn.path, *on(provider), "--duration", "0.1")["results"]
    assert (timed["provider"], timed["fallback"]) == (provider, None)


@EACH
def test_providers_says_ready(provider: str) -> None:
    states = {row["alias"]: row["state"] for row in answer("providers")["providers"]}
    assert states[provider] == "ready"


@STRICT
def test_the_command_line_fails_with_the_node_and_falls_back_when_told(
    tmp_path: Path, provider: str
) -> None:
    path = write_untakable(tmp_path / "model.onnx")
    refused = run("infer", path, *on(provider))
    assert refused.exit_code == 3
    assert "NonZero" in refused.stderr
    assert "--allow-fallback" in refused.stderr
    fell = run("infer", path, *on(provider), "--allow-fallback")
    assert fell.exit_code == 0, fell.stderr
    assert f"1 nodes on {provider}" in fell.stdout or "on cpu" in fell.stdout
