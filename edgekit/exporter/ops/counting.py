"""Counts of numbers: how often each, or the sum of their weights."""

from __future__ import annotations

from typing import Any

import numpy as np


def dense_bincount(ctx: Any, node: Any, name: str, args: Any) -> None:
    """Count `(batch, n)` numbers below `size` as `(batch, size)`; tf2onnx knows no weights."""
    from tf2onnx import utils

    size = node.input[1]
    numbers, weights = node.input[0], node.input[2]
    weighted = 0 not in (ctx.get_shape(weights) or [None])
    shapes, dtypes, outputs = node.output_shapes, node.output_dtypes, list(node.output)
    binary = bool(node.get_attr_value("binary_output"))
    kind_of = ctx.get_dtype(numbers)
    kind = utils.map_onnx_to_numpy_type(kind_of)
    ctx.remove_node(node.name)

    def op(operator: str, *inputs: Any, **attributes: Any) -> str:
        names = [
            value
            if isinstance(value, str)
            else ctx.make_const(utils.make_name(f"{name}/constant"), value).output[0]
            for value in inputs
        ]
        made = ctx.make_node(operator, names, attr=attributes, op_name_scope=name)
        return str(made.output[0])

    last = np.array([-1], np.int64)
    places = op("Range", np.array(0, kind), op("Cast", size, to=kind_of), np.array(1, kind))
    hits = op("Equal", op("Unsqueeze", numbers, last), places)
    ones = op("Cast", hits, to=dtypes[0])
    if weighted and not binary:
        ones = op("Mul", ones, op("Unsqueeze", weights, last))
    steps = np.array([-2], np.int64)
    if not binary:
        ones = op("ReduceSum", ones, steps, keepdims=0)
    elif ctx.opset >= 18:
        ones = op("ReduceMax", ones, steps, keepdims=0)
    else:
        ones = op("ReduceMax", ones, axes=[-2], keepdims=0)
    ctx.make_node("Identity", [ones], outputs=outputs, shapes=shapes, dtypes=dtypes, name=name)
