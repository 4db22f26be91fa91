"""A bundle of each kind of input, by the name of the kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgekit.bundle import Bundle
from tests.conftest import LABELS, write_bundle, write_model

KINDS = ("characters", "image", "series", "arrays")
#: What a file takes that has its preprocessing inside, and the kind of the bundle it is made of.
RAW = {"text": "characters", "pixels": "image", "series": "series"}
RAW_TARGETS = ("python", "node", "web", "c")


def write_series_bundle(folder: Path) -> Bundle:
    """A bundle that takes a series: `series` float32 (batch, time, 5) -> (batch, 3)."""
    model = write_model(
        folder.parent / "series.onnx",
        [
            helper.make_node("ReduceMean", ["series", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [("series", TensorProto.FLOAT, ["batch", "time", 5])],
        [("probabilities", TensorProto.FLOAT, ["batch", 3])],
        w=np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
        axes=np.array([1]),
    )
    preprocessing = {"kind": "series", "input": "series", "channels": 5}
    return write_bundle(folder, model, labels=LABELS, preprocessing=preprocessing)


def write_two_inputs(folder: Path) -> Bundle:
    """A bundle without labels: `a` float32 (batch, 4), `ids` int64 (batch, n) -> two outputs."""
    model = write_model(
        folder.parent / "two.onnx",
        [
            helper.make_node("MatMul", ["a", "w"], ["scores"]),
            helper.make_node("Add", ["ids", "one"], ["next"]),
        ],
        [("a", TensorProto.FLOAT, ["batch", 4]), ("ids", TensorProto.INT64, ["batch", "n"])],
        [("scores", TensorProto.FLOAT, ["batch", 3]), ("next", TensorProto.INT64, ["batch", "n"])],
        w=np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32),
        one=np.array(1),
    )
    return write_bundle(folder, model)


@pytest.fixture
def bundles(text_bundle: Bundle, image_bundle: Bundle, tmp_path: Path) -> dict[str, Bundle]:
    artifacts = tmp_path / "artifacts"
    return {
        "characters": text_bundle,
        "image": image_bundle,
        "series": write_series_bundle(artifacts / "series"),
        "arrays": write_two_inputs(artifacts / "two"),
    }
