"""Which nodes of a graph compute on tensors that are stored otherwise, so that it costs least.

An `Order` says how a tensor can be stored otherwise and what that costs; nothing here knows which.
The choice is a cheapest cut of a network whose edges are tensors that may have to be converted.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Protocol

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.cut import NEVER, Network
from edgekit.exporter.passes.layout.forms import Form, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The length that a free axis counts for; the batch counts for one.
FREE_LENGTH = 32


class Direction(enum.Enum):
    """Where a node that only converts leads: to what the order stores, or from it."""

    TO = enum.auto()
    FROM = enum.auto()
    EITHER = enum.auto()


class Order(Protocol):
    """Another way to store tensors."""

    #: Whether a node that could as well stay as it is changes: convolutions fuse with neighbours.
    eager: bool

    def form(self, node: Any) -> Form | None:
        """Give a node's form on tensors that are stored so, None where it has none."""

    def direction(self, node: Any) -> Direction | None:
        """Tell whether a node is a conversion, and where to."""

    def concerns(self, value: Any) -> bool:
        """Tell whether a value can be stored so."""

    def cost(self, value: Any) -> int:
        """Give what a conversion of the value costs, in elements that are moved."""

    def gain(self, node: Any) -> int:
        """Give what a node saves in its form."""

    def stored(self, shape: Any) -> Any:
        """Give the shape of what is stored so."""

    def store(self, graph: Any, value: Any) -> Any:
        """Add a conversion behind what makes `value`; gives its output."""

    def restore(self, graph: Any, value: Any, shape: Any) -> Any:
        """Add a conversion back to `shape` behind what makes `value`; gives its output."""


class Arrangement:
    """The choice, for one graph and one order, of the nodes that compute in that order.

    A tensor is logical as the graph has it, and physical in the order that `perm` undoes.
    """

    def __init__(self, graph: Any, order: Order) -> None:
        self.graph = graph
        self.order = order
        self.forms: dict[Any, Form] = {}
        for node in graph:
            if not order.direction(node) and (found := order.form(node)) is not None:
                self.forms[node] = found
        self.directions = {node: self._direction(node) for node in graph}
        self.turned: dict[Any, Any] = {}
        self.physical: dict[Any, Any] = {}
        self.logical: dict[Any, Any] = {}

    def _direction(self, node: Any) -> Direction | None:
        """Tell where a conversion leads; one that undoes itself ends behind nodes that change."""
        found = self.order.direction(node)
        if found != Direction.EITHER:
            return found
        readers = [use.node for use in node.outputs[0].uses()]
        ends = node.inputs[0].producer() in self.forms
        ends = ends and not any(reader in self.forms for reader in readers)
        return Direction.TO if ends else Direction.FROM

    def apply(self) -> None:
        """Choose the nodes to change, and change them."""
        chosen = self._choose()
        for node in list(self.graph):
            if self.directions[node] == Direction.TO:
                self._absorb(node)
                continue
            changed = self.forms[node] if node in chosen else Form()
            for index, value in enumerate(node.inputs):
                if index in changed.inputs:
                    node.replace_input_with(index, self._physical(value))
                elif value in self.turned:
                    node.replace_input_with(index, self._logical(value))
            if self.directions[node] == Direction.FROM:
                self.physical[node.outputs[0]] = node.inputs[0]
            self._change(node, changed)
        self._put_back()

    def _change(self, node: Any, changed: Form) -> None:
        for name, setting in changed.attributes.items():
            graphs.set_attribute(node, name, setting)
        for index, array in changed.constants.items():
            graphs.set_input(self.graph, node, index, array)
        for index in changed.outputs:
            value = node.outputs[index]
            self.turned[value] = value.shape
            value.shape = self.order.stored(value.shape)
        if changed.after is not None:
            changed.after(node)

    def _absorb(self, node: Any) -> None:
        """What is converted already others may read too."""
        (x,), (y,) = node.inputs, node.outputs
        if x in self.turned or x in self.physical:
            node.op_type = "Identity"
            node.attributes.clear()
            node.replace_input_with(0, self._physical(x))
        else:
            self.physical[x] = y

    def _physical(self, value: Any) -> Any:
        if value in self.turned:
            return value
        if value not in self.physical:
            self.physical[value] = self.order.store(self.graph, value)
        return self.physical[value]

    def _logical(self, value: Any) -> Any:
        if value not in self.logical:
            self.logical[value] = self.order.restore(self.graph, value, self.turned[value])
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

    # The network: the source's side computes as the graph has it, the sink's in the order.

    def _choose(self) -> set[Any]:
        self.network = network = Network()
        self.as_is, self.changed = network.node(), network.node()
        self.numbers = {node: network.node() for node in self.forms}
        for value in self._values():
            self._connect(value)
        for node, number in self.numbers.items():
            if gain := self.order.gain(node):
                network.edge(number, self.changed, gain)
            if not self.order.eager:
                network.edge(self.as_is, number, 1)
        # What is linked with no conversion and no gain stays.
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
        if not self.order.concerns(value):
            return
        cost = self.order.cost(value)
        network = self.network
        # One conversion serves all readers that want the other order than it is made in.
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
        return self.changed if self.directions[node] == Direction.FROM else self.as_is

    def _readers(self, value: Any) -> list[int]:
        found = [self.as_is] if value.is_graph_output() else []
        for node, index in value.uses():
            if node in self.forms and index in self.forms[node].inputs:
                found.append(self.numbers[node])
            elif self.directions.get(node) == Direction.TO:
                found.append(self.changed)
            else:
                found.append(self.as_is)
        return found


def elements(value: Any) -> int:
    """Count a tensor's numbers; the batch counts for one."""
    total = 1
    for axis, size in enumerate(sizes(value)):
        total *= size if size is not None else (1 if axis == 0 else FREE_LENGTH)
    return total
