"""Attention layers, with every mask that they take."""

from __future__ import annotations

from typing import Any

from tests.exporter.cases.rows import HOLES, X, masked, row

QUERY, VALUE = X((None, 6)), X((None, 6))
HEADS = {"num_heads": 2, "key_dim": 3}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
KEPT = X((7, 7), "bool")


def _twice(layer: Any, x: Any, **options: Any) -> Any:
    return layer(x, x, **options)


def _pair(layer: Any, query: Any, value: Any, **options: Any) -> Any:
    return layer([query, value], **options)


def _padded(layer: Any, x: Any, **options: Any) -> Any:
    import keras

    hidden = keras.layers.Masking()(x)
    return layer(hidden, hidden, **options)


def _padded_pair(layer: Any, x: Any, **options: Any) -> Any:
    import keras

    hidden = keras.layers.Masking()(x)
    return layer([hidden, hidden], **options)


CASES = [
    *(
        row(name, mode, inputs, call=call, **options)
        for name in ("Attention", "AdditiveAttention")
        for mode, inputs, call, options in (
            ("plain", [QUERY, VALUE], _pair, {}),
            ("key", [QUERY, VALUE, VALUE], lambda layer, *x: layer(list(x)), {}),
            ("scale", [QUERY, VALUE], _pair, {"use_scale": True}),
            ("causal", QUERY, lambda layer, x: layer([x, x], use_causal_mask=True), {}),
            ("scores", [QUERY, VALUE],
             lambda layer, *x: layer(list(x), return_attention_scores=True), {}),
            ("masks", HOLES, _padded_pair, {}),
        )
    ),
    row("Attention", "concat", [X((4, 6)), X((5, 6))], call=_pair, score_mode="concat"),
    *(
        row(name, mode, inputs, call=call, **sizes, **options)
        for name, sizes in (("MultiHeadAttention", HEADS), ("GroupQueryAttention", GROUPS))
        for mode, inputs, call, options in (
            ("self", QUERY, _twice, {}),
            ("cross", [QUERY, X((None, 6))], lambda layer, a, b: layer(a, b), {}),
            ("key", [QUERY, VALUE, VALUE], lambda layer, *x: layer(*x), {}),
            ("causal", QUERY, lambda layer, x: layer(x, x, use_causal_mask=True), {}),
            ("mask", [X((7, 6)), KEPT],
             lambda layer, x, mask: layer(x, x, attention_mask=mask), {}),
            ("scores", QUERY,
             lambda layer, x: layer(x, x, return_attention_scores=True), {}),
            ("padded", HOLES, _padded, {}),
            ("padded causal", HOLES, lambda layer, x: _padded(layer, x, use_causal_mask=True), {}),
            ("no bias", QUERY, _twice, {"use_bias": False}),
        )
    ),
    row("MultiHeadAttention", "value dim", QUERY, call=_twice, **HEADS, value_dim=5,
        output_shape=4),
    row("MultiHeadAttention", "two axes", X((3, 4, 6)), call=_twice, **HEADS,
        attention_axes=(1, 2)),
    row("MultiHeadAttention", "one axis of two", X((3, 4, 6)), call=_twice, **HEADS,
        attention_axes=(2,)),
    row("GroupQueryAttention", "window", QUERY, call=_twice, **GROUPS, sliding_window=3),
    row("GroupQueryAttention", "gate", QUERY, call=_twice, **GROUPS, use_gate=True),
    row("GlobalAveragePooling1D", "mask", HOLES, call=masked),
]  # fmt: skip
