"""transformer: names the language of a surname; also the blocks of an encoder-decoder.

Masks travel as explicit arguments instead of Keras's implicit ones: a boolean
`(batch, 1, time)` that is true where a key may be attended to. It is one small tensor, which
keeps the exported graph free of mask arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from model_defs.data.surnames import (
    ALPHABET,
    LABELS,
    METRIC,
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
    "DecoderBlock",
    "EncoderBlock",
    "MaskedMean",
    "PaddingMask",
    "PositionalEncoding",
    "baseline",
    "build",
    "build_seq2seq",
    "data",
    "majority",
    "score",
]

FLOOR = 0.69
TRAINING = Training(epochs=8, batch_size=64, learning_rate=2e-3, warmup_share=0.1)
EPSILON = 1e-6

Shape = tuple[int | None, ...]


@keras.saving.register_keras_serializable("model_defs")
class PaddingMask(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Tells tokens from padding, which has id 0."""

    def call(self, tokens: Any) -> Any:
        """`tokens` `(batch, time)` int -> bool `(batch, 1, time)`, false where a token is 0."""
        return ops.expand_dims(ops.not_equal(tokens, 0), 1)


@keras.saving.register_keras_serializable("model_defs")
class PositionalEncoding(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Adds the sinusoids of Vaswani et al. to `(batch, time, depth)`, sine and cosine in turn.

    They are computed from the length, since a stored table of `max_length` rows would
    outweigh the rest of a small model's file.
    """

    def __init__(self, max_length: int = 5000, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

    def call(self, x: Any) -> Any:
        """`x` plus its positions; a static length above `max_length` is refused."""
        length, depth = x.shape[1:]
        if length is not None and length > self.max_length:
            raise ValueError(f"sequence of {length} steps; expected at most {self.max_length}")
        even = np.arange(depth) // 2 * 2
        rates = (10000.0 ** (-even / depth)).astype(np.float32)
        phases = (np.arange(depth) % 2 * math.pi / 2).astype(np.float32)
        positions = ops.cast(ops.arange(ops.shape(x)[1]), "float32")
        encoding = ops.sin(ops.expand_dims(positions, 1) * rates + phases)
        return x + ops.cast(encoding, x.dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for the `.keras` file."""
        return {**super().get_config(), "max_length": self.max_length}


@keras.saving.register_keras_serializable("model_defs")
class MaskedMean(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Mean over the steps that are not padding; for padding alone zeros, not NaN."""

    def call(self, x: Any, padding: Any) -> Any:
        """`x` `(batch, time, depth)` and `padding` `(batch, 1, time)` -> `(batch, depth)`."""
        weights = ops.cast(padding, x.dtype)
        count = ops.maximum(ops.sum(weights, axis=-1), 1.0)
        return ops.squeeze(ops.matmul(weights, x), 1) / count


class _Block(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """What encoder and decoder blocks share: hyperparameters, self-attention, feed-forward.

    Each part is followed by dropout, the residual sum and LayerNormalization (post-norm).
    """

    def __init__(
        self,
        depth: int,
        heads: int = 8,
        feed_forward: int = 256,
        dropout: float = 0.1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if depth % heads:
            raise ValueError(f"depth {depth} is not a multiple of {heads} heads")
        self.depth = depth
        self.heads = heads
        self.feed_forward = feed_forward
        self.dropout = dropout
        self.attention = self._attention("attention")
        self.attention_norm = _norm("attention_norm")
        self.expand = keras.layers.Dense(feed_forward, activation="relu", name="expand")
        self.contract = keras.layers.Dense(depth, name="contract")
        self.feed_forward_norm = _norm("feed_forward_norm")
        self.drop = keras.layers.Dropout(dropout, name="drop")

    def _attention(self, name: str) -> keras.layers.MultiHeadAttention:
        return keras.layers.MultiHeadAttention(
            self.heads, self.depth // self.heads, dropout=self.dropout, name=name
        )

    def _build_parts(self, shape: Shape) -> None:
        self.attention.build(shape, shape)
        self.attention_norm.build(shape)
        self.expand.build(shape)
        self.contract.build((*shape[:-1], self.feed_forward))
        self.feed_forward_norm.build(shape)

    def _feed_forward(self, x: Any, training: bool | None) -> Any:
        update = self.contract(self.expand(x))
        return self.feed_forward_norm(x + self.drop(update, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for the `.keras` file."""
        return {
            **super().get_config(),
            "depth": self.depth,
            "heads": self.heads,
            "feed_forward": self.feed_forward,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable("model_defs")
class EncoderBlock(_Block):
    """Self-attention and feed-forward."""

    def build(self, x_shape: Shape, padding_shape: Shape) -> None:
        """Create the weights; Keras asks for it when it loads a `.keras` file."""
        self._build_parts(x_shape)

    def call(self, x: Any, padding: Any, training: bool | None = None) -> Any:
        """`x` `(batch, time, depth)`, `padding` `(batch, 1, time)` -> the shape of `x`."""
        update = self.attention(x, x, attention_mask=padding, training=training)
        x = self.attention_norm(x + self.drop(update, training=training))
        return self._feed_forward(x, training)


@keras.saving.register_keras_serializable("model_defs")
class DecoderBlock(_Block):
    """Causal self-attention, attention to the encoder's memory, feed-forward.

    The target needs no mask of its own: its padding is on the right, where causal attention
    never looks.
    """

    def __init__(self, depth: int, **options: Any) -> None:
        super().__init__(depth, **options)
        self.cross_attention = self._attention("cross_attention")
        self.cross_attention_norm = _norm("cross_attention_norm")

    def build(self, x_shape: Shape, memory_shape: Shape, padding_shape: Shape) -> None:
        """Create the weights; Keras asks for it when it loads a `.keras` file."""
        self._build_parts(x_shape)
        self.cross_attention.build(x_shape, memory_shape)
        self.cross_attention_norm.build(x_shape)

    def call(self, x: Any, memory: Any, padding: Any, training: bool | None = None) -> Any:
        """`x` `(batch, target_time, depth)` -> the same shape.

        `memory` is `(batch, source_time, depth)`; `padding` `(batch, 1, source_time)` hides
        its padding.
        """
        update = self.attention(x, x, use_causal_mask=True, training=training)
        x = self.attention_norm(x + self.drop(update, training=training))
        update = self.cross_attention(x, memory, attention_mask=padding, training=training)
        x = self.cross_attention_norm(x + self.drop(update, training=training))
        return self._feed_forward(x, training)


def build(
    *,
    vocabulary: int = len(ALPHABET) + 2,
    classes: int = len(LABELS),
    depth: int = 64,
    heads: int = 8,
    feed_forward: int = 256,
    blocks: int = 2,
    dropout: float = 0.1,
    max_length: int = 5000,
) -> keras.Model:
    """`tokens` `(batch, time)` int32, 0 for padding -> `probabilities` `(batch, classes)`."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    padding = PaddingMask(name="padding_mask")(tokens)
    x = _embed(tokens, vocabulary, depth, dropout, max_length)
    for number in range(1, blocks + 1):
        block = EncoderBlock(depth, heads, feed_forward, dropout, name=f"encoder{number}")
        x = block(x, padding)
    x = MaskedMean(name="mean")(x, padding)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = keras.layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model([tokens], x, name="transformer")


def build_seq2seq(
    *,
    source_vocabulary: int,
    target_vocabulary: int,
    depth: int = 64,
    heads: int = 8,
    feed_forward: int = 256,
    blocks: int = 2,
    dropout: float = 0.1,
    max_length: int = 5000,
) -> keras.Model:
    """`source` and `target`, `(batch, time)` int32 -> `probabilities` of each next token.

    `probabilities` is `(batch, target_time, target_vocabulary)`. The layers `encoder` and
    `decoder` are models of their own; the decoder gives `logits`.
    """
    options: dict[str, Any] = {"heads": heads, "feed_forward": feed_forward, "dropout": dropout}
    source = keras.Input((None,), dtype="int32", name="source")
    padding = PaddingMask(name="padding_mask")(source)
    x = _embed(source, source_vocabulary, depth, dropout, max_length)
    for number in range(1, blocks + 1):
        x = EncoderBlock(depth, name=f"encoder{number}", **options)(x, padding)
    encoder = keras.Model([source], keras.layers.Identity(name="memory")(x), name="encoder")

    target = keras.Input((None,), dtype="int32", name="target")
    memory = keras.Input((None, depth), name="memory")
    padding = PaddingMask(name="padding_mask")(source)
    x = _embed(target, target_vocabulary, depth, dropout, max_length)
    for number in range(1, blocks + 1):
        x = DecoderBlock(depth, name=f"decoder{number}", **options)(x, memory, padding)
    logits = keras.layers.Dense(target_vocabulary, name="logits")(x)
    decoder = keras.Model([target, memory, source], logits, name="decoder")

    logits = decoder([target, encoder([source]), source])
    probabilities = keras.layers.Softmax(name="probabilities")(logits)
    return keras.Model([source, target], probabilities, name="seq2seq")


def _norm(name: str) -> keras.layers.LayerNormalization:
    return keras.layers.LayerNormalization(epsilon=EPSILON, name=name)


def _embed(tokens: Any, vocabulary: int, depth: int, dropout: float, max_length: int) -> Any:
    """Token vectors with their positions, `(batch, time, depth)`."""
    # Sinusoids have a variance of one half: vectors much smaller would drown in them.
    embedding = keras.layers.Embedding(
        vocabulary,
        depth,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.7),
        name="embedding",
    )
    x = PositionalEncoding(max_length, name="positions")(embedding(tokens))
    return keras.layers.Dropout(dropout, name="embedding_dropout")(x)
