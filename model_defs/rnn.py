"""rnn: a recurrent network that tells nine speakers apart by a vowel's sound."""

from __future__ import annotations

import keras

from model_defs.data.vowels import (
    CHANNELS,
    LABELS,
    METRIC,
    TASK,
    baseline,
    data,
    majority,
    score,
)
from model_defs.training import Training

__all__ = ["FLOOR", "METRIC", "TASK", "TRAINING", "baseline", "build", "data", "majority", "score"]

FLOOR = 0.92
TRAINING = Training(epochs=60, batch_size=16, learning_rate=1e-3, clipnorm=1.0)

_CELLS = {
    "simple": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


def build(
    *,
    cell: str = "simple",
    units: int = 128,
    channels: int = CHANNELS,
    classes: int = len(LABELS),
) -> keras.Model:
    """`series` `(batch, time, channels)` float32, padded with zero steps -> `probabilities`.

    `cell` is "simple", "lstm" or "gru".
    """
    if cell not in _CELLS:
        raise ValueError(f"unknown cell {cell!r}; expected one of {', '.join(_CELLS)}")
    series = keras.Input((None, channels), name="series")
    x = keras.layers.Masking(0.0, name="masking")(series)
    x = _CELLS[cell](units, name="recurrent")(x)
    x = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model([series], x, name="rnn")
