"""Surnames and their languages: real names of twelve languages from the Faker package.

Greek and Russian names are written in Latin letters, as a user would type them. A name that
is used in several languages has no single right answer and is left out. Names of one
language with the same first five letters (Novák, Nováková) stay on one side of the split,
so that no held-out name is a mere inflection of a training name.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from model_defs import Dataset
from model_defs.data.text import encode
from model_defs.metrics import accuracy as score
from model_defs.metrics import majority_rate

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ALPHABET",
    "LABELS",
    "MAX_LENGTH",
    "METRIC",
    "TASK",
    "baseline",
    "data",
    "encode_names",
    "majority",
    "score",
]

TASK = "text-classification"
METRIC = "accuracy"
ALPHABET = "abcdefghijklmnopqrstuvwxyz '-ßàáäçèéêëìíîñóôöùúüýąćčďęěľłńňřśšťůźżž"
MAX_LENGTH = 16
"""Characters a name is cut to; one name in a hundred is longer."""

_LOCALES = {
    "Czech or Slovak": ("cs_CZ", "sk_SK"),
    "Dutch": ("nl_NL",),
    "English": ("en_GB", "en_US"),
    "Finnish": ("fi_FI",),
    "French": ("fr_FR", "fr_CH", "fr_CA"),
    "German": ("de_DE", "de_AT"),
    "Greek": ("el_GR",),
    "Irish": ("ga_IE",),
    "Italian": ("it_IT",),
    "Polish": ("pl_PL",),
    "Russian": ("ru_RU",),
    "Spanish": ("es_ES",),
}
LABELS = tuple(_LOCALES)

_NAMES_PER_LANGUAGE = 1000
_TEST_SHARE = 0.2
_FAMILY_LETTERS = 5


def data(seed: int = 0) -> Dataset:
    """Token ids `(n, 16)` int32 and language ids `(n,)`; a fifth of each language is held out.

    Each training name with accents is there a second time without them, since people type
    both; the held-out names are as written. The choice and the split are drawn from `seed`.
    """
    rng = np.random.default_rng(seed)
    train: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    for language, names in enumerate(_names_by_language()):
        chosen = [names[index] for index in rng.permutation(len(names))[:_NAMES_PER_LANGUAGE]]
        kept, held_out = _split(chosen, rng)
        spellings = dict.fromkeys(kept + [fold(name) for name in kept])
        train += [(name, language) for name in spellings]
        test += [(name, language) for name in held_out]
    return Dataset(
        train_inputs={"tokens": encode_names([name for name, _ in train])},
        train_targets=np.array([language for _, language in train], dtype=np.int32),
        test_inputs={"tokens": encode_names([name for name, _ in test])},
        test_targets=np.array([language for _, language in test], dtype=np.int32),
        labels=LABELS,
        preprocessing={
            "kind": "characters",
            "input": "tokens",
            "alphabet": ALPHABET,
            "lowercase": True,
            "max_length": MAX_LENGTH,
            "padding": 0,
            "unknown": 1,
            "offset": 2,
        },
    )


def encode_names(names: list[str]) -> np.ndarray:
    """Token ids `(len(names), 16)` int32 of `names`."""
    return encode(names, ALPHABET, MAX_LENGTH)


def majority(dataset: Dataset) -> float:
    """Held-out accuracy of always answering the most frequent language."""
    return majority_rate(dataset.test_targets)


def baseline(dataset: Dataset) -> tuple[str, float]:
    """Held-out accuracy of a logistic regression on runs of one to three characters."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    model.fit(_as_documents(dataset.train_inputs["tokens"]), dataset.train_targets)
    probabilities = model.predict_proba(_as_documents(dataset.test_inputs["tokens"]))
    return "logistic regression on 1-3-grams", score(probabilities, dataset.test_targets)


def fold(name: str) -> str:
    """`name` without its accents."""
    letters = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("ß", "ss"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _names_by_language() -> list[list[str]]:
    """The lower-case names of each language, sorted, without those of several languages."""
    by_language = []
    for locales in _LOCALES.values():
        names: dict[str, str] = {}
        for locale in locales:
            for name in sorted(_latin(locale, _listed(locale))):
                names.setdefault(fold(name), name)
        by_language.append(names)
    languages = Counter(key for names in by_language for key in names)
    return [
        sorted(name for key, name in names.items() if languages[key] == 1) for names in by_language
    ]


def _listed(locale: str) -> set[str]:
    """All surnames in Faker's lists for `locale`."""
    provider = import_module(f"faker.providers.person.{locale}").Provider
    lists = [getattr(provider, name) for name in dir(provider) if "last_names" in name]
    return {name for names in lists for name in names}


def _latin(locale: str, names: Iterable[str]) -> set[str]:
    """`names` in lower case and composed form, by Faker's own rules for Latin letters."""
    if locale == "el_GR":
        latinize = import_module("faker.providers.internet.el_GR").latinize
        names = [latinize(name) for name in names]
    elif locale == "ru_RU":
        letters = dict(import_module("faker.providers.internet.ru_RU").Provider.replacements)
        names = ["".join(letters.get(letter, letter) for letter in name) for name in names]
    return {unicodedata.normalize("NFC", name).replace("\u2019", "'").lower() for name in names}


def _split(names: list[str], rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """`names` as (kept, held out), with the names of one family on one side."""
    families: dict[str, list[str]] = defaultdict(list)
    for name in names:
        families[fold(name)[:_FAMILY_LETTERS]].append(name)
    wanted = round(_TEST_SHARE * len(names))
    kept: list[str] = []
    held_out: list[str] = []
    keys = sorted(families)
    for index in rng.permutation(len(keys)):
        side = held_out if len(held_out) < wanted else kept
        side += families[keys[index]]
    return kept, held_out


def _as_documents(tokens: np.ndarray) -> list[str]:
    """One character a token, with a mark at both ends, for the n-gram counts."""
    return ["^" + "".join(chr(0x100 + token) for token in row if token) + "$" for row in tokens]
