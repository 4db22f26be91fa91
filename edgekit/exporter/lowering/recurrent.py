"""SimpleRNN, GRU and LSTM: one operator where tf2onnx writes a Loop.

ONNX skips steps at the end of a sequence only, Keras skips any step that its mask hides. So the
steps that count are first gathered in front, in their order; then their number is the length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call

#: Keras's activations by ONNX's names, those that both compute alike.
ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}
#: ONNX's operator, its order of Keras's gates, and the states that it keeps.
OPERATORS = {
    "SimpleRNN": ("RNN", (0,), 1),
    "GRU": ("GRU", (0, 1, 2), 1),
    "LSTM": ("LSTM", (0, 3, 1, 2), 2),
}


def plan(
    layer: Any,
    sequences: Any,
    initial_state: Any = None,
    mask: Any = None,
    training: Any = None,
) -> Call | None:
    """Take a layer that starts from zeros and forgets afterwards; `sequences` is (b, t, depth)."""
    from edgekit.exporter.lowering import Call

    known = all(name in ACTIVATIONS for name in _activations(layer))
    # At a hidden step Keras repeats the last output, ONNX gives zeros.
    if (
        not known
        or initial_state is not None
        or layer.stateful
        or (mask is not None and layer.return_sequences)
    ):
        return None
    batch, time, _ = sequences.shape
    whole = [batch, time, layer.units] if layer.return_sequences else [batch, layer.units]
    states = OPERATORS[type(layer).__name__][2] if layer.return_state else 0
    inputs = [sequences] if mask is None else [sequences, mask]
    return Call(inputs, [whole, *[[batch, layer.units]] * states], _finish(layer))


def _finish(layer: Any) -> Any:
    def finish(outputs: list[Any]) -> Any:
        import tensorflow as tf

        first, *states = outputs
        if layer.go_backwards and layer.return_sequences:
            first = tf.reverse(first, [1])  # Keras answers in the order of its steps
        return (first, *states) if layer.return_state else first

    return finish


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """One RNN, GRU or LSTM over `(time, batch, depth)`, without directions but its own."""
    kind, order, state_count = OPERATORS[type(layer).__name__]
    x, lengths = inputs[0], None
    if len(inputs) > 1:
        x, lengths = _front(op, x, inputs[1])
    cell = layer.cell
    attributes: dict[str, Any] = {
        "hidden_size": layer.units,
        "activations": [ACTIVATIONS[name] for name in _onnx_activations(layer)],
    }
    if layer.go_backwards:
        attributes["direction"] = "reverse"
    if kind == "GRU":
        attributes["linear_before_reset"] = int(cell.reset_after)
    outputs = op.op(
        kind,
        op.op("Transpose", x, perm=[1, 0, 2]),
        *(
            op.constant(_matrix(op.weight(kernel), order), of=kernel)
            for kernel in (cell.kernel, cell.recurrent_kernel)
        ),
        _biases(op, cell, order),
        lengths,
        outputs=1 + state_count,
        **attributes,
    )
    squeeze = op.ints(1) if layer.return_sequences else op.ints(0)
    if layer.return_sequences:
        first = op.op("Transpose", op.op("Squeeze", outputs[0], squeeze), perm=[1, 0, 2])
    else:
        first = op.op("Squeeze", outputs[1], squeeze)
    if not layer.return_state:
        return [first]
    return [first, *(op.op("Squeeze", state, op.ints(0)) for state in outputs[1:])]


def _front(op: Builder, x: Any, mask: Any) -> tuple[Any, Any]:
    """Gather the steps that count in front; give them and their number, int32 `(batch,)`."""
    import onnx_ir as ir

    lengths = op.op("ReduceSum", op.op("Cast", mask, to=ir.DataType.INT32), op.ints(1), keepdims=0)
    time = op.op("Shape", mask, start=1, end=2)
    # Of equal values TopK gives the earlier first, but in OpenVINO; so no two that count are equal.
    counts = op.op("Cast", mask, to=ir.DataType.FLOAT)
    places = op.op("CumSum", counts, np.array(1))
    keys = op.op("Mul", counts, op.op("Sub", np.array(2.0**24, np.float32), places))
    _, order = op.op("TopK", keys, time, outputs=2, axis=1)
    steps = op.op("Unsqueeze", order, op.ints(-1))
    return op.op("GatherND", x, steps, batch_dims=1), lengths


def _activations(layer: Any) -> list[str]:
    names = [getattr(layer.activation, "__name__", "linear")]
    if type(layer).__name__ != "SimpleRNN":
        names.append(getattr(layer.recurrent_activation, "__name__", "linear"))
    return names


def _onnx_activations(layer: Any) -> list[str]:
    """Order them as ONNX does: the gates', then the candidate's, then the LSTM's output's."""
    first, *gates = _activations(layer)
    return [*gates, first, *([first] if type(layer).__name__ == "LSTM" else [])]


def _matrix(kernel: np.ndarray[Any, Any], order: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Turn `(depth, gates * units)` into ONNX's `(1, gates * units, depth)` in its order."""
    gates = np.split(kernel, len(order), axis=1)
    return np.concatenate([gates[i].T for i in order], axis=0)[None]


def _biases(op: Builder, cell: Any, order: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Give the input's and the recurrent biases as `(1, 2 * gates * units)`."""
    both = np.zeros((2, len(order) * cell.units), op.dtype)
    if cell.bias is not None:
        bias = op.weight(cell.bias)
        both[: bias.ndim if bias.ndim == 2 else 1] = bias
    halves = [np.concatenate([np.split(half, len(order))[i] for i in order]) for half in both]
    return np.concatenate(halves)[None]
