"""Arithmetic with lengths: none where they are known, one `Shape` of an input where they are free.

TensorFlow reads the length of an axis wherever a layer needs it, as a slice of the whole shape of
whatever tensor is at hand. Shape inference knows which of an input's axes that is; so a vector of
lengths is written as constants and `Shape(input, start, end)`, which is the same one everywhere,
and a Reshape's as constants alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout import graphs, infer_shapes
from edgekit.exporter.passes.layout.forms import constant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The opset from which Shape gives some of a shape.
SLICED_SHAPE = 15

#: A length: a number, or the name of a free axis of an input.
Length = int | str


@dataclass(frozen=True)
class Lengths:
    """What a value holds: one length where `scalar`, else a vector of them."""

    items: tuple[Length, ...]
    scalar: bool = False


def simplify(model: Any) -> None:
    """Rewrite what is computed from the shapes of tensors; the model computes the same.

    Axes of the inputs that share a name are one length. What is not read any more stays.
    """
    kinds = {node.op_type for node in model.graph}
    if "Shape" not in kinds or model.opset_imports[""] < SLICED_SHAPE:
        return
    infer_shapes(model)
    sources = {
        str(size): (value, axis)
        for value in reversed(model.graph.inputs)
        for axis, size in enumerate(value.shape or ())
        if not isinstance(size, int)
    }
    known = _known(model, sources)
    given: dict[Any, Any] = {}
    # What is added to a table's first rows, or turned by the steps' angles, is as long as they are.
    while (found := {**_slices(model, known), **_ranges(model, known)}).keys() - given.keys():
        given = found
        infer_shapes(model, given)
        known = _known(model, sources)
    for value, held in known.items():
        _use(model.graph, value, held, known, sources)


def _known(model: Any, sources: Mapping[str, tuple[Any, int]]) -> dict[Any, Lengths]:
    """Give every value that holds lengths of the inputs' axes, and nothing else."""
    known: dict[Any, Lengths] = {}
    for node in model.graph:
        held = _read(node, known)
        if held is not None and all(isinstance(i, int) or i in sources for i in held.items):
            known[node.outputs[0]] = held
    return known


def _slices(model: Any, known: Mapping[Any, Lengths]) -> dict[Any, Any]:
    """Give the shapes of what takes a constant table's first rows, up to a length.

    A table that has fewer rows than the length is an error of the model, whatever it is added to.
    """
    import onnx_ir as ir

    found = {}
    for node in model.graph:
        if node.op_type != "Slice" or len(node.inputs) < 4 or constant(node.inputs[0]) is None:
            continue
        held, (start, axis) = known.get(node.inputs[2]), (_one(node.inputs[i]) for i in (1, 3))
        step = _one(node.inputs[4]) if len(node.inputs) > 4 else 1
        if held is None or len(held.items) != 1 or (start, step) != (0, 1) or axis is None:
            continue
        shape = list(node.inputs[0].shape)
        shape[axis] = held.items[0]
        found[node.outputs[0]] = ir.Shape(shape)
    return found


def _ranges(model: Any, known: Mapping[Any, Lengths]) -> dict[Any, Any]:
    """Give the shapes of what counts from zero up to a length."""
    import onnx_ir as ir

    found = {}
    for node in model.graph:
        if node.op_type == "Range" and (_one(node.inputs[0]), _one(node.inputs[2])) == (0, 1):
            held = known.get(node.inputs[1])
            if held is not None:
                found[node.outputs[0]] = ir.Shape(held.items)
    return found


def _one(value: Any) -> int | None:
    array = constant(value)
    return None if array is None or array.size != 1 else int(array.reshape(-1)[0])


def _read(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    """Give the lengths that a node puts out, where it does nothing but move lengths."""
    reader = _READERS.get(node.op_type) if not node.domain else None
    return None if reader is None else reader(node, known)


def _held(value: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    if value in known:
        return known[value]
    array = constant(value)
    if array is None or array.ndim > 1 or array.dtype.kind != "i" or array.size > 16:
        return None
    return Lengths(tuple(int(i) for i in array.reshape(-1)), scalar=array.ndim == 0)


def _shape(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    shape = node.inputs[0].shape
    if shape is None:
        return None
    items = tuple(size if isinstance(size, int) else str(size) for size in shape)
    start, end = graphs.attribute(node, "start", 0), graphs.attribute(node, "end", len(items))
    return Lengths(items[slice(start, end)])


def _same(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    if node.op_type == "Cast" and graphs.attribute(node, "to", 0) not in (6, 7):
        return None
    return known.get(node.inputs[0])


def _slice(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    held, bounds = known.get(node.inputs[0]), [constant(value) for value in node.inputs[1:]]
    if held is None or held.scalar or any(bound is None or bound.size != 1 for bound in bounds):
        return None
    start, end, *rest = (int(bound.reshape(-1)[0]) for bound in bounds if bound is not None)
    step = rest[1] if len(rest) > 1 else 1
    return Lengths(held.items[slice(start, end, step)]) if step > 0 else None


def _gather(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    held, index = known.get(node.inputs[0]), constant(node.inputs[1])
    if held is None or held.scalar or index is None or index.ndim > 1:
        return None
    return Lengths(tuple(held.items[int(i)] for i in index.reshape(-1)), scalar=index.ndim == 0)


def _squeeze(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    held = known.get(node.inputs[0])
    if held is None or held.scalar or len(held.items) != 1:
        return None
    return Lengths(held.items, scalar=True)


def _unsqueeze(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    held = known.get(node.inputs[0])
    return Lengths(held.items) if held is not None and held.scalar else None


def _concat(node: Any, known: Mapping[Any, Lengths]) -> Lengths | None:
    parts = [_held(value, known) for value in node.inputs]
    if any(part is None or part.scalar for part in parts):
        return None
    return Lengths(tuple(item for part in parts if part is not None for item in part.items))


_READERS: dict[str, Callable[[Any, Mapping[Any, Lengths]], Lengths | None]] = {
    "Shape": _shape,
    "Cast": _same,
    "Identity": _same,
    "Slice": _slice,
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
}


def _use(
    graph: Any,
    value: Any,
    held: Lengths,
    known: Mapping[Any, Lengths],
    sources: Mapping[str, tuple[Any, int]],
) -> None:
    """Give each reader that is not itself a step of the arithmetic what it needs."""
    uses = [(node, index) for node, index in value.uses() if node.outputs[0] not in known]
    for node, index in uses:
        target = _reshaped(node, index, held)
        if target is not None:
            node.replace_input_with(
                index, graphs.add_constant(graph, f"{value.name}/shape", target)
            )
    uses = [(node, index) for node, index in value.uses() if node.outputs[0] not in known]
    if not uses or value.dtype is None:
        return
    made = _written(graph, value, held, sources)
    for node, index in uses:
        node.replace_input_with(index, made)


def _reshaped(node: Any, index: int, held: Lengths) -> np.ndarray[Any, Any] | None:
    """Give a Reshape's lengths as constants: 0 for one that stays in its place, -1 for one more."""
    if (
        node.op_type != "Reshape"
        or index != 1
        or node.domain
        or graphs.attribute(node, "allowzero", 0)
    ):
        return None
    before = [str(size) for size in node.inputs[0].shape or ()]
    target: list[int] = []
    for axis, item in enumerate(held.items):
        stays = axis < len(before) and before[axis] == str(item)
        target.append(item if isinstance(item, int) else 0 if stays else -1)
    return np.array(target, np.int64) if target.count(-1) < 2 else None


def _written(graph: Any, value: Any, held: Lengths, sources: Mapping[str, tuple[Any, int]]) -> Any:
    """Write lengths anew, in front of what first computed them."""
    import onnx_ir as ir

    place = value.producer()
    if all(isinstance(item, int) for item in held.items):
        array = np.array(held.items, np.int64).astype(value.dtype.numpy())
        return graphs.add_constant(graph, value.name, array[0] if held.scalar else array)

    def add(kind: str, inputs: list[Any], name: str = "", **attributes: Any) -> Any:
        node = ir.node(kind, inputs, attributes, name=f"{place.name}/{name or kind}")
        (made,) = node.outputs
        made.name = f"{value.name}/{name or kind}"
        made.dtype = ir.DataType.INT64
        graph.insert_before(place, node)
        return made

    parts = []
    for item in held.items:
        if isinstance(item, int):
            parts.append(
                graphs.add_constant(graph, f"{value.name}/{item}", np.array([item], np.int64))
            )
        else:
            source, axis = sources[item]
            parts.append(add("Shape", [source], item, start=axis, end=axis + 1))
    made = parts[0] if len(parts) == 1 else add("Concat", parts, axis=0)
    if held.scalar:
        zero = graphs.add_constant(graph, f"{value.name}/axis", np.array([0], np.int64))
        made = add("Squeeze", [made, zero])
    if value.dtype != ir.DataType.INT64:
        made = add("Cast", [made], to=int(value.dtype))
        made.dtype = value.dtype
    made.shape = ir.Shape([] if held.scalar else [len(held.items)])
    return made
