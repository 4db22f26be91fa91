"""The target `ios`: what is written. There is no Swift here to compile it with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.embedder import swiftsource
from edgekit.embedder.project import embed


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain $1", '"plain $1"'),
        ('a"b\\(c)', r'"a\u{22}b\u{5c}(c)"'),
        ("é\n", r'"\u{e9}\u{a}"'),
        ("\U0001f600", r'"\u{1f600}"'),
    ],
)
def test_a_swift_string(text: str, written: str) -> None:
    assert swiftsource.quoted(text) == written


def test_make_test_says_what_was_not_run(text_bundle: Bundle, tmp_path: Path) -> None:
    embed(text_bundle, "ios", tmp_path / "app")
    done = subprocess.run(
        ["make", "test", "SWIFT=no-swift"],
        cwd=tmp_path / "app",
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nothing was compiled" in done.stdout


def test_the_golden_vectors_are_no_part_of_the_app(text_bundle: Bundle, tmp_path: Path) -> None:
    embed(text_bundle, "ios", tmp_path / "app")
    assert not list((tmp_path / "app" / "Sources").rglob("golden*"))
