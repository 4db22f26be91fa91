"""What a node looks like when its tensors are stored with their axes in another order.

`form(node, perm)` answers for one node, and changes nothing. A tensor `y` in the other order is
stored as `z` with `y = Transpose(z, perm)`: axis `j` of `y` is axis `perm[j]` of `z`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.passes.layout.graphs import attribute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array = np.ndarray[Any, Any]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


UNARY = _names("""
    Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu
    HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round
    Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
""")
BROADCASTING = _names("""
    Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Clip Div Equal Greater GreaterOrEqual Less
    LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor
""")
REDUCTIONS = _names("""
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
    ReduceSum ReduceSumSquare
""")


@dataclass(frozen=True)
class Form:
    """A node in the other order: which inputs and outputs are stored so, and what changes.

    `constants` are new inputs by index (one past the end adds an input), `attributes` new values
    (None drops one). `after` is called with the changed node, for what has to follow it.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    constants: dict[int, Array] = field(default_factory=dict)
    after: Callable[[Any], None] | None = None


def form(node: Any, perm: Sequence[int]) -> Form | None:
    """Give a node's form in the order `perm`, or None where it has to stay as it is."""
    rule = _RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    return rule(node, tuple(perm)) if rule else None


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """Give the order that undoes `perm`."""
    return tuple(int(i) for i in np.argsort(perm))


def rank(value: Any) -> int | None:
    """Give a value's number of axes, where it is known."""
    return None if value is None or value.shape is None else len(value.shape)


def constant(value: Any) -> Array | None:
    """Give an initializer's array."""
    if value is None or value.const_value is None or not value.is_initializer():
        return None
    return np.asarray(value.const_value.numpy())


def sizes(value: Any) -> list[int | None]:
    """Give the lengths of a value's axes, None for each that is free."""
    return [size if isinstance(size, int) else None for size in value.shape]


def _input(node: Any, index: int) -> Any:
    return node.inputs[index] if index < len(node.inputs) else None


def _has_rank(perm: tuple[int, ...], *values: Any) -> bool:
    return all(rank(value) == len(perm) for value in values)


def _elementwise(node: Any, perm: tuple[int, ...]) -> Form | None:
    """Every input that is not a constant has all axes; a constant is turned with them."""
    if not _has_rank(perm, *node.outputs):
        return None
    turned, constants = [], {}
    for index, value in enumerate(node.inputs):
        if value is None or rank(value) == 0:
            continue
        array = constant(value)
        if array is None:
            if not _has_rank(perm, value):
                return None
            turned.append(index)
        elif array.size > 1:
            whole = array.reshape((1,) * (len(perm) - array.ndim) + array.shape)
            constants[index] = whole.transpose(inverse(perm))
    return Form(tuple(turned), tuple(range(len(node.outputs))), constants=constants)


def _along(node: Any, perm: tuple[int, ...]) -> Form | None:
    """Concat and Split: one axis, an attribute."""
    data = [i for i, value in enumerate(node.inputs) if _has_rank(perm, value)]
    if node.op_type == "Split":
        data = data[:1]
    elif len(data) < len(node.inputs) or not node.inputs:
        return None
    if not data or not _has_rank(perm, *node.outputs):
        return None
    constants = {
        i: array.transpose(inverse(perm))
        for i in data
        if (array := constant(node.inputs[i])) is not None
    }
    axis = perm[attribute(node, "axis", 0) % len(perm)]
    outputs = tuple(range(len(node.outputs)))
    turned = tuple(i for i in data if i not in constants)
    return Form(turned, outputs, {"axis": axis}, constants) if turned else None


def _softmax(node: Any, perm: tuple[int, ...]) -> Form | None:
    """Turn it unless the axis would stop being the last, for which engines have their kernel."""
    if not _has_rank(perm, *node.inputs):
        return None
    last = len(perm) - 1
    axis = attribute(node, "axis", -1) % len(perm)
    if axis == last != perm[axis]:
        return None
    return Form((0,), (0,), {"axis": perm[axis]})


def _reduce(node: Any, perm: tuple[int, ...]) -> Form | None:
    """Reductions over axes that are an attribute, or from opset 18 (13 for the sum) an input."""
    if not _has_rank(perm, _input(node, 0)):
        return None
    given = _input(node, 1)
    axes = attribute(node, "axes", None) if given is None else constant(given)
    if given is not None and axes is None:
        return None
    if axes is None or len(axes) == 0:
        if attribute(node, "noop_with_empty_axes", 0):
            return None
        logical = list(range(len(perm)))
    else:
        logical = [int(axis) % len(perm) for axis in axes]
    keep = bool(attribute(node, "keepdims", 1))
    if not keep and not _in_order(perm, logical):
        return None
    turned = sorted(perm[axis] for axis in logical)
    outputs = (0,) if keep else ()
    if given is None:
        return Form((0,), outputs, {} if axes is None else {"axes": turned})
    return Form((0,), outputs, constants={1: np.array(turned, np.int64)})


def _arg(node: Any, perm: tuple[int, ...]) -> Form | None:
    """ArgMax and ArgMin: one axis that may go."""
    if not _has_rank(perm, *node.inputs):
        return None
    axis = attribute(node, "axis", 0) % len(perm)
    keep = bool(attribute(node, "keepdims", 1))
    if not keep and not _in_order(perm, [axis]):
        return None
    return Form((0,), (0,) if keep else (), {"axis": perm[axis]})


def _in_order(perm: tuple[int, ...], gone: Sequence[int | None]) -> bool:
    """Tell whether the axes that stay come in one order, stored either way."""
    left = [perm[axis] for axis in range(len(perm)) if axis not in gone]
    return left == sorted(left)


def _squeeze(node: Any, perm: tuple[int, ...]) -> Form | None:
    axes = _stored_axes(node, perm, node.inputs[0])
    return None if axes is None else Form((0,), (), constants={1: axes})


def _unsqueeze(node: Any, perm: tuple[int, ...]) -> Form | None:
    axes = _stored_axes(node, perm, node.outputs[0])
    return None if axes is None else Form((), (0,), constants={1: axes})


def _stored_axes(node: Any, perm: tuple[int, ...], longer: Any) -> Array | None:
    """Give where the axes lie that one side lacks, if those of both come in one order."""
    axes = constant(_input(node, 1))
    if axes is None or not _has_rank(perm, longer):
        return None
    logical = [int(axis) % len(perm) for axis in axes]
    if not _in_order(perm, logical):
        return None
    return np.array(sorted(perm[axis] for axis in logical), np.int64)


def _reshape(node: Any, perm: tuple[int, ...]) -> Form | None:
    """A Reshape whose data lie in one order, stored either way: only axes of length 1 move."""
    data, made = node.inputs[0], node.outputs[0]
    if constant(_input(node, 1)) is None or rank(data) is None or rank(made) is None:
        return None
    target = _target(node)
    if target is None:
        return None
    if _has_rank(perm, data) and _in_order(perm, _ones(data)):
        return Form((0,), (), constants={1: np.array(target, np.int64)})
    if _has_rank(perm, made) and _in_order(perm, _ones(made)):
        return Form((), (0,), constants={1: np.array(target, np.int64)[list(inverse(perm))]})
    return _with_weights(node, perm, np.array(target, np.int64))


def _with_weights(node: Any, perm: tuple[int, ...], target: Array) -> Form | None:
    from edgekit.exporter.passes.layout import weights

    after = weights.flattened(node, perm)
    if after is not None:
        return Form((0,), (), after=after)
    after = weights.unflattened(node, perm)
    if after is not None:
        return Form((), (0,), constants={1: target[list(inverse(perm))]}, after=after)
    return None


def _ones(value: Any) -> list[int]:
    return [axis for axis, size in enumerate(sizes(value)) if size == 1]


def _target(node: Any) -> list[int] | None:
    """Give a Reshape's shape without zeros, which would read axes of the input."""
    given = constant(node.inputs[1])
    if given is None or attribute(node, "allowzero", 0):
        return None
    known = sizes(node.outputs[0])
    target = [int(size) if size else known[axis] or -1 for axis, size in enumerate(given)]
    return target if target.count(-1) < 2 else None


def _pad(node: Any, perm: tuple[int, ...]) -> Form | None:
    pads, axes = constant(_input(node, 1)), _input(node, 3)
    if pads is None or not _has_rank(perm, node.inputs[0]):
        return None
    if axes is not None:
        given = constant(axes)
        if given is None:
            return None
        turned = np.array([perm[int(axis) % len(perm)] for axis in given], axes.dtype.numpy())
        return Form((0,), (0,), constants={3: turned})
    order = list(inverse(perm))
    return Form((0,), (0,), constants={1: pads.reshape(2, -1)[:, order].reshape(-1)})


def _slice(node: Any, perm: tuple[int, ...]) -> Form | None:
    starts, axes = _input(node, 1), _input(node, 3)
    if not _has_rank(perm, node.inputs[0]) or rank(starts) != 1:
        return None
    given = constant(axes)
    if axes is not None and given is None:
        return None
    if given is None:
        (count,) = sizes(starts)
        if count is None:
            return None
        given = np.arange(count)
    turned = np.array([perm[int(axis) % len(perm)] for axis in given], np.int64)
    if axes is not None:
        turned = turned.astype(given.dtype)
    elif starts.dtype is not None:
        turned = turned.astype(starts.dtype.numpy())
    return Form((0,), (0,), constants={3: turned})


def _gather(node: Any, perm: tuple[int, ...]) -> Form | None:
    """A Gather of some places of one axis."""
    data, indices = node.inputs
    if not _has_rank(perm, data) or constant(data) is not None or rank(indices) != 1:
        return None
    return Form((0,), (0,), {"axis": perm[attribute(node, "axis", 0) % len(perm)]})


def _per_axis(node: Any, perm: tuple[int, ...]) -> Form | None:
    """Tile and Expand: one number an axis."""
    given = constant(_input(node, 1))
    if given is None or not _has_rank(perm, node.inputs[0], node.outputs[0]):
        return None
    whole = np.concatenate([np.ones(len(perm) - len(given), given.dtype), given])
    return Form((0,), (0,), constants={1: whole[list(inverse(perm))]})


def _cumsum(node: Any, perm: tuple[int, ...]) -> Form | None:
    axis = constant(_input(node, 1))
    if axis is None or not _has_rank(perm, node.inputs[0]):
        return None
    turned = np.array(perm[int(axis.reshape(())) % len(perm)], axis.dtype)
    return Form((0,), (0,), constants={1: turned.reshape(axis.shape)})


def _shape(node: Any, perm: tuple[int, ...]) -> Form | None:
    """A Shape of the other order, put right afterwards: a handful of numbers, not a tensor."""
    if not _has_rank(perm, node.inputs[0]):
        return None
    start = attribute(node, "start", None)
    end = attribute(node, "end", None)
    wanted = np.array(perm[slice(start, end)], np.int64)

    def after(changed: Any) -> None:
        from edgekit.exporter.passes.layout import graphs

        graphs.follow(changed, "Gather", wanted, axis=0)

    return Form((0,), (), {"start": None, "end": None}, after=after)


_RULES: dict[str, Callable[[Any, tuple[int, ...]], Form | None]] = {
    **dict.fromkeys(UNARY | BROADCASTING, _elementwise),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(["Concat", "Split"], _along),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Hardmax"], _softmax),
    **dict.fromkeys(["ArgMax", "ArgMin"], _arg),
    **dict.fromkeys(["Tile", "Expand"], _per_axis),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Pad": _pad,
    "Slice": _slice,
    "Gather": _gather,
    "CumSum": _cumsum,
    "Shape": _shape,
}
