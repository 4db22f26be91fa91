"""Small models in the style of vision architectures, and models of unusual structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

keras: Any = pytest.importorskip("keras", reason="Keras is not installed: pip install '.[export]'")

L: Any = keras.layers
ops: Any = keras.ops

DEPTH, HEADS = 8, 2


class ClassToken(L.Layer):  # type: ignore[misc] # keras ships no types
    """Puts a learned token in front of the patches, and adds positions."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="normal")
        self.positions = self.add_weight(shape=(1, shape[1] + 1, shape[-1]), initializer="normal")

    def call(self, x: Any) -> Any:
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([token, x], axis=1) + self.positions


def block(x: Any) -> Any:
    y = L.LayerNormalization(epsilon=1e-6)(x)
    x = x + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(y, y)
    y = L.Dense(2 * DEPTH, activation="gelu")(L.LayerNormalization(epsilon=1e-6)(x))
    return x + L.Dense(DEPTH)(y)


def vit() -> Any:
    image = keras.Input((32, 32, 3), name="image")
    x = L.Conv2D(DEPTH, 8, strides=8)(L.Rescaling(1 / 255)(image))
    x = ClassToken()(L.Reshape((-1, DEPTH))(x))
    x = L.LayerNormalization()(block(block(x)))
    return keras.Model(image, L.Dense(5)(x[:, 0]))


class WindowAttention(L.Layer):  # type: ignore[misc] # keras ships no types
    """Attention inside of windows, rolled by half of one, with a table of relative positions."""

    def __init__(self, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.attend = L.Dense(3 * DEPTH)
        self.out = L.Dense(DEPTH)

    def build(self, shape: Any) -> None:
        side = 2 * self.window - 1
        self.table = self.add_weight(shape=(side * side, HEADS), initializer="normal")
        steps = np.stack(np.meshgrid(*[np.arange(self.window)] * 2, indexing="ij")).reshape(2, -1)
        apart = steps[:, :, None] - steps[:, None, :] + self.window - 1
        self.index = (apart[0] * side + apart[1]).reshape(-1)
        height, width = shape[1:3]
        regions = np.zeros((1, height, width, 1), np.float32)
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(cuts if self.shift else ()):
            for j, columns in enumerate(cuts):
                regions[:, rows, columns] = 3 * i + j
        parts = ops.convert_to_numpy(self.windows(ops.convert_to_tensor(regions)))[..., 0]
        self.mask = np.where(parts[:, None] == parts[:, :, None], 0.0, -100.0).astype(np.float32)

    def windows(self, x: Any) -> Any:
        _, height, width, depth = x.shape
        side = self.window
        x = ops.reshape(x, (-1, height // side, side, width // side, side, depth))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, depth))

    def call(self, x: Any) -> Any:
        _, height, width, depth = x.shape
        side, length = self.window, self.window**2
        parts = self.windows(ops.roll(x, (-self.shift, -self.shift), axis=(1, 2)))
        parts = ops.reshape(self.attend(parts), (-1, length, 3, HEADS, depth // HEADS))
        query, key, value = ops.unstack(ops.transpose(parts, (2, 0, 3, 1, 4)), axis=0)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / (depth // HEADS) ** 0.5
        bias = ops.reshape(ops.take(self.table, self.index, axis=0), (length, length, HEADS))
        scores = scores + ops.transpose(bias, (2, 0, 1))[None]
        if self.shift:
            scores = ops.reshape(scores, (-1, len(self.mask), HEADS, length, length))
            scores = ops.reshape(scores + self.mask[None, :, None], (-1, HEADS, length, length))
        mixed = ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
        y = ops.reshape(mixed, (-1, height // side, width // side, side, side, depth))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, height, width, depth))
        return self.out(ops.roll(y, (self.shift, self.shift), axis=(1, 2)))


def swin() -> Any:
    image = keras.Input((32, 32, 3), name="image")
    x = L.LayerNormalization()(L.Conv2D(DEPTH, 4, strides=4)(image))
    for shift in (0, 2):
        x = x + WindowAttention(4, shift)(L.LayerNormalization()(x))
        x = x + L.Dense(DEPTH)(L.Dense(16, activation="gelu")(L.LayerNormalization()(x)))
    merged = ops.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], axis=-1)
    x = L.Dense(2 * DEPTH, use_bias=False)(L.LayerNormalization()(merged))
    return keras.Model(image, L.Dense(5)(L.GlobalAveragePooling2D()(x)))


class Scale(L.Layer):  # type: ignore[misc] # keras ships no types
    """ConvNeXt's scale of a residual."""

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x: Any) -> Any:
        return x * self.gamma


def convnext() -> Any:
    image = keras.Input((None, None, 3), name="image")
    x = L.LayerNormalization(epsilon=1e-6)(L.Conv2D(DEPTH, 4, strides=4)(image))
    for _ in range(2):
        y = L.LayerNormalization(epsilon=1e-6)(L.DepthwiseConv2D(7, padding="same")(x))
        y = Scale()(L.Dense(DEPTH)(L.Dense(4 * DEPTH, activation="gelu")(y)))
        x = L.Add()([x, y])
    return keras.Model(image, L.Dense(5)(L.LayerNormalization()(L.GlobalAveragePooling2D()(x))))


def mbconv() -> Any:
    image = keras.Input((None, None, 3), name="image")
    x = L.Conv2D(DEPTH, 3, strides=2, padding="same", use_bias=False)(
        L.Rescaling(1 / 127, -1)(image)
    )
    x = L.Activation("silu")(L.BatchNormalization()(x))
    for stride, kernel in ((1, 3), (2, 5)):
        y = L.Conv2D(4 * DEPTH, 1, use_bias=False)(x)
        y = L.Activation("silu")(L.BatchNormalization()(y))
        if stride == 2:
            y = L.ZeroPadding2D(((2, 2), (2, 2)))(y)
        padding = "valid" if stride == 2 else "same"
        y = L.DepthwiseConv2D(kernel, strides=stride, padding=padding, use_bias=False)(y)
        y = L.Activation("silu")(L.BatchNormalization()(y))
        squeezed = L.Reshape((1, 1, 4 * DEPTH))(L.GlobalAveragePooling2D()(y))
        squeezed = L.Conv2D(2, 1, activation="silu")(squeezed)
        y = L.Multiply()([y, L.Conv2D(4 * DEPTH, 1, activation="sigmoid")(squeezed)])
        y = L.BatchNormalization()(L.Conv2D(DEPTH, 1, use_bias=False)(y))
        x = L.Add()([x, L.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y)]) if stride == 1 else y
    return keras.Model(image, L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(x)))


class Queries(L.Layer):  # type: ignore[misc] # keras ships no types
    """Learned queries, one set for each sample."""

    def build(self, shape: Any) -> None:
        self.queries = self.add_weight(shape=(6, shape[-1]), initializer="normal")

    def call(self, x: Any) -> Any:
        return ops.tile(self.queries[None], (ops.shape(x)[0], 1, 1))


def detr() -> Any:
    image = keras.Input((None, None, 3), name="image")
    x = L.Conv2D(DEPTH, 3, strides=4, padding="same", activation="relu")(image)
    x = L.Conv2D(DEPTH, 3, strides=4, padding="same", activation="relu")(x)
    memory = block(L.Reshape((-1, DEPTH))(x))
    queries = Queries()(memory)
    y = queries + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(queries, queries)
    y = block(y + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(L.LayerNormalization()(y), memory))
    boxes = L.Dense(4, activation="sigmoid")(L.Dense(DEPTH, activation="relu")(y))
    centre, size = boxes[..., :2], boxes[..., 2:]
    corners = ops.concatenate([centre - size / 2, centre + size / 2], axis=-1)
    return keras.Model(image, {"boxes": corners, "classes": L.Dense(7)(y)})


def unet() -> Any:
    image = keras.Input((None, None, 3), name="image")
    x, skips = image, []
    for filters in (4, 8):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, padding="same")(x)))
        skips.append(x)
        x = L.MaxPooling2D(2)(x)
    x = L.Conv2D(8, 3, padding="same", activation="leaky_relu")(x)
    x = L.Concatenate()([L.UpSampling2D(2, interpolation="bilinear")(x), skips[1]])
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Concatenate()([x, skips[0]])
    return keras.Model(image, L.Conv2D(2, 1, activation="softmax")(x))


class TimeEmbedding(L.Layer):  # type: ignore[misc] # keras ships no types
    """Sines and cosines of a time step, made in `call`."""

    def call(self, time: Any) -> Any:
        rates = ops.exp(-np.log(1e4) * ops.arange(4, dtype="float32") / 4)
        return ops.concatenate([ops.cos(time * rates), ops.sin(time * rates)], axis=-1)


def diffusion() -> Any:
    latent = keras.Input((8, 8, 4), name="latent")
    time = keras.Input((1,), name="time")
    text = keras.Input((None, DEPTH), name="text")
    when = L.Dense(DEPTH)(L.Activation("silu")(L.Dense(DEPTH)(TimeEmbedding()(time))))
    x = L.Conv2D(DEPTH, 3, padding="same")(latent)
    y = L.Conv2D(DEPTH, 3, padding="same")(L.Activation("silu")(L.GroupNormalization(2)(x)))
    y = y + when[:, None, None]
    x = x + L.Conv2D(DEPTH, 3, padding="same")(L.Activation("silu")(L.GroupNormalization(4)(y)))
    z = L.Reshape((64, DEPTH))(L.GroupNormalization(2)(x))
    z = z + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(z, z)
    z = z + L.MultiHeadAttention(HEADS, DEPTH // HEADS)(L.LayerNormalization()(z), text)
    value, gate = ops.split(L.Dense(4 * DEPTH)(L.LayerNormalization()(z)), 2, axis=-1)
    z = z + L.Dense(DEPTH)(value * ops.gelu(gate, approximate=False))
    x = x + L.Reshape((8, 8, DEPTH))(z)
    x = L.Conv2D(DEPTH, 3, padding="same")(
        L.UpSampling2D(2)(L.Conv2D(DEPTH, 3, strides=2, padding="same")(x))
    )
    return keras.Model([latent, time, text], L.Conv2D(4, 3, padding="same")(x))


def two_towers() -> Any:
    """CLIP's: every picture is compared with every text of the batch."""
    image = keras.Input((32, 32, 3), name="image")
    tokens = keras.Input((None,), dtype="int32", name="ids")
    seen = L.Dense(DEPTH)(L.GlobalAveragePooling2D()(L.Conv2D(DEPTH, 4, strides=4)(image)))
    read = L.GlobalMaxPooling1D()(L.Embedding(20, DEPTH)(tokens))
    seen, read = (ops.normalize(x, axis=-1) for x in (seen, read))
    return keras.Model([image, tokens], {"logits": ops.matmul(seen, ops.transpose(read)) * 10.0})


def shared() -> Any:
    """Nested and shared parts, lists and dicts of outputs."""
    inner = keras.Sequential(
        [keras.Input((6,)), L.Dense(5, activation="relu"), L.Dense(4)], name="tower"
    )
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    left, right = inner(a), inner(b)
    both = keras.Input((4,), name="both")
    head = keras.Model(
        both, [L.Dense(2, name="two")(both), L.Dense(3, name="three")(both)], name="head"
    )
    outputs = {"left": head(left), "right": {"all": head(right), "apart": ops.abs(left - right)}}
    return keras.Model({"a": a, "b": b}, outputs)


class Prompt(L.Layer):  # type: ignore[misc] # keras ships no types
    """A network reads masks where there are any; a learned one stands in where not."""

    def build(self, shape: Any) -> None:
        self.none = self.add_weight(shape=(1, 4, 4, DEPTH), initializer="normal")
        self.read = L.Conv2D(DEPTH, 2, strides=2)
        self.read.build((None, *shape[2:]))

    def call(self, masks: Any) -> Any:
        batch, count = ops.shape(masks)[0], ops.shape(masks)[1]

        def stand_in() -> Any:
            return ops.broadcast_to(self.none, (batch, 4, 4, DEPTH))

        def read() -> Any:
            every = self.read(ops.reshape(masks, (-1, 8, 8, 1)))
            return ops.mean(ops.reshape(every, (batch, count, 4, 4, DEPTH)), axis=1)

        return ops.cond(ops.equal(count, 0), stand_in, read)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], 4, 4, DEPTH)


def prompted() -> Any:
    masks = keras.Input((None, 8, 8, 1), name="masks")
    return keras.Model(masks, Prompt()(masks))


class Unrolled(L.Layer):  # type: ignore[misc] # keras ships no types
    """A recurrence written as a Python loop over the steps, whose states TensorFlow collects."""

    def call(self, x: Any) -> Any:
        import tensorflow as tf

        state, steps = x[:, 0], ops.shape(x)[1]
        states = tf.TensorArray(tf.float32, size=steps).write(0, state)
        for step in range(1, steps):
            state = ops.tanh(state + x[:, step])
            states = states.write(step, state)
        return ops.transpose(states.stack(), (1, 0, 2))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def unrolled() -> Any:
    x = keras.Input((None, 3), name="x")
    return keras.Model(x, Unrolled()(x))
