"""Cross-layer equalisation: channels of very different size are brought to one, without any data.

Two layers with nothing between them but what scales along (Relu, a pool) leave it open how large a
channel is: the first one's weights and bias for it divided by s, and the second one's multiplied,
give the same answer. One scale for all channels then rounds no small channel to nothing. s is the
root of the ratio of the two layers' largest weights for the channel (Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", 2019, equation 11), here the nearest
power of two: the float answers stay equal to the last bit.

A Clip (ReLU6) does not scale along: the pairs around one stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.quantizer import graph

Array = np.ndarray[Any, np.dtype[Any]]

#: What a positive factor of a channel passes through.
PASSING = ("AveragePool", "GlobalAveragePool", "Identity", "LeakyRelu", "MaxPool", "Relu")
PRODUCTS = ("Gemm", "MatMul")
#: Sweeps over all pairs, each of which changes its neighbours, and the most that one changes: 2^n.
SWEEPS, MOST = 32, 12


@dataclass(frozen=True)
class _Pair:
    """Two layers and the constants that are added between them; `first` is before `second`."""

    first: Any
    added: tuple[Any, ...]
    second: Any


def equalize(model: Any) -> list[str]:
    """Scale the weights of every pair of layers in place; give notes of what was done."""
    layers = [node for node in model.graph if _has_own_weight(model.graph, node)]
    graph.part_biases(model, layers)
    found = [_pair(model.graph, node) for node in layers]
    pairs = [pair for pair in found if isinstance(pair, _Pair)]
    clipped = sum(pair == "Clip" for pair in found)
    before = [_spread(pair.first) for pair in pairs]
    scaled = set()
    for _ in range(SWEEPS):
        changed = [i for i, pair in enumerate(pairs) if _balance(pair)]
        scaled.update(changed)
        if not changed:
            break
    notes = []
    if scaled:
        largest = max(range(len(pairs)), key=lambda i: before[i])
        notes.append(
            f"equalised {len(scaled)} pairs of layers: the largest weights of the channels of "
            f"{pairs[largest].first.name!r} differed {before[largest]:.0f} times, and differ "
            f"{_spread(pairs[largest].first):.0f} times now"
        )
    else:
        notes.append("equalisation changed nothing: no pair of layers has channels that differ")
    if clipped:
        notes.append(f"pairs that a Clip keeps from being equalised: {clipped}")
    return notes


def _has_own_weight(top: Any, node: Any) -> bool:
    """Tell whether a layer's weight is a float constant that no other node reads."""
    import onnx_ir as ir

    if node.op_type not in (*PRODUCTS, "Conv") or node.domain not in graph.STANDARD_DOMAINS:
        return False
    weight = node.inputs[1]
    if not _is_own_constant(top, weight) or weight.dtype != ir.DataType.FLOAT:
        return False
    if node.op_type == "Gemm" and node.attributes.get_int("transA", 0):
        return False
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and not (bias.is_initializer() and bias.const_value is not None):
        return False
    return node.op_type == "Conv" or len(weight.const_value.shape) == 2


def _is_own_constant(top: Any, value: Any) -> bool:
    return (
        value is not None
        and value.is_initializer()
        and value.const_value is not None
        and value.graph is top
        and not value.is_graph_input()
        and not value.is_graph_output()
        and len(value.uses()) == 1
    )


def _pair(top: Any, first: Any) -> _Pair | str | None:
    """Follow a layer's output to the next layer; the operator in the way of one, or None."""
    spatial = first.op_type == "Conv"
    kinds = ("Conv",) if spatial else PRODUCTS
    channels = _outputs(first).shape[0]
    added: list[Any] = []
    value = first.outputs[0]
    while len(uses := value.uses()) == 1 and not value.is_graph_output():
        use = uses[0]
        node = use.node
        if node.graph is not top:
            return None
        if node.op_type in kinds and use.idx == 0 and _has_own_weight(top, node):
            return _Pair(first, tuple(added), node)
        if node.op_type == "Add" and not spatial:
            other = node.inputs[1 - use.idx]
            if not _is_own_constant(top, other) or other.const_value.size != channels:
                return None
            if other.const_value.shape[-1] != channels:
                return None
            added.append(other)
        elif node.op_type not in PASSING:
            return str(node.op_type)
        value = node.outputs[0]
    return None


def _balance(pair: _Pair) -> bool:
    """Scale a pair by powers of two; False where that changes nothing."""
    first, second = _outputs(pair.first), _inputs(pair.second)
    ours, theirs = np.abs(first).max(1), np.abs(second).max((1, 2))
    alive = (ours > 0) & (theirs > 0)
    ratio = np.where(alive, ours, 1.0) / np.where(alive, theirs, 1.0)
    power = np.rint(0.5 * np.log2(ratio.astype(np.float64))).clip(-MOST, MOST)
    if not power.any():
        return False
    scale = np.exp2(power).astype(np.float32)
    _set_outputs(pair.first, first / scale[:, None])
    _set_inputs(pair.second, second * scale[:, None, None])
    bias = pair.first.inputs[2] if len(pair.first.inputs) > 2 else None
    for constant in (*pair.added, bias):
        if constant is not None:
            _set(constant, constant.const_value.numpy() / scale)
    return True


def _spread(node: Any) -> float:
    """How many times larger the largest channel's weights are than the smallest one's."""
    sizes = np.abs(_outputs(node)).max(1)
    alive = sizes[sizes > 0]
    return float(alive.max() / alive.min()) if alive.size else 1.0


def _outputs(node: Any) -> Array:
    """Give a weight as (output channel, the rest)."""
    weight = node.inputs[1].const_value.numpy()
    if _is_columns(node):
        return np.asarray(weight.T)
    return np.asarray(weight.reshape(len(weight), -1))


def _set_outputs(node: Any, rows: Array) -> None:
    shape = node.inputs[1].const_value.shape
    _set(node.inputs[1], rows.T if _is_columns(node) else rows.reshape(tuple(shape)))


def _inputs(node: Any) -> Array:
    """Give a weight as (input channel, output channel of its group, the rest)."""
    weight = node.inputs[1].const_value.numpy()
    if node.op_type != "Conv":
        return np.asarray((weight if _is_columns(node) else weight.T)[:, :, None])
    groups = node.attributes.get_int("group", 1)
    parted = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    return np.asarray(
        parted.swapaxes(1, 2).reshape(groups * weight.shape[1], len(weight) // groups, -1)
    )


def _set_inputs(node: Any, rows: Array) -> None:
    weight = node.inputs[1]
    shape = tuple(weight.const_value.shape)
    if node.op_type != "Conv":
        _set(weight, rows[:, :, 0] if _is_columns(node) else rows[:, :, 0].T)
        return
    groups = node.attributes.get_int("group", 1)
    parted = rows.reshape(groups, shape[1], shape[0] // groups, -1)
    _set(weight, parted.swapaxes(1, 2).reshape(shape))


def _is_columns(node: Any) -> bool:
    """Tell whether output channels are the columns of a weight."""
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0)
    return node.op_type in PRODUCTS and not transposed


def _set(value: Any, array: Array) -> None:
    import onnx_ir as ir

    value.const_value = ir.Tensor(np.ascontiguousarray(array, np.float32), name=value.name)
