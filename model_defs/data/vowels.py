"""JapaneseVowels: which of nine men speaks, from 12 cepstral coefficients over time.

640 utterances of 7 to 29 steps, with the archive's official split (270 train, 370 test).
The file is read from the installed sktime wheel without importing sktime, which would take
seconds and pull in pandas.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from model_defs import Dataset
from model_defs.metrics import accuracy as score
from model_defs.metrics import majority_rate

__all__ = ["CHANNELS", "LABELS", "METRIC", "TASK", "baseline", "data", "majority", "score"]

TASK = "sequence-classification"
METRIC = "accuracy"
LABELS = tuple(f"speaker {number}" for number in range(1, 10))
CHANNELS = 12


def data(seed: int = 0) -> Dataset:
    """Series `(n, 29, 12)` float32, padded with zeros on the right to the longest one.

    The official split is fixed, so `seed` changes nothing.
    """
    train_series, train_speakers = _read("TRAIN")
    test_series, test_speakers = _read("TEST")
    length = max(len(series) for series in train_series + test_series)
    return Dataset(
        train_inputs={"series": _pad(train_series, length)},
        train_targets=train_speakers,
        test_inputs={"series": _pad(test_series, length)},
        test_targets=test_speakers,
        labels=LABELS,
        preprocessing={"kind": "series", "input": "series", "channels": CHANNELS},
    )


def majority(dataset: Dataset) -> float:
    """Held-out accuracy of always answering the most frequent speaker."""
    return majority_rate(dataset.test_targets)


def baseline(dataset: Dataset) -> tuple[str, float]:
    """Held-out accuracy of a logistic regression on each channel's mean over time."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0, max_iter=5000)
    model.fit(_channel_means(dataset.train_inputs), dataset.train_targets)
    probabilities = model.predict_proba(_channel_means(dataset.test_inputs))
    return "logistic regression on channel means", score(probabilities, dataset.test_targets)


def _read(part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Series `(time, 12)` and speakers `(n,)` from 0, of the archive's `TRAIN` or `TEST` file."""
    spec = find_spec("sktime")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'sktime'", name="sktime")
    folder = Path(spec.origin).parent / "datasets" / "data" / "JapaneseVowels"
    text = (folder / f"JapaneseVowels_{part}.ts").read_text(encoding="utf-8")
    rows = [line.split(":") for line in text.splitlines() if line and line[0] not in "#@"]
    series = [
        np.array([channel.split(",") for channel in channels], dtype=np.float32).T
        for *channels, _ in rows
    ]
    return series, np.array([int(speaker) - 1 for *_, speaker in rows], dtype=np.int32)


def _pad(series: list[np.ndarray], length: int) -> np.ndarray:
    padded = np.zeros((len(series), length, CHANNELS), dtype=np.float32)
    for row, steps in zip(padded, series, strict=True):
        row[: len(steps)] = steps
    return padded


def _channel_means(inputs: dict[str, np.ndarray]) -> np.ndarray:
    series = inputs["series"]
    steps = (series != 0).any(axis=-1).sum(axis=-1, keepdims=True)
    means: np.ndarray = series.sum(axis=1) / steps
    return means
