"""The error function's family."""

from __future__ import annotations

from typing import Any

import numpy as np


def erfc(ctx: Any, node: Any, name: str, args: Any) -> None:
    """`erfc(x) = 1 - erf(x)`, and `1 + erf(x)` of a negated x: every exact GELU is written so."""
    from tf2onnx import utils

    x = node.input[0]
    kind, producer = "Sub", node.inputs[0]
    if producer.type == "Neg":
        x, kind = producer.input[0], "Add"
    shapes, dtypes = node.output_shapes, node.output_dtypes
    one = np.array(1, utils.map_onnx_to_numpy_type(dtypes[0]))
    outputs = list(node.output)
    ctx.remove_node(node.name)
    constant = ctx.make_const(utils.make_name("one"), one)
    erf = ctx.make_node("Erf", [x], name=utils.make_name(name))
    ctx.make_node(
        kind,
        [constant.output[0], erf.output[0]],
        outputs=outputs,
        shapes=shapes,
        dtypes=dtypes,
        name=name,
    )
