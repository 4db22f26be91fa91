"""What the model takes, as it is: arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

HELP = "an .npz file with an array for each of the model's inputs"
Input = Mapping[str, Any]


def read(word: str) -> Input:
    """Read the arrays of a file."""
    with np.load(word, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Check the names, and give each array its dtype."""
    names = [tensor["name"] for tensor in spec["inputs"]]
    if sorted(given) != sorted(names):
        raise ValueError(f"the inputs are {', '.join(given) or 'none'}: give {', '.join(names)}")
    return {
        tensor["name"]: np.asarray(given[tensor["name"]], _dtype(tensor["dtype"]))
        for tensor in spec["inputs"]
    }


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(object if name == "str" else name)
