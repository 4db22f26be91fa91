"""rnn: a recurrent network that tells nine speakers apart by a vowel's sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from model_defs.training import fit_classifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_defs import Dataset

__all__ = ["FLOOR", "METRIC", "TASK", "baseline", "build", "data", "fit", "majority", "score"]

FLOOR = 0.92

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


def fit(
    model: keras.Model,
    dataset: Dataset,
    *,
    seed: int = 0,
    epochs: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Compile and train `model`, about half a minute on 2 cores."""
    fit_classifier(
        model,
        dataset,
        seed=seed,
        epochs=epochs or 60,
        batch_size=16,
        learning_rate=1e-3,
        clipnorm=1.0,
        callbacks=callbacks,
    )
