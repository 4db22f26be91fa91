"""Real English text by topic: what the docstrings of installed libraries say first.

The source files are parsed and never imported. A text is a docstring's prose up to its first
section or example, without the libraries' own names, and without words that occur in code alone
(with underscores, dots, capitals inside). A fifth of the files of each library is held out, so no
file is on both sides, and a text that occurs twice is kept once.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

TOPICS = {
    "machine learning": "sklearn",
    "plots": "matplotlib",
    "scientific computing": "scipy",
    "symbolic mathematics": "sympy",
    "tables": "pandas",
    "time series": "sktime",
}
LABELS = tuple(TOPICS)

_MOST = 1500
_FEWEST_WORDS = 6
_TEST_SHARE = 0.2
_NAMES = re.compile(
    r"\b(scikit-learn|sklearn|matplotlib|pyplot|mpl|scipy|sympy|pandas|sktime|numpy)\b", re.I
)
_SECTION = re.compile(r"^\s*(\w[\w ]*\n\s*[-=~]{3,}|>>>|\.\. |:\w+)", re.M)
_CODE = re.compile(r"[`_()\[\]=\\]|\w\.\w|[a-z][A-Z]")


@dataclass(frozen=True)
class Split:
    """Texts and the numbers of their topics."""

    texts: list[str]
    topics: np.ndarray


def data(seed: int = 0) -> tuple[Split, Split]:
    """What to train on and what is held out."""
    rng = np.random.default_rng(seed)
    parts: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    seen: set[str] = set()
    for topic, package in enumerate(TOPICS.values()):
        files = _files(package)
        rows: tuple[list[str], list[str]] = ([], [])
        wanted = (_MOST, round(_MOST * _TEST_SHARE))
        for index in rng.permutation(len(files)):
            side = int(rng.random() < _TEST_SHARE)
            if len(rows[side]) < wanted[side]:
                fresh = dict.fromkeys(text for text in _texts(files[index]) if text not in seen)
                seen.update(fresh)
                rows[side].extend(fresh)
        for part, texts, most in zip(parts, rows, wanted, strict=True):
            part.extend((text, topic) for text in texts[:most])
    train, test = (
        Split([text for text, _ in part], np.array([topic for _, topic in part], np.int32))
        for part in parts
    )
    return train, test


def _files(package: str) -> list[Path]:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    root = Path(spec.origin).parent
    return sorted(path for path in root.rglob("*.py") if "tests" not in path.parts)


def _texts(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    texts = [prose(text) for text in found if text]
    return [text for text in texts if len(text.split()) >= _FEWEST_WORDS]


def prose(docstring: str) -> str:
    """A docstring's prose up to its first section, without names and code."""
    section = _SECTION.search(docstring)
    text = docstring[: section.start()] if section else docstring
    return " ".join(_NAMES.sub(" ", word) for word in text.split() if not _CODE.search(word))
