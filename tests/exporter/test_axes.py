"""Inputs that are made to check a model: of lengths that it takes, with ids that it knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import ExportError
from edgekit.exporter import axes, ids
from edgekit.signature import TensorSpec

pytestmark = pytest.mark.keras
keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")
L: Any = keras.layers
ops: Any = keras.ops


def table(rows: int) -> Any:
    """A table of positions that is cut, or broadcast, to the sequence."""

    class Table(L.Layer):  # type: ignore[misc] # keras ships no types
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(rows, shape[-1]), initializer="normal")

        def call(self, x: Any) -> Any:
            return x + self.table[: ops.shape(x)[1]]

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    tokens = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(tokens, Table()(L.Embedding(9, 3)(tokens)))


def halved() -> Any:
    image = keras.Input((None, None, 1), name="image")
    half = L.AveragePooling2D(4)(image)
    return keras.Model(image, L.Add()([L.UpSampling2D(4)(half), image]))


def recording() -> Any:
    wave = keras.Input((None, 1), name="wave")
    return keras.Model(wave, L.Conv1D(2, 64, strides=8)(L.Conv1D(2, 64, strides=8)(wave)))


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        pytest.param(lambda: table(5), ("batch", "time", 3), id="few positions"),
        pytest.param(halved, ("batch", "height", "width", 1), id="picture in multiples"),
        pytest.param(recording, ("batch", "output_axis1", 2), id="long recording"),
    ],
)
def test_lengths_that_a_model_takes(
    tmp_path: Path, build: Callable[[], Any], shape: tuple[int | str, ...]
) -> None:
    made: Any = edgekit.export(build(), tmp_path / "m.onnx")
    (output,) = made.signature.outputs
    assert output.shape[0] == "batch"
    assert [isinstance(a, str) for a in output.shape] == [isinstance(a, str) for a in shape]


class Seven(L.Layer):  # type: ignore[misc] # keras ships no types
    """Seven steps and no other number of them."""

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(7, shape[-1]), initializer="normal")

    def call(self, x: Any) -> Any:
        return x + self.table


def test_a_length_that_only_the_reference_has(tmp_path: Path) -> None:
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, Seven()(x))
    with pytest.raises(ExportError, match=r"give some of your own with reference="):
        edgekit.export(model, tmp_path / "m.onnx")
    reference = {"x": np.ones((2, 7, 3), np.float32)}
    made: Any = edgekit.export(model, tmp_path / "m.onnx", reference=reference)
    assert made.signature.outputs[0].shape == ("batch", 7, 3)
    with pytest.raises(ExportError, match="Keras cannot run the model"):
        edgekit.export(model, tmp_path / "n.onnx", reference={"x": np.ones((2, 5, 3), np.float32)})


def test_ids_are_drawn_from_the_whole_of_a_table() -> None:
    """A limit passes through what does not compute, and not through what does."""
    import onnx_ir as ir
    from onnx import helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["a"], ["a64"], to=7),
        helper.make_node("Unsqueeze", ["a64", "axis"], ["wide"]),
        helper.make_node("Gather", ["big", "wide"], ["y"]),
        helper.make_node("Gather", ["small", "a64"], ["z"]),
        helper.make_node("Add", ["b", "b"], ["twice"]),
        helper.make_node("Gather", ["big", "twice"], ["w"]),
    ]
    ints = [helper.make_tensor_value_info(name, 6, ["n"]) for name in "ab"]
    floats = [helper.make_tensor_value_info(name, 1, None) for name in "yzw"]
    tables = [
        numpy_helper.from_array(np.zeros((9, 2), np.float32), "big"),
        numpy_helper.from_array(np.zeros((5, 2), np.float32), "small"),
        numpy_helper.from_array(np.array([1]), "axis"),
    ]
    graph = helper.make_graph(nodes, "g", ints, floats, tables)
    model = ir.from_proto(helper.make_model(graph))
    inputs = [TensorSpec(name, "int32", ("n",)) for name in "ab"]
    assert ids.limits(model, inputs) == {"a": 5}


def test_other_samples_are_in_the_range_of_those_that_are_given() -> None:
    x = keras.Input((None,), name="x")
    model = keras.Model(x, L.Activation("tanh")(x))
    given = 100 + 100 * np.random.default_rng(0).random((3, 5)).astype(np.float32)
    spec = TensorSpec("x", "float32", ("batch", "x_axis1"))
    _, other = axes.settle(model, (spec,), {"x": given}, {}, batch=4).references
    assert other.inputs["x"].shape != given.shape
    assert given.min() <= other.inputs["x"].min() <= other.inputs["x"].max() <= given.max()


def decoder() -> Any:
    """A target that looks at a memory, with the memory's own tokens beside it."""
    target = keras.Input((None,), dtype="int32", name="target")
    memory = keras.Input((None, 4), name="memory")
    source = keras.Input((None,), dtype="int32", name="source")
    keys = L.Add()([memory, L.Embedding(9, 4)(source)])
    found = L.Attention()([L.Embedding(9, 4)(target), keys])
    return keras.Model([target, memory, source], found)


def test_only_the_axes_that_must_agree_are_tied(tmp_path: Path) -> None:
    made: Any = edgekit.export(decoder(), tmp_path / "m.onnx")
    shapes = {spec.name: spec.shape for spec in made.signature.inputs}
    assert shapes["memory"][1] == shapes["source"][1] != shapes["target"][1]


@pytest.mark.parametrize(("count", "ways"), [(0, 1), (1, 1), (2, 2), (3, 5), (4, 15), (5, 2)])
def test_ways_to_tie_axes_go_from_none_to_all(count: int, ways: int) -> None:
    names = [f"axis{i}" for i in range(count)]
    found = axes._ties(tuple(TensorSpec(n, "float32", ("batch", n)) for n in names), None)
    assert len(found) == len({tuple(sorted(way.items())) for way in found}) == ways
    groups = [len(set(way.values())) for way in found]
    assert groups == sorted(groups, reverse=True)
    assert (groups[0], groups[-1]) == (count, min(count, 1))
