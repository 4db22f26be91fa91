"""Countries of ISO 3166 from pycountry: look up a record by a field it is not filed under.

Each sample is a small table of countries. The query is a country's alpha-3 code, the keys
are the countries' alpha-2 codes and names, the values their numeric codes: the model reads
off the numeric code of the queried country. No country is in both parts of the split, so the
model must have learned how codes and names relate, not the countries themselves.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from model_defs import Dataset
from model_defs.metrics import majority_rate
from model_defs.metrics import row_accuracy as score

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CANDIDATES",
    "DIGITS",
    "KEY_FEATURES",
    "METRIC",
    "QUERY_FEATURES",
    "TASK",
    "baseline",
    "data",
    "majority",
    "score",
]

TASK = "retrieval"
METRIC = "row_accuracy"
CANDIDATES = 8
DIGITS = 3

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
QUERY_FEATURES = 2 * len(_LETTERS)
KEY_FEATURES = 4 * len(_LETTERS)

_TRAIN_SAMPLES = 8000
_TEST_SAMPLES = 2000
_TEST_SHARE = 0.25
_SMALL_WORDS = frozenset({"and", "of", "the"})


def data(seed: int = 0) -> Dataset:
    """Tables of 8 countries: `query` `(n, 1, 52)`, `key` `(n, 8, 104)`, `value` `(n, 8, 30)`.

    All are float32; the targets `(n, 3)` are the digits of the queried country's numeric code.
    A quarter of the countries is held out, drawn from `seed`, as the tables are.
    """
    import pycountry

    countries = list(pycountry.countries)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(countries))
    held_out = round(_TEST_SHARE * len(countries))
    train_inputs, train_digits = _tables(
        [countries[index] for index in order[held_out:]], _TRAIN_SAMPLES, rng
    )
    test_inputs, test_digits = _tables(
        [countries[index] for index in order[:held_out]], _TEST_SAMPLES, rng
    )
    return Dataset(
        train_inputs=train_inputs,
        train_targets=train_digits,
        test_inputs=test_inputs,
        test_targets=test_digits,
        labels=(),
        preprocessing=None,
    )


def majority(dataset: Dataset) -> float:
    """Held-out accuracy of always answering the most frequent numeric code."""
    return majority_rate(dataset.test_targets @ 10 ** np.arange(DIGITS)[::-1])


def baseline(dataset: Dataset) -> tuple[str, float]:
    """Held-out accuracy of taking the key whose alpha-2 code shares most with the query."""
    inputs = dataset.test_inputs
    nearest = (inputs["key"][..., :QUERY_FEATURES] @ inputs["query"].swapaxes(1, 2)).argmax(axis=1)
    values = np.take_along_axis(inputs["value"], nearest[..., None], axis=1)
    return (
        "nearest alpha-2 code by shared letters",
        score(values.reshape(-1, DIGITS, 10), dataset.test_targets),
    )


def _tables(
    countries: list[Any], samples: int, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """`samples` random tables of `countries`, each with one of its rows queried."""
    queries = np.stack([_code_letters(country.alpha_3) for country in countries])
    keys = np.stack([_key(country) for country in countries])
    digits = np.array([list(map(int, country.numeric)) for country in countries], dtype=np.int32)
    values = np.eye(10, dtype=np.float32)[digits].reshape(len(countries), -1)
    rows = np.stack([rng.choice(len(countries), CANDIDATES, replace=False) for _ in range(samples)])
    # The rows are in random order, so the first one is as good a choice as any; the table
    # is shuffled again to leave no trace of it.
    queried = rows[:, 0]
    rows = rng.permuted(rows, axis=1)
    inputs = {"query": queries[queried][:, None], "key": keys[rows], "value": values[rows]}
    return inputs, digits[queried]


def _key(country: Any) -> np.ndarray:
    """Features `(104,)` of the alpha-2 code, then of the common name."""
    name = getattr(country, "common_name", country.name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    letters = "".join(letter if letter in _LETTERS else " " for letter in plain)
    words = [word for word in letters.split() if word not in _SMALL_WORDS]
    return np.concatenate(
        [_code_letters(country.alpha_2), _present("".join(words)), _present(w[0] for w in words)]
    )


def _code_letters(code: str) -> np.ndarray:
    """Features `(52,)`: which letters a code has, and which is its first."""
    return np.concatenate([_present(code.lower()), _present(code[0].lower())])


def _present(letters: Iterable[str]) -> np.ndarray:
    """1 for each letter of the alphabet that occurs in `letters`, `(26,)` float32."""
    found = set(letters)
    return np.array([letter in found for letter in _LETTERS], dtype=np.float32)
