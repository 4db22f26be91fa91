"""Products whose form tf2onnx does not know."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edgekit.exporter.ops.site import Site, handled


def cross(at: Site, a: str, b: str) -> Any:
    """The cross product of the last axis, which has three numbers."""

    def turned(name: str, *order: int) -> Any:
        return at.op("Gather", name, at.ints(*order), axis=-1)

    first = at.op("Mul", turned(a, 1, 2, 0), turned(b, 2, 0, 1))
    return at.op("Sub", first, at.op("Mul", turned(a, 2, 0, 1), turned(b, 1, 2, 0)))


def einsum(ctx: Any, node: Any, name: str, args: Any) -> None:
    """One Einsum where tf2onnx cannot write the equation as a product of matrices."""
    from tf2onnx.onnx_opset.math import Einsum as Known

    equation = node.get_attr_value("equation").decode().replace(" ", "")
    terms, _, result = equation.partition("->")
    repeated = any(len(set(term)) != len(term) for term in [*terms.split(","), result])
    if "." in equation or repeated or not re.fullmatch(r"[a-zA-Z,]+->[a-zA-Z]+", equation):
        node.type = "Einsum"
        node.skip_conversion = True
        node.set_attr("equation", equation)
        for attribute in set(node.attr) - {"equation"}:
            del node.attr[attribute]
        return
    Known.version_12(ctx, node)


def diagonal(ctx: Any, node: Any, name: str, args: Any) -> None:
    """A matrix with the last axis on one diagonal; tf2onnx writes an If around it."""
    from tf2onnx.onnx_opset.tensor import MatrixDiag

    site = Site(ctx, node)
    given = [site.value(each) for each in site.inputs[1:4]]
    plain = all(v is not None and v.size == 1 for v in given)
    if not plain or any(int(v) != -1 for v in given[1:] if v is not None):
        MatrixDiag.version_12(ctx, node)
        return
    handled(_one_diagonal)[0](ctx, node, name, args)


def _one_diagonal(at: Site, x: str, offset: str, *sizes: str) -> Any:
    known = at.value(offset)
    shift = int(known) if known is not None else 0
    missing = np.array(sizes and at.value(sizes[2]), at.dtype(x))
    rank = at.rank(x)
    if shift:
        pads = [0] * (2 * rank - 1) + [abs(shift)]
        x = at.op("Pad", x, at.ints(*pads))
    size = at.op("Squeeze", at.axis_size(x, rank - 1), at.ints(0))
    count = at.op("Range", np.array(0, np.int64), size, np.array(1, np.int64))
    rows = at.op("Unsqueeze", at.op("Add", count, np.array(shift, np.int64)), at.ints(1))
    spread = at.op("Unsqueeze", x, at.ints(rank if shift >= 0 else rank - 1))
    return at.op("Where", at.op("Equal", rows, count), spread, missing.reshape(()))


def unique(at: Site, x: str) -> Any:
    """The values in order of appearance, where each value is one, and how often it comes."""
    values, _, places, counts = at.op("Unique", x, sorted=0, outputs=4)
    return (values, places, counts)[: len(at.outputs)]
