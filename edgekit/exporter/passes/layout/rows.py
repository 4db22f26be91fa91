"""Matrix products with a bias on `(batch * steps, depth)`: one Gemm instead of MatMul and Add.

ONNX's Gemm, and an engine's kernel for product, bias and activation in one, take two axes. A
tensor `(batch, steps, depth)` is stored as its rows where that saves more than the Reshapes that
it needs; a Transformer stays so from block to block.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.arrangement import Arrangement, Direction, elements
from edgekit.exporter.passes.layout.forms import BROADCASTING, UNARY, Form, constant, rank, sizes

#: What it takes to run a node however small its tensor is, in elements that are added meanwhile.
NODE_COST = 12000


def arrange(model: Any) -> None:
    """Store tensors as rows where it pays, and make products with a bias Gemms."""
    for graph in list(model.graphs()):
        graph.sort()
        Arrangement(graph, Rows()).apply()
        graph.sort()
        for node in list(graph):
            if node.op_type == "Add" and not node.domain and node.graph is graph:
                _gemm(graph, node)


class Rows:
    """The order in which a tensor of three axes is stored as the rows of a matrix."""

    eager = True

    def form(self, node: Any) -> Form | None:
        """Give the form of a node that computes row by row."""
        if node.domain:
            return None
        if node.op_type in UNARY | BROADCASTING:
            return _numberwise(node)
        if node.op_type in ("LayerNormalization", "Softmax"):
            return _over_depth(node)
        if node.op_type == "MatMul":
            weight = constant(node.inputs[1])
            known = self.concerns(node.inputs[0]) and self.concerns(node.outputs[0])
            return Form((0,), (0,)) if weight is not None and weight.ndim == 2 and known else None
        return self._reshape(node) if node.op_type == "Reshape" else None

    def _reshape(self, node: Any) -> Form | None:
        """Other axes of the same numbers: rows take them, or come from them, as well."""
        data, made = node.inputs[0], node.outputs[0]
        if constant(node.inputs[1]) is None or rank(made) is None or rank(data) is None:
            return None
        if self.concerns(data) and sizes(made).count(None) == 1 and _same_batch(data, made):
            shape = [-1 if size is None else size for size in sizes(made)]
            return Form((0,), (), constants={1: np.array(shape, np.int64)})
        if self.concerns(made) and _same_batch(data, made):
            return Form((), (0,), constants={1: np.array([-1, sizes(made)[2]], np.int64)})
        return None

    def direction(self, node: Any) -> Direction | None:
        """There are no conversions in a model that has not been arranged."""
        return None

    def concerns(self, value: Any) -> bool:
        """Three axes, only the batch free, and that under a name."""
        return rank(value) == 3 and _batch(value) is not None and None not in sizes(value)[1:]

    def cost(self, value: Any) -> int:
        """A Reshape copies nothing."""
        return NODE_COST

    def gain(self, node: Any) -> int:
        """An Add that goes into the product."""
        bias = _bias(node) if node.op_type == "MatMul" else None
        return 0 if bias is None else NODE_COST + elements(node.outputs[0])

    def stored(self, shape: Any) -> Any:
        """The depth, and how many rows there are at any batch size."""
        import onnx_ir as ir

        return ir.Shape([None, shape[2]])

    def store(self, graph: Any, value: Any) -> Any:
        """A Reshape."""
        return graphs.reshape(graph, value, [-1, sizes(value)[2] or -1])

    def restore(self, graph: Any, value: Any, shape: Any) -> Any:
        """A Reshape."""
        return graphs.reshape(graph, value, [-1, *shape[1:]], shape)


def _batch(value: Any) -> str | None:
    """Give the name of a free first axis."""
    first = value.shape[0]
    return None if isinstance(first, int) else first.value


def _same_batch(data: Any, made: Any) -> bool:
    """Tell whether a Reshape keeps the batch apart: what it moves is the same for each sample."""
    inner = [math.prod(size or 0 for size in sizes(value)[1:]) for value in (data, made)]
    return inner[0] == inner[1] != 0


def _numberwise(node: Any) -> Form | None:
    """Number by number, with constants that are the same for every row."""
    (made,) = node.outputs if len(node.outputs) == 1 else (None,)
    rows = Rows()
    if made is None or not rows.concerns(made):
        return None
    turned, constants = [], {}
    for index, value in enumerate(node.inputs):
        array = constant(value)
        if value is None or (array is not None and array.size == 1 and array.ndim < 3):
            continue
        if array is None:
            if rank(value) == 0:
                continue
            if rank(value) != 3 or list(value.shape) != list(made.shape):
                return None
            turned.append(index)
        elif array.size == array.shape[-1]:
            constants[index] = array.reshape(-1)
        else:
            return None
    return Form(tuple(turned), (0,), constants=constants) if turned else None


def _over_depth(node: Any) -> Form | None:
    """A LayerNormalization or Softmax over the last axis, with one output that is read."""
    rows = Rows()
    last = graphs.attribute(node, "axis", -1) in (-1, 2)
    if not last or len(node.outputs) > 1 or not rows.concerns(node.inputs[0]):
        return None
    parameters = [constant(value) for value in node.inputs[1:]]
    if not rows.concerns(node.outputs[0]) or any(p is None or p.ndim != 1 for p in parameters):
        return None
    return Form((0,), (0,), {"axis": -1})


def _bias(product: Any) -> Any:
    """Give the Add of a constant for each column that alone reads a product."""
    (made,) = product.outputs
    uses = list(made.uses())
    if len(uses) != 1 or made.is_graph_output() or uses[0].node.op_type != "Add":
        return None
    add = uses[0].node
    array = constant(add.inputs[1 - uses[0].idx])
    depth = sizes(made)[-1] if rank(made) else None
    fits = array is not None and array.size == array.shape[-1:].count(depth) * (depth or 0)
    return add if add.graph is product.graph and fits and array is not None and array.size else None


def _gemm(graph: Any, add: Any) -> None:
    """Write MatMul and Add on two axes as one Gemm."""
    for product, bias in (add.inputs, reversed(add.inputs)):
        node = None if product is None else product.producer()
        if node is None or node.op_type != "MatMul" or node.domain or node.graph is not graph:
            continue
        weight = constant(node.inputs[1])
        if (
            rank(node.inputs[0]) != 2
            or weight is None
            or weight.ndim != 2
            or _bias(node) is not add
        ):
            continue
        array = constant(bias)
        if array is None:
            continue
        node.op_type = "Gemm"
        node.resize_inputs(3)
        if array.ndim == 1:
            node.replace_input_with(2, bias)
        else:
            graphs.set_input(graph, node, 2, array.reshape(-1))
        made = add.outputs[0]
        product.shape, product.type = made.shape, made.type
        graphs.replace(made, product)
        graph.remove(add, safe=True)
        return
