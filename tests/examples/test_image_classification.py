"""The digits page: written from a bundle, with the figures beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from examples.image_classification import build


def test_the_page_comes_with_its_figures(
    image_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build.page(image_bundle, tmp_path / "digits-page")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("fp32: accuracy ")
    assert "p50 " in lines[2]
    assert "1 thread" in lines[2]
    assert lines[-1].startswith(str(tmp_path / "digits-page"))
    assert (tmp_path / "digits-page" / "Makefile").is_file()
