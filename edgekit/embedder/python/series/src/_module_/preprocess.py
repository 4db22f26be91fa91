"""From a table with a row a step to what the model takes: one series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

HELP = "a .csv file: a row a step, numbers between commas, no header"
Input = Sequence[Sequence[float]] | np.ndarray[Any, np.dtype[Any]]


def read(word: str) -> Input:
    """Read a file of numbers."""
    return np.loadtxt(word, np.float32, delimiter=",", ndmin=2)


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Turn a table `(time, channels)` into a series `(1, time, channels)`."""
    rule = spec["preprocessing"]
    table = np.asarray(given, np.float32)
    if table.ndim != 2 or table.shape[1] != rule["channels"] or not len(table):
        raise ValueError(
            f"the table has shape {table.shape}: give rows of {rule['channels']} numbers"
        )
    return {rule["input"]: table[None]}
