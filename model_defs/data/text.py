"""The reference character encoder: text to token ids, numpy only.

Ids below `offset` are special: 0 pads, 1 stands for a character outside the alphabet; a
model may use further ones (start, end).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

PADDING = 0
UNKNOWN = 1


def encode(texts: Sequence[str], alphabet: str, max_length: int, *, offset: int = 2) -> np.ndarray:
    """Ids `(len(texts), max_length)` int32 of lower-cased `texts`, cut and right-padded.

    The id of a character is `offset` plus its index in `alphabet`.
    """
    ids = {character: offset + index for index, character in enumerate(alphabet)}
    tokens = np.full((len(texts), max_length), PADDING, dtype=np.int32)
    for row, text in zip(tokens, texts, strict=True):
        known = [ids.get(character, UNKNOWN) for character in text.lower()[:max_length]]
        row[: len(known)] = known
    return tokens


def decode(tokens: Sequence[int] | np.ndarray, alphabet: str, *, offset: int = 2) -> str:
    """The text of one row of ids; special ids are left out."""
    return "".join(alphabet[token - offset] for token in tokens if token >= offset)
