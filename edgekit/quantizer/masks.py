"""Attention masks whose large negative number would take the whole range of an integer.

A mask adds -1e9, or the least float, to the scores that Softmax is to leave out. In integers with
one scale a tensor the scores themselves are then all alike: the reference Transformer had 3.6 dB
SQNR in npu-int8, and 31 dB with -64 (-16 to -128: 30 to 32; exp(-64) is 1.6e-28).
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: What is below it in a constant that Softmax reads is a mask: fp16's masks are -1e4 and less.
THRESHOLD = -9999.0
BOUND = -64.0
#: Operators that carry a mask to the scores.
CARRIERS = {
    "Add", "Cast", "Concat", "Expand", "Identity", "Max", "Mul", "Reshape", "Slice", "Sub", "Sum",
    "Tile", "Transpose", "Unsqueeze", "Where",
}  # fmt: skip


def bound(model: Any) -> None:
    """Raise what is below the threshold in masks to `BOUND`."""
    import onnx_ir as ir

    for constant in model.graph.initializers.values():
        if constant.const_value is None or constant.dtype != ir.DataType.FLOAT:
            continue
        array = constant.const_value.numpy()
        if (array <= THRESHOLD).any() and _reaches_softmax(constant):
            raised = np.where(array <= THRESHOLD, np.float32(BOUND), array)
            constant.const_value = ir.Tensor(raised, name=constant.name)


def _reaches_softmax(constant: Any) -> bool:
    seen: set[Any] = set()
    open_nodes = [use.node for use in constant.uses()]
    while open_nodes:
        node = open_nodes.pop()
        if node.op_type == "Softmax":
            return True
        if node in seen or node.op_type not in CARRIERS:
            continue
        seen.add(node)
        open_nodes += [use.node for value in node.outputs for use in value.uses()]
    return False
