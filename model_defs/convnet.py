"""cnn: a small convolutional network that reads handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from model_defs.data.digits import (
    LABELS,
    METRIC,
    SIZE,
    TASK,
    baseline,
    data,
    majority,
    score,
)
from model_defs.training import Training

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["FLOOR", "METRIC", "TASK", "TRAINING", "baseline", "build", "data", "majority", "score"]

FLOOR = 0.96
TRAINING = Training(epochs=15, batch_size=32, learning_rate=1e-3)


def build(
    *,
    height: int = SIZE,
    width: int = SIZE,
    channels: int = 1,
    filters: Sequence[int] = (32, 64),
    units: int = 64,
    classes: int = len(LABELS),
) -> keras.Model:
    """`image` `(batch, height, width, channels)` float32 in 0..1 -> `probabilities`."""
    image = keras.Input((height, width, channels), name="image")
    x = image
    for stage, depth in enumerate(filters, start=1):
        x = keras.layers.Conv2D(depth, 3, activation="relu", name=f"conv{stage}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{stage}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(units, activation="relu", name="hidden")(x)
    x = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model([image], x, name="cnn")
