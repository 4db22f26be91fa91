"""Transposes only where they have to be: each tensor is stored in the order that costs least.

TensorFlow keeps channels last, ONNX's convolutions take them first, so a converted model has a
Transpose before and after each. Most nodes between two convolutions compute the same in either
order (`forms` says which, and how they change). For each order in the model, `arrangement` gives
every such node the order of its tensors so that what is left to transpose is as little as can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.arrangement import Arrangement, Direction, elements
from edgekit.exporter.passes.layout.forms import constant, form, inverse, rank, sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.exporter.passes.layout.forms import Form

#: What a Transpose costs however small its tensor is, in elements.
NODE_COST = 1000


def arrange(model: Any) -> None:
    """Move, merge and drop Transposes; the model computes the same.

    Ensures that shapes of inner values are inferred or unknown, none left from elsewhere.
    """
    infer_shapes(model)
    tidy(model)
    for perm in _orders(model):
        for graph in list(model.graphs()):
            Arrangement(graph, Transposed(perm)).apply()
        tidy(model)
    for graph in model.graphs():
        _copy_less(graph)


def infer_shapes(model: Any, given: Mapping[Any, Any] | None = None) -> None:
    """Forget the shapes of inner values, which tf2onnx does not always get right; infer them.

    The shapes that are `given`, by value, are taken as they are.
    """
    from onnx_ir.passes import common

    for graph in model.graphs():
        for node in graph:
            for value in node.outputs:
                value.shape = (given or {}).get(value)
    # Inference goes by name, and a layer that is called twice names its values alike.
    common.NameFixPass()(model)
    common.ShapeInferencePass(check_type=False, strict_mode=False)(model)


def tidy(model: Any) -> None:
    """Make one Transpose of two in a row, none of one that changes nothing; turn constants."""
    from onnx_ir.passes import common

    common.IdentityEliminationPass()(model)
    for graph in list(model.graphs()):
        graph.sort()
        for node in list(graph):
            if order_of(node) is not None:
                _merge(graph, node)
        _drop_unread(graph)


def _merge(graph: Any, node: Any) -> None:
    (x,), (y,) = node.inputs, node.outputs
    perm = order_of(node) or ()
    array = constant(x)
    # An output of the graph stays a value of its own.
    if array is not None and not y.is_graph_output():
        turned = graphs.add_constant(graph, f"{x.name}/transposed", array.transpose(perm))
        graphs.replace(y, turned)
        return
    before = x.producer()
    first = None if before is None else order_of(before)
    if before is not None and first is not None:
        perm = tuple(first[axis] for axis in perm)
        x = before.inputs[0]
        node.replace_input_with(0, x)
        graphs.set_attribute(node, "perm", list(perm))
    if perm == tuple(range(len(perm))) and not y.is_graph_output():
        graphs.replace(y, x)


def _copy_less(graph: Any) -> None:
    """Write a Transpose that moves only axes of length 1 as a Reshape, which copies nothing."""
    for node in graph:
        perm, (y, *_) = order_of(node), node.outputs
        if perm is None or y.shape is None or rank(node.inputs[0]) is None:
            continue
        moved = [axis for axis in perm if sizes(node.inputs[0])[axis] != 1]
        shape = [-1 if size is None else size for size in sizes(y)]
        if moved == sorted(moved) and shape.count(-1) < 2 and 0 not in shape:
            node.op_type = "Reshape"
            graphs.set_attribute(node, "perm", None)
            graphs.set_input(graph, node, 1, np.array(shape, np.int64))


def order_of(node: Any) -> tuple[int, ...] | None:
    """Give a Transpose's permutation; None for any other node."""
    if node.op_type != "Transpose" or node.domain not in ("", "ai.onnx"):
        return None
    attribute = node.attributes.get("perm")
    if attribute is not None:
        return tuple(attribute.as_ints())
    known = rank(node.inputs[0])
    return None if known is None else tuple(reversed(range(known)))


def _drop_unread(graph: Any) -> None:
    for node in reversed(list(graph)):
        (value, *_) = node.outputs
        if node.op_type == "Transpose" and not value.uses() and not value.is_graph_output():
            graph.remove(node, safe=True)


def _orders(model: Any) -> list[tuple[int, ...]]:
    """Give each order in the model, once for both directions."""
    nodes = model.graph.all_nodes()
    found = {order for node in nodes if (order := order_of(node)) is not None}
    return sorted({min(order, inverse(order)) for order in found})


class Transposed:
    """The order in which a tensor `y` is stored as `z`, with `y = Transpose(z, perm)`."""

    def __init__(self, perm: tuple[int, ...]) -> None:
        self.perm = perm
        self.back = inverse(perm)
        self.eager = len(perm) > 3 and perm == (0, *range(2, len(perm)), 1)

    def form(self, node: Any) -> Form | None:
        """Give what `forms` knows."""
        return form(node, self.perm)

    def direction(self, node: Any) -> Direction | None:
        """Read a Transpose; every other one is no node to change either."""
        perm = order_of(node)
        if perm == self.perm:
            return Direction.EITHER if perm == self.back else Direction.FROM
        return Direction.TO if perm == self.back else None

    def concerns(self, value: Any) -> bool:
        """Every tensor with as many axes."""
        return rank(value) == len(self.perm)

    def cost(self, value: Any) -> int:
        """Its size."""
        return elements(value) + NODE_COST

    def gain(self, node: Any) -> int:
        """No node computes faster in one order."""
        return 0

    def stored(self, shape: Any) -> Any:
        """Its axes in the other order."""
        import onnx_ir as ir

        return None if shape is None else ir.Shape([shape[axis] for axis in self.back])

    def store(self, graph: Any, value: Any) -> Any:
        """A Transpose."""
        return graphs.transpose(graph, value, self.back)

    def restore(self, graph: Any, value: Any, shape: Any) -> Any:
        """A Transpose."""
        return graphs.transpose(graph, value, self.perm)
