"""Attention of few queries over many candidates, in the order that multiplies least.

`softmax(q (x W + b)ᵀ)` is `softmax((q Wᵀ) xᵀ)`: what `b` adds is the same for every candidate of
a query, and a softmax does not see it. With one query the candidates are then never projected.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant, rank, sizes


def reorder(model: Any) -> None:
    """Apply it to each softmax over scores of projected candidates; same up to rounding."""
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.op_type == "Softmax" and not node.domain:
                _reorder(graph, node)


def _reorder(graph: Any, softmax: Any) -> None:
    axis = softmax.attributes.get("axis")
    scores = softmax.inputs[0].producer()
    if rank(softmax.inputs[0]) != 3 or not (axis is None or axis.as_int() in (-1, 2)):
        return
    if not _alone(graph, scores, softmax, "MatMul"):
        return
    turned = scores.inputs[1].producer()
    if not _alone(graph, turned, scores, "Transpose") or _perm(turned) != (0, 2, 1):
        return
    product = reader = turned.inputs[0].producer()
    if _alone(graph, product, turned, "Add"):
        # A bias of one number a column; anything else differs between candidates.
        bias, found = constant(product.inputs[1]), product.inputs[0].producer()
        if bias is None:
            bias, found = constant(product.inputs[0]), product.inputs[1].producer()
        if bias is None or bias.size != bias.shape[-1]:
            return
        product = found
    else:
        reader = turned
    weight = None if product is None else constant(product.inputs[1])
    if weight is None or weight.ndim != 2 or not _alone(graph, product, reader, "MatMul"):
        return
    if _saves(sizes(scores.inputs[0])[1], sizes(turned.inputs[0])[1], weight.shape):
        _write(graph, scores, turned, product, weight)


def _alone(graph: Any, node: Any, reader: Any, kind: str) -> bool:
    """Tell whether a node is of a kind and read by this reader only."""
    if node is None or node.op_type != kind or node.domain:
        return False
    return graphs.only_reader(graph, node) is reader


def _perm(node: Any) -> tuple[int, ...] | None:
    perm = node.attributes.get("perm")
    return None if perm is None else tuple(perm.as_ints())


def _saves(queries: int | None, candidates: int | None, weight: tuple[int, ...]) -> bool:
    """Compare the multiplications; where the candidates' number is free, one query is few."""
    if queries is None or candidates is None:
        return queries == 1
    depth, units = weight
    projected = candidates * depth * units + queries * units * candidates
    return queries * units * depth + queries * depth * candidates < projected


def _write(graph: Any, scores: Any, turned: Any, product: Any, weight: Any) -> None:
    """Multiply the query by the weights, and the candidates as they are by that."""
    query = scores.inputs[0]
    x = product.inputs[0]
    graphs.set_input(graph, product, 1, np.ascontiguousarray(weight.T))
    product.replace_input_with(0, query)
    made = product.outputs[0]
    made.shape = None
    turned.replace_input_with(0, x)
    turned.outputs[0].shape = None
    scores.replace_input_with(0, made)
    graph.sort()
