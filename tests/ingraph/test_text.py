"""Text in the graph: equal to `edgekit.preprocess.texts` for every string, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit import preprocess
from edgekit.errors import FeedError
from edgekit.ingraph import with_preprocessing
from edgekit.runtime.runner import Runner, open_runner
from tests.ingraph.models import text_spec, write_text_echo

SPECS = {
    "lower case": text_spec(),
    "both cases": text_spec(lowercase=False, alphabet="aAbBİi"),
    "another padding": text_spec(padding=7, unknown=3, offset=10, max_length=5),
    "final letters": text_spec(alphabet="αβσς"),
}


@pytest.fixture(scope="module")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runner]]:
    folder = tmp_path_factory.mktemp("text")
    model = write_text_echo(folder / "echo.onnx")
    made = {
        name: with_preprocessing(model, preprocessing=spec, out=folder / f"{i}.onnx").path
        for i, (name, spec) in enumerate(SPECS.items())
    }
    opened = {name: open_runner(path, threads=1) for name, path in made.items()}
    yield opened
    for runner in opened.values():
        runner.close()


def check(runner: Runner, lines: list[str], spec: dict[str, Any]) -> None:
    expected = preprocess.texts(lines, spec)["tokens"]
    got = runner.run({"text": np.array(lines, object)})["ids"]
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)


# What is not of the alphabet, changes its length or its place in another case, or is white space.
CHARACTERS = st.one_of(
    st.sampled_from("abzABZ '-ßẞÄéÉİI\u0131\u017fKÅǅ\u0301\u0307\t\u00a0\u2003\0\u200b"),
    st.characters(exclude_categories=["Cs"]),
)


class TestText:
    @pytest.mark.parametrize("name", ["lower case", "both cases", "another padding"])
    @settings(max_examples=150, deadline=None)
    @given(lines=st.lists(st.text(CHARACTERS, min_size=1, max_size=20), min_size=1, max_size=4))
    def test_any_lines_become_the_ids_that_python_makes(
        self, runners: dict[str, Runner], name: str, lines: list[str]
    ) -> None:
        if all(line.strip() for line in lines):
            check(runners[name], lines, SPECS[name])
        else:
            with pytest.raises(FeedError, match="empty"):
                runners[name].run({"text": np.array(lines, object)})

    def test_every_character_that_has_another_case_or_is_white_space(
        self, runners: dict[str, Runner]
    ) -> None:
        special = [
            c
            for c in map(chr, range(sys.maxunicode + 1))
            if c.lower() != c or c.isspace() or c in SPECS["lower case"]["alphabet"]
        ]
        assert len(special) > 1000
        check(runners["lower case"], [f"x{c}y" for c in special], SPECS["lower case"])
        check(runners["lower case"], [f"{c}y{c}" for c in special], SPECS["lower case"])

    @pytest.mark.parametrize(
        "line",
        [
            "Müller",
            "  Kowalski\t",
            "İstanbul",
            "a\u0301b",
            "😀\U0001d538",
            "x" * 40,
            "jean luc ab ab",
            "A\0B",
        ],
    )
    def test_a_line_alone(self, runners: dict[str, Runner], line: str) -> None:
        check(runners["lower case"], [line], SPECS["lower case"])

    @pytest.mark.parametrize("lines", [[""], [" \n"], ["a", ""]], ids=repr)
    def test_an_empty_line_is_refused(self, runners: dict[str, Runner], lines: list[str]) -> None:
        with pytest.raises(FeedError, match=r"refused .* a text is empty, give at least one"):
            runners["lower case"].run({"text": np.array(lines, object)})

    def test_a_capital_sigma_is_refused_where_the_model_knows_the_small_ones(
        self, runners: dict[str, Runner]
    ) -> None:
        check(runners["final letters"], ["ας", "σβ"], SPECS["final letters"])
        check(runners["lower case"], ["ΑΣ"], SPECS["lower case"])
        with pytest.raises(FeedError, match=r"sigma .* give the text in lower case"):
            runners["final letters"].run({"text": np.array(["ΑΣ"], object)})

    def test_the_signature_says_strings(self, runners: dict[str, Runner]) -> None:
        (spec,) = runners["lower case"].signature.inputs
        assert str(spec) == "text: str (batch,)"
        assert runners["lower case"].signature.sample(batch=2)["text"].shape == (2,)
