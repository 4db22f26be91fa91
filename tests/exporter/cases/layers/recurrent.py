"""Recurrent layers, their cells and wrappers."""

from __future__ import annotations

from typing import Any

from tests.exporter.cases.rows import HOLES, PADDED, X, masked, row

SERIES = X((None, 3))
FIXED = X((5, 3))
FRAMES = {1: X((4, 6, 2)), 2: X((3, 5, 4, 2)), 3: X((2, 4, 3, 4, 1))}
CELLS = ("SimpleRNN", "GRU", "LSTM")
STATES = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}


def _from_states(layer: Any, x: Any, *states: Any) -> Any:
    return layer(x, initial_state=list(states) if len(states) > 1 else states[0])


def _masked_from_states(layer: Any, x: Any, *states: Any) -> Any:
    import keras

    return _from_states(layer, keras.layers.Masking()(x), *states)


def _stack(keras: Any, **options: Any) -> Any:
    cells = [keras.layers.LSTMCell(4), keras.layers.GRUCell(3)]
    return keras.layers.RNN(keras.layers.StackedRNNCells(cells), **options)


def _minimal_cell(keras: Any) -> Any:
    class MinimalCell(keras.layers.Layer):  # type: ignore[misc] # keras ships no types
        state_size = 3

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

        def call(self, x: Any, states: Any) -> Any:
            output = keras.ops.sin(x @ self.kernel) + states[0] / 2
            return output, [output]

    return keras.layers.RNN(MinimalCell(), return_sequences=True)


def _cell_row(name: str, mode: str, count: int, **options: Any) -> Any:
    def call(layer: Any, x: Any, *states: Any) -> Any:
        output, after = layer(x, list(states) if len(states) > 1 else states[0])
        return [output, *(after if isinstance(after, (list, tuple)) else [after])]

    return row(name, mode, [X((3,)), *[X((4,))] * count], call=call, units=4, **options)


PLAIN = [
    row(name, mode, x, units=4, **options)
    for name in CELLS
    for mode, x, options in (
        ("plain", SERIES, {}),
        ("sequences", SERIES, {"return_sequences": True}),
        ("state", SERIES, {"return_state": True}),
        ("backwards", SERIES, {"go_backwards": True}),
        ("backwards sequences", SERIES, {"go_backwards": True, "return_sequences": True,
                                         "return_state": True}),
        ("other activation", SERIES, {"activation": "gelu", "return_sequences": True}),
        ("unrolled", FIXED, {"unroll": True, "return_sequences": True}),
        ("no bias", SERIES, {"use_bias": False}),
    )
    if name != "SimpleRNN" or "sequences" in mode or mode == "plain"
]  # fmt: skip
MASKED = [
    row(name, mode, x, call=masked, units=4, **options)
    for name in CELLS
    for mode, x, options in (
        ("padded", PADDED, {}),
        ("holes", HOLES, {"return_state": True}),
        ("holes sequences", HOLES, {"return_sequences": True, "return_state": True}),
        ("holes backwards", HOLES, {"return_sequences": True, "go_backwards": True}),
        ("holes zeroed", HOLES, {"return_sequences": True, "zero_output_for_mask": True}),
    )
]
STATEFUL = [
    *(
        row(name, mode, [x, *[X((4,))] * STATES[name]], call=call, units=4, return_state=True,
            return_sequences=True)
        for name in CELLS
        for mode, x, call in (
            ("initial state", SERIES, _from_states),
            ("initial state holes", HOLES, _masked_from_states),
        )
    ),
    *(
        row(name, "stateful", X((5, 3), batch=2), units=4, stateful=True, refused="stateful")
        for name in CELLS
    ),
]  # fmt: skip
WRAPPED = [
    *(
        row("Bidirectional", f"{merge or 'apart'}", SERIES, merge_mode=merge,
            make=lambda k, merge=merge: k.layers.Bidirectional(
                k.layers.LSTM(4, return_sequences=True), merge_mode=merge))
        for merge in ("concat", "sum", "mul", "ave", None)
    ),
    *(
        row("Bidirectional", f"{name} last", SERIES,
            make=lambda k, name=name: k.layers.Bidirectional(getattr(k.layers, name)(4)))
        for name in CELLS
    ),
    row("Bidirectional", "state", SERIES,
        make=lambda k: k.layers.Bidirectional(k.layers.GRU(4, return_state=True))),
    row("Bidirectional", "holes", HOLES, call=masked,
        make=lambda k: k.layers.Bidirectional(k.layers.GRU(4))),
    row("Bidirectional", "holes sequences", HOLES, call=masked,
        make=lambda k: k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True))),
    row("Bidirectional", "backward layer", SERIES,
        make=lambda k: k.layers.Bidirectional(
            k.layers.GRU(4), backward_layer=k.layers.LSTM(3, go_backwards=True))),
    row("Bidirectional", "initial state", [SERIES, *[X((4,))] * 2], call=_from_states,
        make=lambda k: k.layers.Bidirectional(k.layers.GRU(4))),
    row("TimeDistributed", "dense", X((None, 4)),
        make=lambda k: k.layers.TimeDistributed(k.layers.Dense(3))),
    row("TimeDistributed", "conv", X((3, 6, 5, 2)),
        make=lambda k: k.layers.TimeDistributed(k.layers.Conv2D(3, 2))),
    row("TimeDistributed", "free conv", X((None, 6, 5, 2)),
        make=lambda k: k.layers.TimeDistributed(k.layers.Conv2D(3, 2))),
    row("TimeDistributed", "masked", HOLES, call=masked,
        make=lambda k: k.layers.TimeDistributed(k.layers.Dense(3))),
    row("TimeDistributed", "recurrent", X((3, 5, 2)),
        make=lambda k: k.layers.TimeDistributed(k.layers.GRU(3))),
]  # fmt: skip
CELL = [
    *(
        row("RNN", f"{name} cell", SERIES, make=lambda k, name=name: k.layers.RNN(
            getattr(k.layers, f"{name}Cell")(4), return_sequences=True))
        for name in CELLS
    ),
    row("RNN", "own cell", SERIES, make=_minimal_cell),
    row("RNN", "own cell masked", HOLES, make=_minimal_cell, call=masked),
    row("StackedRNNCells", "plain", SERIES, make=_stack),
    row("StackedRNNCells", "sequences", SERIES,
        make=lambda k: _stack(k, return_sequences=True, return_state=True)),
    row("StackedRNNCells", "holes", HOLES, call=masked,
        make=lambda k: _stack(k, return_sequences=True)),
    _cell_row("SimpleRNNCell", "step", 1),
    _cell_row("GRUCell", "step", 1),
    _cell_row("GRUCell", "reset before", 1, reset_after=False),
    _cell_row("LSTMCell", "step", 2),
]  # fmt: skip
CONVOLUTIONAL = [
    *(
        row(f"ConvLSTM{rank}D", mode, FRAMES[rank], filters=2, kernel_size=2, **options)
        for rank in (1, 2, 3)
        for mode, options in (
            ("plain", {}),
            ("sequences", {"return_sequences": True, "padding": "same", "return_state": True}),
        )
    ),
    row("ConvLSTM2D", "strides", FRAMES[2], filters=2, kernel_size=2, strides=2, padding="same"),
    row("ConvLSTM2D", "dilation", FRAMES[2], filters=2, kernel_size=2, dilation_rate=2),
    row("ConvLSTM2D", "backwards", FRAMES[2], filters=2, kernel_size=2, go_backwards=True,
        return_sequences=True),
    row("ConvLSTM2D", "free time", X((None, 5, 4, 2)), filters=2, kernel_size=2),
    row("ConvLSTM2D", "channels first", X((3, 2, 5, 4)), filters=2, kernel_size=2,
        data_format="channels_first"),
]  # fmt: skip

CASES = [*PLAIN, *MASKED, *STATEFUL, *WRAPPED, *CELL, *CONVOLUTIONAL]
