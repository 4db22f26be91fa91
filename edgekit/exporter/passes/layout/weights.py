"""A Flatten in front of a Dense, or a Reshape behind one: the weights turn instead of the tensor.

Flattened data in another order are the same numbers at other places of one long axis. If all that
meets them up to a product of matrices is computed number by number, the rows of the matrix, and
constants on the way, can take that order once and for all; likewise the columns of a matrix whose
product is reshaped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout import forms, graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: A node, the index of its constant input, the constant's axis that turns, and its new order.
Edit = tuple[Any, int, int, np.ndarray[Any, Any]]


def flattened(node: Any, perm: Sequence[int]) -> Callable[[Any], None] | None:
    """Give what changes the weights behind a Flatten of data in the order `perm`."""
    data, made = node.inputs[0], node.outputs[0]
    order = _places(data, made, perm)
    edits = None if order is None else _forward(made, order)
    return None if edits is None else lambda _: _apply(edits)


def unflattened(node: Any, perm: Sequence[int]) -> Callable[[Any], None] | None:
    """Give what changes the weights in front of a Reshape to data in the order `perm`."""
    data, made = node.inputs[0], node.outputs[0]
    order = _places(made, data, perm)
    edits = None if order is None else _backward(data, node, order)
    return None if edits is None else lambda _: _apply(edits)


def _places(data: Any, flat: Any, perm: Sequence[int]) -> np.ndarray[Any, Any] | None:
    """Give the place in `flat`, `(batch, all)`, of each number of `data` as it is stored."""
    if forms.rank(data) != len(perm) or forms.rank(flat) != 2 or perm[0] != 0:
        return None
    lengths = [size for size in forms.sizes(data)[1:] if size is not None]
    if len(lengths) < len(perm) - 1 or forms.sizes(flat)[1] != math.prod(lengths):
        return None
    places = np.arange(math.prod(lengths)).reshape(lengths)
    return places.transpose([axis - 1 for axis in forms.inverse(perm)[1:]]).reshape(-1)


def _forward(flat: Any, order: np.ndarray[Any, Any]) -> list[Edit] | None:
    edits: list[Edit] = []
    waiting = [flat]
    while waiting:
        value = waiting.pop()
        if value.is_graph_output() or not value.uses():
            return None
        for node, index in value.uses():
            found = list(_product(node, index, order)) or _numberwise(node, order)
            if found is None:
                return None
            edits.extend(found)
            if node.op_type not in ("MatMul", "Gemm"):
                waiting.extend(node.outputs)
    return edits


def _product(node: Any, index: int, order: np.ndarray[Any, Any]) -> Iterator[Edit]:
    """Turn the rows of the matrix of a product, which ends the way."""
    matrix = forms.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if index != 0 or matrix is None or matrix.ndim != 2:
        return
    if node.op_type == "MatMul":
        yield node, 1, 0, order
    elif node.op_type == "Gemm" and not graphs.attribute(node, "transA", 0):
        yield node, 1, 1 if graphs.attribute(node, "transB", 0) else 0, order


def _numberwise(node: Any, order: np.ndarray[Any, Any]) -> list[Edit] | None:
    if node.op_type not in forms.UNARY | forms.BROADCASTING or node.domain:
        return None
    found: list[Edit] = []
    moving = 0
    for index, value in enumerate(node.inputs):
        array = forms.constant(value)
        if value is None or (array is not None and array.size == 1):
            continue
        if array is None:
            moving += 1
        elif array.ndim <= 2 and array.shape[-1] == len(order):
            found.append((node, index, -1, order))
        else:
            return None
    return found if moving == 1 else None


def _backward(flat: Any, reader: Any, order: np.ndarray[Any, Any]) -> list[Edit] | None:
    edits: list[Edit] = []
    value = flat
    while True:
        node = value.producer()
        if (
            node is None
            or value.is_graph_output()
            or any(u.node is not reader for u in value.uses())
        ):
            return None
        if node.op_type in ("MatMul", "Gemm") and not node.domain:
            found = _columns(node, order)
            return None if found is None else [*edits, *found]
        found = _numberwise(node, order)
        if found is None:
            return None
        edits.extend(found)
        reader = node
        value = next(v for v in node.inputs if v is not None and forms.constant(v) is None)


def _columns(node: Any, order: np.ndarray[Any, Any]) -> list[Edit] | None:
    """Turn the columns of a product's matrix, and its bias."""
    matrix = forms.constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2:
        return None
    edits: list[Edit] = [(node, 1, 0 if graphs.attribute(node, "transB", 0) else 1, order)]
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        bias = forms.constant(node.inputs[2])
        if bias is None or bias.ndim == 0 or bias.shape[-1] not in (1, len(order)):
            return None
        if bias.shape[-1] != 1:
            edits.append((node, 2, -1, order))
    return edits


def _apply(edits: Sequence[Edit]) -> None:
    for node, index, axis, order in edits:
        graphs.turn_input(node.graph, node, index, axis, order)
