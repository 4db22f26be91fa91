"""The reference models: what each one learns, from which data, and how well.

This package never imports edgekit, and importing it (or anything under
`model_defs.data`) never imports keras: the data, the metrics and the baselines must
work on a device that has no training framework.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

MODELS: dict[str, str] = {
    "cnn": "model_defs.convnet",
    "rnn": "model_defs.rnn",
    "attention": "model_defs.attention",
    "transformer": "model_defs.transformer",
    "seq2seq": "model_defs.seq2seq",
}
"""Model name -> module with `build`, `TRAINING` and what its data module offers. Needs keras."""

DATA: dict[str, str] = {
    "cnn": "model_defs.data.digits",
    "rnn": "model_defs.data.vowels",
    "attention": "model_defs.data.countries",
    "transformer": "model_defs.data.surnames",
    "seq2seq": "model_defs.data.emoji_names",
}
"""Model name -> module with `data`, `score`, `majority`, `baseline`. Free of keras."""


@dataclass(frozen=True)
class Dataset:
    """One split of real data, ready for a model.

    The input dictionaries have the Keras input names as keys and arrays with the samples
    on axis 0 as values. `labels[i]` names class `i`; it is empty where there are no
    classes. `preprocessing` says, in JSON types, how a user's raw input becomes the model
    input; it is None where there is no raw form a user would type.
    """

    train_inputs: dict[str, np.ndarray]
    train_targets: np.ndarray
    test_inputs: dict[str, np.ndarray]
    test_targets: np.ndarray
    labels: tuple[str, ...]
    preprocessing: dict[str, Any] | None


__all__ = ["DATA", "MODELS", "Dataset"]
