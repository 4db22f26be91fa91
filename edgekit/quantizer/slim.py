"""What a file of the quantisation tools says and no engine needs.

A bias of a convolution in int32 has a scale and a zero point beside every number. In float it is
a third of that, and onnxruntime makes the int32 of it when it opens the file, since 1.22 as a test
shows. A Gemm keeps the long form: with a float bias its int8 kernel is not found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.quantizer import graph

#: What the tools put around a product, by the dozen.
AROUND = ("Add", "Cast", "DequantizeLinear", "DynamicQuantizeLinear", "Mul", "QuantizeLinear")


def slim(model: Any, source: Any) -> None:
    """Write a quantised model in fewer bytes; it computes what it did.

    What `source`, the float model, has keeps its name there; constants keep theirs.
    """
    for node in list(model.graph):
        if node.op_type == "Conv" and node.domain in graph.STANDARD_DOMAINS:
            _float_bias(model.graph, node)
    nodes = {node.name for node in source.graph}
    kept = {value.name for node in graph.all_nodes(source) for value in node.outputs}
    kept |= {value.name for value in (*source.graph.inputs, *source.graph.initializers.values())}
    for index, node in enumerate(model.graph):
        if node.op_type not in AROUND:
            continue
        if node.name not in nodes:
            node.name = ""
        for place, value in enumerate(node.outputs):
            if value.name not in kept and not value.is_graph_output():
                value.name = f"{node.op_type[0]}{index}.{place}"


def _float_bias(top: Any, node: Any) -> None:
    """Let a convolution read its bias as a float constant."""
    import onnx_ir as ir

    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is None or len(bias.uses()) > 1:
        return
    maker = bias.producer()
    if maker is None or maker.op_type != "DequantizeLinear":
        return
    constants = [value.const_value for value in maker.inputs]
    if any(constant is None for constant in constants) or constants[0].dtype != ir.DataType.INT32:
        return
    whole, scale = constants[0].numpy(), constants[1].numpy()
    name = bias.name
    array = (whole.astype(np.float64) * scale).astype(np.float32)
    made = ir.val(name, const_value=ir.Tensor(array, name=name))
    bias.name = None
    node.replace_input_with(2, made)
    top.remove(maker, safe=True)
    top.register_initializer(made)
