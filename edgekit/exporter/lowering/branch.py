"""`keras.ops.cond` and `tf.cond`: both branches are traced in place, and one If chooses.

tf2onnx converts branches that are functions of their own, and fails where they capture what a
convolution or a slice needs. Here they are part of one graph until `sink` moves them into the If.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgekit.exporter.lowering import Builder, Call

#: Operations that are as well computed in vain, for any input, as skipped.
CHEAP = {
    *("Abs", "AddV2", "Cast", "Const", "Exp", "Identity", "Maximum", "Minimum", "Mul", "Neg"),
    *("OnesLike", "RealDiv", "Relu", "Sigmoid", "Square", "Sub", "Tanh", "ZerosLike"),
}


def plan(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: str | None = None,
) -> Call | None:
    """Take a condition that only a run can tell; the branches answer in one structure."""
    import keras
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    if not tf.is_tensor(pred) or tf.executing_eagerly() or true_fn is None or false_fn is None:
        return None
    if tf.get_static_value(pred) is not None or pred.shape.rank != 0:
        return None
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    answers = true_fn(), false_fn()
    kinds = {operation.type for operation in graph.get_operations()[before:]}
    try:
        keras.tree.assert_same_structure(*answers)
        flat = [[tf.convert_to_tensor(t) for t in keras.tree.flatten(each)] for each in answers]
    except (TypeError, ValueError):
        return None
    pairs = list(zip(*flat, strict=True))
    if any(a.dtype != b.dtype for a, b in pairs):
        return None
    known = all(a.shape == b.shape and a.shape.is_fully_defined() for a, b in pairs)
    return Call(
        [tf.cast(pred, tf.bool), *flat[0], *flat[1]],
        [_common(a.shape, b.shape) for a, b in pairs],
        lambda outputs: keras.tree.pack_sequence_as(answers[0], outputs),
        values=known and kinds <= CHEAP,
        dtypes=[a.dtype.name for a, _ in pairs],
    )


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One If whose bodies hand on what is computed before it, or a Where for each output."""
    pred, *answers = inputs
    half = len(answers) // 2
    if values:
        return [op.op("Where", pred, *p) for p in zip(answers[:half], answers[half:], strict=True)]
    made = op.op(
        "If",
        pred,
        outputs=half,
        then_branch=_body(op, "then", answers[:half]),
        else_branch=_body(op, "else", answers[half:]),
    )
    return list(made) if half > 1 else [made]


def _body(op: Builder, name: str, answers: list[Any]) -> Any:
    import onnx_ir as ir

    nodes = [ir.node("Identity", [value], name=f"{op.path}/{name}") for value in answers]
    outputs = [node.outputs[0] for node in nodes]
    for i, (output, value) in enumerate(zip(outputs, answers, strict=True)):
        output.name = f"{op.path}/{name}__{i}"
        output.type = value.type
    return ir.Graph([], outputs, nodes=nodes, name=f"{op.path}/{name}")


def _common(a: Any, b: Any) -> list[int | None] | None:
    if a.rank is None or a.rank != b.rank:
        return None
    return [x if x == y else None for x, y in zip(a, b, strict=True)]
