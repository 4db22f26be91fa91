"""Graphs as tf2onnx writes them: Loop bodies, fused transposes, names with slashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.parity import sqnr_db
from edgekit.quantizer import RECIPES, quantize
from edgekit.runtime.runner import open_runner
from tests.quantizer.models import Array, normal

pytestmark = pytest.mark.keras
FLOORS = {
    "static-int8": 25.0,
    "dynamic-int8": 30.0,
    "npu-int8": 20.0,
    "fp16": 45.0,
    "a16w8": 20.0,
    "weight-int8": 30.0,
    "weight-int4": 12.0,
}


def recurrent() -> tuple[Any, dict[str, Array]]:
    import keras

    series = keras.Input((None, 6), name="series")
    x = keras.layers.Masking(0.0)(series)
    x = keras.layers.SimpleRNN(16, name="recurrent")(x)
    x = keras.layers.Dense(4, activation="softmax", name="probabilities")(x)
    rows = normal(0, 24, 9, 6)
    rows[::2, 6:] = 0
    return keras.Model(series, x, name="rnn"), {"series": rows}


def encoder() -> tuple[Any, dict[str, Array]]:
    import keras

    x = inputs = keras.Input((None, 32), name="x")
    x = keras.layers.LayerNormalization()(x + keras.layers.MultiHeadAttention(4, 8)(x, x))
    y = keras.layers.Dense(32, name="contract")(keras.layers.Dense(64, activation="relu")(x))
    x = keras.layers.LayerNormalization()(x + y)
    return keras.Model(inputs, x, name="encoder"), {"x": normal(0, 24, 10, 32)}


def convnet() -> tuple[Any, dict[str, Array]]:
    import keras

    x = image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = skip = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv2D(16, 1)(keras.layers.DepthwiseConv2D(3, padding="same")(x))
    x = keras.layers.MaxPooling2D(2)(keras.layers.Add()([x, skip]))
    x = keras.layers.Dense(8, name="scores")(keras.layers.Flatten()(x))
    return keras.Model(image, x, name="convnet"), {"image": normal(0, 24, 12, 12, 3)}


@pytest.fixture(scope="module", params=[recurrent, encoder, convnet], ids=lambda f: f.__name__)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Array]]:
    import keras

    from edgekit.exporter import export

    keras.utils.set_random_seed(0)
    model, data = request.param()
    path = tmp_path_factory.mktemp("keras") / "model.onnx"
    export(model, path, reference={name: array[:8] for name, array in data.items()})
    return path, data


@pytest.mark.parametrize(
    "recipe", [name for name, row in RECIPES.items() if not row.needs_exclusions]
)
def test_a_converted_model(
    exported: tuple[Path, dict[str, Array]], recipe: str, tmp_path: Path
) -> None:
    source, data = exported
    calibration = data if RECIPES[recipe].needs_calibration else None
    made = quantize(source, recipe, out=tmp_path / "m.onnx", calibration=calibration)
    assert sum(done for done, _ in made.quantized_ops.values()) > 0
    with open_runner(source) as want, open_runner(made.path) as got:
        assert got.signature == want.signature
        for rows in (1, 5):
            feeds = {name: array[:rows] for name, array in data.items()}
            expected, actual = want.run(feeds), got.run(feeds)
            for name, array in expected.items():
                assert np.isfinite(actual[name]).all()
                assert sqnr_db(array, actual[name]) > FLOORS[recipe]
