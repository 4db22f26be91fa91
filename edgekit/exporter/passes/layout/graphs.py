"""The few changes to a graph that the other modules are made of, with onnx-ir."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def add_constant(graph: Any, name: str, array: np.ndarray[Any, Any]) -> Any:
    """Add an initializer under a free name that starts with `name`."""
    import onnx_ir as ir

    return add_tensor(graph, ir.tensor(np.asarray(array, order="C"), name=name))


def add_tensor(graph: Any, tensor: Any) -> Any:
    """Add a tensor as an initializer; its name gets a number where it is taken."""
    import onnx_ir as ir

    free, count = tensor.name, 0
    while free in graph.initializers:
        count += 1
        free = f"{tensor.name}__{count}"
    tensor.name = free
    value = ir.Value(
        name=free, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def transpose(graph: Any, value: Any, perm: Sequence[int]) -> Any:
    """Add a Transpose right behind what makes `value`; gives its output."""
    import onnx_ir as ir

    node = ir.node("Transpose", [value], {"perm": list(perm)}, name=f"{value.name}/Transpose")
    if value.shape is not None:
        node.outputs[0].shape = ir.Shape([value.shape[axis] for axis in perm])
    return _behind(graph, value, node)


def reshape(graph: Any, value: Any, target: Sequence[int], shape: Any = None) -> Any:
    """Add a Reshape right behind what makes `value`; gives its output."""
    import onnx_ir as ir

    second = add_constant(graph, f"{value.name}/shape", np.array(target, np.int64))
    node = ir.node("Reshape", [value, second], name=f"{value.name}/Reshape")
    known = [None if size == -1 else size for size in target]
    node.outputs[0].shape = ir.Shape(known) if shape is None else shape
    return _behind(graph, value, node)


def _behind(graph: Any, value: Any, node: Any) -> Any:
    (made,) = node.outputs
    made.name = f"{node.name}/output"
    made.type = value.type
    producer = value.producer()
    if producer is not None:
        graph.insert_after(producer, node)
    elif len(graph):
        graph.insert_before(graph[0], node)
    else:
        graph.append(node)
    return made


def follow(node: Any, kind: str, array: np.ndarray[Any, Any] | None, **attributes: Any) -> None:
    """Put `kind(output, array)` between a node's one output and all that reads it."""
    import onnx_ir as ir

    (output,) = node.outputs
    graph = node.graph
    second = [] if array is None else [add_constant(graph, f"{output.name}/constant", array)]
    added = ir.node(kind, [output, *second], attributes, name=f"{node.name}/{kind}")
    (made,) = added.outputs
    made.name = f"{output.name}/{kind}"
    made.type, made.shape = output.type, output.shape
    output.shape = None
    replace(output, made)
    added.replace_input_with(0, output)
    graph.insert_after(node, added)


def add_node(graph: Any, place: Any, kind: str, value: Any, array: np.ndarray[Any, Any]) -> Any:
    """Put `kind(value, array)` in front of a node, under its name; gives the output."""
    import onnx_ir as ir

    second = add_constant(graph, f"{place.name}/constant", array)
    node = ir.node(kind, [value, second], name=place.name)
    (made,) = node.outputs
    made.name = f"{place.outputs[0].name}/{kind}"
    made.type, made.shape = place.outputs[0].type, place.outputs[0].shape
    graph.insert_before(place, node)
    return made


def split(graph: Any, node: Any, sizes: np.ndarray[Any, Any], axis: int) -> list[Any]:
    """Put a Split behind a node's one output, for nobody to read yet; gives its outputs."""
    import onnx_ir as ir

    (whole,) = node.outputs
    second = add_constant(graph, f"{whole.name}/split", sizes)
    count = len(sizes)
    added = ir.node(
        "Split", [whole, second], {"axis": axis}, num_outputs=count, name=f"{node.name}/Split"
    )
    for index, made in enumerate(added.outputs):
        made.name = f"{whole.name}/part_{index}"
        made.type = whole.type
    graph.insert_after(node, added)
    return list(added.outputs)


def only_reader(graph: Any, node: Any) -> Any:
    """Give the one node that reads a node's first output, if nothing else does."""
    value = node.outputs[0]
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output() or uses[0].node.graph is not graph:
        return None
    return uses[0].node


def replace(old: Any, new: Any) -> None:
    """Let everything that reads `old`, the graph's outputs too, read `new`."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)


def attribute(node: Any, name: str, default: Any) -> Any:
    """Give an attribute's value, or what it is where the node does not say."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def bodies(node: Any) -> Iterator[Any]:
    """Give the graphs inside of a node: a loop's body, an If's branches."""
    import onnx_ir as ir

    for found in node.attributes.values():
        if found.type == ir.AttributeType.GRAPH:
            yield found.as_graph()


def set_attribute(node: Any, name: str, value: Any) -> None:
    """Set an attribute, or drop it where the value is None."""
    import onnx_ir as ir

    node.attributes.pop(name, None)
    if value is not None:
        node.attributes.add(ir.convenience.convert_attribute(name, value))


def set_input(graph: Any, node: Any, index: int, array: np.ndarray[Any, Any]) -> None:
    """Give a node a constant of its own as an input, at the end if it has no such input."""
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    old = node.inputs[index]
    name = old.name if old is not None else f"{node.name}/constant"
    node.replace_input_with(index, add_constant(graph, f"{name}/turned", array))


def turn_input(graph: Any, node: Any, index: int, axis: int, order: np.ndarray[Any, Any]) -> None:
    """Give a node its constant input in another order along an axis.

    It is put in order when it is written: a copy of the largest matrix of a model waits for long.
    """
    import onnx_ir as ir

    old = node.inputs[index]
    tensor = old.const_value
    turned = ir.LazyTensor(
        lambda: ir.tensor(np.take(tensor.numpy(), order, axis=axis), name=turned.name),
        dtype=tensor.dtype,
        shape=tensor.shape,
        name=f"{old.name}/turned",
    )
    node.replace_input_with(index, add_tensor(graph, turned))
