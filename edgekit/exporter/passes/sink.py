"""What only one branch of an If reads is computed in that branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.exporter.passes.layout import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator


def sink(model: Any) -> None:
    """Move nodes into the bodies of If nodes; ensures that a branch not taken costs nothing.

    It also ensures that such a branch cannot fail: its shapes may not fit when it is not taken.
    """
    for node in reversed(list(model.graph.all_nodes())):
        if node.op_type == "If":
            for name in ("then_branch", "else_branch"):
                _sink_into(node, node.attributes[name].as_graph())


def _sink_into(node: Any, body: Any) -> None:
    inside = {id(inner) for inner in _nodes(body)}
    for candidate in _before(node):
        uses = [use.node for value in candidate.outputs for use in value.uses()]
        kept = any(value.is_graph_output() for value in candidate.outputs)
        if not uses or kept or any(id(user) not in inside for user in uses):
            continue
        candidate.graph.remove(candidate)
        first = next(iter(body), None)
        if first is None:
            body.append(candidate)
        else:
            body.insert_before(first, candidate)
        inside.add(id(candidate))
        inside.update(id(inner) for graph in graphs.bodies(candidate) for inner in _nodes(graph))


def _before(node: Any) -> list[Any]:
    """Give the nodes ahead of one in its graph, the last first."""
    nodes = list(node.graph)
    return nodes[: nodes.index(node)][::-1]


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph:
        yield node
        for body in graphs.bodies(node):
            yield from _nodes(body)
