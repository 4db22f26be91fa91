"""The recipes that the table says suit a provider: made, and run there with no node left over."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from edgekit import parity
from edgekit.quantizer.recipes import Recipe, recipes_for
from tests.devices.conftest import OPTIONS
from tests.devices.models import MODELS

#: float16 needs a device that has it: the software adapters have none.
ROWS = [
    pytest.param(
        provider, recipe, form, id=f"{provider}-{recipe.name}", marks=getattr(pytest.mark, provider)
    )
    for provider in OPTIONS
    for recipe, form in recipes_for(provider)
    if not recipe.needs_exclusions and (provider, recipe.name) != ("webgpu", "fp16")
]


@pytest.mark.parametrize("model", ["cnn", "transformer"])
@pytest.mark.parametrize(("provider", "recipe", "form"), ROWS)
def test_a_recipe_of_the_table_runs_whole(
    tmp_path: Path, provider: str, recipe: Recipe, form: str | None, model: str
) -> None:
    source = MODELS[model](tmp_path / "model.onnx")
    with edgekit.open(source) as cpu:
        limits = {"tokens": 20}
        feeds = cpu.signature.sample(seed=1, batch=1, axes={"time": 8}, limits=limits)
        data = cpu.signature.sample(seed=5, batch=64, axes={"time": 8}, limits=limits)
        expected = cpu.run(feeds)
    made = edgekit.quantize(
        source, recipe.name, calibration=data if recipe.needs_calibration else None, form=form
    )
    with edgekit.open(made.path, provider=provider, provider_options=OPTIONS[provider]) as runner:
        actual = runner.run(feeds)
        assert set(runner.placement.nodes) == {provider}
    for output in parity.compare(expected, actual, parity.TOLERANCES[recipe.precision]):
        assert output.passed, output
