"""Small models in the style of language, speech and sequence architectures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")

L: Any = keras.layers
ops: Any = keras.ops

WORDS, DEPTH, HEADS = 20, 8, 2


class Positions(L.Layer):  # type: ignore[misc] # keras ships no types
    """A learned table of positions, cut to the length of the sequence."""

    def __init__(self, longest: int = 32) -> None:
        super().__init__()
        self.longest = longest

    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=(self.longest, shape[-1]), initializer="normal")

    def call(self, x: Any) -> Any:
        return x + self.table[: ops.shape(x)[1]]


def feed_forward(x: Any, activation: str = "gelu") -> Any:
    return L.Dense(DEPTH)(L.Dense(2 * DEPTH, activation=activation)(x))


def bert() -> Any:
    tokens = keras.Input((None,), dtype="int32", name="ids")
    kept = keras.Input((None,), dtype="int32", name="kept")
    x = L.LayerNormalization()(Positions()(L.Embedding(WORDS, DEPTH)(tokens)))
    mask = ops.expand_dims(ops.cast(kept, "bool"), 1)
    for _ in range(2):
        attended = L.MultiHeadAttention(HEADS, DEPTH // HEADS, dropout=0.1)(
            x, x, attention_mask=mask
        )
        x = L.LayerNormalization()(x + attended)
        x = L.LayerNormalization()(x + feed_forward(x))
    pooled = L.Dense(DEPTH, activation="tanh")(x[:, 0])
    return keras.Model([tokens, kept], {"sequence": x, "pooled": pooled})


def gpt() -> Any:
    tokens = keras.Input((None,), dtype="int32", name="ids")
    embedding = L.Embedding(WORDS, DEPTH)
    x = Positions()(embedding(tokens))
    for _ in range(2):
        y = L.LayerNormalization()(x)
        x = x + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(y, y, use_causal_mask=True)
        x = x + feed_forward(L.LayerNormalization()(x))
    logits = ops.matmul(L.LayerNormalization()(x), ops.transpose(embedding.embeddings))
    return keras.Model(tokens, logits)


class RotaryAttention(L.Layer):  # type: ignore[misc] # keras ships no types
    """Grouped-query attention with rotary positions; `start` counts the steps in the cache."""

    def __init__(self, heads: int = 4, groups: int = 2, depth: int = 4) -> None:
        super().__init__()
        self.heads, self.groups, self.depth = heads, groups, depth
        self.query = L.EinsumDense("btd,dhk->bthk", (None, heads, depth))
        self.key = L.EinsumDense("btd,dhk->bthk", (None, groups, depth))
        self.value = L.EinsumDense("btd,dhk->bthk", (None, groups, depth))
        self.out = L.EinsumDense("bthk,hkd->btd", (None, DEPTH))

    def rotated(self, x: Any, start: Any) -> Any:
        half = self.depth // 2
        rates = 1.0 / 10000.0 ** (np.arange(half, dtype=np.float32) / half)
        steps = ops.cast(ops.arange(ops.shape(x)[1]) + start, "float32")
        angles = (steps[:, None] * rates)[None, :, None]
        a, b = x[..., :half], x[..., half:]
        turned = [
            a * ops.cos(angles) - b * ops.sin(angles),
            b * ops.cos(angles) + a * ops.sin(angles),
        ]
        return ops.concatenate(turned, axis=-1)

    def call(self, x: Any, past: Any = None) -> Any:
        start = 0 if past is None else ops.shape(past)[2]
        query = self.rotated(self.query(x), start)
        key, value = self.rotated(self.key(x), start), self.value(x)
        if past is not None:
            key = ops.concatenate([past[:, 0], key], axis=1)
            value = ops.concatenate([past[:, 1], value], axis=1)
        each = self.heads // self.groups
        keys, values = ops.repeat(key, each, axis=2), ops.repeat(value, each, axis=2)
        scores = ops.einsum("bthk,bshk->bhts", query, keys) / self.depth**0.5
        seen = ops.arange(ops.shape(key)[1])[None] <= ops.arange(ops.shape(x)[1])[:, None] + start
        weights = ops.softmax(ops.where(seen, scores, -1e9))
        mixed = self.out(ops.einsum("bhts,bshk->bthk", weights, values))
        return mixed if past is None else (mixed, ops.stack([key, value], axis=1))


def _llama_block(x: Any, past: Any = None) -> tuple[Any, Any]:
    normalised = L.RMSNormalization()(x)
    attended = (
        RotaryAttention()(normalised, past) if past is not None else RotaryAttention()(normalised)
    )
    mixed, cache = attended if past is not None else (attended, None)
    x = x + mixed
    y = L.RMSNormalization()(x)
    gated = L.Dense(2 * DEPTH, use_bias=False, activation="silu")(y)
    return x + L.Dense(DEPTH)(gated * L.Dense(2 * DEPTH, use_bias=False)(y)), cache


def llama() -> Any:
    tokens = keras.Input((None,), dtype="int32", name="ids")
    x = L.Embedding(WORDS, DEPTH)(tokens)
    for _ in range(2):
        x, _ = _llama_block(x)
    return keras.Model(tokens, L.Dense(WORDS)(L.RMSNormalization()(x)))


def llama_step() -> Any:
    """One step of decoding: the keys and values so far come in, and go out longer by the new."""
    token = keras.Input((1,), dtype="int32", name="token")
    past = keras.Input((2, None, 2, 4), name="past")
    x, cache = _llama_block(L.Embedding(WORDS, DEPTH)(token), past)
    return keras.Model([token, past], {"logits": L.Dense(WORDS)(x), "cache": cache})


class RelativeAttention(L.Layer):  # type: ignore[misc] # keras ships no types
    """T5's attention: unscaled, with a bias by the logarithm of the distance."""

    def __init__(self, *, bias: bool, causal: bool, buckets: int = 8) -> None:
        super().__init__()
        self.bias, self.causal, self.buckets = bias, causal, buckets
        self.layers_ = [L.Dense(DEPTH, use_bias=False) for _ in range(4)]
        self.distances = L.Embedding(buckets, HEADS) if bias else None

    def heads(self, x: Any) -> Any:
        return ops.reshape(x, (ops.shape(x)[0], -1, HEADS, DEPTH // HEADS))

    def bucket(self, distance: Any) -> Any:
        half = self.buckets if self.causal else self.buckets // 2
        sign = ops.cast(distance > 0, "int32") * (0 if self.causal else half)
        far = ops.maximum(-distance, 0) if self.causal else ops.abs(distance)
        exact = half // 2
        steps = ops.log(ops.cast(ops.maximum(far, 1), "float32") / exact) / np.log(32 / exact)
        large = exact + ops.cast(steps * (half - exact), "int32")
        return sign + ops.where(far < exact, far, ops.minimum(large, half - 1))

    def call(self, x: Any, memory: Any = None) -> Any:
        source = x if memory is None else memory
        query, key, value = (
            self.heads(layer(y))
            for layer, y in zip(self.layers_, (x, source, source), strict=False)
        )
        scores = ops.einsum("bthk,bshk->bhts", query, key)
        if self.distances is not None:
            steps = ops.arange(ops.shape(x)[1])
            distance = steps[None, :] - steps[:, None]
            scores += ops.transpose(self.distances(self.bucket(distance)), (2, 0, 1))[None]
            if self.causal:
                scores = ops.where(distance <= 0, scores, -1e9)
        mixed = ops.einsum("bhts,bshk->bthk", ops.softmax(scores), value)
        return self.layers_[3](ops.reshape(mixed, (ops.shape(x)[0], -1, DEPTH)))


def t5() -> Any:
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    embedding = L.Embedding(WORDS, DEPTH)
    x, y = embedding(source), embedding(target)
    x = x + RelativeAttention(bias=True, causal=False)(L.RMSNormalization()(x))
    x = x + feed_forward(L.RMSNormalization()(x), "relu")
    y = y + RelativeAttention(bias=True, causal=True)(L.RMSNormalization()(y))
    y = y + RelativeAttention(bias=False, causal=False)(L.RMSNormalization()(y), x)
    return keras.Model([source, target], feed_forward(y, "relu"))


def whisper() -> Any:
    mel = keras.Input((None, 6), name="mel")
    tokens = keras.Input((None,), dtype="int32", name="ids")
    x = L.Conv1D(DEPTH, 3, padding="same", activation="gelu")(mel)
    x = Positions()(L.Conv1D(DEPTH, 3, strides=2, padding="same", activation="gelu")(x))
    y = L.LayerNormalization()(x)
    x = x + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(y, y)
    memory = L.LayerNormalization()(x + feed_forward(x))
    z = Positions()(L.Embedding(WORDS, DEPTH)(tokens))
    z = z + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(z, z, use_causal_mask=True)
    z = z + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(L.LayerNormalization()(z), memory)
    return keras.Model([mel, tokens], L.Dense(WORDS)(z + feed_forward(z)))


def seq2seq() -> Any:
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")
    x = L.Embedding(WORDS, DEPTH)(source)
    _, *state = L.LSTM(5, return_state=True)(x)
    y = L.LSTM(5, return_sequences=True)(L.Embedding(WORDS, DEPTH)(target), initial_state=state)
    return keras.Model([source, target], L.Dense(WORDS, activation="softmax")(y))


class Mixture(L.Layer):  # type: ignore[misc] # keras ships no types
    """Two of four experts answer for each step, weighted by a router."""

    def build(self, shape: Any) -> None:
        self.router = L.Dense(4)
        self.router.build(shape)
        self.first = self.add_weight(shape=(4, shape[-1], 6), name="first")
        self.second = self.add_weight(shape=(4, 6, shape[-1]), name="second")

    def call(self, x: Any) -> Any:
        chances, chosen = ops.top_k(ops.softmax(self.router(x)), 2)
        chances = chances / ops.sum(chances, axis=-1, keepdims=True)
        weights = ops.sum(ops.one_hot(chosen, 4) * chances[..., None], axis=-2)
        hidden = ops.relu(ops.einsum("btd,edh->bteh", x, self.first))
        return ops.einsum("bteh,ehd,bte->btd", hidden, self.second, weights)


def mixture() -> Any:
    x = keras.Input((None, DEPTH), name="x")
    return keras.Model(x, x + Mixture()(L.LayerNormalization()(x)))


def wavenet() -> Any:
    x = keras.Input((None, 2), name="x")
    y, skips = L.Conv1D(DEPTH, 1)(x), []
    for rate in (1, 2, 4):
        gates = [
            L.Conv1D(DEPTH, 2, dilation_rate=rate, padding="causal", activation=name)(y)
            for name in ("tanh", "sigmoid")
        ]
        gated = L.Multiply()(gates)
        skips.append(L.Conv1D(DEPTH, 1)(gated))
        y = L.Add()([y, L.Conv1D(DEPTH, 1)(gated)])
    return keras.Model(x, L.Conv1D(3, 1)(L.ReLU()(L.Add()(skips))))


def recommender() -> Any:
    user = keras.Input((1,), dtype="int32", name="user")
    item = keras.Input((1,), dtype="int32", name="item")
    history = keras.Input((None,), dtype="int32", name="history")
    items = L.Embedding(30, DEPTH, mask_zero=True)
    seen = L.GlobalAveragePooling1D()(items(history))
    wanted = L.Flatten()(L.Embedding(30, DEPTH)(item))
    who = L.Flatten()(L.Embedding(25, 4)(user))
    score = L.Dot(axes=1, normalize=True)([seen, wanted])
    deep = L.Dense(6, activation="relu")(L.Concatenate()([who, wanted, seen]))
    return keras.Model([user, item, history], L.Dense(1, activation="sigmoid")(deep) + score)
