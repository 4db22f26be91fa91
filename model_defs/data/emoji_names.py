"""Emoji names in English and German, from the emoji package, character by character.

Flags are left out, since their names are proper names, and so are skin tones, since they
would repeat each name five times over. Emoji that differ just in gender (man running, woman
running) stay on one side of the split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from model_defs import Dataset
from model_defs.data.text import PADDING, encode
from model_defs.metrics import majority_rate
from model_defs.metrics import token_accuracy as score

__all__ = [
    "ALPHABET",
    "END",
    "MAX_LENGTH",
    "METRIC",
    "OFFSET",
    "START",
    "TASK",
    "VOCABULARY",
    "baseline",
    "data",
    "majority",
    "score",
]

TASK = "translation"
METRIC = "token_accuracy"
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 -,.!#*/()\u2019ßäñöü"
START = 2
END = 3
OFFSET = 4
VOCABULARY = OFFSET + len(ALPHABET)
MAX_LENGTH = 24
"""Characters a name may have; one in seven is longer and left out."""

_TEST_SHARE = 0.2
_VARIATIONS = frozenset("👨👩🧑♂♀\u200d\ufe0f")
_CONTEXT = 4


def data(seed: int = 0) -> Dataset:
    """English `source` and German `target`, token ids `(n, 24)` and `(n, 25)` int32.

    `target` begins with the start token, and the targets `(n, 25)` are the same names ahead
    by one step: they finish with the end token. A fifth of the emoji, drawn from `seed`, is
    held out.
    """
    groups = _groups()
    order = np.random.default_rng(seed).permutation(len(groups))
    pairs = [pair for group in groups for pair in group]
    wanted = round(_TEST_SHARE * len(pairs))
    train: list[tuple[str, str]] = []
    test: list[tuple[str, str]] = []
    for index in order:
        side = test if len(test) < wanted else train
        side += groups[index]
    train_inputs, train_targets = _encode(train)
    test_inputs, test_targets = _encode(test)
    return Dataset(
        train_inputs=train_inputs,
        train_targets=train_targets,
        test_inputs=test_inputs,
        test_targets=test_targets,
        labels=(),
        preprocessing=_preprocessing(),
    )


def majority(dataset: Dataset) -> float:
    """Held-out accuracy of always answering the most frequent token."""
    return majority_rate(dataset.test_targets[dataset.test_targets != PADDING])


def baseline(dataset: Dataset) -> tuple[str, float]:
    """Held-out accuracy of German alone: the likeliest token after the last four or fewer."""
    followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for context, token in _contexts(dataset.train_inputs["target"], dataset.train_targets):
        for length in range(_CONTEXT + 1):
            followers[context[_CONTEXT - length :]][token] += 1
    right = total = 0
    for context, token in _contexts(dataset.test_inputs["target"], dataset.test_targets):
        seen = next(c for n in range(_CONTEXT + 1) if (c := context[n:]) in followers)
        right += followers[seen].most_common(1)[0][0] == token
        total += 1
    return "German 5-gram, source unseen", right / total


def _groups() -> list[list[tuple[str, str]]]:
    """English and German names, those of one emoji's variations together, in a fixed order."""
    import emoji

    emoji.config.load_language("de")
    groups: dict[frozenset[str], list[tuple[str, str]]] = defaultdict(list)
    seen = set()
    for character, names in sorted(emoji.EMOJI_DATA.items()):
        pair = (_plain(names["en"]), _plain(names.get("de", "")))
        wanted = names["status"] == emoji.STATUS["fully_qualified"] and all(pair)
        if wanted and pair not in seen and not _is_flag_or_toned(character, pair):
            seen.add(pair)
            if max(map(len, pair)) <= MAX_LENGTH:
                key = frozenset(character) - _VARIATIONS or frozenset(character)
                groups[key].append(pair)
    return list(groups.values())


def _is_flag_or_toned(character: str, pair: tuple[str, str]) -> bool:
    return "skin tone" in pair[0] or "\U0001f1e6" <= character[0] <= "\U0001f1ff"


def _plain(name: str) -> str:
    return name.strip(":").replace("_", " ").lower()


def _encode(pairs: list[tuple[str, str]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    source = encode([english for english, _ in pairs], ALPHABET, MAX_LENGTH, offset=OFFSET)
    german = encode([german for _, german in pairs], ALPHABET, MAX_LENGTH, offset=OFFSET)
    target = np.pad(german, ((0, 0), (1, 0)), constant_values=START)
    targets = np.pad(german, ((0, 0), (0, 1)), constant_values=PADDING)
    targets[np.arange(len(pairs)), (german != PADDING).sum(axis=1)] = END
    return {"source": source, "target": target}, targets


def _contexts(inputs: np.ndarray, targets: np.ndarray) -> list[tuple[tuple[int, ...], int]]:
    """Each target token with the `_CONTEXT` input tokens before it."""
    padded = np.pad(inputs, ((0, 0), (_CONTEXT - 1, 0)), constant_values=PADDING)
    return [
        (tuple(row[step : step + _CONTEXT].tolist()), int(token))
        for row, tokens in zip(padded, targets, strict=True)
        for step, token in enumerate(tokens)
        if token != PADDING
    ]


def _preprocessing() -> dict[str, Any]:
    return {
        "kind": "characters",
        "input": "source",
        "alphabet": ALPHABET,
        "lowercase": True,
        "max_length": MAX_LENGTH,
        "padding": 0,
        "unknown": 1,
        "offset": OFFSET,
        "target": "target",
        "start": START,
        "end": END,
    }
