"""The networks that exported files are compared on, with random weights that hide nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: The length of axes that are free in the model.
LENGTH = 64
PICTURE = (224, 224, 3)


@dataclass(frozen=True)
class Network:
    """How to build a model, the largest whole number that it takes, and what its pixels reach."""

    build: Callable[[], Any]
    vocabulary: int = 0
    pixels: bool = False

    def model(self) -> Any:
        """Build it with weights of a seed."""
        import keras

        keras.utils.set_random_seed(0)
        return _randomised(self.build())

    def feeds(self, model: Any, batch: int) -> list[np.ndarray[Any, Any]]:
        """Make an input for each of the model's, in its order."""
        rng = np.random.default_rng(batch)
        arrays = []
        for tensor in model.inputs:
            shape = [batch, *(LENGTH if size is None else size for size in tensor.shape[1:])]
            array: np.ndarray[Any, Any] = rng.normal(size=shape)
            if self.vocabulary:
                array = rng.integers(1, self.vocabulary, shape)
                array[0, shape[1] * 3 // 4 :] = 0
            elif self.pixels:
                array = rng.uniform(0, 255, shape)
            arrays.append(array.astype(tensor.dtype))
        return arrays


def _randomised(model: Any) -> Any:
    """Give statistics and biases values of their own; zeros and ones would fold away."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        kind = weight.name
        if kind in ("moving_mean", "beta", "bias"):
            weight.assign(rng.normal(scale=0.1, size=weight.shape))
        elif kind in ("moving_variance", "gamma"):
            weight.assign(rng.uniform(0.8, 1.2, size=weight.shape))
    return model


def networks() -> dict[str, Network]:
    """Every network by name."""
    import keras

    from model_defs import attention, convnet, rnn

    apps = keras.applications

    def application(name: str) -> Network:
        build = getattr(apps, name)
        return Network(lambda: build(weights=None, input_shape=PICTURE), pixels=True)

    return {
        "cnn": Network(convnet.build),
        "rnn": Network(rnn.build),
        "gru": Network(lambda: rnn.build(cell="gru")),
        "lstm": Network(lambda: rnn.build(cell="lstm")),
        "bilstm": Network(bidirectional),
        "attention": Network(attention.build),
        "transformer4": Network(encoder),
        "bert4": Network(bert, vocabulary=1000),
        **{
            name: application(name)
            for name in (
                "MobileNetV2",
                "MobileNetV3Small",
                "EfficientNetV2B0",
                "ResNet50",
                "ConvNeXtTiny",
            )
        },
    }


def bidirectional() -> Any:
    """A bidirectional LSTM over a series, and a classifier."""
    import keras

    layers = keras.layers
    x = keras.Input((LENGTH, 12), name="series")
    y = layers.Bidirectional(layers.LSTM(128))(x)
    return keras.Model(x, layers.Dense(9, activation="softmax")(y))


def encoder() -> Any:
    """A Transformer encoder: 4 blocks, depth 128, 8 heads, 64 steps."""
    import keras

    layers = keras.layers
    x = y = keras.Input((LENGTH, 128), name="x")
    for _ in range(4):
        y = layers.LayerNormalization(epsilon=1e-6)(y + layers.MultiHeadAttention(8, 16)(y, y))
        update = layers.Dense(128)(layers.Dense(512, activation="relu")(y))
        y = layers.LayerNormalization(epsilon=1e-6)(y + update)
    return keras.Model(x, y)


def bert() -> Any:
    """A BERT-like encoder of token ids: 4 blocks, depth 256, 8 heads, 128 steps, zeros hidden."""
    import keras

    layers, length, depth = keras.layers, 128, 256
    tokens = keras.Input((length,), dtype="int32", name="tokens")
    mask = keras.ops.expand_dims(keras.ops.not_equal(tokens, 0), 1)
    y = layers.Embedding(1000, depth)(tokens)
    y = y + layers.Embedding(length, depth)(keras.ops.arange(length))
    y = layers.LayerNormalization(epsilon=1e-12)(y)
    for _ in range(4):
        mixed = layers.MultiHeadAttention(8, depth // 8)(y, y, attention_mask=mask)
        y = layers.LayerNormalization(epsilon=1e-12)(y + mixed)
        update = layers.Dense(depth)(layers.Dense(4 * depth, activation="gelu")(y))
        y = layers.LayerNormalization(epsilon=1e-12)(y + update)
    return keras.Model(tokens, y)
