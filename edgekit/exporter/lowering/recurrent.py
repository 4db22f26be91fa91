"""Recurrent layers: one RNN, GRU or LSTM for each where tf2onnx writes a Loop.

ONNX skips steps at the end of a sequence only, Keras skips any step that its mask hides. So the
steps that count are first gathered in front, in their order; then their number is the length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.exporter.lowering import cells

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


def plan(
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = None,
) -> Call | None:
    """Take a layer that forgets afterwards; `sequences` is (b, t, depth)."""
    levels = cells.levels(layer)
    # Keras holds an unrolled layer's mask against the steps in the wrong order.
    odd = mask is not None and layer.unroll and layer.zero_output_for_mask
    if levels is None or layer.stateful or odd:
        return None
    # The states of a stack are nested, each cell's in its own list.
    if len(levels) > 1 and (layer.return_state or initial_state is not None):
        return None

    def finish(outputs: list[Any]) -> Any:
        first, *states = outputs
        if layer.go_backwards and layer.return_sequences:
            import tensorflow as tf

            first = tf.reverse(first, [1])  # Keras answers in the order of its steps
        return (first, *states) if layer.return_state else first

    cell = levels[-1]
    states = cells.states(cell) if layer.return_state else 0
    return _call(layer, sequences, initial_state, mask, [cell], [cell.units], states, finish)


def plan_bidirectional(
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = None,
) -> Call | None:
    """Take two layers of one cell that differ in their weights only."""
    pair = layer.forward_layer, layer.backward_layer
    both = [cells.levels(each) for each in pair]
    if layer.stateful or pair[0].go_backwards or any(each is None for each in both):
        return None
    found = [cell for each in both if each for cell in each]
    alike = len(found) == 2 and len({cells.kind(cell) for cell in found}) == 1
    zeros = {each.zero_output_for_mask for each in pair}
    odd = mask is not None and (zeros != {layer.return_sequences} or pair[0].unroll)
    if not alike or odd or any(each.compute_dtype != layer.compute_dtype for each in pair):
        return None

    def finish(outputs: list[Any]) -> Any:
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    units = found[0].units
    widths = {"concat": [2 * units], None: [units, units]}.get(layer.merge_mode, [units])
    states = 2 * cells.states(found[0]) if layer.return_state else 0
    return _call(layer, sequences, initial_state, mask, found, widths, states, finish)


def _call(
    layer: Any,
    sequences: Any,
    initial_state: Any,
    mask: Any,
    found: list[Any],
    widths: list[int],
    states: int,
    finish: Any,
) -> Call | None:
    """Plan a call whose outputs are as wide as `widths`, and `states` states as the cells."""
    import keras
    import tensorflow as tf

    from edgekit.exporter.lowering import Call

    batch, time, _ = sequences.shape
    mask = mask[0] if keras.tree.is_nested(mask) and mask else mask
    inputs = [sequences if mask is None else _before_masking(sequences, mask)]
    if mask is not None:
        inputs.append(tf.cast(mask, tf.bool))
    if initial_state is not None:
        given = keras.tree.flatten(initial_state)
        given = [keras.ops.convert_to_tensor(s, dtype=layer.compute_dtype) for s in given]
        wanted = [batch, found[0].units]
        if len(given) != sum(map(cells.states, found)):
            return None
        if any(state.shape.rank != 2 or list(state.shape) != wanted for state in given):
            return None
        inputs += given
    if mask is not None and mask.shape.rank != 2:
        return None
    whole = [batch, time] if layer.return_sequences else [batch]
    shapes = [[*whole, width] for width in widths] + [[batch, found[0].units]] * states
    return Call(inputs, shapes, finish, values=mask is not None)


def _before_masking(sequences: Any, mask: Any) -> Any:
    """Give what a Masking layer took: the steps that it turns to zeros are the hidden ones.

    That is where `mask` is the same function of the same input as the layer's own.
    """
    if sequences.op.type != "SelectV2" or mask.op.type != "Any":
        return sequences
    shown, x, _ = sequences.op.inputs
    return x if shown.op.type == "Any" and _reads(shown) == _reads(mask) else sequences


def _reads(shown: Any) -> tuple[Any, ...]:
    """Tell what `any(x != value, axis)` reads: numbers, and tensors by identity."""
    import tensorflow as tf

    compared, axis = shown.op.inputs
    tensors = [*compared.op.inputs, axis] if compared.op.type == "NotEqual" else [compared, axis]
    numbers = [tf.get_static_value(tensor) for tensor in tensors]
    return tuple(
        tensor.ref() if number is None else tuple(np.ravel(number).tolist())
        for tensor, number in zip(tensors, numbers, strict=True)
    )


def lower(op: Builder, layer: Any, masked: bool, inputs: list[Any]) -> list[Any]:
    """One operator for each cell, over `(time, batch, depth)`."""
    levels: list[Any] = cells.levels(layer) or []
    x, mask, given = _split(masked, inputs)
    steps = Steps(op, mask) if mask is not None else None
    y = op.op("Transpose", steps.front(x) if steps else x, perm=[1, 0, 2])
    direction = "reverse" if layer.go_backwards else "forward"
    outputs: list[Any] = []
    for i, cell in enumerate(levels):
        start = [op.op("Unsqueeze", state, op.ints(0)) for state in given]
        outputs = cells.operator(op, [cell], direction, y, steps and steps.lengths, start)
        if i < len(levels) - 1 or layer.return_sequences:
            y = op.op("Squeeze", outputs[0], op.ints(1))
    states = [op.op("Squeeze", outputs[1], op.ints(0))]
    if layer.return_state:
        states += [op.op("Squeeze", state, op.ints(0)) for state in outputs[2:]]
    if layer.return_sequences:
        first = op.op("Transpose", y, perm=[1, 0, 2])
        if steps:
            first = steps.back(
                first, zeros=layer.zero_output_for_mask, backwards=layer.go_backwards
            )
    else:
        first = steps.output(states[0], given) if steps else states[0]
        if steps and layer.zero_output_for_mask:
            first = steps.unless_last_hidden(first, backwards=layer.go_backwards)
    if not layer.return_state:
        return [first]
    return [first, *(steps.states(states, given) if steps else states)]


def lower_bidirectional(op: Builder, layer: Any, masked: bool, inputs: list[Any]) -> list[Any]:
    """One operator with two directions; what it gives is `(time, 2, batch, units)`."""
    pair = [cells.levels(each) for each in (layer.forward_layer, layer.backward_layer)]
    both = [cell for each in pair if each for cell in each]
    x, mask, given = _split(masked, inputs)
    steps = Steps(op, mask) if mask is not None else None
    y = op.op("Transpose", steps.front(x) if steps else x, perm=[1, 0, 2])
    start = []
    for i in range(len(given) // 2):
        pairs = [op.op("Unsqueeze", given[j], op.ints(0)) for j in (i, i + len(given) // 2)]
        start.append(op.op("Concat", *pairs, axis=0))
    outputs = cells.operator(op, both, "bidirectional", y, steps and steps.lengths, start)
    if layer.return_sequences:
        merged = op.op("Transpose", outputs[0], perm=[2, 0, 1, 3])
        merged = steps.back(merged, zeros=True) if steps else merged
        first = _merged(op, layer.merge_mode, merged, 2)
    else:
        last = steps.output(outputs[1], given) if steps else outputs[1]
        first = _merged(op, layer.merge_mode, last, 0)
    if not layer.return_state:
        return first
    states = [_direction(op, state, i, 0) for i in (0, 1) for state in outputs[1:]]
    return [*first, *(steps.states(states, given) if steps else states)]


def _split(masked: bool, inputs: list[Any]) -> tuple[Any, Any, list[Any]]:
    x, *rest = inputs
    return (x, rest[0], rest[1:]) if masked else (x, None, rest)


def _direction(op: Builder, value: Any, i: int, axis: int) -> Any:
    return op.op("Gather", value, np.array(i), axis=axis)


def _merged(op: Builder, mode: str | None, value: Any, axis: int) -> list[Any]:
    """Merge the two directions, which lie along `axis`: 0 of `(2, b, units)`, 2 of (b, t, 2, u)."""
    if mode == "concat":
        if axis == 0:
            value = op.op("Transpose", value, perm=[1, 0, 2])
        # A zero keeps the length of an axis; -1 is twice the units.
        return [op.op("Reshape", value, op.ints(0, *[0] * (axis // 2), -1))]
    if mode in ("sum", "ave"):
        total = op.op("ReduceSum", value, op.ints(axis), keepdims=0)
        return [op.op("Mul", total, np.array(0.5, op.dtype)) if mode == "ave" else total]
    both = [_direction(op, value, i, axis) for i in (0, 1)]
    return [op.op("Mul", *both)] if mode == "mul" else both


class Steps:
    """Which steps of `(batch, time)` count, and the way to the front and back."""

    def __init__(self, op: Builder, mask: Any) -> None:
        import onnx_ir as ir

        self.op, self.mask = op, mask
        self._counts = op.op("Cast", mask, to=ir.DataType.INT32)
        self.lengths = op.op("ReduceSum", self._counts, op.ints(1), keepdims=0)

    def front(self, x: Any) -> Any:
        """Gather the steps of `x` that count in front."""
        op = self.op
        time = op.op("Shape", self.mask, start=1, end=2)
        # Of equal values TopK gives the earlier first, but in OpenVINO; so no two that count are
        # equal: each has the number of those that are left.
        left = op.op("CumSum", self._counts, np.array(1), reverse=1)
        keys = op.op("Mul", self._counts, left)
        _, order = op.op("TopK", keys, time, outputs=2, axis=1)
        return op.op("GatherND", x, op.op("Unsqueeze", order, op.ints(-1)), batch_dims=1)

    def back(self, y: Any, *, zeros: bool, backwards: bool = False) -> Any:
        """Give each step its output, a hidden one the output before it, or zeros.

        Where a step is hidden, fewer count than there are: the last of `y` (b, t, ...) is zeros.
        """
        import onnx_ir as ir

        op = self.op
        if backwards and not zeros:
            places = op.op("CumSum", self._counts, np.array(1), exclusive=1)
        else:
            counted = op.op("CumSum", self._counts, np.array(1))
            if zeros:
                counted = op.op("Mul", counted, self._counts)
            places = op.op("Sub", counted, np.array(1, np.int32))
        # -1 is the last.
        places = op.op("Cast", places, to=ir.DataType.INT64)
        return op.op("GatherND", y, op.op("Unsqueeze", places, op.ints(-1)), batch_dims=1)

    def output(self, state: Any, given: list[Any]) -> Any:
        """Give zeros where no step counts, which Keras answers even if a state was given."""
        if not given:
            return state
        return self.op.op("Where", self._none(), np.zeros((), self.op.dtype), state)

    def states(self, states: list[Any], given: list[Any]) -> list[Any]:
        """Keep the state that was given where no step counts."""
        if not given:
            return states
        none = self._none()
        return [self.op.op("Where", none, old, new) for old, new in zip(given, states, strict=True)]

    def unless_last_hidden(self, y: Any, *, backwards: bool) -> Any:
        """Give zeros where the step that runs last is hidden."""
        op = self.op
        last = op.op("Gather", self.mask, op.ints(0 if backwards else -1), axis=1)
        return op.op("Where", last, y, np.zeros((), op.dtype))

    def _none(self) -> Any:
        empty = self.op.op("Equal", self.lengths, np.array(0, np.int32))
        return self.op.op("Unsqueeze", empty, self.op.ints(-1))
