"""Small graphs made node by node, and the check that a change to one computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgekit.exporter.passes import tidy

IN, OUT = [0, 3, 1, 2], [0, 2, 3, 1]
RNG = np.random.default_rng(0)


class Graph:
    """A graph in the making: `op` adds a node, and an array becomes an initializer."""

    def __init__(self, *shape: int | str) -> None:
        self.shape = ["batch", *shape]
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        names = [self._name(value) for value in inputs]
        made = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def _name(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        array = np.asarray(value)
        name = f"c{len(self.constants)}"
        kept = array.astype(np.float32) if array.dtype == np.float64 else array
        self.constants.append(numpy_helper.from_array(kept, name))
        return name

    def conv(self, x: str, filters: int = 4, channels: int = 4) -> str:
        """A convolution as TensorFlow has it, channels last outside."""
        kernel = RNG.normal(size=(filters, channels, 3, 3))
        inside = self.op("Conv", self.op("Transpose", x, perm=IN), kernel, pads=[1, 1, 1, 1])
        return str(self.op("Transpose", inside, perm=OUT))

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            self.constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        return onnx.shape_inference.infer_shapes(made, strict_mode=True)


def operators_after(model: onnx.ModelProto, *changes: Callable[[Any], None]) -> Counter[str]:
    """Change a model, check that it answers alike at two batch sizes, and count its operators."""
    changed = ir.from_proto(model)
    for change in (*changes, tidy.clean_up):
        change(changed)
    after = ir.to_proto(changed)
    onnx.checker.check_model(after, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions = [
        onnxruntime.InferenceSession(m.SerializeToString(), options) for m in (model, after)
    ]
    (spec,) = sessions[0].get_inputs()
    for batch in (1, 3):
        shape = [batch, *(n if isinstance(n, int) else 7 for n in spec.shape[1:])]
        x = RNG.normal(size=shape).astype(np.float32)
        expected, got = (session.run(None, {"x": x}) for session in sessions)
        for e, g in zip(expected, got, strict=True):
            np.testing.assert_allclose(g, e, atol=1e-4, rtol=1e-4)
    return Counter(node.op_type for node in after.graph.node)
