"""Arithmetic with constants, taken into the weights of the product that it stands next to.

A BatchNormalization, a bias, a scale, the Rescaling of an input: each is `x * scale + shift` with
constants for each channel. Behind a convolution or a matrix product, and in front of one, it is a
change of that product's weights and bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.exporter.passes.layout import graphs
from edgekit.exporter.passes.layout.forms import constant, rank

Array = np.ndarray[Any, Any]
CONVOLUTIONS = {"Conv", "ConvTranspose"}
PRODUCTS = {*CONVOLUTIONS, "MatMul", "Gemm"}


@dataclass(frozen=True)
class Affine:
    """`value * scale + shift`, constants in the shape that they broadcast in; None is neither."""

    value: Any
    scale: Array | None
    shift: Array | None


def absorb(model: Any) -> None:
    """Fold what can be folded; the model computes the same up to rounding."""
    for graph in list(model.graphs()):
        for node in list(graph):
            if node.op_type == "Mul" and not node.domain:
                _lift(graph, node)
        for node in list(graph):
            if node.graph is graph and affine(node) is not None:
                _fold_chain(graph, node)


def _lift(graph: Any, node: Any) -> None:
    """Move a multiplication by one number to the other side of what only moves numbers."""
    while (found := affine(node)) is not None and found.scale is not None and found.scale.size == 1:
        mover = found.value.producer()
        if mover is None or mover.op_type not in ("Reshape", "Transpose") or mover.domain:
            return
        if found.scale.ndim > (rank(found.value) or 0) or not _is_moved_for(
            graph, node, found.value
        ):
            return
        x, (made,) = mover.inputs[0], node.outputs
        dtype = _dtype(node)
        number = graphs.add_constant(
            graph, f"{node.name}/constant", found.scale.reshape(()).astype(dtype)
        )
        graphs.replace(made, found.value)
        for index, value in enumerate((x, number)):
            node.replace_input_with(index, value)
        made.shape = x.shape
        mover.replace_input_with(0, made)
        graph.remove(node)
        graph.insert_before(mover, node)


def _is_moved_for(graph: Any, node: Any, value: Any) -> bool:
    """Tell whether what else reads a value reads its shape only."""
    others = [use.node for use in value.uses() if use.node is not node]
    mine = all(other.op_type == "Shape" and other.graph is graph for other in others)
    return mine and not value.is_graph_output()


def _fold_chain(graph: Any, node: Any) -> None:
    """Fold a run of arithmetic that starts at `node` into the product before it, or after it."""
    found = affine(node)
    assert found is not None
    nodes = [node]
    while (reader := graphs.only_reader(graph, nodes[-1])) is not None:
        joined = _joined(found, affine(reader))
        if joined is None:
            break
        found = joined
        nodes.append(reader)
    if not _behind(graph, found, nodes) and not _in_front(graph, found, nodes):
        _write(graph, found, nodes)


def _joined(first: Affine, second: Affine | None) -> Affine | None:
    """Write two in a row as one, unless their constants would multiply each other's size."""
    if second is None:
        return None
    scale, shift = first.scale, first.shift
    if second.scale is not None:
        scale = second.scale if scale is None else scale * second.scale
        shift = None if shift is None else shift * second.scale
    if second.shift is not None:
        shift = second.shift if shift is None else shift + second.shift
    constants = (first.scale, first.shift, second.scale, second.shift)
    given = max(array.size for array in constants if array is not None)
    made = max(array.size for array in (scale, shift) if array is not None)
    return Affine(first.value, scale, shift) if made <= given else None


def affine(node: Any) -> Affine | None:
    """Read a node as multiplication and addition of constants, or answer None."""
    if node.domain or len(node.outputs) != 1:
        return None
    if node.op_type == "BatchNormalization":
        return _normalization(node)
    if node.op_type not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return None
    value, other = node.inputs
    first = constant(value) is not None
    if first:
        value, other = other, value
    array = constant(other)
    if array is None or array.dtype.kind != "f" or constant(value) is not None:
        return None
    return _read(node.op_type, value, array.astype(np.float64), first)


def _read(kind: str, value: Any, array: Array, first: bool) -> Affine | None:
    """Read an operation with one constant, which may come first."""
    if kind == "Add":
        return Affine(value, None, array)
    if kind == "Mul":
        return Affine(value, array, None)
    if kind == "Sub":
        minus = -np.ones((1,) * array.ndim)
        return Affine(value, minus, array) if first else Affine(value, None, -array)
    return None if first or not array.all() else Affine(value, 1 / array, None)


def _normalization(node: Any) -> Affine | None:
    """Read a BatchNormalization, channels on axis 1."""
    known = rank(node.inputs[0])
    arrays = [a for value in node.inputs[1:] if (a := constant(value)) is not None]
    if len(arrays) < 4 or known is None or graphs.attribute(node, "training_mode", 0):
        return None
    gamma, beta, mean, variance = (array.astype(np.float64) for array in arrays)
    scale = gamma / np.sqrt(variance + graphs.attribute(node, "epsilon", 1e-5))
    shape = (-1,) + (1,) * (known - 2)
    return Affine(node.inputs[0], scale.reshape(shape), (beta - mean * scale).reshape(shape))


def _behind(graph: Any, found: Affine, nodes: list[Any]) -> bool:
    """Fold arithmetic into the product that it follows."""
    product = found.value.producer()
    if product is None or not _is_product(product) or graphs.only_reader(graph, product) is None:
        return False
    count = _outputs(product)
    scale, shift = (_by_channel(a, product, count) for a in (found.scale, found.shift))
    if scale is None or shift is None:
        return False
    inputs: dict[int, Array] = {}
    if found.scale is not None:
        inputs[1] = _scaled(product, scale)
    if product.op_type == "MatMul":
        if not inputs or not _set(graph, product, inputs):
            return False
        _write(graph, Affine(product.outputs[0], None, found.shift), nodes, changed=True)
        return True
    bias = _bias(product, count)
    if bias is None:
        return False
    inputs[2] = bias * (1 if found.scale is None else scale) + (0 if found.shift is None else shift)
    if not _set(graph, product, inputs):
        return False
    _remove(graph, nodes, product.outputs[0])
    return True


def _in_front(graph: Any, found: Affine, nodes: list[Any]) -> bool:
    """Fold arithmetic into the product that it leads to; a shift only where nothing is padded."""
    product = graphs.only_reader(graph, nodes[-1])
    if product is None or not _is_product(product) or product.inputs[0] is not nodes[-1].outputs[0]:
        return False
    count = _inputs(product)
    scale, shift = (_by_channel(a, product, count) for a in (found.scale, found.shift))
    if scale is None or shift is None or not scale.all():
        return False
    inputs: dict[int, Array] = {}
    left = found.shift
    if found.shift is not None and product.op_type == "Conv" and not _pads(product):
        bias = _bias(product, _outputs(product))
        if bias is None:
            return False
        inputs[2] = bias + _moved(product, shift)
        left = None
    if found.scale is not None:
        inputs[1] = _scaled(product, scale, inward=True)
        left = None if left is None else left / found.scale
    if left is not None and np.abs(left).max() > np.finfo(_dtype(nodes[0])).max:
        return False
    if not inputs or not _set(graph, product, inputs):
        return False
    _write(graph, Affine(found.value, None, left), nodes, changed=True)
    return True


def _write(graph: Any, found: Affine, nodes: list[Any], *, changed: bool = False) -> None:
    """Write arithmetic as one Mul and one Add at most, where nothing changed if that is fewer."""
    steps = [("Mul", found.scale), ("Add", found.shift)]
    left = [(kind, array) for kind, array in steps if array is not None]
    if len(left) >= len(nodes) and not changed:
        return
    dtype = _dtype(nodes[0])
    value = found.value
    for kind, array in left:
        value = graphs.add_node(graph, nodes[-1], kind, value, array.astype(dtype))
    _remove(graph, nodes, value)


def _dtype(node: Any) -> np.dtype[Any]:
    return next(a.dtype for v in node.inputs if (a := constant(v)) is not None)


def _remove(graph: Any, nodes: list[Any], value: Any) -> None:
    """Let `value` stand for what the nodes made."""
    graphs.replace(nodes[-1].outputs[0], value)
    for node in reversed(nodes):
        graph.remove(node, safe=True)


def _set(graph: Any, node: Any, inputs: dict[int, Array]) -> bool:
    """Set weights in their own dtype; False, and nothing done, where that does not hold them."""
    weight = constant(node.inputs[1])
    assert weight is not None
    with np.errstate(over="ignore"):
        kept = {index: array.astype(weight.dtype) for index, array in inputs.items()}
    if not all(np.isfinite(array.astype(np.float64)).all() for array in kept.values()):
        return False
    for index, array in kept.items():
        graphs.set_input(graph, node, index, array)
    return True


# What is where in a product's weights.


def _is_product(node: Any) -> bool:
    if node.op_type not in PRODUCTS or node.domain:
        return False
    weight = constant(node.inputs[1])
    if weight is None or weight.dtype.kind != "f" or rank(node.inputs[0]) is None:
        return False
    if node.op_type in CONVOLUTIONS:
        return True
    plain = graphs.attribute(node, "transA", 0) == 0 and graphs.attribute(node, "alpha", 1) == 1
    return plain and graphs.attribute(node, "beta", 1) == 1 and weight.ndim == 2


def _pads(node: Any) -> bool:
    automatic = graphs.attribute(node, "auto_pad", "NOTSET")
    return any(graphs.attribute(node, "pads", ())) or automatic not in ("NOTSET", "VALID")


def _axes(node: Any) -> tuple[int, int]:
    """Give the axes of the weights along which a product's inputs and outputs lie."""
    if node.op_type == "Conv" or (node.op_type == "Gemm" and graphs.attribute(node, "transB", 0)):
        return 1, 0
    return 0, 1


def _inputs(node: Any) -> int:
    weight = constant(node.inputs[1])
    assert weight is not None
    groups = graphs.attribute(node, "group", 1) if node.op_type == "Conv" else 1
    return int(weight.shape[_axes(node)[0]] * groups)


def _outputs(node: Any) -> int:
    weight = constant(node.inputs[1])
    assert weight is not None
    groups = graphs.attribute(node, "group", 1) if node.op_type == "ConvTranspose" else 1
    return int(weight.shape[_axes(node)[1]] * groups)


def _by_channel(array: Array | None, node: Any, count: int) -> Array | None:
    """Give one number a channel, or None for constants that vary along another axis."""
    if array is None:
        return np.ones(count)
    axes = rank(node.inputs[0])
    assert axes is not None
    if array.ndim > axes:
        return None
    whole = array.reshape((1,) * (axes - array.ndim) + array.shape)
    channel = 1 if node.op_type in CONVOLUTIONS else axes - 1
    if whole.size not in (1, count) or whole.size != whole.shape[channel]:
        return None
    return np.broadcast_to(whole.reshape(-1), (count,))


def _scaled(node: Any, scale: Array, *, inward: bool = False) -> Array:
    """Scale the weights by output channel, or by input channel where `inward`.

    Axis 0 of a convolution's weights runs through all groups, axis 1 within one.
    """
    weight = constant(node.inputs[1])
    assert weight is not None
    axis = _axes(node)[0 if inward else 1]
    groups = graphs.attribute(node, "group", 1) if node.op_type in CONVOLUTIONS else 1
    split = weight.reshape(groups, -1, *weight.shape[1:])
    rest = (1,) * (weight.ndim - 2)
    shape = (groups, -1, 1, *rest) if axis == 0 else (groups, 1, -1, *rest)
    # Weights may be large: no copy of them in float64.
    factor = scale.reshape(shape).astype(np.promote_types(weight.dtype, np.float32))
    with np.errstate(over="ignore"):  # who sets the weights looks for infinity
        return np.asarray(split * factor).reshape(weight.shape)


def _moved(node: Any, shift: Array) -> Array:
    """Give what a shift of a convolution's inputs adds to each of its outputs."""
    weight = constant(node.inputs[1])
    assert weight is not None
    groups = graphs.attribute(node, "group", 1)
    sums = weight.astype(np.float64).reshape(*weight.shape[:2], -1).sum(axis=2)
    each = shift.reshape(groups, 1, -1)
    return np.asarray((sums.reshape(groups, -1, sums.shape[1]) * each).sum(axis=2).reshape(-1))


def _bias(node: Any, count: int) -> Array | None:
    """Give a product's bias, zeros where it has none, None where it is no constant."""
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return np.zeros(count)
    bias = constant(node.inputs[2])
    if bias is None or bias.size not in (1, count):
        return None
    return np.broadcast_to(bias.astype(np.float64).reshape(-1), (count,))
