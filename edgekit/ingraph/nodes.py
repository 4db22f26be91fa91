"""Making the nodes that go before and behind a model. Left of the wall: onnx-ir."""

from __future__ import annotations

from typing import Any

import numpy as np

#: The domains of operators that are not standard ONNX, and the version of each.
DOMAINS = {"ai.onnx.ml": 3, "com.microsoft": 1, "com.microsoft.extensions": 1}


class Nodes:
    """Makes nodes whose names begin with `path`; arrays and numbers among the inputs are constants.

    A number has the dtype that numpy gives it: int64 or float64.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(
        self,
        kind: str,
        *inputs: Any,
        domain: str = "",
        name: str | None = None,
        outputs: int = 1,
        **attributes: Any,
    ) -> Any:
        """Add a node; several outputs come back as a list."""
        import onnx_ir as ir

        name = name or f"{self.path}/{kind}_{len(self.nodes)}"
        values = [
            value if isinstance(value, ir.Value) else self.constant(value) for value in inputs
        ]
        node = ir.node(kind, values, attributes, domain=domain, num_outputs=outputs, name=name)
        for index, value in enumerate(node.outputs):
            value.name = f"{name}:{index}"
        self.nodes.append(node)
        return node.outputs[0] if outputs == 1 else list(node.outputs)

    def constant(self, value: Any) -> Any:
        """Add an initializer: an array, a number, or a list of strings."""
        import onnx_ir as ir

        name = f"{self.path}/constant_{len(self.constants)}"
        text = isinstance(value, (list, tuple)) and value and isinstance(value[0], str)
        tensor = ir.tensor(value if text else np.asarray(value), name=name)
        made = ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype))
        made.shape = ir.Shape(tensor.shape.numpy())
        self.constants.append(made)
        return made

    def cast(self, value: Any, dtype: str) -> Any:
        """Cast to a dtype, by ONNX's name for it: `FLOAT`, `INT64`, `UINT8`."""
        import onnx_ir as ir

        return self.op("Cast", value, to=int(ir.DataType[dtype]))

    def size(self, value: Any, axis: int) -> Any:
        """Give the length of an axis, a scalar int64."""
        return self.op("Gather", self.op("Shape", value), axis)

    def vector(self, scalar: Any) -> Any:
        """Give a scalar as a tensor of one element."""
        return self.op("Unsqueeze", scalar, np.array([0]))

    def transpose_if(
        self, condition: Any, value: Any, then: tuple[int, ...], otherwise: tuple[int, ...]
    ) -> Any:
        """Transpose a value, whose type is known, in one of two ways."""
        import onnx_ir as ir

        branches = {}
        for branch, perm in (("then_branch", then), ("else_branch", otherwise)):
            name = f"{self.path}/{branch}_{len(self.nodes)}"
            node = ir.node("Transpose", [value], {"perm": perm}, name=name)
            node.outputs[0].name, node.outputs[0].type = f"{name}:0", value.type
            branches[branch] = ir.Graph([], node.outputs, nodes=[node], name=name)
        made = ir.node("If", [condition], branches, name=f"{self.path}/If_{len(self.nodes)}")
        made.outputs[0].name = f"{made.name}:0"
        self.nodes.append(made)
        return made.outputs[0]

    def refuse(self, wrong: Any, reason: str) -> Any:
        """Fail where `wrong`, a scalar bool, is true; gives a scalar int64 0 to depend on.

        ONNX has no operator that raises: an index out of bounds does, in onnxruntime's CPU kernel,
        whose message has the node's name. `edgekit.runtime.session` reads the reason there.
        """
        index = self.cast(wrong, "INT64")
        return self.op("Gather", np.zeros(1, np.int64), index, name=f"refused: {reason}")
