"""Metrics in numpy alone, so that a device can score a model without a framework.

A prediction that holds a NaN or an infinity counts as wrong: `argmax` would otherwise
return the position of the first NaN, and a broken model could pass by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def only_output(outputs: Mapping[str, np.ndarray] | np.ndarray) -> np.ndarray:
    """The single array of a model with one output, given bare or by name."""
    if isinstance(outputs, Mapping):
        if len(outputs) != 1:
            raise ValueError(f"expected one output, got {len(outputs)}: {sorted(outputs)}")
        (outputs,) = outputs.values()
    return np.asarray(outputs)


def predicted_classes(scores: np.ndarray) -> np.ndarray:
    """Classes `(...)` of `scores` `(..., classes)`; -1 where a score is not finite."""
    return np.where(np.isfinite(scores).all(axis=-1), scores.argmax(axis=-1), -1)


def accuracy(outputs: Mapping[str, np.ndarray] | np.ndarray, targets: np.ndarray) -> float:
    """Share of the rows of `outputs` `(batch, classes)` whose highest score is the target's."""
    predicted = predicted_classes(only_output(outputs))
    return float(np.mean(predicted == _like(targets, predicted)))


def row_accuracy(outputs: Mapping[str, np.ndarray] | np.ndarray, targets: np.ndarray) -> float:
    """Share of the samples of `outputs` `(batch, positions, classes)` right at every position."""
    predicted = predicted_classes(only_output(outputs))
    return float(np.mean((predicted == _like(targets, predicted)).all(axis=-1)))


def token_accuracy(outputs: Mapping[str, np.ndarray] | np.ndarray, targets: np.ndarray) -> float:
    """Share of right tokens of `outputs` `(batch, time, vocabulary)`; target 0 is padding."""
    predicted = predicted_classes(only_output(outputs))
    tokens = targets != 0
    return float(np.mean((predicted == _like(targets, predicted))[tokens]))


def mean_iou(outputs: Mapping[str, np.ndarray] | np.ndarray, targets: np.ndarray) -> float:
    """Mean over the classes of intersection over union, over all elements of `targets`.

    `outputs` are scores `(batch, ..., classes)`; a class that is in neither counts for nothing.
    """
    scores = only_output(outputs)
    predicted = predicted_classes(scores)
    truth = _like(targets, predicted)
    ratios = []
    for label in range(scores.shape[-1]):
        either = (predicted == label) | (truth == label)
        if either.any():
            ratios.append(((predicted == label) & (truth == label)).sum() / either.sum())
    return float(np.mean(ratios))


METRICS: dict[str, Callable[[Mapping[str, np.ndarray] | np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy,
    "mean_iou": mean_iou,
    "row_accuracy": row_accuracy,
    "token_accuracy": token_accuracy,
}
"""Every metric by the name that a model's `METRIC` and a bundle's manifest give it."""


def majority_rate(targets: np.ndarray) -> float:
    """Share of the most frequent class among `targets`, any shape."""
    _, counts = np.unique(targets, return_counts=True)
    return float(counts.max() / counts.sum())


def _like(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """`targets`, refused where their shape would broadcast against `predicted`."""
    if targets.shape != predicted.shape:
        raise ValueError(f"targets {targets.shape} do not match predictions {predicted.shape}")
    return targets
