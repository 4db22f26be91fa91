"""Which nodes a recipe takes: those whose weights become int8, and those that go along.

Each function reads a graph of onnx-ir and changes nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgekit.quantizer.graph import STANDARD_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.quantizer.recipes import Recipe

#: These become a part of what is before them in int8: its float result is never made.
FUSED = {"Conv": {"Relu", "Clip"}, "Gemm": {"Relu"}}
#: Operators whose inputs all have to be int8; the others only look at their first input.
JOINS = {"Add", "Concat", "Mul"}

#: onnxruntime makes one float node of a Gemm and one of these behind it before it looks for a Gemm
#: in int8: the weight would be turned to float in every run, at many times the cost of the product.
FUSED_WITH_GEMM = {
    "Elu", "HardSigmoid", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Softsign", "Tanh",
    "ThresholdedRelu",
}  # fmt: skip

PRODUCTS = {"Gemm", "MatMul"}
#: A Conv that sums fewer products for a number is faster in float: gathering them costs most of it.
LEAST_SUMMED = 16
#: Bytes of a float weight that MatMulNBits is made for.
LEAST_BLOCKED = 4096


def matches(node_name: str, wanted: str) -> bool:
    """Tell whether `wanted` names a node or a part of its path: `dense` in `/m/dense/MatMul`."""
    return f"/{wanted.strip('/')}/" in f"/{node_name.strip('/')}/"


def excluded(node: Any, exclude: Sequence[str]) -> bool:
    """Tell whether one of the names is a node's or its layer's."""
    return any(matches(node.name or "", name) for name in exclude)


def candidates(model: Any, recipe: Recipe, exclude: Sequence[str]) -> list[Any]:
    """Give the nodes of the top graph whose constant weights the recipe makes int8.

    A weight that something else reads too (a Loop's first step and its body) keeps its float
    form, and so do the nodes that read it: two copies would cost more than they save.
    """
    chosen = {
        node: _layout(node)
        for node in model.graph
        if node.op_type in recipe.core
        and node.domain in STANDARD_DOMAINS
        and _fits(model.graph, node, dynamic=not recipe.needs_calibration)
        and not excluded(node, exclude)
        and not (recipe.tool == "static" and _is_shallow(node))
    }
    while True:
        shared = [node for node, layout in chosen.items() if not _alone(node, layout, chosen)]
        if not shared:
            return list(chosen)
        for node in shared:
            del chosen[node]


def _fits(graph: Any, node: Any, *, dynamic: bool) -> bool:
    """Tell whether the weight is constant and has a form that there is an int8 kernel for."""
    import onnx_ir as ir

    if not _has_constant_weight(graph, node):
        return False
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None and not dynamic and not constant(graph, bias):
        return False
    read = [node.inputs[0], *(value for value in node.outputs if value.name)]
    if any(value.dtype != ir.DataType.FLOAT for value in read):
        return False  # the tools do not take what shape inference does not know
    rank = len(node.inputs[1].const_value.shape)
    if node.op_type == "LSTM":
        return _is_plain_lstm(graph, node)
    if node.op_type in PRODUCTS:
        return _is_plain_product(node)
    return rank in {3, 4, 5}


def _is_shallow(node: Any) -> bool:
    """Tell whether a Conv gathers few products for a sum, as of a grey picture.

    A pointwise one gathers nothing, and a depthwise one has a kernel of its own.
    """
    if node.op_type != "Conv" or node.attributes.get_int("group", 1) > 1:
        return False
    channels, *kernel = node.inputs[1].const_value.shape[1:]
    gathered = math.prod(kernel)
    return bool(gathered > 1 and channels * gathered < LEAST_SUMMED)


def _has_constant_weight(graph: Any, node: Any) -> bool:
    import onnx_ir as ir

    data, weight = (node.inputs[i] if len(node.inputs) > i else None for i in range(2))
    return (
        data is not None
        and weight is not None
        and constant(graph, weight)
        and not constant(graph, data)
        and weight.dtype == ir.DataType.FLOAT
    )


def _is_plain_product(node: Any) -> bool:
    """Tell whether it multiplies by one matrix, and nothing else."""
    if len(node.inputs[1].const_value.shape) != 2:
        return False
    scaled = any(node.attributes.get_float(key, 1.0) != 1.0 for key in ("alpha", "beta"))
    return node.op_type == "MatMul" or not (node.attributes.get_int("transA", 0) or scaled)


def _is_plain_lstm(graph: Any, node: Any) -> bool:
    """Tell whether the kernel of DynamicQuantizeLSTM takes it: time first, all weights fixed."""
    recurrent = node.inputs[2]
    return constant(graph, recurrent) and node.attributes.get_int("layout", 0) == 0


def constant(graph: Any, value: Any) -> bool:
    """Tell whether a value is a weight of the top graph that no input can replace."""
    return (
        value is not None
        and value.is_initializer()
        and value.const_value is not None
        and not value.is_graph_input()
        and value.graph is graph
    )


def _layout(node: Any) -> tuple[str, int]:
    """How a node reads its weight: two that differ need two sets of scales."""
    kind = node.op_type if node.op_type in {"Conv", "LSTM"} else "MatMul"
    return kind, node.attributes.get_int("transB", 0) if node.op_type == "Gemm" else 0


def _alone(node: Any, layout: tuple[str, int], chosen: dict[Any, tuple[str, int]]) -> bool:
    indices = (1, 2) if node.op_type == "LSTM" else (1,)
    return not any(node.inputs[index].is_graph_output() for index in indices) and all(
        use.idx == index and chosen.get(use.node) == layout
        for index in indices
        for use in node.inputs[index].uses()
    )


def large_products(model: Any, exclude: Sequence[str], block: int) -> list[Any]:
    """Give the MatMul and Gemm nodes whose weights are worth a scale for each block of a column.

    Each is the only reader of its weight, of `LEAST_BLOCKED` bytes at least, and the last block of
    a column, which is filled up, adds an eighth at most.
    """
    return [
        node
        for node in model.graph
        if node.op_type in PRODUCTS
        and node.domain in STANDARD_DOMAINS
        and not excluded(node, exclude)
        and _has_constant_weight(model.graph, node)
        and _is_plain_product(node)
        and len(node.inputs[1].uses()) == 1
        and not node.inputs[1].is_graph_output()
        and node.inputs[1].const_value.nbytes >= LEAST_BLOCKED
        and 8 * (-_depth(node) % block) <= _depth(node)
    ]


def _depth(node: Any) -> int:
    """How many numbers of a MatMul's or Gemm's weight are summed."""
    turned = node.op_type == "Gemm" and node.attributes.get_int("transB", 0)
    return int(node.inputs[1].const_value.shape[1 if turned else 0])


def travellers(
    model: Any, core: Sequence[Any], recipe: Recipe, exclude: Sequence[str]
) -> list[Any]:
    """Give the nodes between core nodes that stay in int8 with them.

    One qualifies where all that it reads is int8 already and an int8 node reads what it gives,
    so that no value is turned to int8 for it alone. A Relu behind a Conv or a Gemm is a part of it.
    """
    taken = set(core)
    order = [
        node
        for node in model.graph
        if node.op_type in recipe.travel
        and node.domain in STANDARD_DOMAINS
        and not excluded(node, exclude)
    ]
    for node in order:
        if _reads_int8(model.graph, node, taken):
            taken.add(node)
    for node in reversed(order):
        if node in taken and not _read_by(node, taken) and not _is_fused(node):
            taken.remove(node)
    return [node for node in order if node in taken]


def _reads_int8(graph: Any, node: Any, taken: set[Any]) -> bool:
    import onnx_ir as ir

    if node.op_type not in JOINS:
        return node.inputs[0] is not None and node.inputs[0].producer() in taken
    floats = [v for v in node.inputs if not constant(graph, v)]
    if len(floats) == 1 and node.op_type == "Add" and _is_matmul(floats[0].producer()):
        return False  # its bias: the kernel that gives float adds it on the way
    return (
        bool(floats)
        and all(v.dtype == ir.DataType.FLOAT and v.producer() in taken for v in floats)
        and all(v.dtype == ir.DataType.FLOAT for v in node.inputs)
    )


def _is_matmul(node: Any) -> bool:
    return node is not None and node.op_type == "MatMul"


def _read_by(node: Any, taken: set[Any]) -> bool:
    """Tell whether an int8 node reads what a node gives (as data, not as a shape or a limit)."""
    return any(
        use.node in taken and (use.idx == 0 or use.node.op_type in JOINS)
        for value in node.outputs
        for use in value.uses()
    )


def _is_fused(node: Any) -> bool:
    producer = node.inputs[0].producer() if node.inputs[0] is not None else None
    return producer is not None and node.op_type in FUSED.get(producer.op_type, ())


def float_results(core: Sequence[Any], travel: Sequence[Any]) -> list[str]:
    """Name the MatMul and Gemm nodes that only float nodes read.

    Their kernels give float directly: rounding the result to int8 first would cost time and
    precision. A Conv has no such kernel, nor has a Gemm before an activation.
    """
    taken = {*core, *travel}
    return [
        node.name
        for node in core
        if node.op_type != "Conv" and not _read_by(node, taken) and not _fuses_in_float(node)
    ]


def _fuses_in_float(node: Any) -> bool:
    readers = [use.node.op_type for use in node.outputs[0].uses()]
    return node.op_type == "Gemm" and len(readers) == 1 and readers[0] in FUSED_WITH_GEMM
