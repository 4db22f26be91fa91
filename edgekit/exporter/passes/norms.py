"""Root mean square normalisation, as the operator or as what onnxruntime fuses into its kernel.

Keras, and the models that write it themselves, square by a product and multiply by a reciprocal;
onnxruntime looks for a Pow and a Div, with the scale last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.exporter.passes.layout import graphs, infer_shapes
from edgekit.exporter.passes.layout.forms import constant, rank, sizes

OPSET = 23


def name(model: Any) -> None:
    """Rewrite each normalisation of the last axis; one without a scale gets ones."""
    found = [node for graph in model.graphs() for node in graph if node.op_type == "ReduceMean"]
    if not found:
        return
    infer_shapes(model)
    for node in found:
        if node.graph is not None:
            _rewrite(node.graph, node, model.opset_imports[""])


def _rewrite(graph: Any, mean: Any, opset: int) -> None:
    x = _squared(mean.inputs[0].producer())
    inverse = None if x is None or not _of_last_axis(mean, x) else _inverse_root(graph, mean)
    depth = None if x is None or not rank(x) else sizes(x)[-1]
    if inverse is None or depth is None:
        return
    root, epsilon = inverse
    last, scale = _scaled(graph, root, x, depth)
    if last is None or x.dtype is None or x.dtype.name not in ("FLOAT", "FLOAT16"):
        return
    ones = np.ones(depth, x.dtype.numpy())
    weight = graphs.add_constant(graph, f"{last.name}/scale", ones) if scale is None else scale
    _write(graph, last, x, weight, epsilon, opset)


def _squared(node: Any) -> Any:
    if node is None or node.op_type not in ("Mul", "Pow") or node.domain:
        return None
    x, other = node.inputs
    two = constant(other)
    square = other is x if node.op_type == "Mul" else two is not None and _number(two) == 2
    return x if square else None


def _of_last_axis(mean: Any, x: Any) -> bool:
    given = mean.attributes.get("axes")
    axes = constant(mean.inputs[1]) if len(mean.inputs) > 1 else given and given.as_ints()
    keep = mean.attributes.get("keepdims")
    if axes is None or len(axes) != 1 or (keep is not None and not keep.as_int()):
        return False
    axis, last = int(axes[0]), (rank(x) or 0) - 1
    return last >= 0 and axis in (-1, last)


def _inverse_root(graph: Any, mean: Any) -> tuple[Any, float] | None:
    """Give the node that multiplies or divides by the root, `Reciprocal` or `Sqrt`, and epsilon."""
    added = graphs.only_reader(graph, mean)
    if added is None or added.op_type != "Add":
        return None
    numbers = [array for value in added.inputs if (array := constant(value)) is not None]
    root = graphs.only_reader(graph, added)
    if len(numbers) != 1 or numbers[0].size != 1 or root is None or root.op_type != "Sqrt":
        return None
    after = graphs.only_reader(graph, root)
    inverted = after is not None and after.op_type == "Reciprocal"
    return after if inverted else root, _number(numbers[0])


def _scaled(graph: Any, root: Any, x: Any, depth: int) -> tuple[Any, Any]:
    """Give the last node of the normalisation, and its scale (None: it has none)."""
    reader = graphs.only_reader(graph, root)
    if reader is None:
        return None, None
    (r,) = root.outputs
    if root.op_type == "Sqrt":
        divides = reader.op_type == "Div" and list(reader.inputs) == [x, r]
        return _then_scaled(graph, reader, depth) if divides else (None, None)
    if reader.op_type != "Mul":
        return None, None
    if x in reader.inputs:
        return _then_scaled(graph, reader, depth)
    scale = next(value for value in reader.inputs if value is not r)
    last = graphs.only_reader(graph, reader)
    whole = last is not None and last.op_type == "Mul" and {*last.inputs} == {x, *reader.outputs}
    weight = _scale(graph, scale, depth) if whole else None
    return (last, weight) if weight is not None else (None, None)


def _then_scaled(graph: Any, normalised: Any, depth: int) -> tuple[Any, Any]:
    last = graphs.only_reader(graph, normalised)
    if last is None or last.op_type != "Mul":
        return normalised, None
    scale = next((v for v in last.inputs if v is not normalised.outputs[0]), None)
    weight = None if scale is None else _scale(graph, scale, depth)
    return (last, weight) if weight is not None else (normalised, None)


def _scale(graph: Any, value: Any, depth: int) -> Any:
    """Give a constant of the last axis as a vector."""
    array = constant(value)
    if array is None or array.size != depth or array.shape[-1:] != (depth,):
        return None
    if array.ndim == 1:
        return value
    return graphs.add_constant(graph, f"{value.name}/scale", array.reshape(-1))


def _write(graph: Any, last: Any, x: Any, scale: Any, epsilon: float, opset: int) -> None:
    import onnx_ir as ir

    made: list[Any] = []

    def add(kind: str, *inputs: Any, **attributes: Any) -> Any:
        node = ir.node(kind, inputs, attributes, name=f"{last.name}/{kind}")
        (value,) = node.outputs
        value.name, value.dtype = f"{last.outputs[0].name}/{kind}", x.dtype
        made.append(node)
        return value

    def number(value: float) -> Any:
        return graphs.add_constant(graph, f"{last.name}/constant", np.array(value, x.dtype.numpy()))

    if opset >= OPSET:
        y = add("RMSNormalization", x, scale, axis=-1, epsilon=epsilon)
    else:
        axes = {"axes": [-1]} if opset < 18 else {}
        given = [] if axes else [graphs.add_constant(graph, f"{last.name}/axes", np.array([-1]))]
        mean = add("ReduceMean", add("Pow", x, number(2)), *given, keepdims=1, **axes)
        root = add("Sqrt", add("Add", mean, number(epsilon)))
        y = add("Mul", add("Div", x, root), scale)
    for node in made:
        graph.insert_before(last, node)
    y.shape, y.type = last.outputs[0].shape, last.outputs[0].type
    graphs.replace(last.outputs[0], y)


def _number(array: np.ndarray[Any, Any]) -> float:
    return float(array.reshape(-1)[0]) if array.size == 1 else float("nan")
