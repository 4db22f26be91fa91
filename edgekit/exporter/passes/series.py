"""Convolutions and pools of series, which TensorFlow runs as pictures of height one.

Each has an axis added before it and dropped behind it; ONNX has operators of one spatial axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.exporter.passes.layout import graphs, order_of
from edgekit.exporter.passes.layout.forms import constant

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def flatten(model: Any) -> None:
    """Take the axis of length one out; the model computes the same."""
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.op_type in ("Conv", "MaxPool", "AveragePool") and not node.domain:
                _flatten(graph, node)


def _flatten(graph: Any, node: Any) -> None:
    ahead = node.inputs[0].producer()
    added = None if ahead is None else ahead.inputs[0].producer()
    behind = graphs.only_reader(graph, node)
    dropped = None if behind is None else graphs.only_reader(graph, behind)
    if added is None or dropped is None or len(node.outputs) != 1:
        return
    if order_of(ahead) != FIRST or order_of(behind) != LAST:
        return
    axis = _axis(added, "Unsqueeze")
    if axis not in (1, 2) or _axis(dropped, "Squeeze") != axis:
        return
    height = axis - 1
    changed = _attributes(node, height)
    weight = constant(node.inputs[1]) if node.op_type == "Conv" else None
    if changed is None or (node.op_type == "Conv" and (weight is None or weight.ndim != 4)):
        return
    if weight is not None:
        if weight.shape[2 + height] != 1:
            return
        graphs.set_input(graph, node, 1, weight.squeeze(2 + height))
    for name, setting in changed.items():
        graphs.set_attribute(node, name, setting)
    node.replace_input_with(0, graphs.transpose(graph, added.inputs[0], (0, 2, 1)))
    node.outputs[0].shape = behind.outputs[0].shape = None
    graphs.set_attribute(behind, "perm", [0, 2, 1])
    graphs.replace(dropped.outputs[0], behind.outputs[0])
    graph.remove(dropped, safe=True)


def _axis(node: Any, kind: str) -> int | None:
    """Give the one axis of four that a node adds or drops."""
    if node.op_type != kind or node.domain or len(node.inputs) < 2:
        return None
    axes = constant(node.inputs[1])
    return None if axes is None or np.size(axes) != 1 else int(axes.reshape(())) % 4


def _attributes(node: Any, height: int) -> dict[str, list[int]] | None:
    """Give the attributes without the height's part, or None where that is not idle."""
    changed: dict[str, list[int]] = {}
    for name in ("kernel_shape", "strides", "dilations"):
        attribute = node.attributes.get(name)
        if attribute is not None:
            both = list(attribute.as_ints())
            if len(both) != 2 or (name == "kernel_shape" and both[height] != 1):
                return None
            changed[name] = [both[1 - height]]
    pads = node.attributes.get("pads")
    if pads is not None:
        four = list(pads.as_ints())
        if len(four) != 4 or four[height] or four[2 + height]:
            return None
        changed["pads"] = [four[1 - height], four[3 - height]]
    return changed
