"""Projects whose file has its preprocessing inside: what is in them, their answers, refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import edgekit
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.cli import cli
from edgekit.embedder import raw
from edgekit.embedder.project import embed
from edgekit.embedder.targets import TARGETS
from edgekit.errors import EdgekitError, EmbedError, MissingExtraError
from edgekit.ingraph import with_preprocessing
from edgekit.parity import TOLERANCES
from edgekit.reference import Reference
from edgekit.signature import Signature, TensorSpec
from tests.conftest import LABELS
from tests.embedder.conftest import RAW, RAW_TARGETS
from tests.embedder.test_embed import contents
from tests.embedder.test_python import load, prove

INPUTS = {
    "text": {"name": "text", "dtype": "str", "shape": ["batch"]},
    "pixels": {
        "name": "image",
        "dtype": "uint8",
        "shape": ["batch", "height", "width", "channels"],
    },
    "series": {"name": "series", "dtype": "float32", "shape": ["batch", "time", 5]},
}


def described(folder: Path, name: str) -> Any:
    (path,) = folder.rglob(name)
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("takes", RAW)
@pytest.mark.parametrize("target", RAW_TARGETS)
def test_a_project_has_a_file_that_takes_raw_input_and_names_labels(
    bundles: dict[str, Bundle], tmp_path: Path, target: str, takes: str
) -> None:
    made = embed(bundles[RAW[takes]], target, tmp_path / "app", with_preprocessing=True)
    assert (made.variant, made.model) == ("fp32-raw", str(bundles[RAW[takes]].path))
    assert made.reason.endswith("its preprocessing inside")
    spec = described(tmp_path / "app", "model.json")
    assert spec["inputs"] == [INPUTS[takes]]
    assert (spec["takes"], spec["labels"]) == (takes, [])
    assert (spec["preprocessing"] is None) == (takes != "series")
    for name, data in contents(tmp_path / "app").items():
        assert not re.search(rb"\{\{[a-z_]+\}\}", data), name


@pytest.mark.parametrize("takes", RAW)
def test_the_golden_vectors_have_labels_as_strings(
    bundles: dict[str, Bundle], tmp_path: Path, takes: str
) -> None:
    embed(bundles[RAW[takes]], "node", tmp_path / "app", with_preprocessing=True)
    golden = described(tmp_path / "app", "golden.json")
    assert "texts" not in golden
    answers = [{each["name"]: each["data"] for each in case["outputs"]} for case in golden["cases"]]
    assert any("label" in case for case in answers)
    assert all(case["label"][0] in LABELS for case in answers if "label" in case)
    assert all(
        case["label"][0] == case["top_labels"][0] for case in answers if "top_labels" in case
    )


@pytest.mark.parametrize("target", RAW_TARGETS)
def test_the_bundle_stays_as_it_is(text_bundle: Bundle, tmp_path: Path, target: str) -> None:
    before = contents(text_bundle.path)
    embed(text_bundle, target, tmp_path / "app", with_preprocessing=True)
    assert contents(text_bundle.path) == before


class TestAVariantThatIsThere:
    @pytest.mark.parametrize("options", [{"with_preprocessing": True}, {"variant": "fp32-raw"}])
    def test_is_taken_without_onnx(
        self,
        text_bundle: Bundle,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, Any],
    ) -> None:
        bundle = with_preprocessing(text_bundle).bundle
        assert bundle is not None
        monkeypatch.setitem(sys.modules, "edgekit.ingraph", None)
        made = embed(bundle, "python", tmp_path / "app", **options)
        assert made.variant == "fp32-raw"
        raw_file = (bundle.path / "model.raw.onnx").read_bytes()
        assert (tmp_path / "app" / "src" / "tiny" / "model.onnx").read_bytes() == raw_file

    def test_is_not_taken_where_nobody_asks(self, text_bundle: Bundle, tmp_path: Path) -> None:
        bundle = with_preprocessing(text_bundle).bundle
        assert bundle is not None
        assert embed(bundle, "python", tmp_path / "app").variant == "fp32"

    def test_of_an_int8_one_is_its_own(self, text_bundle: Bundle, tmp_path: Path) -> None:
        path = text_bundle.path / "model.int8.onnx"
        path.write_bytes((text_bundle.path / "model.onnx").read_bytes())
        bundle = text_bundle.add(Variant("int8", FileEntry.of(path), "int8", "static-int8", 18))
        made = embed(bundle, "node", tmp_path / "app", variant="int8", with_preprocessing=True)
        assert (made.variant, made.precision) == ("int8-raw", "int8")


def test_without_onnx_the_missing_extra_is_named(
    text_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith("edgekit.ingraph")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    with pytest.raises(
        MissingExtraError, match=r"to put preprocessing into a model .*edgekit-onnx"
    ):
        embed(text_bundle, "python", tmp_path / "app", with_preprocessing=True)
    assert not (tmp_path / "app").exists()


class TestRefusals:
    @pytest.mark.parametrize("target", [name for name in TARGETS if name not in RAW_TARGETS])
    @pytest.mark.parametrize("options", [{"with_preprocessing": True}, {"variant": "fp32-raw"}])
    def test_of_a_target_without_say_why_and_what_to_do(
        self, text_bundle: Bundle, tmp_path: Path, target: str, options: dict[str, Any]
    ) -> None:
        bundle = text_bundle
        if "variant" in options:
            bundle = with_preprocessing(text_bundle).bundle or text_bundle
        with pytest.raises(EmbedError, match=f"target {target!r} does not take") as caught:
            embed(bundle, target, tmp_path / "app", **options)
        assert TARGETS[target].no_raw in str(caught.value)
        assert "the project then has the preprocessing in code" in str(caught.value)
        assert not (tmp_path / "app").exists()

    @pytest.mark.parametrize("target", TARGETS)
    def test_of_a_pictures_file_name_the_package(
        self, image_bundle: Bundle, tmp_path: Path, target: str
    ) -> None:
        entry = FileEntry.of(image_bundle.path / "model.onnx")
        bundle = image_bundle.add(
            Variant("fp32-encoded", entry, "fp32", "float", 18, takes="encoded")
        )
        with pytest.raises(EmbedError, match=r"onnxruntime-extensions, .* takes pixels"):
            embed(bundle, target, tmp_path / "app", variant="fp32-encoded")

    def test_of_a_file_of_its_own(self, classifier: Path, tmp_path: Path) -> None:
        with pytest.raises(EmbedError, match="give its bundle"):
            embed(classifier, "python", tmp_path / "app", with_preprocessing=True)

    def test_of_a_bundle_without_preprocessing(self, bundle: Bundle, tmp_path: Path) -> None:
        with pytest.raises(EdgekitError, match="comes without preprocessing"):
            embed(bundle, "python", tmp_path / "app", with_preprocessing=True)


class TestPython:
    @pytest.mark.parametrize("takes", RAW)
    def test_its_own_test_proves_strings_too(
        self, bundles: dict[str, Bundle], tmp_path: Path, takes: str
    ) -> None:
        embed(bundles[RAW[takes]], "python", tmp_path / "app", with_preprocessing=True)
        source = tmp_path / "app" / "src"
        assert prove(source, "tiny").returncode == 0
        golden = described(source, "golden.json")
        label = next(each for each in golden["cases"][0]["outputs"] if each["name"] == "label")
        label["data"] = ["nobody"]
        (source / "tiny" / "golden.json").write_text(json.dumps(golden))
        done = prove(source, "tiny")
        assert done.returncode == 1
        assert "'nobody'" in done.stderr

    def test_a_text_is_answered_as_by_code(
        self, text_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embed(text_bundle, "python", tmp_path / "code", name="in code")
        embed(text_bundle, "python", tmp_path / "raw", name="in graph", with_preprocessing=True)
        in_code = load(tmp_path / "code" / "src", "in_code", monkeypatch)
        in_graph = load(tmp_path / "raw" / "src", "in_graph", monkeypatch)
        for text in ("Rossi", " MÜLLER\t", "x" * 50, "\U0001f600"):
            want, got = in_code.predict(text), in_graph.predict(text)
            assert got.label == want.label == got.outputs["label"][0]
            assert [label.name for label in got.top] == [label.name for label in want.top]
            scores = [label.score for label in got.top]
            assert scores == pytest.approx([label.score for label in want.top], abs=1e-6)
        assert len(in_graph.predict("Rossi", top=1).top) == 1
        with pytest.raises(ValueError, match="the text is empty"):
            in_graph.predict(" ")

    def test_a_picture_is_an_array_or_of_pillow(
        self, image_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embed(image_bundle, "python", tmp_path / "app", with_preprocessing=True)
        app = load(tmp_path / "app" / "src", "tiny", monkeypatch)
        pixels = np.random.default_rng(0).integers(0, 256, (40, 31, 3), np.uint8)
        want = app.predict(pixels).outputs["probabilities"]
        same = app.predict(Image.fromarray(pixels)).outputs["probabilities"]
        np.testing.assert_array_equal(same, want)
        assert app.predict(pixels[..., 0]).label in LABELS

    @pytest.mark.parametrize(
        ("picture", "words"),
        [
            (np.zeros((4, 4), np.float32), "is float32: give bytes"),
            (np.zeros((4, 4, 5), np.uint8), r"shape \(4, 4, 5\)"),
            (np.zeros((0, 4), np.uint8), r"shape \(0, 4, 1\)"),
            (np.zeros(4, np.uint8), r"shape \(4,\)"),
            (Image.new("P", (4, 4)), "has the mode P"),
        ],
        ids=["floats", "channels", "empty", "rank", "palette"],
    )
    def test_a_picture_that_does_not_fit_is_refused(
        self,
        image_bundle: Bundle,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        picture: Any,
        words: str,
    ) -> None:
        embed(image_bundle, "python", tmp_path / "app", with_preprocessing=True)
        app = load(tmp_path / "app" / "src", "tiny", monkeypatch)
        with pytest.raises(ValueError, match=words):
            app.predict(picture)

    @pytest.mark.parametrize("takes", RAW)
    def test_what_is_written_passes_strict_checks(
        self, bundles: dict[str, Bundle], tmp_path: Path, takes: str
    ) -> None:
        embed(bundles[RAW[takes]], "python", tmp_path / "app", with_preprocessing=True)
        commands = (
            "mypy --strict --ignore-missing-imports -p tiny",
            "ruff check --isolated --line-length 100 .",
            "tiny --help",
        )
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-m", *command.split()],
                cwd=tmp_path / "app" / "src",
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout


SCORES = Signature(
    (TensorSpec("text", "str", ("batch",)),),
    (
        TensorSpec("probabilities", "float32", ("batch", 4)),
        TensorSpec("label", "str", ("batch",)),
        TensorSpec("probability", "float32", ("batch",)),
        TensorSpec("top_labels", "str", ("batch", 2)),
        TensorSpec("top_probabilities", "float32", ("batch", 2)),
    ),
)


def named(scores: Any, precision: str = "fp32") -> dict[str, Any]:
    outputs = {"probabilities": np.array([scores], np.float32)}
    case = Reference({"text": np.array(["a"], object)}, outputs)
    return raw.named(case, list("abcd"), SCORES, TOLERANCES[precision]).outputs


class TestExpectedLabels:
    @pytest.mark.parametrize(
        ("scores", "precision", "label", "top"),
        [
            ((0.1, 0.6, 0.2, 0.1), "fp32", "b", ["b", "c"]),
            ((0.2, 0.6, 0.2, 0.0), "fp32", "b", None),
            ((0.4, 0.4, 0.2, 0.0), "fp32", None, None),
            ((0.45, 0.5, 0.05, 0.0), "fp32", "b", ["b", "a"]),
            ((0.45, 0.5, 0.05, 0.0), "int8", None, None),
            ((0.1, 0.7, 0.15, 0.05), "int8", "b", None),
        ],
        ids=["clear", "second is a tie", "first is a tie", "near", "near in int8", "clear in int8"],
    )
    def test_are_there_where_no_tolerance_lets_another_come(
        self, scores: Any, precision: str, label: str | None, top: Any
    ) -> None:
        found = named(scores, precision)
        assert found["probability"].tolist() == pytest.approx([max(scores)])
        assert (found["label"].tolist() if "label" in found else None) == (label and [label])
        assert (found["top_labels"].tolist() if "top_labels" in found else None) == (top and [top])

    @given(hnp.arrays(np.float32, 4, elements=st.floats(0, 1, width=32)), st.integers(0, 2**32 - 1))
    @settings(max_examples=200, deadline=None)
    def test_are_the_same_for_scores_within_the_tolerance(self, scores: Any, seed: int) -> None:
        atol = TOLERANCES["fp32"].atol
        assert atol is not None
        noise = np.random.default_rng(seed).uniform(-0.99, 0.99, 4) * atol
        found, other = named(scores), np.argsort(-(scores.astype(np.float64) + noise))
        names = np.array(list("abcd"), object)[other]
        if "label" in found:
            assert found["label"][0] == names[0]
        if "top_labels" in found:
            assert found["top_labels"][0].tolist() == names[:2].tolist()


def test_the_command_takes_it(text_bundle: Bundle, tmp_path: Path) -> None:
    command = ["embed", str(text_bundle.path), "--target", "node", "--out", str(tmp_path / "app")]
    done = CliRunner().invoke(cli, [*command, "--with-preprocessing"])
    assert done.exit_code == 0, done.stderr
    assert "fp32-raw of" in done.stdout
    assert "label" in done.stdout


def test_it_is_a_keyword_of_the_library(text_bundle: Bundle, tmp_path: Path) -> None:
    made = edgekit.embed(text_bundle, "web", tmp_path / "app", with_preprocessing=True)
    assert made.variant == "fp32-raw"
