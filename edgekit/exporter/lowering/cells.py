"""Keras's recurrent cells as ONNX's RNN, GRU and LSTM: weights, activations, the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder

#: Keras's activations by ONNX's names, with alpha and beta where ONNX has them.
ACTIVATIONS: dict[str, tuple[str, list[float], list[float]]] = {
    "tanh": ("Tanh", [], []),
    "sigmoid": ("Sigmoid", [], []),
    "relu": ("Relu", [], []),
    "hard_sigmoid": ("HardSigmoid", [1 / 6], [0.5]),
    "elu": ("Elu", [1.0], []),
    "leaky_relu": ("LeakyRelu", [0.2], []),
    "softsign": ("Softsign", [], []),
    "softplus": ("Softplus", [], []),
    "linear": ("Affine", [1.0], [0.0]),
}
#: ONNX's operator, its order of Keras's gates, and the states that it keeps.
OPERATORS = {
    "SimpleRNNCell": ("RNN", (0,), 1),
    "GRUCell": ("GRU", (0, 1, 2), 1),
    "LSTMCell": ("LSTM", (0, 3, 1, 2), 2),
}


def levels(layer: Any) -> list[Any] | None:
    """List a layer's cells from the input up, or None where one is not of ours."""
    import keras

    ours = (
        keras.layers.SimpleRNN,
        keras.layers.GRU,
        keras.layers.LSTM,
        keras.layers.RNN,
    )
    if type(layer) not in ours:
        return None
    cell = layer.cell
    stack = list(cell.cells) if type(cell) is keras.layers.StackedRNNCells else [cell]
    known = all(_is_known(cell) and cell.compute_dtype == layer.compute_dtype for cell in stack)
    return stack if known else None


def states(cell: Any) -> int:
    """Count the states of a cell."""
    return OPERATORS[type(cell).__name__][2]


def kind(cell: Any) -> tuple[Any, ...]:
    """Tell what two cells must share to be two directions of one operator."""
    return (*_operator(cell), cell.units, *_activations(cell))


def operator(
    op: Builder, both: list[Any], direction: str, x: Any, lengths: Any, start: list[Any]
) -> list[Any]:
    """Give all steps and the last states of the cells, one for each direction.

    `x` is `(time, batch, depth)`, a state `(directions, batch, units)`, and all steps
    `(time, directions, batch, units)`.
    """
    name, order, count, linear = _operator(both[0])
    attributes: dict[str, Any] = {"hidden_size": both[0].units}
    functions = [ACTIVATIONS[name] for name in _onnx_activations(both[0])] * len(both)
    attributes["activations"] = [function for function, _, _ in functions]
    for i, key in ((1, "activation_alpha"), (2, "activation_beta")):
        numbers = [number for function in functions for number in function[i]]
        if numbers:
            attributes[key] = numbers
    if direction != "forward":
        attributes["direction"] = direction
    if linear is not None:
        attributes["linear_before_reset"] = linear
    matrices = [
        op.constant(
            np.concatenate([_matrix(op.weight(each), order) for each in kernels]), kernels[0]
        )
        for kernels in ([cell.kernel for cell in both], [cell.recurrent_kernel for cell in both])
    ]
    biases = np.concatenate([_biases(op, cell, order) for cell in both])
    inputs = [x, *matrices, biases, lengths, *start]
    made: list[Any] = op.op(name, *inputs, outputs=1 + count, **attributes)
    return made


def _operator(cell: Any) -> tuple[str, tuple[int, ...], int, int | None]:
    linear = int(cell.reset_after) if type(cell).__name__ == "GRUCell" else None
    return (*OPERATORS[type(cell).__name__], linear)


def _is_known(cell: Any) -> bool:
    import keras

    kinds = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)
    return type(cell) in kinds and None not in _activations(cell)


def _activations(cell: Any) -> list[str | None]:
    """Name the cell's activations as Keras does, None for one that ONNX has not."""
    import keras

    functions = [cell.activation, getattr(cell, "recurrent_activation", None)]
    return [
        next((name for name in ACTIVATIONS if getattr(keras.activations, name) is function), None)
        for function in functions[: 1 if type(cell).__name__ == "SimpleRNNCell" else 2]
    ]


def _onnx_activations(cell: Any) -> list[Any]:
    """Order them as ONNX does: the gates', then the candidate's, then the LSTM's output's."""
    first, *gates = _activations(cell)
    return [*gates, first, *([first] if type(cell).__name__ == "LSTMCell" else [])]


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
