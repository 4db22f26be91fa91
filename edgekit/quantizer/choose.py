"""Which nodes a recipe takes: those whose weights become int8, and those that go along.

Each function reads a graph of onnx-ir and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgekit.quantizer.graph import STANDARD_DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.quantizer.recipes import Recipe

#: A Conv gives these its place in int8: its float result is never made.
FUSED = {"Relu", "Clip"}
#: Operators whose inputs all have to be int8; the others only look at their first input.
JOINS = {"Add", "Concat", "Mul"}


def matches(node_name: str, wanted: str) -> bool:
    """Tell whether `wanted` names a node or a part of its path: `dense` in `/m/dense/MatMul`."""
    return f"/{wanted.strip('/')}/" in f"/{node_name.strip('/')}/"


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
        and not any(matches(node.name, name) for name in exclude)
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

    inputs = node.inputs
    data, weight, bias = (inputs[i] if len(inputs) > i else None for i in range(3))
    if data is None or weight is None or not _constant(graph, weight) or _constant(graph, data):
        return False
    if bias is not None and not dynamic and not _constant(graph, bias):
        return False
    if any(value.dtype != ir.DataType.FLOAT for value in (data, weight, node.outputs[0])):
        return False
    rank = len(weight.const_value.shape)
    if node.op_type == "Gemm":
        plain = node.attributes.get_int("transA", 0) == 0
        scaled = any(node.attributes.get_float(key, 1.0) != 1.0 for key in ("alpha", "beta"))
        return rank == 2 and plain and not scaled
    return rank == 2 if node.op_type == "MatMul" else rank in {3, 4, 5}


def _constant(graph: Any, value: Any) -> bool:
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
    kind = "Conv" if node.op_type == "Conv" else "MatMul"
    return kind, node.attributes.get_int("transB", 0) if node.op_type == "Gemm" else 0


def _alone(node: Any, layout: tuple[str, int], chosen: dict[Any, tuple[str, int]]) -> bool:
    weight = node.inputs[1]
    return not weight.is_graph_output() and all(
        use.idx == 1 and chosen.get(use.node) == layout for use in weight.uses()
    )


def travellers(
    model: Any, core: Sequence[Any], recipe: Recipe, exclude: Sequence[str]
) -> list[Any]:
    """Give the nodes between core nodes that stay in int8 with them.

    One qualifies where all that it reads is int8 already and an int8 node reads what it gives,
    so that no value is turned to int8 for it alone. A Relu behind a Conv is a part of the Conv.
    """
    taken = set(core)
    order = [
        node
        for node in model.graph
        if node.op_type in recipe.travel
        and node.domain in STANDARD_DOMAINS
        and not any(matches(node.name, name) for name in exclude)
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
    floats = [v for v in node.inputs if not _constant(graph, v)]
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
    return node.op_type in FUSED and producer is not None and producer.op_type == "Conv"


def float_results(core: Sequence[Any], travel: Sequence[Any]) -> list[str]:
    """Name the MatMul and Gemm nodes that only float nodes read.

    Their kernels give float directly: rounding the result to int8 first would cost time and
    precision. A Conv has no such kernel.
    """
    taken = {*core, *travel}
    return [node.name for node in core if node.op_type != "Conv" and not _read_by(node, taken)]
