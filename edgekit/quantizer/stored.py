"""Weights that are int8 in the file and float in memory: Cast and Mul give them back.

Every engine folds the two into one constant when it opens the file, so that the model then runs by
its float kernels, as fast as float and with no kernel for int8 needed. DequantizeLinear says the
same and onnxruntime does not fold it: it would run in every run, or make MatMulNBits of a MatMul,
which is slower than float but for one row at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.quantizer import choose, graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = np.ndarray[Any, np.dtype[Any]]

#: Symmetric: -128 stays unused.
LIMIT = 127
#: A weight that saves fewer bytes than this stays float: its nodes and scales cost some, too.
LEAST_SAVED = 512


def _but(kept: int) -> Callable[[Any, int], tuple[int, ...]]:
    return lambda _, rank: tuple(axis for axis in range(rank) if axis != kept)


def _last(_: Any, rank: int) -> tuple[int, ...]:
    return (rank - 1,)


def _rows(_: Any, rank: int) -> tuple[int, ...]:
    return (rank - 2,)


def _gemm(node: Any, rank: int) -> tuple[int, ...]:
    return (rank - 1,) if node.attributes.get_int("transB", 0) else (rank - 2,)


#: (operator, input): which axes of the weight share a scale. They are those that a product sums
#: over, and for the table of a Gather its columns: every row has a scale of its own.
SHARED_AXES: dict[tuple[str, int], Callable[[Any, int], tuple[int, ...]]] = {
    ("Conv", 1): _but(0),
    ("ConvTranspose", 1): _but(1),
    ("Gather", 0): _last,
    ("Gemm", 1): _gemm,
    ("MatMul", 0): _last,
    ("MatMul", 1): _rows,
} | {(op, index): _last for op in graph.RECURRENT for index in (1, 2)}


def store(model: Any, op_types: Sequence[str], exclude: Sequence[str]) -> list[Any]:
    """Keep the float weights that these operators read as int8; give the nodes that read them.

    A weight that several nodes read, in loops and branches too, is stored once. It stays float
    where a node reads it that is excluded or that needs it as it is.
    """
    done: list[Any] = []
    for value in list(model.graph.initializers.values()):
        if not _is_weight(model.graph, value):
            continue
        readers = [(use.node, use.idx) for use in value.uses()]
        if any(
            node.op_type not in op_types
            or (node.op_type, index) not in SHARED_AXES
            or node.domain not in graph.STANDARD_DOMAINS
            or choose.excluded(node, exclude)
            for node, index in readers
        ):
            continue
        node, index = readers[0]
        array = value.const_value.numpy()
        whole, scale = rounded(array, SHARED_AXES[node.op_type, index](node, array.ndim))
        if array.nbytes - whole.nbytes - scale.nbytes < LEAST_SAVED:
            continue
        _give_back(model.graph, value, whole, scale)
        done += [reader for reader, _ in readers if reader not in done]
    return done


def _is_weight(top: Any, value: Any) -> bool:
    import onnx_ir as ir

    return (
        choose.constant(top, value)
        and value.dtype == ir.DataType.FLOAT
        and len(value.const_value.shape) > 1
        and not value.is_graph_output()
        and bool(value.uses())
        and bool(np.isfinite(value.const_value.numpy()).all())
    )


def rounded(array: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Give int8 numbers and float32 scales that broadcast to them; `axes` share a scale."""
    top = np.abs(array).max(axis=axes, keepdims=True)
    scale = np.where(top > 0, top / LIMIT, 1).astype(np.float32)
    return np.clip(np.rint(array / scale), -LIMIT, LIMIT).astype(np.int8), scale


def _give_back(top: Any, value: Any, whole: Array, scale: Array) -> None:
    """Let Cast and Mul give a value its name and its readers, from two smaller ones."""
    import onnx_ir as ir

    name = value.name
    parts = []
    for ending, array in (("int8", whole), ("scale", scale)):
        part = ir.val(f"{name}/{ending}", const_value=ir.Tensor(array, name=f"{name}/{ending}"))
        top.register_initializer(part)
        parts.append(part)
    # They have no names: they are gone as soon as a session is made, and names cost bytes.
    cast = ir.node("Cast", [parts[0]], {"to": ir.DataType.FLOAT})
    product = ir.node("Mul", [cast.outputs[0], parts[1]])
    cast.outputs[0].name = f"{name}/float"
    del top.initializers[name]
    ir.convenience.replace_all_uses_with(value, product.outputs[0])
    product.outputs[0].name = name
    top.insert_before(top[0], [cast, product])
