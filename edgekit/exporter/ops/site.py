"""The place of a TensorFlow op in tf2onnx's graph, where ONNX nodes are written instead of it.

A handler is a function of a `Site` and the op's input names, that gives its outputs' names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Handler = Callable[..., Any]


#: Ops whose operators' types tf2onnx cannot infer.
_UNTYPED = {"Unique", "UniqueWithCounts"}


class Site:
    """Makes the nodes that replace one op; their inputs are names, or arrays that become constants.

    `attribute` reads the op's own; `dtype`, `shape` and `rank` are of a name; a free axis is None.
    """

    def __init__(self, ctx: Any, node: Any) -> None:
        self._ctx = ctx
        self.name = node.name
        self.kind = node.type
        self.inputs = list(node.input)
        self.outputs = list(node.output)
        self.output_dtypes = list(node.output_dtypes)
        self.output_shapes = list(node.output_shapes)
        self.attribute = node.get_attr_value
        self.opset = ctx.opset

    def dtype(self, name: str) -> np.dtype[Any]:
        """Give a tensor's type."""
        from tf2onnx import utils

        found: np.dtype[Any] = np.dtype(utils.map_onnx_to_numpy_type(self._ctx.get_dtype(name)))
        return found

    def shape(self, name: str) -> list[int | None] | None:
        """Give a tensor's shape, None where its rank is not known."""
        shape = self._ctx.get_shape(name)
        return None if shape is None else [None if axis < 0 else axis for axis in shape]

    def rank(self, name: str) -> int:
        """Give a tensor's rank; raises `ValueError` where it is free."""
        shape = self.shape(name)
        if shape is None:
            raise ValueError(f"the rank of {name!r} is not known")
        return len(shape)

    def value(self, name: str) -> np.ndarray[Any, Any] | None:
        """Give a constant's value, None for what is computed."""
        node = self._ctx.get_node_by_output(name)
        if node is None:
            return None
        while node.type == "Identity":
            node = node.inputs[0]
        return np.asarray(node.get_tensor_value(as_list=False)) if node.is_const() else None

    def producer(self, name: str) -> tuple[str, list[str]]:
        """Give the kind and the inputs of the op that makes a tensor."""
        node = self._ctx.get_node_by_output(name)
        return ("", []) if node is None else (node.type, list(node.input))

    def op(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and give its output's name, or a list of them."""
        names = [
            self.constant(value) if isinstance(value, np.ndarray) else value for value in inputs
        ]
        node = self._ctx.make_node(
            kind, names, attr=attributes, output_count=outputs, op_name_scope=self.name
        )
        return node.output[0] if outputs == 1 else list(node.output)

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Add a constant."""
        from tf2onnx import utils

        return str(self._ctx.make_const(utils.make_name(f"{self.name}/const"), array).output[0])

    def number(self, value: float, like: str) -> np.ndarray[Any, Any]:
        """Make a scalar of a tensor's type."""
        return np.array(value, self.dtype(like))

    def cast(self, name: str, dtype: Any) -> str:
        """Give a tensor in a type."""
        from tf2onnx import utils

        if self.kind not in _UNTYPED and self.dtype(name) == np.dtype(dtype):
            return name
        return str(self.op("Cast", name, to=utils.map_numpy_to_onnx_dtype(np.dtype(dtype))))

    def ints(self, *values: int) -> np.ndarray[Any, Any]:
        """Make an int64 vector, as shapes and axes are given."""
        return np.array(values, np.int64)

    def reduce(self, kind: str, name: str, axis: int, keepdims: int = 1) -> Any:
        """Reduce an axis, given as ReduceSum takes it since opset 13 and all others since 18."""
        if kind == "ReduceSum" or self.opset >= 18:
            return self.op(kind, name, self.ints(axis), keepdims=keepdims)
        return self.op(kind, name, axes=[axis], keepdims=keepdims)

    def parts(self, count: int) -> dict[str, Any]:
        """Give the number of equal parts as Split wants it from opset 18 on."""
        return {"num_outputs": count} if self.opset >= 18 else {}

    def axis_size(self, name: str, axis: int) -> str:
        """Give the length of an axis as an int64 vector of one."""
        shape = self.shape(name)
        if shape is not None and shape[axis] is not None:
            return self.constant(self.ints(shape[axis] or 0))
        whole = self.op("Shape", name)
        return str(self.op("Gather", whole, self.ints(axis), axis=0))

    def replace(self, made: Sequence[str]) -> None:
        """Let what reads the op's outputs read these."""
        from tf2onnx import utils

        ctx = self._ctx
        for i, name in enumerate(made):
            want = utils.map_onnx_to_numpy_type(self.output_dtypes[i])
            ctx.make_node(
                "Identity",
                [self.cast(name, want)],
                outputs=[self.outputs[i]],
                shapes=[self.output_shapes[i]],
                dtypes=[self.output_dtypes[i]],
                name=utils.make_name(self.name),
            )


def handled(write: Handler) -> tuple[Any, list[Any]]:
    """Make of a function what tf2onnx takes."""

    def handler(ctx: Any, node: Any, name: str, args: Any) -> None:
        site = Site(ctx, node)
        made = write(site, *site.inputs)
        ctx.remove_node(node.name)
        site.replace([made] if isinstance(made, str) else made)

    return handler, []
