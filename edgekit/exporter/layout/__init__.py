"""Transposes only where they have to be: each tensor is stored in the order that costs least.

TensorFlow keeps channels last, ONNX's convolutions take them first, so a converted model has a
Transpose before and after each. Most nodes between two convolutions compute the same in either
order (`forms` says which, and how they change). For each order in the model, every such node is
given the order of its tensors so that what is left to transpose is as little as can be: the
cheapest cut of a network in which an edge is a tensor and its cost the tensor's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.layout import graphs
from edgekit.exporter.layout.cut import NEVER, Network
from edgekit.exporter.layout.forms import Form, constant, form, inverse, rank, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: What a node costs however small its tensor is, in elements.
NODE_COST = 1000
#: The length that a free axis counts for; the batch counts for one.
FREE_LENGTH = 32


def arrange(model: Any) -> None:
    """Move, merge and drop Transposes; the model computes the same.

    Ensures that shapes of inner values are inferred or unknown, none left from elsewhere.
    """
    infer_shapes(model)
    tidy(model)
    for perm in _orders(model):
        for graph in list(model.graphs()):
            _Arrangement(graph, perm).apply()
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


class _Arrangement:
    """The choice, for one graph and one order, of the nodes that compute in that order.

    A tensor is logical as the graph has it, and physical in the order that `perm` undoes.
    """

    def __init__(self, graph: Any, perm: tuple[int, ...]) -> None:
        self.graph = graph
        self.perm = perm
        self.back = inverse(perm)
        self.forms: dict[Any, Form] = {}
        for node in graph:
            if order_of(node) is None and (found := form(node, perm)) is not None:
                self.forms[node] = found
        self.turned: dict[Any, None] = {}
        self.physical: dict[Any, Any] = {}
        self.logical: dict[Any, Any] = {}

    def apply(self) -> None:
        """Choose the nodes to change, and change them."""
        chosen = self._choose()
        for node in list(self.graph):
            if self._takes(node):
                self._absorb(node)
                continue
            changed = self.forms[node] if node in chosen else Form()
            for index, value in enumerate(node.inputs):
                if index in changed.inputs:
                    node.replace_input_with(index, self._physical(value))
                elif value in self.turned:
                    node.replace_input_with(index, self._logical(value))
            if self._gives(node):
                self.physical[node.outputs[0]] = node.inputs[0]
            self._change(node, changed)
        self._put_back()

    def _change(self, node: Any, changed: Form) -> None:
        for name, setting in changed.attributes.items():
            graphs.set_attribute(node, name, setting)
        for index, array in changed.constants.items():
            graphs.set_input(self.graph, node, index, array)
        for index in changed.outputs:
            self.turned[node.outputs[index]] = None
            self._reorder_shape(node.outputs[index])
        if changed.after is not None:
            changed.after(node)

    def _reorder_shape(self, value: Any) -> None:
        import onnx_ir as ir

        if value.shape is not None:
            value.shape = ir.Shape([value.shape[axis] for axis in self.back])

    def _absorb(self, node: Any) -> None:
        """A Transpose to the physical order is what others may read too."""
        (x,), (y,) = node.inputs, node.outputs
        if x in self.turned or x in self.physical:
            node.op_type = "Identity"
            graphs.set_attribute(node, "perm", None)
            node.replace_input_with(0, self._physical(x))
        else:
            self.physical[x] = y

    def _physical(self, value: Any) -> Any:
        if value in self.turned:
            return value
        if value not in self.physical:
            self.physical[value] = graphs.transpose(self.graph, value, self.back)
        return self.physical[value]

    def _logical(self, value: Any) -> Any:
        if value not in self.logical:
            self.logical[value] = graphs.transpose(self.graph, value, self.perm)
        return self.logical[value]

    def _put_back(self) -> None:
        """Give the graph's outputs, and the graphs inside of it, what they had."""
        for value in list(self.turned):
            if value.is_graph_output():
                outputs = self.graph.outputs
                for index, output in enumerate(list(outputs)):
                    if output is value:
                        outputs[index] = self._logical(value)
            for node, index in list(value.uses()):
                if node.graph is not self.graph:
                    node.replace_input_with(index, self._logical(value))

    # Which Transposes lead to the physical order, and which from it.

    def _gives(self, node: Any) -> bool:
        perm = order_of(node)
        return perm == self.perm and not (perm == self.back and self._ends(node))

    def _takes(self, node: Any) -> bool:
        perm = order_of(node)
        return perm == self.back and not (perm == self.perm and not self._ends(node))

    def _ends(self, node: Any) -> bool:
        """Tell whether an order that undoes itself ends here, behind nodes that can change."""
        readers = [use.node for use in node.outputs[0].uses()]
        return node.inputs[0].producer() in self.forms and not any(r in self.forms for r in readers)

    # The network: the source's side computes as the graph has it, the sink's in the order.

    def _choose(self) -> set[Any]:
        self.network = network = Network()
        self.as_is, self.changed = network.node(), network.node()
        self.numbers = {node: network.node() for node in self.forms}
        for value in self._values():
            self._connect(value)
        # What is linked with no Transpose gains nothing.
        linked = network.linked(self.changed, without=self.as_is)
        kept = network.source_side(self.as_is, self.changed)
        return {node for node, number in self.numbers.items() if number in linked - kept}

    def _values(self) -> Iterator[Any]:
        yield from self.graph.inputs
        for node in self.graph:
            yield from node.outputs

    def _connect(self, value: Any) -> None:
        readers = self._readers(value)
        maker = self._maker(value)
        if maker == self.as_is and set(readers) <= {self.as_is}:
            return
        if rank(value) != len(self.perm):
            return
        cost = _elements(value) + NODE_COST
        network = self.network
        # One Transpose serves all readers that want the other order than it is made in.
        if any(reader != self.as_is for reader in readers):
            wanted = network.node()
            network.edge(maker, wanted, cost)
            for reader in readers:
                if reader != self.as_is:
                    network.edge(wanted, reader, NEVER)
        if maker != self.as_is and any(reader != self.changed for reader in readers):
            kept = network.node()
            network.edge(kept, maker, cost)
            for reader in readers:
                if reader != self.changed:
                    network.edge(reader, kept, NEVER)

    def _maker(self, value: Any) -> int:
        node = value.producer()
        if node is None:
            return self.as_is
        if node in self.forms:
            made = node.outputs.index(value) in self.forms[node].outputs
            return self.numbers[node] if made else self.as_is
        return self.changed if self._gives(node) else self.as_is

    def _readers(self, value: Any) -> list[int]:
        found = [self.as_is] if value.is_graph_output() else []
        for node, index in value.uses():
            if node in self.forms and index in self.forms[node].inputs:
                found.append(self.numbers[node])
            elif node.graph is self.graph and self._takes(node):
                found.append(self.changed)
            else:
                found.append(self.as_is)
        return found


def _elements(value: Any) -> int:
    total = 1
    for axis, size in enumerate(sizes(value)):
        total *= size if size is not None else (1 if axis == 0 else FREE_LENGTH)
    return total
