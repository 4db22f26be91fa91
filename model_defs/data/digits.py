"""Handwritten digits: scikit-learn's 1,797 grey images, 8x8 scaled up to 28x28."""

from __future__ import annotations

import numpy as np

from model_defs import Dataset
from model_defs.metrics import accuracy as score
from model_defs.metrics import majority_rate

__all__ = ["LABELS", "METRIC", "SIZE", "TASK", "baseline", "data", "majority", "score"]

TASK = "image-classification"
METRIC = "accuracy"
LABELS = tuple("0123456789")
SIZE = 28


def data(seed: int = 0) -> Dataset:
    """Images `(n, 28, 28, 1)` float32 in 0..1, bright ink on dark; a quarter is held out.

    The split is stratified by digit and drawn from `seed`.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, digits = load_digits(return_X_y=True)
    images = upsample(images.reshape(-1, 8, 8) / 16.0, SIZE).astype(np.float32)[..., None]
    train_images, test_images, train_digits, test_digits = train_test_split(
        images, digits.astype(np.int32), test_size=0.25, stratify=digits, random_state=seed
    )
    return Dataset(
        train_inputs={"image": train_images},
        train_targets=train_digits,
        test_inputs={"image": test_images},
        test_targets=test_digits,
        labels=LABELS,
        preprocessing={
            "kind": "image",
            "input": "image",
            "height": SIZE,
            "width": SIZE,
            "channels": 1,
            "range": [0, 1],
        },
    )


def upsample(images: np.ndarray, size: int) -> np.ndarray:
    """Square `images` `(n, s, s)` scaled to `(n, size, size)`, bilinear, pixel centres aligned."""
    weights = _bilinear(images.shape[-1], size)
    scaled: np.ndarray = weights @ images @ weights.T
    return scaled


def majority(dataset: Dataset) -> float:
    """Held-out accuracy of always answering the most frequent digit."""
    return majority_rate(dataset.test_targets)


def baseline(dataset: Dataset) -> tuple[str, float]:
    """Held-out accuracy of a logistic regression on the pixels."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=1000)
    model.fit(_pixels(dataset.train_inputs), dataset.train_targets)
    probabilities = model.predict_proba(_pixels(dataset.test_inputs))
    return "logistic regression on pixels", score(probabilities, dataset.test_targets)


def _bilinear(source: int, target: int) -> np.ndarray:
    """Interpolation weights `(target, source)` along one axis; the border repeats."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    centres = centres.clip(0, source - 1)
    distance = np.abs(centres[:, None] - np.arange(source)[None, :])
    return (1.0 - distance).clip(min=0.0)


def _pixels(inputs: dict[str, np.ndarray]) -> np.ndarray:
    return inputs["image"].reshape(len(inputs["image"]), -1)
