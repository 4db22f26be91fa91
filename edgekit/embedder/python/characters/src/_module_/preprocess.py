"""From a text to what the model takes: a row of character ids."""

from __future__ import annotations

from typing import Any

import numpy as np

HELP = "a text, such as a name"
Input = str


def read(word: str) -> Input:
    """Take a word of the command line as it is."""
    return word


def encode(given: Input, spec: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Turn a text into ids `(1, length)`: `offset + i` for the i-th character of the alphabet."""
    rule = spec["preprocessing"]
    text = given.strip()
    text = text.lower() if rule["lowercase"] else text
    if not text:
        raise ValueError("the text is empty: give at least one character")
    ids = {character: rule["offset"] + i for i, character in enumerate(rule["alphabet"])}
    row = [ids.get(character, rule["unknown"]) for character in text[: rule["max_length"]]]
    return {rule["input"]: np.array([row], np.int32)}
