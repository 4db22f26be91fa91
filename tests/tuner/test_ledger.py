"""The ledger: what a kill leaves, and what makes two measurements different ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import OutputError
from edgekit.tuner.ledger import Ledger

WHAT = {"recipe": "static-int8", "exclude": ["a"]}


def test_what_was_added_is_found_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.jsonl"
    ledger = Ledger(path, {"model": "x"})
    assert ledger.find("quality", WHAT) is None
    ledger.add("quality", WHAT, {"metric": 0.5}, 1.5)
    assert (len(ledger.added), len(ledger.recalled)) == (1, 0)
    again = Ledger(path, {"model": "x"})
    assert again.find("quality", WHAT) == ({"metric": 0.5}, 1.5)
    assert (len(again.added), len(again.recalled)) == (0, 1)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["what"] == WHAT


@pytest.mark.parametrize(
    ("subject", "kind", "what"),
    [
        pytest.param({"model": "y"}, "quality", WHAT, id="another model"),
        pytest.param({"model": "x"}, "speed", WHAT, id="another kind"),
        pytest.param({"model": "x"}, "quality", WHAT | {"exclude": []}, id="another candidate"),
    ],
)
def test_another_subject_has_other_measurements(
    tmp_path: Path, subject: dict[str, str], kind: str, what: dict[str, object]
) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path, {"model": "x"}).add("quality", WHAT, {"metric": 0.5}, 1.5)
    assert Ledger(path, subject).find(kind, what) is None


@given(cut=st.integers(0, 400))
@settings(deadline=None, max_examples=40)
def test_a_line_that_was_cut_off_is_ignored_and_swallows_none(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    ledger = Ledger(path, {})
    for number in range(2):
        ledger.add("quality", {"number": number}, {"metric": number}, 1.0)
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    again = Ledger(path, {})
    first = content.partition(b"\n")[0]
    again.add("quality", {"number": 2}, {"metric": 2}, 1.0)
    last = Ledger(path, {})
    assert last.find("quality", {"number": 2}) == ({"metric": 2}, 1.0)
    left = content[: max(0, len(content) - cut)].startswith(first)
    assert (last.find("quality", {"number": 0}) is not None) is left


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]\n", b'{"key": 1}\n', b"null\nnot json\n"])
def test_what_is_no_ledger_is_passed_over(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    ledger = Ledger(path, {})
    ledger.add("quality", WHAT, {"metric": 0.5}, 1.5)
    assert Ledger(path, {}).find("quality", WHAT) == ({"metric": 0.5}, 1.5)


def test_a_ledger_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(OutputError, match="cannot be used"):
        Ledger(path, {})
