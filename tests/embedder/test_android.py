"""The target `android`: what is written, and its own proof on a JVM (marked `native`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnxruntime
import pytest

from edgekit.bundle import Bundle
from edgekit.embedder import kotlinsource
from edgekit.embedder.project import embed
from tests.embedder.conftest import KINDS

MAIN = Path("model/src/main")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', r'"a\u0022b\u005cc"'),
        ("$name", r'"\u0024name"'),
        ("é\n", r'"\u00e9\u000a"'),
        ("\U0001f600", r'"\ud83d\ude00"'),
    ],
)
def test_a_kotlin_string(text: str, written: str) -> None:
    assert kotlinsource.quoted(text) == written


@pytest.mark.parametrize("target", ["android", "ios"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_ort_file_has_a_batch_of_one(
    bundles: dict[str, Bundle], tmp_path: Path, kind: str, target: str
) -> None:
    embed(bundles[kind], target, tmp_path / "app")
    (file,) = (tmp_path / "app").rglob("model.ort")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert all(value.shape[0] == 1 for value in session.get_inputs())


def test_the_golden_vectors_are_no_part_of_the_app(text_bundle: Bundle, tmp_path: Path) -> None:
    embed(text_bundle, "android", tmp_path / "app")
    assert not list((tmp_path / "app" / MAIN).rglob("golden*"))


@pytest.mark.native
@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_vectors_hold_on_a_jvm(
    bundles: dict[str, Bundle],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
) -> None:
    embed(bundles[kind], "android", tmp_path / "app")
    fetched = tmp_path_factory.getbasetemp() / "android-deps"
    fetched.mkdir(exist_ok=True)
    (tmp_path / "app" / "deps").symlink_to(fetched)
    done = subprocess.run(
        ["make", "test"], cwd=tmp_path / "app", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "OK (10 tests)" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Not run here:")
