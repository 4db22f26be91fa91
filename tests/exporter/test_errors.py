"""A model that cannot be exported: the error names the layer, the op, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.errors import ExportError
from edgekit.exporter import blame

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
L: Any = keras.layers


class Unknown(L.Layer):  # type: ignore[misc] # keras ships no types
    """Uses an op that ONNX lacks."""

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        return tf.math.lgamma(x)


class Broken(L.Layer):  # type: ignore[misc] # keras ships no types
    """Raises once the model is built."""

    armed = False

    def call(self, x: Any) -> Any:
        if self.armed:
            raise RuntimeError("the sensor is unplugged")
        return x * 1


class Looking(L.Layer):  # type: ignore[misc] # keras ships no types
    """Looks at a tensor's value, which a graph does not have yet."""

    armed = False

    def call(self, x: Any) -> Any:
        return -x if self.armed and float(x[0, 0]) < 2 else x * 1


class Holding(L.Layer):  # type: ignore[misc] # keras ships no types
    """Holds a layer that is not one of a model's own."""

    def __init__(self, inner: Any, **options: Any) -> None:
        super().__init__(**options)
        self.inner = inner

    def call(self, x: Any) -> Any:
        return self.inner(x)


def model_of(layer: Any) -> Any:
    """Put a layer into a block of a model."""
    held = Holding(layer, name="held")
    block = keras.Sequential([keras.Input((2,)), L.Dense(2, name="first"), held], name="block")
    x = keras.Input((2,), name="x")
    model = keras.Model(x, block(x), name="outer")
    layer.armed = True
    return model


@pytest.mark.parametrize(
    ("layer", "said", "cause"),
    [
        pytest.param(Unknown, "its op Lgamma has no form in ONNX", None, id="unknown op"),
        pytest.param(Broken, "the sensor is unplugged", RuntimeError, id="a layer that raises"),
        pytest.param(Looking, "SymbolicTensor", TypeError, id="a layer that looks at values"),
    ],
)
def test_the_layer_is_named(tmp_path: Path, layer: Any, said: str, cause: Any) -> None:
    with pytest.raises(ExportError, match=said) as caught:
        edgekit.export(model_of(layer(name="odd")), tmp_path / "m.onnx")
    assert "layer 'outer/block/held/odd'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cause is None or isinstance(caught.value.__cause__, cause)
    assert list(tmp_path.iterdir()) == []


def test_an_op_that_is_converted_wrong_keeps_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekit.exporter import ops

    def fails(ctx: Any, node: Any, name: str, args: Any) -> None:
        raise ValueError("no such thing")

    monkeypatch.setitem(ops.HANDLERS, "Lgamma", (fails, []))
    with pytest.raises(ExportError, match=r"held/odd'.*Lgamma: no such thing") as caught:
        edgekit.export(model_of(Unknown(name="odd")), tmp_path / "m.onnx")
    assert isinstance(caught.value.__cause__, ValueError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("node", "path"),
    [
        pytest.param("outer_1/block_1/held_1/odd_1/Lgamma", "outer/block/held/odd", id="numbered"),
        pytest.param("outer_1/block_1/held_1/while/body/odd_2", "outer/block/held/odd", id="loop"),
        pytest.param("outer/block/dense_1/MatMul", "outer/block", id="unknown inside"),
        pytest.param("elsewhere/Mul", None, id="none"),
    ],
)
def test_a_node_leads_to_its_layer(node: str, path: str | None) -> None:
    model = model_of(Broken(name="odd"))
    assert blame.layer_of_node(model, node) == path
    assert blame.layer_in_text(model, f"Failed on node '{node}' (x/y)") == path


@pytest.mark.parametrize(
    ("build", "said"),
    [
        pytest.param(
            lambda: keras.Sequential(
                [keras.Input(batch_shape=(2, 3, 4)), L.GRU(2, stateful=True, name="memory")],
                name="s",
            ),
            "'s/memory' is stateful.*return_state=True",
            id="stateful",
        ),
        pytest.param(
            lambda: keras.Sequential(
                [keras.Input((1,), dtype="string"), L.StringLookup(vocabulary=["a"], name="words")],
                name="s",
            ),
            "'s/words' is a StringLookup.*before the model",
            id="strings",
        ),
    ],
)
def test_what_onnx_cannot_hold_is_refused_by_name(tmp_path: Path, build: Any, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        edgekit.export(build(), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_run_names_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(ctx: Any, node: Any, name: str, args: Any) -> None:
        node.type = "Einsum"
        node.set_attr("equation", "abcd->abcd")

    from edgekit.exporter import ops

    monkeypatch.setitem(ops.HANDLERS, "Lgamma", (broken, []))
    said = r"does not run at the layer 'outer/block/held/odd' \(.*Einsum"
    with pytest.raises(ExportError, match=said):
        edgekit.export(model_of(Unknown(name="odd")), tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []
