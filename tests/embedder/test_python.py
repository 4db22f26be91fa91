"""The target python: the written package, without a network; as installed in the suite `wheel`."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit import preprocess
from edgekit.bundle import Bundle
from edgekit.embedder.project import embed
from tests.conftest import ALPHABET, write_classifier
from tests.embedder.conftest import KINDS

RULE = {
    "kind": "characters",
    "input": "tokens",
    "alphabet": ALPHABET + "äöüß '-",
    "lowercase": True,
    "max_length": 12,
    "padding": 0,
    "unknown": 1,
    "offset": 2,
}


def write(bundle: Bundle, folder: Path) -> Path:
    """Write a project and give the folder that its package is in."""
    return folder / "src" if embed(bundle, "python", folder).path == folder else folder


def prove(source: Path, module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest", f"{module}.test_golden"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )


def load(source: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(source)
    for known in [each for each in sys.modules if each.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, known)
    return importlib.import_module(name)


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_test_proves_the_golden_vectors(
    bundles: dict[str, Bundle], tmp_path: Path, kind: str
) -> None:
    done = prove(write(bundles[kind], tmp_path / "app"), "tiny")
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


def test_its_own_test_fails_on_another_model(bundle: Bundle, tmp_path: Path) -> None:
    source = write(bundle, tmp_path / "app")
    write_classifier(source / "tiny" / "model.onnx", 1.01)
    done = prove(source, "tiny")
    assert done.returncode == 1
    assert "AssertionError" in done.stderr


def test_its_own_test_fails_on_another_preprocessing(text_bundle: Bundle, tmp_path: Path) -> None:
    source = write(text_bundle, tmp_path / "app")
    spec = json.loads((source / "tiny" / "model.json").read_text())
    spec["preprocessing"]["lowercase"] = False
    (source / "tiny" / "model.json").write_text(json.dumps(spec))
    assert "test_a_text_becomes_the_expected_ids" in prove(source, "tiny").stderr


def test_predict_ranks_the_labels(
    text_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = load(write(text_bundle, tmp_path / "app"), "tiny", monkeypatch)
    answer = app.predict("Rossi", top=2)
    assert answer.label == answer.top[0].name
    scores = answer.outputs["probabilities"][0]
    assert [label.score for label in answer.top] == sorted(scores.tolist(), reverse=True)[:2]
    with pytest.raises(ValueError, match="the text is empty"):
        app.predict("  ")


def test_a_model_without_labels_gives_its_outputs(
    bundles: dict[str, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = load(write(bundles["arrays"], tmp_path / "app"), "tiny", monkeypatch)
    answer = app.predict({"a": [[1, 2, 3, 4]], "ids": [[7, 8]]})
    assert answer.outputs["next"].tolist() == [[8, 9]]
    assert answer.top == ()
    with pytest.raises(ValueError, match="no labels"):
        _ = answer.label
    with pytest.raises(ValueError, match="give a, ids"):
        app.predict({"a": [[1, 2, 3, 4]]})


@pytest.mark.parametrize(
    ("kind", "word", "answer"),
    [
        ("characters", "Rossi", r"Rossi: (zero|one|two) \d"),
        ("image", "PNG", r": (zero|one|two) \d"),
        ("series", "CSV", r": (zero|one|two) \d"),
        ("arrays", "NPZ", r"next = \[\[8, 9\]\]"),
        ("characters", " ", r"Error: the text is empty"),
        ("series", "missing.csv", r"Error: .*missing\.csv"),
    ],
)
def test_the_command_answers(
    bundles: dict[str, Bundle], tmp_path: Path, kind: str, word: str, answer: str
) -> None:
    source = write(bundles[kind], tmp_path / "app")
    Image.fromarray(np.eye(20, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    np.savetxt(tmp_path / "a.csv", np.ones((4, 5)), delimiter=",")
    np.savez(tmp_path / "a.npz", a=np.ones((1, 4), np.float32), ids=np.array([[7, 8]]))
    given = {"PNG": tmp_path / "a.png", "CSV": tmp_path / "a.csv", "NPZ": tmp_path / "a.npz"}
    done = subprocess.run(
        [sys.executable, "-m", "tiny", str(given.get(word, word))],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == int(answer.startswith("Error")), done.stderr
    assert re.search(answer, done.stdout + done.stderr), done.stdout + done.stderr


def test_a_model_that_the_runtime_lacks_is_named_with_it(bundle: Bundle, tmp_path: Path) -> None:
    source = write(bundle, tmp_path / "app")
    model = onnx.load(source / "tiny" / "model.onnx")
    model.ir_version = 99
    onnx.save(model, source / "tiny" / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-c", "import tiny; tiny.Model()"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModelError: model.onnx needs IR version 8 and opset 18 of ai.onnx" in done.stderr
    assert "does not open it" in done.stderr


@pytest.fixture(scope="module")
def encoders() -> dict[str, Any]:
    """The `encode` of each kind's template."""
    folder = Path(preprocess.__file__).parent / "embedder" / "python"
    found = {}
    for kind in KINDS:
        path = folder / kind / "src" / "_module_" / "preprocess.py"
        spec = importlib.util.spec_from_file_location(f"written_{kind}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[kind] = module.encode
    return found


class TestPreprocessingIsThatOfEdgekit:
    @given(text=st.text(min_size=1, max_size=30).filter(str.strip))
    @settings(max_examples=200, deadline=None)
    def test_of_texts(self, encoders: dict[str, Any], text: str) -> None:
        want = preprocess.texts([text], RULE)
        got = encoders["characters"](text, {"preprocessing": RULE})
        np.testing.assert_array_equal(got["tokens"], want["tokens"])

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize(
        "size", [(28, 28), (100, 80), (7, 300), (5, 4)], ids=lambda size: f"{size[0]}x{size[1]}"
    )
    def test_of_pictures(
        self, encoders: dict[str, Any], tmp_path: Path, channels: int, size: tuple[int, int]
    ) -> None:
        rule = {
            "kind": "image",
            "input": "image",
            "height": 28,
            "width": 20,
            "channels": channels,
            "range": [-1, 1],
        }
        pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a.png")
        want = preprocess.image(tmp_path / "a.png", rule)["image"]
        got = encoders["image"](pixels, {"preprocessing": rule})["image"]
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        # Pillow rounds to bytes for grey, after the columns and after the rows.
        np.testing.assert_allclose(got, want, atol=2 * 2.1 / 255)

    def test_of_series(self, encoders: dict[str, Any]) -> None:
        rule = {"kind": "series", "input": "series", "channels": 3}
        table = np.arange(12.0).reshape(4, 3)
        want = preprocess.series(table, rule)
        got = encoders["series"](table.tolist(), {"preprocessing": rule})
        np.testing.assert_array_equal(got["series"], want["series"])


def test_what_is_written_passes_strict_checks(bundles: dict[str, Bundle], tmp_path: Path) -> None:
    for kind, bundle in bundles.items():
        embed(bundle, "python", tmp_path / kind, name=f"app {kind}")
        shutil.copytree(tmp_path / kind / "src", tmp_path / "src", dirs_exist_ok=True)
    packages = [word for kind in KINDS for word in ("-p", f"app_{kind}")]
    for command in (
        ["mypy", "--strict", "--ignore-missing-imports", *packages],
        ["ruff", "check", "--isolated", "--line-length", "100", "--target-version", "py311", "."],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path / "src",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.wheel
@pytest.mark.parametrize("kind", ["characters", "arrays"])
def test_make_test_passes_in_a_fresh_environment(
    bundles: dict[str, Bundle], tmp_path: Path, kind: str
) -> None:
    embed(bundles[kind], "python", tmp_path / "app")
    done = subprocess.run(
        ["make", "test", "wheel", f"PYTHON={sys.executable}"],
        cwd=tmp_path / "app",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stderr
    python = tmp_path / "app" / ".venv" / "bin" / "python"
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    names = {row["name"] for row in json.loads(listed.stdout)}
    assert {"tiny", "numpy", "onnxruntime"} <= names
    assert "edgekit-onnx" not in names
    assert list((tmp_path / "app" / "dist").glob("tiny-0.1.0-*.whl"))
