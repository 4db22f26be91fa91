"""What a user gives a bundle beside a model of their own: taken where it fits, else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError, FeedError, SourceError
from edgekit.exporter import companions
from edgekit.exporter.sources import Source
from edgekit.signature import TensorSpec
from model_defs.metrics import mean_iou

SOURCE = Source("mine", None, (TensorSpec("image", "float32", ("batch", 4, 4, 1)),), {})
IMAGES = np.linspace(0, 1, 96, dtype=np.float32).reshape(6, 4, 4, 1)
SPEC = {"kind": "image", "input": "image", "height": 4, "width": 4, "channels": 1, "range": [0, 1]}


def test_a_bundle_gets_what_was_given() -> None:
    source = companions.attach(
        SOURCE,
        {
            "labels": ["a", "b"],
            "metric": "accuracy",
            "preprocessing": SPEC,
            "calibration": {"image": IMAGES},
            "evaluation": {"image": IMAGES, "targets": [0, 1, 0, 1, 0, 1]},
        },
    )
    assert source.about == {"labels": ["a", "b"], "metric": "accuracy", "preprocessing": SPEC}
    assert source.calibration is not None
    assert source.calibration["image"].shape == (6, 4, 4, 1)
    assert source.evaluation is not None
    assert source.evaluation["targets"][""].tolist() == [0, 1, 0, 1, 0, 1]
    assert source.reference is not None, "real samples are a better reference than made-up ones"
    assert np.array_equal(source.reference["image"], IMAGES[: companions.SAMPLES])


def test_nothing_given_changes_nothing() -> None:
    assert companions.attach(SOURCE, {}) == SOURCE
    assert companions.attach(SOURCE, companions.read(None, None, None)) == SOURCE


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"labels": "ab"}, SourceError, "give a list of strings, one a class"),
        ({"metric": "bleu"}, SourceError, "There is no metric 'bleu': give one of accuracy"),
        ({"preprocessing": {"kind": "sound"}}, SourceError, "characters, image, series"),
        ({"preprocessing": SPEC | {"input": "x"}}, SourceError, "the model takes 'image'"),
        ({"preprocessing": SPEC | {"range": 1}}, SourceError, "has 1 at 'range': give a list"),
        ({"calibration": {"image": IMAGES[:0]}}, FeedError, "calibration data has {'image': 0}"),
        ({"calibration": {"image": IMAGES[..., :0]}}, FeedError, "image"),
        ({"calibration": {"x": IMAGES}}, FeedError, "image"),
        ({"evaluation": {"image": IMAGES}}, FeedError, "no 'targets'"),
        (
            {"evaluation": {"image": IMAGES, "targets": [1]}, "metric": "accuracy"},
            FeedError,
            "6 samples and targets of shape (1,)",
        ),
        (
            {"evaluation": {"image": IMAGES, "targets": [1] * 6}},
            SourceError,
            "evaluation data and no metric",
        ),
    ],
)
def test_what_does_not_fit_is_refused(given: Any, error: type[EdgekitError], message: str) -> None:
    with pytest.raises(error) as raised:
        companions.attach(SOURCE, given)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read as JSON"), ("[1]", "no object"), ('{"label": []}', "has 'label'")],
)
def test_a_file_of_words_that_is_no_such_thing(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "about.json"
    path.write_text(content)
    with pytest.raises(SourceError, match=message):
        companions.read(path, None, None)


def test_mean_iou_is_the_mean_over_the_classes_that_are_there() -> None:
    truth = np.array([[0, 0, 1, 1]])
    scores = np.eye(3, dtype=np.float32)[[[0, 1, 1, 1]]]
    assert mean_iou(scores, truth) == pytest.approx((1 / 2 + 2 / 3) / 2)
    scores[0, 0] = np.nan
    assert mean_iou(scores, truth) == pytest.approx((0 + 2 / 3) / 2), "NaN is never right"


@pytest.mark.keras
def test_a_model_of_ones_own_gets_a_complete_bundle(tmp_path: Path) -> None:
    keras: Any = pytest.importorskip("keras", reason="Keras is not installed")
    model = keras.Sequential(
        [keras.Input((4, 4, 1), name="image"), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.save(tmp_path / "mine.keras")
    about = {"labels": ["a", "b"], "task": "texture", "metric": "accuracy", "preprocessing": SPEC}
    (tmp_path / "about.json").write_text(json.dumps(about))
    np.savez(tmp_path / "train.npz", image=IMAGES)
    np.savez(tmp_path / "test.npz", image=IMAGES, targets=np.array([0, 1, 0, 1, 0, 1]))
    given = companions.read(tmp_path / "about.json", tmp_path / "train.npz", tmp_path / "test.npz")
    bundle = edgekit.export(str(tmp_path / "mine.keras"), tmp_path / "mine", **given)
    assert isinstance(bundle, Bundle)
    manifest = bundle.manifest
    assert (list(manifest.labels), manifest.task, manifest.metric) == (
        ["a", "b"],
        "texture",
        "accuracy",
    )
    assert set(manifest.data) == {"reference", "calibration", "evaluation"}
    assert "cpu" in manifest.variants[0].measured["metric"]
    assert edgekit.quantize(bundle, "static-int8").variant == "int8"
    with pytest.raises(SourceError, match=r"3 labels and the output 'dense.*' has 2 classes"):
        edgekit.export(model, tmp_path / "other", labels=["a", "b", "c"])
    assert not (tmp_path / "other").exists()
