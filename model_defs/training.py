"""Training by name, the same way for every reference model, deterministically for a seed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras

from model_defs import MODELS, Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    import numpy as np


def train(
    model: str | ModuleType,
    *,
    seed: int = 0,
    epochs: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    options: Mapping[str, Any] | None = None,
) -> tuple[keras.Model, Dataset]:
    """A model named in `MODELS` (or its module), built with `options` and trained, and its data.

    The same arguments give bit-identical weights on the same machine. `epochs` left out means
    the model's own number.
    """
    module = import_module(MODELS[model]) if isinstance(model, str) else model
    dataset = module.data(seed)
    keras.utils.set_random_seed(seed)
    built = module.build(**(options or {}))
    module.fit(built, dataset, seed=seed, epochs=epochs, callbacks=callbacks)
    return built, dataset


def fit_classifier(
    model: keras.Model,
    dataset: Dataset,
    *,
    seed: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    warmup_share: float = 0.0,
    clipnorm: float | None = None,
    weight_decay: float | None = None,
    sample_weight: np.ndarray | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Compile `model` and train it, silently, on integer targets with Adam.

    The learning rate rises over the first `warmup_share` of the steps and then falls to zero
    along a cosine. That leaves nothing to choose when training stops, so no data is set aside
    for early stopping and the held-out data stays unseen.
    """
    keras.utils.set_random_seed(seed)
    samples = len(dataset.train_targets)
    steps = epochs * -(-samples // batch_size)
    warmup_steps = round(warmup_share * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else learning_rate,
        decay_steps=steps - warmup_steps,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(schedule, clipnorm=clipnorm, weight_decay=weight_decay),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    model.fit(
        dataset.train_inputs,
        dataset.train_targets,
        sample_weight=sample_weight,
        batch_size=batch_size,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    )
