"""Keras model -> one frozen TensorFlow graph, with every captured value folded to a constant.

Only this module traces. It knows nothing of ONNX.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ExportError
from edgekit.exporter import arrays, blame
from edgekit.exporter.foreign import LiteModel
from edgekit.exporter.standins import backend, calls, channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgekit.signature import Feeds, Outputs, TensorSpec

#: A call on more numbers than this is compiled.
COMPILED_SIZE = 2**18


@dataclass(frozen=True)
class Graph:
    """A frozen GraphDef; `inputs` and `outputs` are its tensor names in the model's own order."""

    graph_def: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def call(model: Any, specs: Sequence[TensorSpec], tensors: Sequence[Any]) -> Any:
    """Call a Keras model at inference on tensors in the order of its specs."""
    import keras

    try:
        structure = model.input
    except (AttributeError, ValueError):
        structure = None  # a subclassed model: a signature names its inputs
    if structure is not None:
        return model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False)
    if len(tensors) == 1:
        return model(tensors[0], training=False)
    return model({spec.name: t for spec, t in zip(specs, tensors, strict=True)}, training=False)


def predict(model: Any, specs: Sequence[TensorSpec], feeds: Feeds) -> Outputs:
    """Run Keras itself on a feed: what the exported file is compared with."""
    return predictor(model, specs)(feeds)


def predictor(model: Any, specs: Sequence[TensorSpec]) -> Callable[[Feeds], Outputs]:
    """Give a function that runs Keras itself on feeds.

    Keras keeps each layer's output until a call ends, so a call on much data is compiled once:
    a graph frees them as it goes.
    """
    import keras
    import tensorflow as tf

    if isinstance(model, LiteModel):
        return model.predict
    compiled = tf.function(
        lambda *tensors: call(model, specs, tensors), _tensor_specs(specs), autograph=False
    )

    @channels.last()
    def run(feeds: Feeds) -> Outputs:
        tensors = [keras.ops.convert_to_tensor(feeds[s.name], dtype=s.dtype) for s in specs]
        if sum(array.size for array in feeds.values()) > COMPILED_SIZE:
            try:
                with _without_optimizer(), calls.traceable():
                    outputs = compiled(*tensors)
            except Exception:  # noqa: BLE001 - a layer may look at what only a run can tell
                outputs = call(model, specs, tensors)
        else:
            outputs = call(model, specs, tensors)
        arrays = [_array(tensor) for _, tensor in _leaves(outputs)]
        return dict(zip(output_names(model, specs, outputs), arrays, strict=True))

    return run


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    """Give a tensor's values; bfloat16, which numpy and engines lack, as float32."""
    import keras

    array = np.asarray(keras.ops.convert_to_numpy(tensor))
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


@contextlib.contextmanager
def _without_optimizer() -> Iterator[None]:
    """Run graphs as they are: optimizing one takes longer than what a few runs of it save."""
    import tensorflow as tf

    optimizer = tf.config.optimizer
    before = optimizer.get_experimental_options()
    optimizer.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        optimizer.set_experimental_options({"disable_meta_optimizer": False} | before)


def _tensor_specs(specs: Sequence[TensorSpec]) -> list[Any]:
    import tensorflow as tf

    return [
        tf.TensorSpec([a if isinstance(a, int) else None for a in spec.shape], spec.dtype)
        for spec in specs
    ]


def _leaves(outputs: Any) -> list[tuple[Any, Any]]:
    """Give a model's outputs with their paths, in flattened order; None is no output."""
    import keras

    leaves = keras.tree.flatten_with_path(outputs)
    return [(path, leaf) for path, leaf in leaves if leaf is not None]


def output_names(model: Any, specs: Sequence[TensorSpec], outputs: Any) -> tuple[str, ...]:
    """Name a model's outputs: a dict's keys, else Keras's names, in flattened order.

    A name that an input or an earlier output has gets a number.
    """
    paths = [path for path, _ in _leaves(outputs)]
    if any(isinstance(step, str) for path in paths for step in path):
        names = ["_".join(map(str, path)) for path in paths]
    else:
        known = _layer_names(model)
        one = ["output"] if len(paths) == 1 else [f"output_{i}" for i in range(len(paths))]
        names = known if len(known) == len(paths) else one
    taken = {spec.name for spec in specs}
    unique = []
    for name in names:
        free = name if name not in taken else _numbered(name, taken)
        taken.add(free)
        unique.append(free)
    return tuple(unique)


def _numbered(name: str, taken: set[str]) -> str:
    return next(f"{name}_{i}" for i in itertools.count(1) if f"{name}_{i}" not in taken)


def _layer_names(model: Any) -> list[str]:
    """Give the names of the layers that make the outputs, or nothing for a subclassed model."""
    try:
        return [tensor._keras_history.operation.name for tensor in model.outputs]
    except (AttributeError, TypeError, ValueError):
        return []


def trace(model: Any, specs: Sequence[TensorSpec]) -> Graph:
    """Trace a model at inference and freeze it; raises `ExportError` that names the model."""
    import tensorflow as tf

    def inference(*tensors: Any) -> list[Any]:
        outputs = call(model, specs, tensors)
        return [tf.identity(tensor) for _, tensor in _leaves(outputs)]

    try:
        function = tf.function(inference, autograph=False)
        with _tracing(), backend.traceable():
            traced = function.get_concrete_function(*_tensor_specs(specs))
        graph_def, inputs, outputs = _frozen(traced)
    except Exception as error:  # a model's own code may raise anything
        raise ExportError(
            f"The model {model.name!r} cannot be traced ({blame.cause_in_a_call(error)}): "
            f"{_advice(error, specs)}."
        ) from error
    kept = len(specs)
    _fold_captures(graph_def, inputs[kept:], traced)
    arrays.unroll(graph_def)
    _widen(graph_def)
    return Graph(
        graph_def,
        tuple(tensor.name for tensor in inputs[:kept]),
        tuple(tensor.name for tensor in outputs),
    )


@contextlib.contextmanager
def _tracing() -> Iterator[None]:
    """Let models be traced inside the block that Keras would only run."""
    with (
        _without_xla(),
        _without_updates(),
        blame.whole_tracebacks(),
        channels.last(),
        calls.traceable(),
    ):
        yield


def _frozen(traced: Any) -> tuple[Any, Sequence[Any], Sequence[Any]]:
    """Give a traced function's GraphDef, inputs and outputs, with variables folded to constants.

    Keras's own variables are constants already; freezing takes as long as tracing, and is left to
    models with variables that TensorFlow made, and with functions (loops, branches) to inline.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    variables = any(outer.dtype == tf.resource for outer, _ in traced.graph.captures)
    graph_def = traced.graph.as_graph_def(add_shapes=True)
    if not variables and not graph_def.library.function:
        return graph_def, traced.inputs, traced.outputs
    frozen = convert_variables_to_constants_v2(
        traced, lower_control_flow=False, aggressive_inlining=True
    )
    return frozen.graph.as_graph_def(add_shapes=True), frozen.inputs, frozen.outputs


@contextlib.contextmanager
def _without_updates() -> Iterator[None]:
    """Trace without what a call writes into Keras's variables, such as the next random seed.

    A file keeps nothing between calls; where an answer needs what was written, it differs.
    """
    import keras

    owner = next(cls for cls in keras.Variable.__mro__ if "_direct_assign" in vars(cls))
    original = vars(owner)["_direct_assign"]
    owner._direct_assign = lambda variable, value: None
    try:
        yield
    finally:
        owner._direct_assign = original


@contextlib.contextmanager
def _without_xla() -> Iterator[None]:
    """Trace functions that are marked for XLA without the mark.

    Keras marks grouped convolutions so; they would stay calls that nothing can inline or convert.
    """
    import tensorflow as tf

    original = tf.function

    def function(func: Any = None, **options: Any) -> Any:
        return original(func, **options | {"jit_compile": None})

    tf.function = function
    try:
        yield
    finally:
        tf.function = original


def _advice(error: Exception, specs: Sequence[TensorSpec]) -> str:
    """Say what to do: a layer that looks at a length needs one that is fixed."""
    looked = any(word in str(error) for word in ("ymbolic", "NoneType", "NotAllowedInGraph"))
    free = [s for s in specs if any(isinstance(axis, str) for axis in s.shape[1:])]
    if not looked or not free:
        return f"check that it runs on inputs of {', '.join(map(str, specs))}"
    return (
        "its code looks at a value that only a run can tell; where that is a length, fix it with "
        f"signature=[...], a TensorSpec for each of {', '.join(map(str, specs))}"
    )


def _fold_captures(graph_def: Any, captured: Sequence[Any], traced: Any) -> None:
    """Replace the placeholders of captured eager tensors by constants.

    Freezing folds variables only; a table made in `call` or a Normalization layer's mean would
    come out as one more input of the graph.
    """
    import tensorflow as tf

    values = {
        inner.name.partition(":")[0]: outer
        for outer, inner in traced.graph.captures
        if outer.dtype != tf.resource
    }
    wanted = {tensor.name.partition(":")[0] for tensor in captured}
    for node in graph_def.node:
        if node.op == "Placeholder" and node.name in wanted & values.keys():
            name, value = node.name, values[node.name]
            node.Clear()
            node.name, node.op = name, "Const"
            node.attr["dtype"].type = value.dtype.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))


def _widen(graph_def: Any) -> None:
    """Compute in float32 what Keras does in bfloat16: engines on a CPU lack its kernels."""
    import tensorflow as tf

    narrow, wide = tf.bfloat16.as_datatype_enum, tf.float32.as_datatype_enum
    functions = (function.node_def for function in graph_def.library.function)
    for node in itertools.chain(graph_def.node, *functions):
        for attribute in node.attr.values():
            if attribute.type == narrow:
                attribute.type = wide
            if narrow in attribute.list.type:
                kept = [wide if each == narrow else each for each in attribute.list.type]
                attribute.list.type[:] = kept
            if attribute.tensor.dtype == narrow:
                values = tf.make_ndarray(attribute.tensor).astype(np.float32)
                attribute.tensor.CopyFrom(tf.make_tensor_proto(values))
