"""A text as it is: the model's file has its preprocessing inside."""

from __future__ import annotations

from typing import Any

import numpy as np

HELP = "a text, such as a name"
Input = str


def read(word: str) -> Input:
    """Take a word of the command line as it is."""
    return word


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Put a text into an array of strings `(1,)`."""
    if not given.strip():
        raise ValueError("the text is empty: give at least one character")
    return {spec["inputs"][0]["name"]: np.array([given], object)}
