"""Core, activation, merging, reshaping, normalisation and regularisation layers."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import numpy as np

from tests.exporter.cases.rows import HOLES, X, masked, read, row

VECTOR = X((6,))
SERIES = X((None, 4))
IMAGE = X((5, 6, 4))
VOLUME = X((3, 4, 5, 2))
PAIR = [X((4, 5)), X((4, 5))]
IDS = X((None,), "int32")

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "tanh", "tanh_shrink",
)  # fmt: skip


def _with_lora(keras: Any) -> Any:
    layer = keras.layers.Dense(3)
    layer.build((None, 6))
    layer.enable_lora(2)
    return layer


def _from_a_folder(keras: Any) -> Any:
    """Load what TensorFlow saved of a layer; the folder is read at once."""
    import tensorflow as tf

    module = tf.Module()
    module.kernel = tf.Variable(np.arange(12, dtype=np.float32).reshape(6, 2))
    spec = tf.TensorSpec([None, 6], tf.float32, name="x")
    module.serve = tf.function(lambda x: tf.tanh(x @ module.kernel), input_signature=[spec])
    folder = tempfile.mkdtemp()
    tf.saved_model.save(module, folder)
    layer = keras.layers.TFSMLayer(folder, call_endpoint="serve")
    shutil.rmtree(folder)
    return layer


CORE = [
    row("Dense", "plain", VECTOR, units=3),
    row("Dense", "activation", SERIES, units=3, activation="relu"),
    row("Dense", "lora", VECTOR, make=_with_lora),
    row("EinsumDense", "heads", SERIES, equation="btd,dnh->btnh", output_shape=(None, 2, 3),
        bias_axes="nh"),
    row("EinsumDense", "joined", X((None, 2, 3)), equation="btnh,nhd->btd",
        output_shape=(None, 4), bias_axes="d"),
    row("EinsumDense", "ellipsis", X((5, 2, 4)), equation="...x,xy->...y", output_shape=3,
        bias_axes="y", activation="tanh"),
    row("EinsumDense", "outer", X((5, 4)), equation="btd,de->bet", output_shape=(3, 5)),
    row("Embedding", "plain", IDS, input_dim=5, output_dim=3),
    row("Embedding", "float ids", X((4,)), input_dim=5, output_dim=3,
        call=lambda layer, x: layer(abs(x))),
    row("Embedding", "zero masked", X((None,), "int64", zeros=((0, slice(3, None)),)),
        make=lambda k: k.layers.Embedding(5, 3, mask_zero=True),
        call=lambda layer, x: read(layer(x))),
    row("ReversibleEmbedding", "plain", IDS, input_dim=5, output_dim=3),
    row("ReversibleEmbedding", "reverse", IDS,
        make=lambda k: k.layers.ReversibleEmbedding(5, 3, logit_soft_cap=2.0),
        call=lambda layer, x: layer(layer(x), reverse=True)),
    row("ReversibleEmbedding", "reverse untied", IDS,
        make=lambda k: k.layers.ReversibleEmbedding(5, 3, tie_weights=False),
        call=lambda layer, x: layer(layer(x), reverse=True)),
    row("Identity", "plain", VECTOR),
    row("TFSMLayer", "plain", VECTOR, make=_from_a_folder),
    row("Lambda", "function", VECTOR, make=lambda k: k.layers.Lambda(lambda x: x * 2 + 1)),
    row("Masking", "plain", HOLES),
    row("Masking", "value", X((None, 2), "float32", zeros=((0, 2), (1, 0))), mask_value=0.0),
    row("ActivityRegularization", "plain", VECTOR, l2=0.1),
    *(
        row(name, "inference", x, **options)
        for name, x, options in (
            ("AlphaDropout", VECTOR, {"rate": 0.5}),
            ("Dropout", VECTOR, {"rate": 0.5}),
            ("GaussianDropout", VECTOR, {"rate": 0.5}),
            ("GaussianNoise", VECTOR, {"stddev": 0.5}),
            ("SpatialDropout1D", SERIES, {"rate": 0.5}),
            ("SpatialDropout2D", IMAGE, {"rate": 0.5}),
            ("SpatialDropout3D", VOLUME, {"rate": 0.5}),
        )
    ),
]  # fmt: skip

ACTIVATION = [
    *(row("Activation", name, X((5, 6), scale=3.0), activation=name) for name in ACTIVATIONS),
    row("ELU", "alpha", VECTOR, alpha=0.7),
    row("LeakyReLU", "slope", VECTOR, negative_slope=0.2),
    row("PReLU", "plain", IMAGE),
    row("PReLU", "shared axes", IMAGE, shared_axes=[1, 2]),
    row("ReLU", "plain", VECTOR),
    row("ReLU", "all options", X((20,), scale=3.0), max_value=3.0, negative_slope=0.1,
        threshold=0.5),
    row("Softmax", "plain", IMAGE),
    row("Softmax", "axes", IMAGE, axis=[1, 2]),
    row("Softmax", "mask", [X((4, 5)), X((4, 5), "bool")],
        call=lambda layer, x, mask: layer(x, mask=mask), axis=1),
]  # fmt: skip

MERGING = [
    *(
        row(name, mode, inputs)
        for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Subtract")
        for mode, inputs in (("plain", PAIR), ("broadcast", [X((4, 5)), X((1, 5))]))
    ),
    row("Add", "three", [*PAIR, X((4, 5))]),
    row("Add", "ranks", [X((3, 4, 5)), X((5,))]),
    row("Add", "masks", [HOLES, X((None, 3), zeros=((0, 1),))],
        call=lambda layer, *x: read(masked(layer, *x))),
    row("Concatenate", "last", PAIR),
    row("Concatenate", "first", [X((2, 5)), X((4, 5))], axis=1),
    row("Concatenate", "masks", [HOLES, X((None, 3), zeros=((0, 1),))],
        call=lambda layer, *x: read(masked(layer, *x)), axis=1),
    row("Dot", "vectors", [VECTOR, VECTOR], axes=1),
    row("Dot", "matrices", [X((4, 5)), X((5, 3))], axes=(2, 1)),
    row("Dot", "normalized", [X((4, 5)), X((3, 5))], axes=2, normalize=True),
]  # fmt: skip

RESHAPING = [
    row("Flatten", "plain", IMAGE),
    row("Flatten", "channels first", IMAGE, data_format="channels_first"),
    row("Flatten", "free", X((None, 4)), call=lambda layer, x: layer(x[:, :2])),
    row("Flatten", "numbers", X(())),
    row("Reshape", "plain", IMAGE, target_shape=(6, -1)),
    row("Reshape", "free", SERIES, target_shape=(-1, 2)),
    row("Permute", "plain", IMAGE, dims=(3, 1, 2)),
    row("RepeatVector", "plain", VECTOR, n=3),
    row("Cropping1D", "plain", SERIES, cropping=(1, 2)),
    row("Cropping2D", "plain", IMAGE, cropping=((1, 0), (2, 1))),
    row("Cropping2D", "channels first", IMAGE, cropping=1, data_format="channels_first"),
    row("Cropping3D", "plain", VOLUME, cropping=((1, 0), (0, 1), (1, 2))),
    row("Cropping3D", "channels first", VOLUME, cropping=((1, 0), (0, 1), (0, 1)),
        data_format="channels_first"),
    row("ZeroPadding1D", "plain", SERIES, padding=(1, 2)),
    row("ZeroPadding1D", "channels first", X((4, 5)), padding=1, data_format="channels_first"),
    row("ZeroPadding2D", "plain", IMAGE, padding=((1, 0), (2, 1))),
    row("ZeroPadding2D", "channels first", IMAGE, padding=1, data_format="channels_first"),
    row("ZeroPadding3D", "plain", VOLUME, padding=((1, 0), (0, 1), (1, 2))),
    row("ZeroPadding3D", "channels first", VOLUME, padding=1, data_format="channels_first"),
    row("UpSampling1D", "plain", SERIES, size=3),
    *(
        row("UpSampling2D", mode, IMAGE, size=(2, 3), interpolation=mode)
        for mode in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    ),
    row("UpSampling2D", "free", X((None, None, 3)), size=2),
    row("UpSampling2D", "free bilinear", X((None, None, 3)), size=2, interpolation="bilinear"),
    row("UpSampling2D", "channels first", IMAGE, size=2, data_format="channels_first"),
    row("UpSampling3D", "plain", VOLUME, size=(1, 2, 3)),
    row("UpSampling3D", "channels first", VOLUME, size=2, data_format="channels_first"),
]  # fmt: skip

NORMALIZATION = [
    row("BatchNormalization", "plain", VECTOR),
    row("BatchNormalization", "image", IMAGE),
    row("BatchNormalization", "axis", IMAGE, axis=1),
    row("BatchNormalization", "bare", SERIES, center=False, scale=False),
    row("BatchNormalization", "renorm", VECTOR, renorm=True),
    row("BatchNormalization", "mask", HOLES, call=masked),
    row("LayerNormalization", "plain", SERIES),
    row("LayerNormalization", "axes", IMAGE, axis=[1, 2, 3]),
    row("LayerNormalization", "other axis", IMAGE, axis=1),
    row("LayerNormalization", "bare", SERIES, center=False, scale=False),
    row("RMSNormalization", "plain", SERIES),
    row("RMSNormalization", "axes", IMAGE, axis=[1, 2, 3]),
    row("GroupNormalization", "plain", IMAGE, groups=2),
    row("GroupNormalization", "instance", IMAGE, groups=-1),
    row("GroupNormalization", "one group", SERIES, groups=1),
    row("GroupNormalization", "axis", IMAGE, groups=5, axis=1),
    row("UnitNormalization", "plain", SERIES),
    row("UnitNormalization", "axes", IMAGE, axis=[1, 2]),
    row("SpectralNormalization", "plain", IMAGE,
        make=lambda k: k.layers.SpectralNormalization(k.layers.Conv2D(3, 2))),
]  # fmt: skip

CASES = [*CORE, *ACTIVATION, *MERGING, *RESHAPING, *NORMALIZATION]
