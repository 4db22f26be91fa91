"""Keras layers and functions that have an ONNX operator of their own, lowered to it.

While a model is traced, such a layer's method (or a function of Keras's TensorFlow backend, where
all of `keras.ops` ends up) leaves a marker in the TensorFlow graph instead of its computation: a
`PyFunc` whose token is the marker's number. tf2onnx carries it through as a node of the domain
`edgekit`, and `lower` replaces that node by ONNX nodes with the layer's weights. What a row cannot
express (a mask it does not handle, another dtype) is traced as Keras has it.

A row of `rows()` is all that a new layer or function needs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ExportError
from edgekit.exporter.lowering import (
    activations,
    attention,
    branch,
    dense,
    embedding,
    fourier,
    normalization,
    recurrent,
    reshape,
    roll,
    upsampling,
    weights,
    windows,
)
from edgekit.exporter.lowering.weights import Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: The domain and operator of a marker on its way through tf2onnx.
DOMAIN, OPERATOR = "edgekit", "PyFunc"
DTYPES = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Call:
    """What a row makes of one call: the tensors that go in, and the shapes that come out.

    `dtypes` of what comes out, where they are not all the layer's own (the first input's for a
    function). `finish` turns the tensors that come out into what the method returns. `values` are
    facts for the lowering that only the call knew.
    """

    inputs: Sequence[Any]
    shapes: Sequence[Any]
    finish: Callable[[list[Any]], Any] = lambda outputs: outputs[0]
    values: Any = None
    dtypes: Sequence[str] | None = None


@dataclass(frozen=True)
class Row:
    """One layer's method, `keras.layers:Dense.call`, or one function, `module:name`.

    `plan` reads a call, with the layer first where there is one, and answers None to leave it;
    `lower` writes ONNX, given the layer (None for a function), `Call.values` and the inputs, `late`
    only when the graph around it is as it will be.
    """

    target: str
    plan: Callable[..., Call | None]
    lower: Callable[[Builder, Any, Any, list[Any]], list[Any]]
    min_opset: int = 13
    late: bool = False

    @property
    def owner(self) -> Any:
        """The class or module whose attribute the row replaces."""
        module, _, path = self.target.partition(":")
        names = path.split(".")[:-1]
        return functools.reduce(getattr, names, importlib.import_module(module))

    @property
    def name(self) -> str:
        """The attribute's name."""
        return self.target.rpartition(":")[2].rpartition(".")[2]


@dataclass(frozen=True)
class Marker:
    """A call that was replaced while tracing; `dtype` is what it computes in."""

    row: Row
    layer: Any
    call: Call
    dtype: str


class Builder:
    """Makes ONNX nodes of an opset that are named after a layer, and constants of its dtype."""

    def __init__(self, path: str, dtype: str, opset: int) -> None:
        from onnx_ir import tape

        self.opset = opset

        self._tape = tape.Tape()
        self.path = path
        # `trace` widens bfloat16, in which no engine on a CPU computes.
        self.dtype = np.dtype("float32" if dtype == "bfloat16" else dtype)
        self.constants: list[Any] = []
        self._weights: list[tuple[np.ndarray[Any, Any], str]] = []

    @property
    def nodes(self) -> Sequence[Any]:
        """The nodes made so far."""
        return list(self._tape.nodes)

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; several outputs come back as a list. An array becomes a constant."""
        values = [self.constant(v) if isinstance(v, np.ndarray) else v for v in inputs]
        name = f"{self.path}/{kind}"
        if outputs == 1:
            made = [self._tape.op(kind, values, attributes, name=name)]
        else:
            made = list(
                self._tape.op_multi_out(kind, values, attributes, num_outputs=outputs, name=name)
            )
        for i, value in enumerate(made):
            value.name = f"{name}__{len(self.nodes)}{i or ''}"
        return made[0] if outputs == 1 else made

    def constant(self, array: np.ndarray[Any, Any], of: Any = None) -> Any:
        """Add an initializer, named after the variable whose values it holds.

        That is `of`, or the one whose memory it is a view of.
        """
        views = (path for held, path in self._weights if _is_view(array, held))
        name = getattr(of, "path", None) or next(views, f"{self.path}/constant")
        value = _initializer(f"{name}__{len(self.constants)}", array)
        self.constants.append(value)
        return value

    def weight(self, variable: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
        """Read a layer's variable in a dtype, by default the one that the layer computes in."""
        array = weights.value(variable).astype(dtype or self.dtype, copy=False)
        if hasattr(variable, "path"):  # a layer may compute its kernel
            self._weights.append((array, variable.path))
        return array

    def ints(self, *values: int) -> np.ndarray[Any, Any]:
        """Make an int64 vector, as shapes and axes are given."""
        return np.array(values, np.int64)


LAYERS = "keras.layers"
BACKEND = "keras.src.backend.tensorflow"


def rows() -> tuple[Row, ...]:
    """Every lowering there is."""
    return (
        Row(f"{LAYERS}:Dense.call", dense.plan_dense, dense.lower_dense),
        Row(f"{LAYERS}:EinsumDense.call", dense.plan_einsum, dense.lower_einsum),
        Row(
            f"{LAYERS}:LayerNormalization.call",
            normalization.plan_layer,
            normalization.lower_layer,
            min_opset=17,
        ),
        Row(
            f"{LAYERS}:GroupNormalization.call",
            normalization.plan_group,
            normalization.lower_group,
            min_opset=15,
        ),
        Row(f"{LAYERS}:PReLU.call", activations.plan_prelu, activations.lower_prelu),
        Row(f"{LAYERS}:MultiHeadAttention._compute_attention", attention.plan, attention.lower),
        Row(f"{LAYERS}:SimpleRNN.call", recurrent.plan, recurrent.lower, min_opset=15),
        Row(f"{LAYERS}:GRU.call", recurrent.plan, recurrent.lower, min_opset=15),
        Row(f"{LAYERS}:LSTM.call", recurrent.plan, recurrent.lower, min_opset=15),
        Row(f"{LAYERS}:RNN.call", recurrent.plan, recurrent.lower, min_opset=15),
        Row(
            f"{LAYERS}:Bidirectional.call",
            recurrent.plan_bidirectional,
            recurrent.lower_bidirectional,
            min_opset=15,
        ),
        Row(f"{LAYERS}:Embedding.call", embedding.plan, embedding.lower),
        Row(f"{LAYERS}:Flatten.call", reshape.plan, reshape.lower),
        Row(f"{LAYERS}:Reshape.call", reshape.plan, reshape.lower),
        Row(f"{LAYERS}:UpSampling2D.call", upsampling.plan, upsampling.lower),
        Row(f"{BACKEND}.core:cond", branch.plan, branch.lower, late=True),
        Row("tensorflow:cond", branch.plan, branch.lower, late=True),
        Row(f"{BACKEND}.math:fft", fourier.plan_fft, fourier.lower_fft),
        Row(f"{BACKEND}.math:fft2", fourier.plan_fft2, fourier.lower_fft),
        Row(f"{BACKEND}.math:rfft", fourier.plan_rfft, fourier.lower_rfft),
        Row(f"{BACKEND}.math:irfft", fourier.plan_irfft, fourier.lower_irfft),
        Row(f"{BACKEND}.math:stft", fourier.plan_stft, fourier.lower_stft, min_opset=15),
        Row(f"{BACKEND}.math:istft", fourier.plan_istft, fourier.lower_istft, min_opset=15),
        Row(f"{BACKEND}.nn:gelu", activations.plan_gelu, activations.lower_gelu),
        Row(f"{BACKEND}.nn:silu", activations.plan_silu, activations.lower_silu),
        Row(f"{BACKEND}.nn:elu", activations.plan_elu, activations.lower_elu),
        Row(f"{BACKEND}.nn:hard_tanh", activations.plan_hard_tanh, activations.lower_hard_tanh),
        Row(f"{BACKEND}.nn:soft_shrink", activations.plan_shrink, activations.lower_soft_shrink),
        Row(f"{BACKEND}.nn:hard_shrink", activations.plan_shrink, activations.lower_hard_shrink),
        Row(f"{BACKEND}.numpy:roll", roll.plan, roll.lower),
        Row(f"{BACKEND}.nn:unfold", windows.plan_unfold, windows.lower_unfold),
        Row(f"{BACKEND}.nn:fold", windows.plan_fold, windows.lower_fold, min_opset=18),
    )


@contextlib.contextmanager
def marking(opset: int) -> Iterator[list[Marker | Weight]]:
    """Let the layers of `rows()` leave markers inside the block; gives the list they go to.

    Large weights leave markers too, where they are read.

    Classes are changed for the time of the block, so that layers inside of layers are found too.
    """
    markers: list[Marker | Weight] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(weights.lifted(lambda weight: _leave_weight(weight, markers)))
        for row in rows():
            if opset >= row.min_opset:
                replace = _method if inspect.isclass(row.owner) else _function
                stack.enter_context(_replaced(row.owner, row.name, replace(row, markers)))
        yield markers


def _method(row: Row, markers: list[Marker | Weight]) -> Callable[..., Any]:
    cls = row.owner
    original = cls.__dict__[row.name]

    @functools.wraps(original)
    def method(layer: Any, *args: Any, **kwargs: Any) -> Any:
        # A subclass may compute something else after it called its parent.
        call = None
        if type(layer) is cls and layer.compute_dtype in DTYPES:
            # A layer may be called on a variable, such as a table's positions.
            args = tuple(map(_as_tensor, args))
            call = row.plan(layer, *args, **kwargs)
        if call is None or not _are_tensors(call.inputs):
            return original(layer, *args, **kwargs)
        return _leave(Marker(row, layer, call, layer.compute_dtype), markers)

    return method


def _function(row: Row, markers: list[Marker | Weight]) -> Callable[..., Any]:
    original = getattr(row.owner, row.name)

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        call = row.plan(*args, **kwargs)
        if call is None or not _are_tensors(call.inputs):
            return original(*args, **kwargs)
        return _leave(Marker(row, None, call, call.inputs[0].dtype.name), markers)

    return function


@contextlib.contextmanager
def _replaced(owner: Any, name: str, replacement: Callable[..., Any]) -> Iterator[None]:
    original = vars(owner)[name]
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _as_tensor(value: Any) -> Any:
    import keras
    import tensorflow as tf

    return tf.convert_to_tensor(value.value) if isinstance(value, keras.Variable) else value


def _are_tensors(inputs: Sequence[Any]) -> bool:
    import tensorflow as tf

    return all(tf.is_tensor(tensor) for tensor in inputs)


def _leave(marker: Marker, markers: list[Marker | Weight]) -> Any:
    call = marker.call
    dtypes = call.dtypes or [marker.dtype] * len(call.shapes)
    markers.append(marker)
    return call.finish(_mark(len(markers) - 1, call.inputs, dtypes, call.shapes))


def _leave_weight(weight: Weight, markers: list[Marker | Weight]) -> Any:
    held = weight.variable
    markers.append(weight)
    return _mark(len(markers) - 1, [], [held.dtype], [held.shape])[0]


def _mark(
    index: int, inputs: Sequence[Any], dtypes: Sequence[str], shapes: Sequence[Any]
) -> list[Any]:
    import tensorflow as tf

    outputs = tf.raw_ops.PyFunc(input=list(inputs), token=str(index), Tout=list(dtypes))
    # The shape of a PyFunc is not in the graph; this op's is.
    return [tf.ensure_shape(out, shape) for out, shape in zip(outputs, shapes, strict=True)]


def lower(model: Any, markers: Sequence[Marker | Weight], *, late: bool = False) -> None:
    """Replace the markers by ONNX nodes; ensures that the model has none left but late ones.

    Those are replaced by a call of their own, and no marker is left.
    """
    model.opset_imports[DOMAIN] = 1  # shape inference passes over what it knows the domain of
    for node in list(model.graph.all_nodes()):
        if node.domain != DOMAIN or node.op_type != OPERATOR:
            continue
        token = node.attributes.get("token")
        if token is None or not token.as_string().isdigit():
            raise ExportError(
                f"The model has a Python function ({node.name!r}), which ONNX cannot hold: write "
                "it with keras.ops."
            )
        marker = markers[int(token.as_string())]
        if isinstance(marker, Weight):
            _restore(model.graph, node, marker)
        elif marker.row.late == late:
            _write(node, marker, model.opset_imports[""])
    if late:
        model.opset_imports.pop(DOMAIN, None)


def _restore(graph: Any, node: Any, weight: Weight) -> None:
    """Put a weight's initializer in the place of its marker; one that is there is shared."""
    import onnx_ir as ir

    name = f"{weight.variable.path}__{id(weight.variable)}"
    if name not in graph.initializers:
        graph.register_initializer(_initializer(name, weight.array()))
    ir.convenience.replace_all_uses_with(node.outputs[0], graph.initializers[name])
    node.graph.remove(node, safe=True)


def _write(node: Any, marker: Marker, opset: int) -> None:
    """Put the nodes of a marker's row in its place."""
    import onnx_ir as ir

    # A function's marker is named after the scope of the layer that called it.
    path = marker.layer.path if marker.layer else f"{node.name}/{marker.row.name}"
    builder = Builder(path, marker.dtype, opset)
    made = marker.row.lower(builder, marker.layer, marker.call.values, list(node.inputs))
    graph = node.graph
    for constant in builder.constants:
        # Counted over the model: a layer that is called twice has its weights twice.
        constant.name = f"{constant.name.rpartition('__')[0]}__{len(graph.initializers)}"
        graph.initializers.add(constant)
    names = [value.name for value in made]
    ir.convenience.replace_nodes_and_values(
        graph, node, [node], builder.nodes, list(node.outputs), made
    )
    for value, name in zip(made, names, strict=True):
        value.name = name


def _is_view(array: np.ndarray[Any, Any], held: np.ndarray[Any, Any]) -> bool:
    return array.size == held.size and np.may_share_memory(array, held)


def _initializer(name: str, array: np.ndarray[Any, Any]) -> Any:
    import onnx_ir as ir

    tensor = ir.tensor(np.asarray(array, order="C"), name=name)
    return ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
