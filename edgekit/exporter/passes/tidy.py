"""ONNX -> ONNX: names, axes, clean-up and metadata of a converted model, with onnx-ir.

Each function changes the `onnx_ir.Model` that it is given, and says what it ensures.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

import edgekit
from edgekit.errors import ExportError
from edgekit.exporter.passes.layout import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgekit.signature import TensorSpec

#: The IR that opset 18 came with, which every onnxruntime of the last three years opens; a later
#: opset asks for a later one.
IR_VERSION = 8

#: What tf2onnx appends to keep names apart; it counts over the process, so names would depend on
#: what was exported before.
_COUNTER = re.compile(r"(__\d+|:\d+)+$")


#: What may come out of folding constants, in elements: a table that a few numbers make stays code.
FOLDED_SIZE = 2**20
#: The end from which tf2onnx means all of an axis.
WHOLE = 10**9


def fold(model: Any) -> None:
    """Compute what constants decide, and drop what changes nothing.

    tf2onnx's own optimizers do this too, in half of the time of a whole conversion.
    """
    from onnxscript.optimizer import fold_constants

    for node in model.graph.all_nodes():
        if node.op_type == "Identity":
            node.resize_inputs(1)  # tf2onnx leaves the other inputs of what it drops
        elif node.op_type == "ConvTranspose":
            _pad_output(node)
    _drop_identities(model)
    # It says what it does not fold, which nobody can do anything about.
    logging.getLogger("onnxscript.optimizer").setLevel(logging.ERROR)
    fold_constants(model, input_size_limit=FOLDED_SIZE, output_size_limit=FOLDED_SIZE)
    for node in model.graph.all_nodes():
        if node.op_type == "Slice" and _takes_all(node):
            node.op_type = "Identity"
            node.resize_inputs(1)
    _drop_identities(model)


def _takes_all(node: Any) -> bool:
    """Tell whether a Slice, such as that of `x[:, None]`, leaves every axis as it is."""
    tensors = [value.const_value for value in node.inputs[1:] if value is not None]
    if len(tensors) < 2 or len(tensors) < len(node.inputs) - 1 or None in tensors:
        return False
    start, end, *rest = (tensor.numpy() for tensor in tensors)
    steps = rest[1] if len(rest) > 1 else np.ones(1)
    return bool((start == 0).all() and (end >= WHOLE).all() and (steps == 1).all())


def _pad_output(node: Any) -> None:
    """Make room beyond the kernels output padding; tf2onnx pads by less than nothing."""
    pads = np.array(graphs.attribute(node, "pads", ()), np.int64).reshape(2, -1)
    room = -pads.sum(axis=0)
    if (room > 0).any():
        graphs.set_attribute(node, "pads", np.where(room > 0, 0, pads).ravel().tolist())
        graphs.set_attribute(node, "output_padding", np.maximum(room, 0).tolist())


def set_inputs(model: Any, inputs: Sequence[TensorSpec]) -> None:
    """Give the inputs their shapes, so that free axes of one name are known to be equal."""
    import onnx_ir as ir

    for value, spec in zip(model.graph.inputs, inputs, strict=False):
        value.shape = ir.Shape(spec.shape)


def clean_up(model: Any) -> None:
    """Drop what computes nothing; ensures that every output is a value of its own."""
    from onnx_ir.passes import Sequential, common

    _drop_identities(model)
    Sequential(
        common.DeduplicateInitializersPass(),
        common.OutputFixPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.TopologicalSortPass(),
    )(model)
    for node in model.graph.all_nodes():
        # onnxscript notes which values it folded, by names that differ from run to run.
        for named in (node, *node.outputs, *(v for v in node.inputs if v is not None)):
            named.metadata_props.clear()
        for value in node.outputs:
            # tf2onnx leaves shapes of inner values that are not so.
            if not value.is_graph_output():
                value.shape = None


def _drop_identities(model: Any) -> None:
    from onnx_ir.passes import common

    common.IdentityEliminationPass()(model)
    for node in list(model.graph.all_nodes()):
        for graph in graphs.bodies(node):
            _own_outputs(graph)


def _own_outputs(graph: Any) -> None:
    """Give a branch that has come to hand on a value of the graph around it its own again."""
    import onnx_ir as ir

    for i, value in enumerate(graph.outputs):
        producer = value.producer()
        here = producer is not None and producer.graph is graph
        if not here and value not in graph.inputs and not value.is_initializer():
            node = ir.node("Identity", [value], name="Identity")
            node.outputs[0].name = f"{value.name}/own"
            node.outputs[0].type = value.type
            graph.append(node)
            graph.outputs[i] = node.outputs[0]


def name_interface(
    model: Any, inputs: Sequence[TensorSpec], outputs: Mapping[str, Sequence[int | str]]
) -> None:
    """Give inputs and outputs their Keras names and shapes, and everything inside readable names.

    Ensures that the graph has exactly these inputs and outputs, and that the same model gets the
    same names each time. Raises `ExportError` where the conversion lost or added one.
    """
    import onnx_ir as ir

    graph = model.graph
    if len(graph.inputs) != len(inputs) or len(graph.outputs) != len(outputs):
        raise ExportError(
            f"The converted model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs "
            f"where Keras has {len(inputs)} and {len(outputs)}: this is a defect of the "
            "conversion; please report it with the model."
        )
    _order_initializers(graph)
    values = list(_inner_values(graph))
    readable = [_readable(value) for value in values]
    # First a name that nothing else has: renaming one by one would run into names not yet given up.
    for i, value in enumerate((*graph.inputs, *graph.outputs, *values)):
        value.name = f"edgekit_value_{i}"
    for value, spec in zip(graph.inputs, inputs, strict=True):
        value.name = spec.name
        value.shape = ir.Shape(spec.shape)
    for value, (name, shape) in zip(graph.outputs, outputs.items(), strict=True):
        value.name = name
        value.shape = ir.Shape(shape)
    taken = {spec.name for spec in inputs} | set(outputs)
    for value, name in zip(values, readable, strict=True):
        value.name = _free(name, taken)
    taken = set()
    for node in graph.all_nodes():
        node.name = _free(_COUNTER.sub("", node.name or "") or node.op_type, taken)


def release(model: Any) -> None:
    """Let go of a written model's weights: a session needs the room.

    Dropping the model would not: its nodes refer to each other.
    """
    for value in model.graph.initializers.values():
        value.const_value = None


def describe(model: Any, name: str, about: Mapping[str, Any]) -> None:
    """Write who made the file, and what its answers mean, into its metadata."""
    import onnx

    opset = model.opset_imports[""]
    model.ir_version = max(IR_VERSION, onnx.helper.OP_SET_ID_VERSION_MAP[("ai.onnx", opset)])
    model.producer_name = "edgekit"
    model.producer_version = edgekit.__version__
    model.doc_string = None
    model.graph.name = name
    model.graph.doc_string = None
    for key in ("task", "labels", "preprocessing"):
        if about.get(key):
            model.metadata_props[f"edgekit.{key}"] = json.dumps(about[key], ensure_ascii=False)


def _order_initializers(graph: Any) -> None:
    """Put initializers in the order of their first use; tf2onnx's own order varies."""
    used = [value for node in graph.all_nodes() for value in node.inputs if value is not None]
    used.extend(graph.outputs)
    ordered = {id(value): value for value in used if value.is_initializer()}
    mine = [v for v in ordered.values() if graph.initializers.get(v.name) is v]
    for value in mine:
        graph.initializers.pop(value.name)
    for value in mine:
        graph.initializers.add(value)


def _readable(value: Any) -> str:
    """Give a name without counters; which of equal constants survived is chance, so is its name."""
    name = _COUNTER.sub("", value.name)
    small = value.is_initializer() and value.const_value is not None and value.const_value.size < 16
    return "constant" if small and name.lower().startswith("const") else name or "value"


def _inner_values(graph: Any) -> Iterator[Any]:
    """Give every value but the interface's, each once, in an order that the graph decides."""
    interface = {id(value) for value in (*graph.inputs, *graph.outputs)}
    seen = set(interface)
    subgraphs = [g for node in graph.all_nodes() for g in graphs.bodies(node)]
    found = itertools.chain(
        graph.initializers.values(),
        *((*g.inputs, *g.initializers.values()) for g in subgraphs),
        *(node.outputs for node in graph.all_nodes()),
    )
    for value in found:
        # An empty name is an optional output that nobody reads.
        if id(value) not in seen and value.name:
            seen.add(id(value))
            yield value


def _free(name: str, taken: set[str]) -> str:
    candidates = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1)))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free
