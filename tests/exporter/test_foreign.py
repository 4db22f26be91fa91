"""SavedModel folders and `.tflite` files as sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgekit
from edgekit.errors import SourceError
from edgekit.exporter import Exported
from edgekit.signature import TensorSpec

pytestmark = [
    pytest.mark.keras,
    # TensorFlow's converter reads its own deprecated flags.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
]
tf: Any = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")


def classifier() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(8, 3, activation="relu"),
            layers.DepthwiseConv2D(3),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )


class Scaled(tf.Module):  # type: ignore[misc] # TensorFlow has no types
    """Two inputs, two outputs and a variable, without Keras."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable([[2.0, 3.0]])

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="a"),
            tf.TensorSpec([None, 2], tf.float32, name="b"),
        ]
    )
    def scaled(self, a: Any, b: Any) -> dict[str, Any]:
        return {"total": a * self.factor + b, "most": tf.reduce_max(a - b, axis=1)}

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None], tf.string, name="text")]
    )
    def length(self, text: Any) -> dict[str, Any]:
        return {"length": tf.strings.length(text)}


def exported(source: Path, tmp_path: Path) -> Exported:
    result = edgekit.export(str(source), tmp_path / "made.onnx")
    assert isinstance(result, Exported)
    assert {node.domain for node in onnx.load(result.path).graph.node} <= {"", "ai.onnx"}
    return result


def test_a_saved_model_of_keras(tmp_path: Path) -> None:
    model = classifier()
    model.export(tmp_path / "saved", verbose=False)
    result = exported(tmp_path / "saved", tmp_path)
    assert result.signature.inputs == (TensorSpec("image", "float32", ("batch", 8, 8, 3)),)
    feeds = {"image": np.random.default_rng(0).random((3, 8, 8, 3), np.float32)}
    with edgekit.open(result.path) as runner:
        (answer,) = runner.run(feeds).values()
    np.testing.assert_allclose(answer, model(feeds["image"]), atol=1e-5)


def test_a_saved_model_without_keras(tmp_path: Path) -> None:
    module = Scaled()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.scaled)
    result = exported(tmp_path / "saved", tmp_path)
    assert {spec.name for spec in result.signature.inputs} == {"a", "b"}
    assert {spec.name for spec in result.signature.outputs} == {"total", "most"}
    a, b = np.array([[[1, 2]], [[5, 1]]], np.float32)
    with edgekit.open(result.path) as runner:
        outputs = runner.run({"a": a, "b": b})
    np.testing.assert_allclose(outputs["total"], a * np.array([2, 3]) + b)
    np.testing.assert_allclose(outputs["most"], [1.0])


def samples() -> Any:
    rng = np.random.default_rng(0)
    return ([rng.random((1, 8, 8, 3), np.float32)] for _ in range(8))


INTEGERS = {
    "optimizations": ["DEFAULT"],
    "representative_dataset": samples,
    "inference_input_type": tf.int8,
    "inference_output_type": tf.int8,
}


@pytest.mark.parametrize(
    ("settings", "dtype", "operators"),
    [
        pytest.param({}, "float32", set(), id="float"),
        pytest.param(
            {"optimizations": ["DEFAULT"]}, "float32", {"DequantizeLinear"}, id="dynamic range"
        ),
        pytest.param(
            {"optimizations": ["DEFAULT"], "representative_dataset": samples},
            "float32",
            {"QuantizeLinear", "DequantizeLinear"},
            id="full integer",
        ),
        pytest.param(
            INTEGERS, "int8", {"QuantizeLinear", "DequantizeLinear"}, id="int8 inside out"
        ),
    ],
)
def test_tflite(tmp_path: Path, settings: dict[str, Any], dtype: str, operators: set[str]) -> None:
    converter = tf.lite.TFLiteConverter.from_keras_model(classifier())
    for name, value in settings.items():
        setattr(converter, name, [tf.lite.Optimize.DEFAULT] if name == "optimizations" else value)
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    result = exported(tmp_path / "model.tflite", tmp_path)
    assert result.signature.inputs[0].dtype == dtype
    assert operators <= {node.op_type for node in onnx.load(result.path).graph.node}


def save_two_signatures(path: Path) -> None:
    module = Scaled()
    signatures = {"one": module.scaled, "two": module.scaled}
    tf.saved_model.save(module, str(path), signatures=signatures)


def save_text(path: Path) -> None:
    module = Scaled()
    tf.saved_model.save(module, str(path), signatures=module.length)


def save_none(path: Path) -> None:
    tf.saved_model.save(Scaled(), str(path), signatures={})


def save_damaged(path: Path) -> None:
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"not a graph")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        pytest.param("m", save_two_signatures, "the signatures 'one', 'two'", id="two"),
        pytest.param("m", save_none, "the signatures none", id="none"),
        pytest.param("m", save_text, "'text' of the SavedModel .* is string", id="text"),
        pytest.param("m", save_damaged, "cannot be loaded", id="damaged folder"),
        pytest.param(
            "m.tflite",
            lambda path: path.write_bytes(b"TFL3"),
            "cannot be loaded",
            id="damaged file",
        ),
        pytest.param("m.tflite", lambda path: None, "does not exist", id="missing"),
    ],
)
def test_a_source_that_is_refused(tmp_path: Path, name: str, make: Any, message: str) -> None:
    make(tmp_path / name)
    with pytest.raises(SourceError, match=message):
        edgekit.export(str(tmp_path / name), tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()
