"""A bundle's variants with their preprocessing: recorded, judged, run and timed like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image

import edgekit
from edgekit import preprocess
from edgekit.bundle import Bundle
from edgekit.cli import cli
from edgekit.errors import EdgekitError, ExportError, MissingExtraError, ModelError, OutputError
from edgekit.infer import infer
from edgekit.ingraph import with_preprocessing
from edgekit.ingraph.sources import export_raw
from edgekit.runtime.runner import open_runner
from tests.conftest import LABELS, write_model
from tests.ingraph.models import text_spec, write_scores, write_text_echo

SERIES = {"kind": "series", "input": "series", "channels": 3}
WORDS: dict[str, Any] = {"preprocessing": SERIES, "labels": ["a", "b", "c"]}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 31, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


class TestAnswers:
    @pytest.mark.parametrize(
        ("last", "softmaxes"), [(None, 1), ("Softmax", 1), ("Sigmoid", 0)], ids=str
    )
    def test_a_softmax_is_added_where_scores_are_no_probabilities(
        self, tmp_path: Path, last: str | None, softmaxes: int
    ) -> None:
        model = write_scores(tmp_path / "scores.onnx", last)
        made = with_preprocessing(model, **WORDS).path
        kinds = [node.op_type for node in onnx.load(made).graph.node]
        assert kinds.count("Softmax") == softmaxes

    def test_of_equal_scores_the_first_label_comes_first(self, tmp_path: Path) -> None:
        model = write_scores(tmp_path / "scores.onnx", None)
        with open_runner(with_preprocessing(model, **WORDS, top=2).path) as runner:
            got = runner.run({"series": np.array([[[1, 3, 3]], [[5, 5, 5]]], np.float32)})
        assert got["label"].tolist() == ["b", "a"]
        assert got["top_labels"].tolist() == [["b", "c"], ["a", "b"]]
        assert np.allclose(got["probabilities"].sum(1), 1)
        assert np.array_equal(got["top_probabilities"][:, 0], got["probability"])

    def test_no_more_labels_are_named_than_there_are(self, tmp_path: Path) -> None:
        model = write_scores(tmp_path / "scores.onnx", None)
        made = with_preprocessing(model, **WORDS, top=9)
        assert made.signature.outputs[3].shape == ("batch", 3)


class TestBundle:
    def test_a_variant_says_what_it_takes_and_needs(self, image_bundle: Bundle) -> None:
        made = with_preprocessing(image_bundle)
        assert made.bundle is not None
        variant = Bundle.open(image_bundle.path).variant("fp32-raw")
        assert (variant.takes, variant.packages) == ("pixels", ("onnxruntime",))
        assert variant.file.path == "model.raw.onnx"
        measured = variant.measured["preprocessing"]["cpu"]
        assert measured["cases"] > 10
        assert measured["max_abs_error"] <= measured["allowed_abs_error"]
        assert made.bundle.reference_of(variant) != made.bundle.reference_of(
            image_bundle.variant("fp32")
        )

    @pytest.mark.parametrize("recipe", ["dynamic-int8", "fp16"])
    def test_every_variant_is_judged_by_its_own_reference(
        self, image_bundle: Bundle, recipe: str
    ) -> None:
        with_preprocessing(image_bundle)
        edgekit.quantize(image_bundle.path, recipe)
        small = Bundle.open(image_bundle.path).manifest.variants[-1]
        assert small.takes == "tensors"
        with_preprocessing(image_bundle.path, variant=small.name)
        report = edgekit.validate(image_bundle.path, worst_case=True)
        assert [(row.variant, row.failures) for row in report.variants if not row.passed] == []
        names = {row.variant: row for row in report.variants}
        assert set(names) == {"fp32", "fp32-raw", small.name, f"{small.name}-raw"}
        assert names["fp32-raw"].metric is None
        assert any("fp32-raw" in note for note in report.notes)

    def test_a_model_that_reads_the_padding_is_called_batch_dependent(
        self, text_bundle: Bundle
    ) -> None:
        # The mean over the ids of a line changes with the longest line beside it.
        with_preprocessing(text_bundle)
        report = edgekit.validate(text_bundle.path, variant="fp32-raw")
        assert "batch-dependent" in {failure.kind for failure in report.variants[0].failures}

    def test_a_picture_is_answered_as_without(self, image_bundle: Bundle, picture: Path) -> None:
        with_preprocessing(image_bundle)
        (plain,) = infer(image_bundle.path, str(picture)).predictions
        (raw,) = infer(image_bundle.path, str(picture), variant="fp32-raw").predictions
        (alone,) = infer(image_bundle.path / "model.raw.onnx", str(picture)).predictions
        assert raw == alone == plain

    @pytest.mark.parametrize("line", ["Kowalski", "  ÉVA\u00a0", "x" * 30])
    def test_a_text_is_answered_as_without(self, text_bundle: Bundle, line: str) -> None:
        with_preprocessing(text_bundle)
        (plain,) = infer(text_bundle.path, line).predictions
        (raw,) = infer(text_bundle.path, line, variant="fp32-raw").predictions
        (alone,) = infer(text_bundle.path / "model.raw.onnx", line).predictions
        assert raw == alone == plain

    def test_without_an_input_it_takes_its_own_reference(self, text_bundle: Bundle) -> None:
        with_preprocessing(text_bundle)
        found = infer(text_bundle.path, variant="fp32-raw")
        assert found.source == "the first reference sample"
        assert found.predictions[0].label in LABELS

    def test_it_is_timed_on_its_own_reference(self, text_bundle: Bundle) -> None:
        with_preprocessing(text_bundle)
        report = edgekit.benchmark(text_bundle.path, variants="fp32-raw", duration_s=0.1)
        assert report.results[0].p50_ms > 0

    def test_another_recipe_still_starts_from_the_float_tensors(self, text_bundle: Bundle) -> None:
        raw = with_preprocessing(text_bundle).bundle
        assert raw is not None
        only = raw.add(raw.variant("fp32"))  # now the last one
        assert only.manifest.variants[0].name == "fp32-raw"
        assert edgekit.quantize(only.path, "fp16").path.name == "model.fp16.onnx"

    def test_an_ort_file_keeps_what_it_takes(self, image_bundle: Bundle) -> None:
        with_preprocessing(image_bundle)
        made = edgekit.compile(
            image_bundle.path, style="fixed", platform="amd64", variant="fp32-raw"
        )
        assert made.variant is not None
        assert Bundle.open(image_bundle.path).variant(made.variant).takes == "pixels"


class TestRefusals:
    def test_it_is_not_replaced_without_force(self, text_bundle: Bundle) -> None:
        with_preprocessing(text_bundle)
        with pytest.raises(OutputError, match="--force"):
            with_preprocessing(text_bundle)
        with_preprocessing(text_bundle, force=True)

    def test_preprocessing_is_not_put_in_twice(self, text_bundle: Bundle) -> None:
        with_preprocessing(text_bundle)
        with pytest.raises(ExportError, match="already"):
            with_preprocessing(text_bundle.path, variant="fp32-raw")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "comes without preprocessing: give it with --about"),
            ({"preprocessing": text_spec(kind="sound")}, "of the kind 'sound'"),
            ({"preprocessing": text_spec(alphabet=3)}, "'alphabet'"),
            ({"preprocessing": text_spec(input="words")}, "has no input 'words'"),
            ({"preprocessing": text_spec(), "encoded": True}, "leave --encoded out"),
            ({"preprocessing": text_spec(), "out": "somewhere"}, "no .onnx file"),
        ],
    )
    def test_what_does_not_fit_is_said(
        self, tmp_path: Path, options: dict[str, Any], words: str
    ) -> None:
        model = write_text_echo(tmp_path / "echo.onnx")
        with pytest.raises(EdgekitError, match=words):
            with_preprocessing(model, **options)
        assert [path.name for path in tmp_path.iterdir()] == ["echo.onnx"]

    def test_a_model_of_an_earlier_opset(self, tmp_path: Path) -> None:
        model = onnx.load(write_text_echo(tmp_path / "echo.onnx"))
        model.opset_import[0].version = 17
        onnx.save(model, tmp_path / "echo.onnx")
        with pytest.raises(ExportError, match=r"opset 17, .* --opset 18"):
            with_preprocessing(tmp_path / "echo.onnx", preprocessing=text_spec())

    def test_a_name_that_the_interface_needs_is_taken(self, tmp_path: Path) -> None:
        shape = ["batch", "time"]
        model = write_model(
            tmp_path / "two.onnx",
            [onnx.helper.make_node("Add", ["tokens", "text"], ["ids"])],
            [("tokens", onnx.TensorProto.INT32, shape), ("text", onnx.TensorProto.INT32, shape)],
            [("ids", onnx.TensorProto.INT32, shape)],
        )
        with pytest.raises(ExportError, match="'text' beside 'tokens'"):
            with_preprocessing(model, preprocessing=text_spec())

    def test_inner_names_give_way(self, tmp_path: Path) -> None:
        model = onnx.load(write_text_echo(tmp_path / "echo.onnx"))
        model.graph.node.insert(0, onnx.helper.make_node("Identity", ["tokens"], ["text"]))
        model.graph.node[1].input[0] = "text"
        onnx.save(model, tmp_path / "echo.onnx")
        made = with_preprocessing(tmp_path / "echo.onnx", preprocessing=text_spec())
        assert [spec.name for spec in made.signature.inputs] == ["text"]

    def test_a_graph_that_answers_otherwise_is_not_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = preprocess.texts
        monkeypatch.setattr(
            preprocess, "texts", lambda lines, spec: {"tokens": real(lines, spec)["tokens"] + 1}
        )
        model = write_text_echo(tmp_path / "echo.onnx")
        with pytest.raises(ExportError, match="does not answer as Python's"):
            with_preprocessing(model, preprocessing=text_spec())
        assert [path.name for path in tmp_path.iterdir()] == ["echo.onnx"]

    def test_a_file_that_needs_the_extensions_says_how_to_get_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(__import__("sys").modules, "onnxruntime_extensions", None)
        node = onnx.helper.make_node(
            "DecodeImage", ["file"], ["pixels"], domain="com.microsoft.extensions"
        )
        model = onnx.load(
            write_model(
                tmp_path / "decode.onnx",
                [node],
                [("file", onnx.TensorProto.UINT8, ["bytes"])],
                [("pixels", onnx.TensorProto.UINT8, ["height", "width", 3])],
            )
        )
        model.opset_import.append(onnx.helper.make_opsetid("com.microsoft.extensions", 1))
        onnx.save(model, tmp_path / "decode.onnx")
        with pytest.raises(MissingExtraError, match=r"edgekit-onnx\[extensions\]"):
            open_runner(tmp_path / "decode.onnx")

    def test_an_operator_of_nobody_is_no_missing_package(self, tmp_path: Path) -> None:
        node = onnx.helper.make_node("Nothing", ["x"], ["y"], domain="ai.onnx.contrib")
        rows = [("x", onnx.TensorProto.FLOAT, ["n"])], [("y", onnx.TensorProto.FLOAT, ["n"])]
        path = write_model(tmp_path / "nothing.onnx", [node], *rows)
        with pytest.raises((ModelError, MissingExtraError)):
            open_runner(path)


class TestCommand:
    def test_a_bundle_gets_a_variant(self, text_bundle: Bundle) -> None:
        result = CliRunner().invoke(cli, ["export", str(text_bundle.path), "--with-preprocessing"])
        assert result.exit_code == 0, result.output
        assert "variant fp32-raw" in result.stdout
        assert "text: str (batch,)" in result.stdout
        assert "an app needs onnxruntime" in result.stdout

    def test_a_file_takes_its_preprocessing_from_json(self, tmp_path: Path) -> None:
        model = write_scores(tmp_path / "scores.onnx", None)
        (tmp_path / "spec.json").write_text(json.dumps(WORDS), encoding="utf-8")
        given = ["--with-preprocessing", "--about", str(tmp_path / "spec.json"), "--json"]
        result = CliRunner().invoke(cli, ["export", str(model), *given])
        assert result.exit_code == 0, result.output
        made = json.loads(result.stdout)
        assert made["path"] == str(tmp_path / "scores.raw.onnx")
        assert made["takes"] == "series"
        assert made["bundle"] is None

    def test_its_options_go_with_it(self, text_bundle: Bundle) -> None:
        result = CliRunner().invoke(cli, ["export", str(text_bundle.path), "--encoded"])
        assert result.exit_code == 2
        assert "--encoded goes with --with-preprocessing" in result.stderr

    @pytest.mark.keras
    def test_a_source_is_exported_first(self, tmp_path: Path) -> None:
        import keras

        model = keras.Sequential(
            [keras.Input((None, 3), name="series"), keras.layers.GlobalAveragePooling1D()]
        )
        made = export_raw(model, tmp_path / "mine", **WORDS)
        assert made.variant == "fp32-raw"
        alone = export_raw(model, tmp_path / "mine.onnx", **WORDS)
        assert alone.bundle is None
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.onnx"]
