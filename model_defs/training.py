"""Training by name, the same way for every reference model, deterministically for a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from model_defs import MODELS, Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam with these settings, on integer targets.

    The learning rate rises over the first `warmup_share` of the steps and then falls to zero along
    a cosine. That leaves nothing to choose when training stops, so no data is set aside for early
    stopping and the held-out data stays unseen. Targets equal to `ignored_target` do not count.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_share: float = 0.0
    clipnorm: float | None = None
    weight_decay: float | None = None
    ignored_target: int | None = None


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
    keras.utils.set_random_seed(seed)  # or the order of the data would depend on the model's size
    settings: Training = module.TRAINING
    fit(built, dataset, replace(settings, epochs=epochs or settings.epochs), callbacks)
    return built, dataset


def fit(
    model: keras.Model,
    dataset: Dataset,
    training: Training,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Compile `model` and train it, silently."""
    targets = dataset.train_targets
    ignored = training.ignored_target
    steps = training.epochs * -(-len(targets) // training.batch_size)
    warmup_steps = round(training.warmup_share * steps)
    rate = training.learning_rate
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else rate,
        decay_steps=steps - warmup_steps,
        warmup_target=rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(
            schedule, clipnorm=training.clipnorm, weight_decay=training.weight_decay
        ),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    model.fit(
        dataset.train_inputs,
        targets,
        sample_weight=None if ignored is None else (targets != ignored).astype(np.float32),
        batch_size=training.batch_size,
        epochs=training.epochs,
        callbacks=list(callbacks),
        verbose=0,
    )
