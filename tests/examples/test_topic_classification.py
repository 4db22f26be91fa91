"""Documentation by topic: its prose, its words, and a network trained for a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.topic_classification import docstrings
from examples.topic_classification.app import LENGTH, encode


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        pytest.param(
            "Draw a box.\n\nParameters\n----------\nx : array", "Draw a box.", id="section"
        ),
        pytest.param("Draw a box.\n\n>>> draw()", "Draw a box.", id="example"),
        pytest.param(
            "Call `fit` of a.b or use_it on MyFrame now.", "Call of or on now.", id="code"
        ),
        pytest.param("A pandas frame", "A   frame", id="name"),
    ],
)
def test_prose_is_what_comes_first_without_names_and_code(docstring: str, expected: str) -> None:
    assert docstrings.prose(docstring).split() == expected.split()


def test_words_become_ids_padded_to_the_longest() -> None:
    ids = {"draw": 2, "box": 3}
    np.testing.assert_array_equal(
        encode(["Draw a box!", "box", "?"], ids), [[2, 1, 3], [3, 0, 0], [1, 0, 0]]
    )
    assert encode(["box " * 100], ids).shape == (1, LENGTH)


@pytest.mark.keras
def test_a_network_trained_for_a_moment(tmp_path: Path) -> None:
    from examples.topic_classification import build

    known, test = docstrings.data()
    assert not set(known.texts) & set(test.texts)
    few = docstrings.Split(known.texts[::2], known.topics[::2])
    words = build.vocabulary(few.texts)
    build.export(build.train(few, words, epochs=3), words, tmp_path / "bundle")
    accuracy, answers = build.evaluate(tmp_path / "bundle", test)
    assert answers.shape == test.topics.shape
    assert accuracy > 0.4 > 2 / len(docstrings.LABELS)
