"""Dtypes: half precision, mixed policies, integers, and Keras's own quantisation."""

from __future__ import annotations

from typing import Any

from tests.exporter.cases.rows import X, row

POLICIES = ("float16", "mixed_float16", "bfloat16", "mixed_bfloat16")
#: A layer of each family, with what goes in.
LAYERS: tuple[tuple[str, X, dict[str, Any]], ...] = (
    ("Dense", X((6,)), {"units": 4, "activation": "relu"}),
    ("Conv2D", X((6, 6, 3)), {"filters": 4, "kernel_size": 3}),
    ("LSTM", X((None, 3)), {"units": 4, "recurrent_initializer": "zeros"}),
    ("LayerNormalization", X((None, 6)), {}),
    ("Embedding", X((None,), "int32"), {"input_dim": 5, "output_dim": 4}),
)


def _quantized(mode: str, make: Any) -> Any:
    def layer(keras: Any) -> Any:
        x, options = make
        inner = getattr(keras.layers, x)(**options)
        shape = {"Dense": (None, 8), "EinsumDense": (None, 5, 8)}.get(x, (None, 4))
        inner.build(shape)
        inner.quantize(mode)
        return inner

    return layer


QUANTIZED: tuple[tuple[str, X, dict[str, Any]], ...] = (
    ("Dense", X((8,)), {"units": 4, "activation": "relu"}),
    (
        "EinsumDense",
        X((5, 8)),
        {"equation": "btd,dnh->btnh", "output_shape": (None, 2, 4), "bias_axes": "nh"},
    ),
    ("Embedding", X((4,), "int32"), {"input_dim": 5, "output_dim": 4}),
)

CASES = [
    *(
        row(name, policy, x, dtype=policy, **options)
        for name, x, options in LAYERS
        for policy in POLICIES
        if name in {"Dense", "LSTM"} or policy.startswith("mixed")
    ),
    row("MultiHeadAttention", "mixed_float16", X((5, 6)), num_heads=2, key_dim=3,
        dtype="mixed_float16", call=lambda layer, x: layer(x, x)),
    row("Dense", "bfloat16 large", X((256,)), units=160, dtype="bfloat16"),
    row("BatchNormalization", "mixed_bfloat16", X((5, 6)), dtype="mixed_bfloat16"),
    row("Add", "int32", [X((3,), "int32"), X((3,), "int32")], dtype="int32"),
    row("Dense", "float64", X((6,), "float64"), units=3, dtype="float64"),
    *(
        row(name, mode, x, make=_quantized(mode, (name, options)))
        for name, x, options in QUANTIZED
        for mode in ("int8", "int4")
    ),
    row("Dense", "float8", X((8,)), refused="float8",
        make=_quantized("float8", ("Dense", {"units": 4}))),
]  # fmt: skip
