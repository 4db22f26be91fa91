"""The core of MultiHeadAttention: two products and a Softmax, without shape arithmetic.

The projections around it are EinsumDense layers, lowered in `dense`; masks are made by Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edgekit.exporter.lowering import Builder, Call


#: The opset that has attention as one operator.
ATTENTION_OPSET = 23


def plan(
    layer: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    training: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Call | None:
    """Take attention over one axis; `query` is `(batch, time, heads, depth)`."""
    import keras

    from edgekit.exporter.lowering import Call

    if query.shape.rank != 4 or tuple(layer._attention_axes) != (1,) or return_attention_scores:
        return None
    if attention_mask is not None and attention_mask.shape.rank != 3:
        return None
    if use_causal_mask:
        causal = layer._compute_causal_mask(query, value)
        attention_mask = causal if attention_mask is None else attention_mask & causal
    masks = [] if attention_mask is None else [keras.ops.cast(attention_mask, "bool")]
    shape = [*query.shape[:-1], value.shape[-1]]
    # With dropout Keras takes another way, which answers zero where all is masked.
    zeroed = layer._dropout > 0
    return Call([query, key, value, *masks], [shape], lambda outputs: (outputs[0], None), zeroed)


def lower(op: Builder, layer: Any, values: Any, inputs: list[Any]) -> list[Any]:
    """Softmax(q kᵀ / √depth + mask) v, with the heads on axis 1 inside."""
    query, key, value, *masks = inputs
    if op.opset >= ATTENTION_OPSET and not (masks and values):
        return _operator(op, layer, *inputs)
    # On the query, so that it can go into the weights of what makes the query.
    scaled = op.op("Mul", query, np.array(layer._inverse_sqrt_key_dim, op.dtype))
    q = op.op("Transpose", scaled, perm=[0, 2, 1, 3])
    k = op.op("Transpose", key, perm=[0, 2, 3, 1])
    v = op.op("Transpose", value, perm=[0, 2, 1, 3])
    scores = op.op("MatMul", q, k)
    if masks:
        scores = op.op("Add", scores, _added(op, masks[0]))
    weights = op.op("Softmax", scores, axis=-1)
    if masks and values:
        kept = op.op("Unsqueeze", masks[0], op.ints(1))
        weights = op.op("Where", kept, weights, np.array(0, op.dtype))
    return [op.op("Transpose", op.op("MatMul", weights, v), perm=[0, 2, 1, 3])]


def _operator(
    op: Builder, layer: Any, query: Any, key: Any, value: Any, mask: Any = None
) -> list[Any]:
    """One Attention over `(batch, time, heads * depth)`, as the projections make them."""
    *_, heads, depth = layer._query_dense.kernel.shape
    joined = [
        op.op("Reshape", x, op.ints(0, 0, heads * size))
        for x, size in ((query, depth), (key, depth), (value, layer._value_dim))
    ]
    mixed = op.op(
        "Attention",
        *joined,
        *([] if mask is None else [_added(op, mask)]),
        q_num_heads=heads,
        kv_num_heads=heads,
        scale=float(layer._inverse_sqrt_key_dim),
    )
    return [op.op("Reshape", mixed, op.ints(0, 0, heads, layer._value_dim))]


def _added(op: Builder, mask: Any) -> Any:
    """Turn a mask of `(batch, query, key)` into what is added to the scores of all heads."""
    # Keras's own "minus infinity": a row that is masked as a whole stays finite.
    least = np.array(-3e4 if op.dtype == np.float16 else -1e9, op.dtype)
    heads = op.op("Unsqueeze", mask, op.ints(1))
    return op.op("Where", heads, np.array(0, op.dtype), least)
