"""attention: one query-key-value attention, which looks up a record in a small table."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from model_defs.data.countries import (
    DIGITS,
    KEY_FEATURES,
    METRIC,
    QUERY_FEATURES,
    TASK,
    baseline,
    data,
    majority,
    score,
)
from model_defs.training import Training

__all__ = [
    "FLOOR",
    "METRIC",
    "TASK",
    "TRAINING",
    "QueryKeyValueAttention",
    "baseline",
    "build",
    "data",
    "majority",
    "score",
]

FLOOR = 0.95
TRAINING = Training(epochs=10, batch_size=64, learning_rate=2e-3, weight_decay=0.1)

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("model_defs")
class QueryKeyValueAttention(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """`softmax(q kᵀ) value`, with `q` a tanh layer of the query and `k` a layer of the key."""

    def __init__(self, units: int = 64, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.query_layer = keras.layers.Dense(units, activation="tanh", name="query")
        self.key_layer = keras.layers.Dense(units, name="key")

    def build(self, query_shape: Shape, key_shape: Shape, value_shape: Shape) -> None:
        """Create the weights; Keras asks for it when it loads a `.keras` file."""
        self.query_layer.build(query_shape)
        self.key_layer.build(key_shape)

    def call(self, query: Any, key: Any, value: Any) -> Any:
        """`query` `(batch, queries, q)`, `key` `(batch, candidates, k)` and `value`
        `(batch, candidates, v)` -> `(batch, queries, v)`.
        """
        keys = ops.transpose(self.key_layer(key), (0, 2, 1))
        return ops.matmul(ops.softmax(ops.matmul(self.query_layer(query), keys)), value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for the `.keras` file."""
        return {**super().get_config(), "units": self.units}


def build(
    *,
    units: int = 64,
    query_features: int = QUERY_FEATURES,
    key_features: int = KEY_FEATURES,
    digits: int = DIGITS,
) -> keras.Model:
    """`query` `(batch, 1, 52)`, `key` `(batch, n, 104)`, `value` `(batch, n, 30)` -> `digits`.

    The output `digits` is `(batch, 3, 10)`: the probability of each decimal digit of the
    queried country's numeric code. The number `n` of candidates is free.
    """
    query = keras.Input((1, query_features), name="query")
    key = keras.Input((None, key_features), name="key")
    value = keras.Input((None, 10 * digits), name="value")
    x = QueryKeyValueAttention(units, name="attention")(query, key, value)
    x = keras.layers.Reshape((digits, 10), name="digits")(x)
    return keras.Model([query, key, value], x, name="attention")
