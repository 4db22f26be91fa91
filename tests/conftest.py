"""Tiny ONNX models made in code, and a bundle of one, for every test."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import files
from edgekit.bundle import Bundle, FileEntry, Manifest, Variant
from edgekit.reference import Reference
from edgekit.runtime.runner import open_runner

LABELS = ("zero", "one", "two")
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
#: Marks of suites that run only where `-m` names them; "not keras" asks for none of them.
BY_NAME = {"webgpu", "qnn", "openvino", "cuda", "xnnpack", "node", "browser", "native"}

with contextlib.suppress(ModuleNotFoundError):  # the environments of tests/devices lack it
    import hypothesis

    # A deadline of wall time says how busy the machine is.
    hypothesis.settings.register_profile("edgekit", deadline=None)
    hypothesis.settings.load_profile("edgekit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs an environment of its own, unless it is asked for."""
    asked = str(config.getoption("-m"))
    left_out = [
        item
        for item in items
        if any(mark.name in BY_NAME and mark.name not in asked for mark in item.iter_markers())
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def write_model(path: Path, nodes: list[Any], inputs: Any, outputs: Any, **weights: Any) -> Path:
    """Write a model of opset 18: `inputs` and `outputs` are `(name, dtype, shape)` rows."""

    def values(rows: Any) -> list[Any]:
        return [helper.make_tensor_value_info(name, dtype, shape) for name, dtype, shape in rows]

    graph = helper.make_graph(
        nodes,
        "tiny",
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return path


def write_classifier(path: Path, scale: float = 1.0) -> Path:
    """`x` float32 (batch, 4) -> `probabilities` (batch, 3)."""
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) * scale
    return write_model(
        path,
        [
            helper.make_node("MatMul", ["x", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [("x", TensorProto.FLOAT, ["batch", 4])],
        [("probabilities", TensorProto.FLOAT, ["batch", 3])],
        w=weights,
    )


def write_bundle(
    folder: Path,
    model: Path,
    *,
    labels: tuple[str, ...] = (),
    preprocessing: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
) -> Bundle:
    """Make a bundle of a model, with its own outputs as the reference."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.read_bytes())
    with open_runner(folder / "model.onnx") as runner:
        signature = runner.signature
        feeds = inputs or signature.sample(seed=1, batch=4)
        outputs = runner.run(feeds)
    Reference(feeds, outputs).save(folder / "reference.npz")
    files.save_arrays(folder / "calibration.npz", {"inputs": signature.sample(seed=2, batch=16)})
    evaluation = signature.sample(seed=3, batch=8)
    with open_runner(folder / "model.onnx") as runner:
        targets = next(iter(runner.run(evaluation).values())).argmax(-1)
    files.save_arrays(folder / "evaluation.npz", {"inputs": evaluation, "targets": {"": targets}})
    manifest = Manifest(
        name="tiny",
        signature=signature,
        variants=(Variant("fp32", FileEntry.of(folder / "model.onnx"), "fp32", "float", 18),),
        data={path.stem: FileEntry.of(path) for path in sorted(folder.glob("*.npz"))},
        metric="accuracy",
        labels=labels,
        preprocessing=preprocessing,
    )
    (folder / files.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return Bundle.open(folder)


@pytest.fixture(autouse=True)
def history_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test adds to the history of who runs it."""
    file = tmp_path_factory.mktemp("history") / "history.sqlite3"
    monkeypatch.setenv("EDGEKIT_HISTORY", str(file))


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    """The path of a tiny classifier."""
    return write_classifier(tmp_path / "classifier.onnx")


@pytest.fixture
def bundle(tmp_path: Path, classifier: Path) -> Bundle:
    """A bundle of the tiny classifier, with labels, reference, calibration and evaluation."""
    return write_bundle(tmp_path / "artifacts" / "tiny", classifier, labels=LABELS)


@pytest.fixture
def text_bundle(tmp_path: Path) -> Bundle:
    """A bundle that takes text: `tokens` int32 (batch, time) -> `probabilities` (batch, 3)."""
    rng = np.random.default_rng(0)
    model = write_model(
        tmp_path / "text.onnx",
        [
            helper.make_node("Gather", ["table", "tokens"], ["embedded"]),
            helper.make_node("ReduceMean", ["embedded", "axes"], ["mean"], keepdims=0),
            helper.make_node("Softmax", ["mean"], ["probabilities"], axis=-1),
        ],
        [("tokens", TensorProto.INT32, ["batch", "time"])],
        [("probabilities", TensorProto.FLOAT, ["batch", 3])],
        table=rng.normal(size=(28, 3)).astype(np.float32),
        axes=np.array([1]),
    )
    preprocessing = {
        "kind": "characters",
        "input": "tokens",
        "alphabet": ALPHABET,
        "lowercase": True,
        "max_length": 12,
        "padding": 0,
        "unknown": 1,
        "offset": 2,
    }
    return write_bundle(
        tmp_path / "artifacts" / "text", model, labels=LABELS, preprocessing=preprocessing
    )


@pytest.fixture
def image_bundle(tmp_path: Path) -> Bundle:
    """A bundle that takes a picture: `image` float32 (batch, 6, 6, 1) -> (batch, 3)."""
    weights = np.random.default_rng(0).normal(size=(36, 3)).astype(np.float32)
    model = write_model(
        tmp_path / "image.onnx",
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [("image", TensorProto.FLOAT, ["batch", 6, 6, 1])],
        [("probabilities", TensorProto.FLOAT, ["batch", 3])],
        w=weights,
    )
    preprocessing = {
        "kind": "image",
        "input": "image",
        "height": 6,
        "width": 6,
        "channels": 1,
        "range": [0, 1],
    }
    return write_bundle(
        tmp_path / "artifacts" / "image", model, labels=LABELS, preprocessing=preprocessing
    )
