"""Tiny Keras models of every shape, exported and compared; needs TensorFlow."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgekit
from edgekit import exporter
from edgekit.bundle import Bundle
from edgekit.errors import BundleError, ExportError, FeedError, OutputError, SourceError
from edgekit.exporter import Exported, companions, passes, sources
from edgekit.signature import TensorSpec

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")


def sequential() -> Any:
    return keras.Sequential(
        [keras.Input((4,), name="x"), keras.layers.Dense(3, activation="softmax", name="y")]
    )


def convolutional() -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 2), name="image"),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )


def free_time() -> Any:
    x = keras.Input((None, 3), name="series")
    return keras.Model(x, keras.layers.Conv1D(2, 2, padding="causal", name="conv")(x))


def recurrent() -> Any:
    x = keras.Input((None, 3), name="series")
    y = keras.layers.SimpleRNN(4)(keras.layers.Masking()(x))
    return keras.Model(x, keras.layers.Dense(2)(y))


def dict_inputs() -> Any:
    b = keras.Input((4,), name="b")
    a = keras.Input((4,), name="a")
    total = keras.layers.Add()([a, keras.layers.Dense(4)(b)])
    return keras.Model({"b": b, "a": a}, {"total": total, "first": keras.layers.ReLU()(a)})


def list_inputs() -> Any:
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.Input((5,), name="x")
    pooled = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(7, 5)(ids))
    return keras.Model([ids, x], [keras.layers.Multiply()([pooled, x]), pooled])


def passes_input_through() -> Any:
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(4)(x)
    return keras.Model(x, [x, y, y])


def normalized() -> Any:
    normalization = keras.layers.Normalization(mean=[1.0, 2.0], variance=[3.0, 4.0])
    return keras.Sequential([keras.Input((2,), name="x"), normalization])


def training_only_layers() -> Any:
    return keras.Sequential(
        [
            keras.Input((8,), name="x"),
            keras.layers.Dropout(0.5),
            keras.layers.GaussianNoise(1.0),
            keras.layers.Dense(2),
        ]
    )


def nested() -> Any:
    shared = keras.layers.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
    x = keras.Input((4,), name="x")
    return keras.Model(x, shared(inner(x)))


def equal_lengths() -> Any:
    a = keras.Input((None, 3), name="a")
    b = keras.Input((None, 3), name="b")
    return keras.Model([a, b], keras.layers.Add(name="sum")([a, b]))


def grouped() -> Any:
    """Keras marks a grouped convolution for XLA; the free axes are a picture's."""
    x = keras.Input((None, None, 4), name="image")
    y = keras.layers.Conv2D(6, 3, groups=2, strides=2, padding="same")(x)
    y = keras.layers.DepthwiseConv2D(5, dilation_rate=2)(y)
    return keras.Model(x, keras.layers.GlobalAveragePooling2D()(y))


MODELS = [
    grouped,
    sequential,
    convolutional,
    free_time,
    recurrent,
    dict_inputs,
    list_inputs,
    passes_input_through,
    normalized,
    training_only_layers,
    nested,
]


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_a_model_becomes_a_file_that_answers_as_keras_does(tmp_path: Path, build: Any) -> None:
    keras.utils.set_random_seed(0)
    model = build()
    result = edgekit.export(model, tmp_path / "model.onnx")
    assert isinstance(result, Exported)
    assert set(result.parity) == {1, companions.SAMPLES}
    onnx.checker.check_model(str(result.path), full_check=True)
    with edgekit.open(result.path) as runner:
        assert [spec.name for spec in runner.signature.inputs] == [t.name for t in model.inputs]
        assert runner.signature == result.signature
        feeds = runner.signature.sample(seed=5, batch=2)
        outputs = runner.run(feeds)
        expected = exporter.trace.predict(model, runner.signature.inputs, feeds)
    assert list(outputs) == list(expected)
    for name, array in expected.items():
        assert outputs[name] == pytest.approx(array, abs=1e-5)


@pytest.mark.parametrize(
    ("build", "inputs", "outputs"),
    [
        pytest.param(free_time, [("batch", "time", 3)], [("batch", "time", 2)], id="time"),
        pytest.param(dict_inputs, [("batch", 4)] * 2, [("batch", 4)] * 2, id="dict"),
        pytest.param(
            list_inputs, [("batch", "ids_time"), ("batch", 5)], [("batch", 5)] * 2, id="list"
        ),
        pytest.param(
            equal_lengths,
            [("batch", "a_time", 3), ("batch", "a_time", 3)],
            [("batch", "a_time", 3)],
            id="tied",
        ),
    ],
)
def test_axes_have_readable_names(tmp_path: Path, build: Any, inputs: Any, outputs: Any) -> None:
    result = edgekit.export(build(), tmp_path / "model.onnx")
    assert isinstance(result, Exported)
    assert [spec.shape for spec in result.signature.inputs] == inputs
    assert [spec.shape for spec in result.signature.outputs] == outputs


def test_a_bundle_has_everything_that_its_manifest_names(tmp_path: Path) -> None:
    bundle = edgekit.export(sequential(), tmp_path / "bundle")
    assert isinstance(bundle, Bundle)
    assert {path.name for path in bundle.path.iterdir()} == {
        "manifest.json",
        "model.onnx",
        "reference.npz",
    }
    assert edgekit.validate(bundle).passed
    measured = bundle.variant().measured["parity"]["cpu"]
    assert [row["batch"] for row in measured] == [1, companions.SAMPLES]
    assert all(row["passed"] for row in measured)
    assert bundle.manifest.tools["keras"] == keras.__version__


def test_a_subclassed_model_needs_a_signature(tmp_path: Path) -> None:
    class Scaled(keras.Model):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            return keras.ops.multiply(x, keras.ops.convert_to_tensor([1.0, 2.0]))

    with pytest.raises(SourceError, match="signature="):
        edgekit.export(Scaled(), tmp_path / "model.onnx")
    spec = TensorSpec("x", "float32", ("batch", 2))
    result = edgekit.export(Scaled(), tmp_path / "model.onnx", signature=[spec])
    with edgekit.open(result.path) as runner:
        assert [s.name for s in runner.signature.inputs] == ["x"]
        assert runner.run({"x": [[3, 4]]})["output"].tolist() == [[3.0, 8.0]]


def test_an_eager_tensor_made_outside_becomes_a_constant(tmp_path: Path) -> None:
    table = keras.ops.convert_to_tensor(np.arange(4, dtype=np.float32))

    class Shifted(keras.layers.Layer):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            return x + table

    x = keras.Input((4,), name="x")
    result = edgekit.export(keras.Model(x, Shifted()(x)), tmp_path / "model.onnx")
    assert len(result.signature.inputs) == 1 if isinstance(result, Exported) else False


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file:UserWarning")  # .h5 is what this row is about
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    sequential().save(path)
    bundle = edgekit.export(path, tmp_path / "bundle")
    assert isinstance(bundle, Bundle)
    assert bundle.manifest.name == "mine"
    assert bundle.manifest.source["kind"] == "file"


def test_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mymodels.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((2,), name='x'), keras.layers.Dense(1)])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "mymodels", None)
    monkeypatch.delitem(sys.modules, "mymodels")
    result = edgekit.export("mymodels:build", tmp_path / "model.onnx")
    assert result.path == tmp_path / "model.onnx"


class WithLambda:
    """A model that brings code of its own."""

    def __new__(cls) -> Any:
        return keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda p: p / "nothing.keras", "does not exist", id="missing"),
        pytest.param(lambda p: _written(p / "bad.keras", b"junk"), "cannot be loaded", id="junk"),
        pytest.param(lambda p: _written(p / "bad.h5", b"junk"), "cannot be loaded", id="junk h5"),
        pytest.param(lambda p: _saved(p / "l.keras", WithLambda()), "code of its own", id="lambda"),
        pytest.param(lambda p: "transfomer", "did you mean 'transformer'", id="misspelt"),
        pytest.param(lambda p: "no.module:build", "cannot be imported", id="factory"),
        pytest.param(lambda p: _written(p / "notes.txt", b"x"), "not something", id="other file"),
        pytest.param(lambda p: 3, "is a int", id="object"),
        pytest.param(lambda p: "seq2seq", "in parts", id="parts"),
    ],
)
def test_a_source_that_cannot_be_used(tmp_path: Path, make: Any, message: str) -> None:
    source = make(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(SourceError, match=message):
        edgekit.export(source, tmp_path / "out", artifacts=tmp_path / "artifacts")
    assert set(tmp_path.iterdir()) == before


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _saved(path: Path, model: Any) -> Path:
    model.save(path)
    return path


def test_a_reference_of_ones_own(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    bundle = edgekit.export(sequential(), tmp_path / "bundle", reference={"x": x})
    assert isinstance(bundle, Bundle)
    saved = bundle.data("reference")
    assert saved is not None
    assert np.array_equal(saved["inputs"]["x"], x)
    with pytest.raises(FeedError, match="unknown 'y'"):
        edgekit.export(sequential(), tmp_path / "other", reference={"y": x})
    assert not (tmp_path / "other").exists()


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        edgekit.export("no such model", tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "mine"


def test_a_model_that_cannot_be_traced_names_the_cause(tmp_path: Path) -> None:
    class Broken(keras.layers.Layer):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            return x

    broken = Broken()
    x = keras.Input((2,), name="x")
    model = keras.Model(x, broken(x))

    def call(x: Any) -> Any:
        raise RuntimeError("the sensor is unplugged")

    broken.call = call  # type: ignore[method-assign] # the model is built by now
    with pytest.raises(ExportError, match="sensor is unplugged") as caught:
        edgekit.export(model, tmp_path / "model.onnx")
    assert caught.value.__cause__ is not None
    assert list(tmp_path.iterdir()) == []


def test_an_op_that_onnx_lacks_is_refused_by_name(tmp_path: Path) -> None:
    class Unknown(keras.layers.Layer):  # type: ignore[misc] # keras ships no types
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            return tf.math.lgamma(x)

    x = keras.Input((2,), name="x")
    with pytest.raises(ExportError, match="Lgamma"):
        edgekit.export(keras.Model(x, Unknown()(x)), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_answers_otherwise_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sabotage(model: Any) -> None:
        import onnx_ir as ir

        for value in model.graph.initializers.values():
            value.const_value = ir.tensor(value.const_value.numpy() * 2, name=value.name)

    monkeypatch.setattr(passes, "AFTER", (sabotage, *passes.AFTER))
    with pytest.raises(ExportError, match="does not answer as Keras does"):
        edgekit.export(sequential(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def attentive() -> Any:
    layers = keras.layers
    x = keras.Input((None, 8), name="x")
    y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True))
    return keras.Model(x, layers.GRU(3)(layers.Dense(8, activation="gelu")(layers.Masking()(y))))


@pytest.mark.parametrize("opset", range(13, 26))
def test_opsets(tmp_path: Path, opset: int) -> None:
    edgekit.export(attentive(), tmp_path / "model.onnx", opset=opset, force=True)
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": opset}
    assert model.ir_version == max(8, onnx.helper.find_min_ir_version_for(model.opset_import))
    operators = {node.op_type for node in model.graph.node}
    assert ("Attention" in operators) == (opset >= 23)


@pytest.mark.parametrize("opset", [12, 99])
def test_an_opset_out_of_range(tmp_path: Path, opset: int) -> None:
    with pytest.raises(ExportError, match="from 13 to 25"):
        edgekit.export(sequential(), tmp_path / "model.onnx", opset=opset)


def test_a_file_says_nothing_of_how_its_constants_were_folded(tmp_path: Path) -> None:
    x = keras.Input((4, 4, 256), name="x")
    y = keras.layers.BatchNormalization()(
        keras.layers.DepthwiseConv2D(2)(keras.layers.Conv2D(256, 1)(x))
    )
    edgekit.export(keras.Model(x, y), tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert not any(v.metadata_props for v in (*graph.node, *graph.value_info, *graph.output))


def test_the_same_model_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    model = convolutional()
    for name in ("a.onnx", "b.onnx"):
        edgekit.export(model, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_metadata_says_what_the_answers_mean(tmp_path: Path) -> None:
    bundle = edgekit.export(sequential(), tmp_path / "bundle")
    loaded = onnx.load(bundle.path / "model.onnx")
    assert loaded.producer_name == "edgekit"
    assert json.loads((bundle.path / "manifest.json").read_text())["format"] == "edgekit-bundle/1"


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("x:float32[batch,28,28,1]", TensorSpec("x", "float32", ("batch", 28, 28, 1))),
        ("ids:int32[batch, time]", TensorSpec("ids", "int32", ("batch", "time"))),
        ("scale:float32[]", TensorSpec("scale", "float32", ())),
    ],
)
def test_inputs_are_parsed(text: str, spec: TensorSpec) -> None:
    assert sources.parse_input(text) == spec


@pytest.mark.parametrize("text", ["x", "x:float99[1]", ":float32[1]", "x:float32", "x:float32[1"])
def test_inputs_that_are_not_understood(text: str) -> None:
    with pytest.raises(SourceError, match="write name:dtype"):
        sources.parse_input(text)


def test_external_data_goes_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter.writer, "EXTERNAL_BYTES", 1)
    model = keras.Sequential([keras.Input((16,), name="x"), keras.layers.Dense(16)])
    result = edgekit.export(model, tmp_path / "out" / "model.onnx")
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == ["model.onnx", "model.onnx.data"]
    assert isinstance(result, Exported)
    assert result.size_bytes == sum(path.stat().st_size for path in written)
    bundle = edgekit.export(model, tmp_path / "bundle")
    edgekit.open(bundle.path).close()
    data = bundle.path / "model.onnx.data"
    data.write_bytes(data.read_bytes()[::-1])
    with pytest.raises(BundleError, match=r"'.*model\.onnx\.data' does not match the sha256"):
        edgekit.open(bundle.path)


def test_large_weights_stay_out_of_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever uses them: every weight here is large, one is read twice and one inside a loop."""
    monkeypatch.setattr(exporter.lowering.weights, "LARGE_BYTES", 1)
    layers = keras.layers
    x = keras.Input((8, 8, 3), name="x")
    shared = layers.Conv2D(3, 3, padding="same", activation="relu")
    y = layers.BatchNormalization()(shared(shared(x)))
    y = layers.DepthwiseConv2D(3)(y)
    y = layers.Conv2DTranspose(2, 2, strides=2)(y)
    steps = layers.Reshape((12, 24))(y)
    masked = layers.Masking()(steps)
    y = layers.GRU(3, return_sequences=True, name="gru")(masked)
    model = keras.Model(x, layers.GlobalAveragePooling1D()(y))
    edgekit.export(model, tmp_path / "model.onnx")
    names = {i.name for i in onnx.load(tmp_path / "model.onnx").graph.initializer}
    assert "gru/gru_cell/kernel" in names
