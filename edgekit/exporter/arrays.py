"""Arrays of tensors that Python code wrote step by step, with no loop in the graph.

tf2onnx knows a TensorArray only as what a loop makes. One whose places are all written at constant
indices is a Pack of what was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST_OPS = {"TensorListReserve", "TensorListSetItem", "TensorListStack", "TensorListGetItem"}


def unroll(graph_def: Any) -> None:
    """Replace reads of such arrays in a frozen graph by what was written; others stay."""
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op not in ("TensorListStack", "TensorListGetItem"):
            continue
        items = _written(nodes, node.input[0])
        if items is None:
            continue
        kind = node.attr["element_dtype"].type
        index = _scalar(nodes, node.input[1]) if node.op == "TensorListGetItem" else None
        if node.op == "TensorListStack":
            if sorted(items) != list(range(len(items))) or not items:
                continue
            _become(node, "Pack", [items[i] for i in range(len(items))], kind)
            node.attr["N"].i, node.attr["axis"].i = len(items), 0
        elif index in items:
            _become(node, "Identity", [items[index]], kind)
    _drop_unread(graph_def)


def _written(nodes: Mapping[str, Any], name: str) -> dict[int, str] | None:
    """Give what an array holds by index; None where a place is written at no constant index."""
    items: dict[int, str] = {}
    while (node := nodes[_producer(name)]).op != "TensorListReserve":
        if node.op == "Identity":
            name = node.input[0]
            continue
        index = _scalar(nodes, node.input[1]) if node.op == "TensorListSetItem" else None
        if index is None:
            return None
        items.setdefault(index, node.input[2])
        name = node.input[0]
    count = _scalar(nodes, node.input[1])
    return items if count == len(items) or count is None else None


def _become(node: Any, op: str, inputs: list[str], kind: Any) -> None:
    shapes = node.attr["_output_shapes"]
    name = node.name
    node.Clear()
    node.name, node.op = name, op
    node.input.extend(inputs)
    node.attr["T"].type = kind
    if shapes.list.shape:
        node.attr["_output_shapes"].CopyFrom(shapes)


def _scalar(nodes: Mapping[str, Any], name: str) -> int | None:
    import tensorflow as tf

    node = nodes[_producer(name)]
    return int(tf.make_ndarray(node.attr["value"].tensor)) if node.op == "Const" else None


def _producer(name: str) -> str:
    return name.removeprefix("^").partition(":")[0]


def _drop_unread(graph_def: Any) -> None:
    """Remove the arrays that nothing reads any more."""
    while True:
        read = {_producer(name) for node in graph_def.node for name in node.input}
        dead = [n for n in graph_def.node if n.op in LIST_OPS and n.name not in read]
        if not dead:
            return
        for node in dead:
            graph_def.node.remove(node)
