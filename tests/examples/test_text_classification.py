"""Surnames: the app beside `edgekit infer`, and a network trained for a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.bundle import Bundle
from edgekit.infer import infer
from examples.text_classification.app import Classifier


@pytest.mark.parametrize("name", ["Edge", "kits", "Über"])
def test_the_app_answers_as_infer_does(text_bundle: Bundle, name: str) -> None:
    (expected,) = infer(text_bundle.path, name).predictions
    label, share = Classifier(text_bundle.path).classify(name)[0]
    assert label == expected.label
    assert share == pytest.approx(expected.score)


def test_shares_fall_and_sum_to_one(text_bundle: Bundle) -> None:
    shares = [share for _, share in Classifier(text_bundle.path).classify("edgekit")]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)


@pytest.mark.keras
def test_a_network_trained_for_a_moment(tmp_path: Path) -> None:
    from examples.text_classification import build
    from model_defs.data import surnames

    model, dataset = build.train(epochs=2)
    build.export(model, dataset, tmp_path / "bundle")
    accuracy, _ = build.evaluate(tmp_path / "bundle", dataset)
    assert accuracy > 0.5 > 4 * surnames.majority(dataset)
