"""The reference models from end to end: each is trained once, at its defaults, for all of these."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import exporter, preprocess
from edgekit.bundle import Bundle
from edgekit.errors import MissingExtraError, OutputError, QuantizeError, SourceError
from edgekit.exporter import zoo
from model_defs import DATA, MODELS

keras_only = pytest.mark.keras

BUNDLES = [part for name in MODELS for part in exporter.sources.expand(name)]
#: How much of the task's metric a variant may lose on held-out data.
METRIC_MARGIN = 0.02


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for weights and bundles: what one test trained the next one finds."""
    return tmp_path_factory.mktemp("artifacts")


def bundle_of(source: str, artifacts: Path) -> Bundle:
    path = artifacts / source
    if path.exists():
        return Bundle.open(path)
    made = edgekit.export(source, path, artifacts=artifacts)
    assert isinstance(made, Bundle)
    return made


@keras_only
@pytest.mark.parametrize("name", MODELS)
def test_a_model_reaches_its_floor_and_beats_the_majority(name: str, artifacts: Path) -> None:
    record = zoo.load_or_train(name, artifacts=artifacts).record
    assert record.metric >= zoo.definition(name).FLOOR
    assert record.metric > record.majority
    assert zoo.load_or_train(name, artifacts=artifacts).record == dataclasses.replace(
        record, cached=True
    )


@keras_only
@pytest.mark.parametrize("source", BUNDLES)
def test_a_bundle_is_at_parity_and_keeps_the_metric(source: str, artifacts: Path) -> None:
    bundle = bundle_of(source, artifacts)
    report = edgekit.validate(bundle)
    assert report.passed
    metric = report.variants[0].metric
    if metric is not None:
        assert metric == pytest.approx(bundle.manifest.training["metric"], abs=1e-3)
        assert bundle.variant().measured["metric"]["cpu"] == metric


@keras_only
@pytest.mark.parametrize("recipe", ["static-int8", "dynamic-int8", "fp16"])
@pytest.mark.parametrize("source", BUNDLES)
def test_a_variant_is_within_tolerance_and_keeps_the_metric(
    source: str, recipe: str, artifacts: Path
) -> None:
    bundle = bundle_of(source, artifacts)
    before = edgekit.validate(bundle, variant="fp32").variants[0].metric
    try:
        made = edgekit.quantize(bundle, recipe, force=True)
    except QuantizeError as error:
        pytest.fail(str(error))
    report = edgekit.validate(bundle.path, variant=made.variant)
    assert report.passed, [o.detail for os in report.variants[0].outputs.values() for o in os]
    after = report.variants[0].metric
    if before is not None and after is not None:
        assert after >= before - METRIC_MARGIN


@keras_only
def test_the_decoder_ties_the_memory_to_its_source_and_not_to_its_target(artifacts: Path) -> None:
    bundle = bundle_of("seq2seq/decoder", artifacts)
    shapes = {spec.name: spec.shape for spec in bundle.manifest.signature.inputs}
    assert shapes["memory"][1] == shapes["source"][1]
    assert shapes["target"][1] != shapes["source"][1]


@keras_only
def test_a_cell_of_another_kind_has_weights_of_its_own(tmp_path: Path) -> None:
    options = {"cell": "gru", "units": 4}
    record = zoo.load_or_train("rnn", options=options, epochs=1, artifacts=tmp_path).record
    assert record.path.name == "rnn-cell-gru-units-4.keras"
    assert json.loads(record.path.with_suffix(".json").read_text())["options"] == options


@keras_only
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        pytest.param({"source": "cmn"}, SourceError, "did you mean 'cnn'", id="name"),
        pytest.param({"options": {"cells": 3}}, SourceError, "no such option", id="option"),
        pytest.param({"options": {"units": "x"}}, SourceError, "cannot be built", id="value"),
        pytest.param({"out": "x.h5"}, SourceError, "not a .keras file", id="suffix"),
    ],
)
def test_training_that_cannot_be(
    tmp_path: Path, call: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"source": "cnn", "artifacts": tmp_path, "epochs": 1} | call
    with pytest.raises(error, match=message):
        exporter.train(**arguments)
    assert list(tmp_path.iterdir()) == []


@keras_only
def test_weights_are_not_overwritten_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "attention.keras"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        exporter.train("attention", artifacts=tmp_path)
    with pytest.raises(SourceError, match="cannot be loaded"):
        zoo.load_or_train("attention", artifacts=tmp_path)
    assert path.read_bytes() == b"precious"


@pytest.mark.parametrize("name", DATA)
def test_a_missing_package_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}", name="sktime")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"edgekit-onnx\[zoo\]"):
        zoo.dataset_of(name)


def test_the_text_encoder_of_the_device_is_the_one_of_the_training() -> None:
    from model_defs.data import surnames

    spec = surnames.data().preprocessing
    assert spec is not None
    names = ["Müller", "O'Brien", "de la Cruz", "Łukasz", "x" * 40]
    (ids,) = preprocess.texts(names, spec).values()
    expected = surnames.encode_names(names)
    assert np.array_equal(ids, expected[:, : ids.shape[1]])
    assert not expected[:, ids.shape[1] :].any()
