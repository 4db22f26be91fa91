from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import edgekit
from edgekit.bundle import Bundle, FileEntry, Variant
from edgekit.errors import FeedError, ModelError
from edgekit.infer import infer, save
from edgekit.metrics import evaluate
from edgekit.parity import Tolerance
from edgekit.reference import Reference
from tests.conftest import LABELS, write_bundle, write_classifier, write_model


def with_variant(bundle: Bundle, scale: float) -> Bundle:
    """Add a variant whose weights are scaled: it answers differently unless scale is 1."""
    path = write_classifier(bundle.path / "model.other.onnx", scale)
    return bundle.add(Variant("other", FileEntry.of(path), "fp32", "float", 18))


def test_a_bundle_is_checked_at_batch_1_an_odd_one_and_all_at_once(bundle: Bundle) -> None:
    report = edgekit.validate(bundle.path)
    (variant,) = report.variants
    assert report.passed
    assert list(variant.outputs) == [1, 3, 4]
    assert (report.metric_name, variant.metric) == ("accuracy", 1.0)


@pytest.mark.parametrize(("scale", "passed"), [(1.0, True), (2.0, False)])
def test_every_variant_counts(bundle: Bundle, scale: float, passed: bool) -> None:
    report = edgekit.validate(with_variant(bundle, scale))
    assert [v.passed for v in report.variants] == [True, passed]
    assert report.passed is passed
    assert edgekit.validate(bundle.path, variant="fp32").passed


def test_the_tolerance_can_be_overridden(bundle: Bundle) -> None:
    made = with_variant(bundle, 1.01)
    assert not edgekit.validate(made, variant="other").passed
    assert edgekit.validate(made, variant="other", tolerance=Tolerance(0.5)).passed


def test_a_file_of_a_bundle_finds_its_reference(bundle: Bundle) -> None:
    report = edgekit.validate(bundle.path / "model.onnx")
    assert report.passed
    assert report.variants[0].variant == "fp32"


def test_a_plain_file_needs_something_to_compare_with(tmp_path: Path, classifier: Path) -> None:
    with pytest.raises(FeedError, match="--reference"):
        edgekit.validate(classifier)
    other = write_classifier(tmp_path / "other.onnx", 2.0)
    assert edgekit.validate(classifier, against=classifier).passed
    assert not edgekit.validate(classifier, against=other).passed


def test_models_with_other_inputs_are_not_compared(tmp_path: Path, classifier: Path) -> None:
    other = write_model(
        tmp_path / "other.onnx",
        [helper.make_node("Relu", ["a"], ["b"])],
        [("a", TensorProto.FLOAT, ["batch", 4])],
        [("b", TensorProto.FLOAT, ["batch", 4])],
    )
    with pytest.raises(ModelError, match="cannot be compared"):
        edgekit.validate(classifier, against=other)


def test_a_reference_file(tmp_path: Path, classifier: Path) -> None:
    x = np.eye(4, dtype=np.float32)
    with edgekit.open(classifier) as runner:
        Reference({"x": x}, runner.run({"x": x})).save(tmp_path / "ref.npz")
    assert edgekit.validate(classifier, reference=tmp_path / "ref.npz").passed
    np.savez(tmp_path / "bad.npz", x=x)
    with pytest.raises(FeedError, match="inputs/NAME"):
        edgekit.validate(classifier, reference=tmp_path / "bad.npz")


def test_a_reference_with_one_answer_for_all_proves_nothing(
    tmp_path: Path, classifier: Path
) -> None:
    same = write_bundle(tmp_path / "same", classifier, inputs={"x": np.ones((4, 4), np.float32)})
    report = edgekit.validate(same)
    assert report.variants[0].degenerate
    assert not report.passed


def test_a_wrong_shape_at_one_batch_size_is_seen(tmp_path: Path) -> None:
    mixed = write_model(
        tmp_path / "mixed.onnx",
        # Subtracts the mean over the batch: right alone or together, never both.
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ["batch", 3])],
        [("y", TensorProto.FLOAT, ["batch", 3])],
        axes=np.array([0]),
    )
    report = edgekit.validate(write_bundle(tmp_path / "mixed", mixed))
    passed = {batch: o[0].passed for batch, o in report.variants[0].outputs.items()}
    assert passed == {1: False, 3: False, 4: True}
    assert report.variants[0].failures[0].kind == "batch-dependent"


def test_the_metric_of_a_damaged_model_is_low(bundle: Bundle) -> None:
    made = with_variant(bundle, np.nan)
    with edgekit.open(made, variant="other") as runner:
        assert evaluate(made, runner) == 0.0
    with edgekit.open(made) as runner:
        assert evaluate(made, runner) == 1.0


def test_infer_names_the_likeliest_label(bundle: Bundle) -> None:
    result = infer(bundle.path, top=2)
    (prediction,) = result.predictions
    scores = result.outputs["probabilities"][0]
    assert prediction.label == LABELS[int(scores.argmax())]
    assert prediction.score == pytest.approx(float(scores.max()))
    assert [score for _, score in prediction.top] == sorted(scores, reverse=True)[:2]
    assert result.source == "the first reference sample"


def test_infer_on_text_and_on_a_plain_file(text_bundle: Bundle, classifier: Path) -> None:
    assert infer(text_bundle.path, "Edge").predictions[0].label in LABELS
    plain = infer(classifier)
    assert (plain.predictions, plain.source) == ((), "a seeded sample")


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_saved_answers(tmp_path: Path, bundle: Bundle, suffix: str) -> None:
    result = infer(bundle.path)
    save(result, tmp_path / f"out{suffix}")
    assert (tmp_path / f"out{suffix}").stat().st_size > 0
    if suffix == ".npz":
        loaded = np.load(tmp_path / "out.npz")
        assert np.array_equal(loaded["probabilities"], result.outputs["probabilities"])
