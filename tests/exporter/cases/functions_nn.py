"""`keras.ops.nn`: activations, losses, normalisation, windows, attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.exporter.cases.apply import each, floats, ops, over, row

_RNG = np.random.default_rng(11)


def _kernel(*shape: int) -> Any:
    return _RNG.normal(size=shape).astype(np.float32)


K1, K2, K3 = _kernel(3, 4, 6), _kernel(3, 3, 3, 6), _kernel(2, 2, 2, 2, 3)
_K1T, _K2T, _K3T = _kernel(3, 5, 4), _kernel(3, 3, 5, 3), _kernel(2, 3, 2, 3, 2)
DEPTHWISE, POINTWISE = _kernel(3, 3, 3, 2), _kernel(1, 1, 6, 4)

ACTIVATIONS = (
    *over("relu,relu6,sigmoid softplus,softsign silu,swish elu,selu", "x", "d", "n"),
    *over("celu,leaky_relu,log_sigmoid hard_sigmoid,hard_silu,hard_swish,hard_tanh", "x", "u"),
    *over("gelu,tanh_shrink soft_shrink,hard_shrink sparse_plus,squareplus", "x", "d"),
    *over("sparse_sigmoid softmax,log_softmax sparsemax", "x", "u"),
    row(
        "gelu",
        lambda x, u: (ops.gelu(x, approximate=False), ops.gelu(u, approximate=True)),
        "exact",
    ),
    row("glu", lambda image, x: (ops.glu(x, 1), ops.glu(image, 2))),
    row("threshold", lambda x: ops.threshold(x, 0.5, -3.0)),
    row("elu", lambda x: (ops.elu(x, 0.5), ops.celu(x, 0.5), ops.leaky_relu(x, 0.3)), "alpha"),
    *each(
        "softmax,log_softmax,sparsemax", lambda f, x: (f(x, axis=1), f(100 * x, axis=-1)), "axis"
    ),
    *each("softmax,log_softmax", lambda f, x: f(x, axis=None), "whole"),
    row("soft_shrink", lambda x: (ops.soft_shrink(x, 1.0), ops.hard_shrink(x, 1.0)), "threshold"),
)

LOSSES = (
    row(
        "binary_crossentropy",
        lambda b, u, x: (
            ops.binary_crossentropy(ops.cast(b, "float32"), u),
            ops.binary_crossentropy(ops.cast(b, "float32"), x, from_logits=True),
        ),
    ),
    row(
        "categorical_crossentropy",
        lambda u, x: (
            ops.categorical_crossentropy(ops.softmax(u), u),
            ops.categorical_crossentropy(ops.softmax(u), x, from_logits=True),
        ),
    ),
    row(
        "sparse_categorical_crossentropy",
        lambda index, x: (
            ops.sparse_categorical_crossentropy(index % 3, x[:, :2], from_logits=True),
            ops.sparse_categorical_crossentropy(index % 3, ops.softmax(x[:, :2])),
        ),
    ),
    row("ctc_decode", lambda line, ids: ops.ctc_decode(line, ids + 10)),
    row(
        "ctc_decode",
        lambda line, ids: ops.ctc_decode(line, ids + 10, merge_repeated=False, mask_index=3),
        "mask",
    ),
    row(
        "ctc_decode",
        lambda line, ids: ops.ctc_decode(line, ids + 10, "beam_search", 4),
        "beam search",
        refused="beam search",
    ),
    row("psnr", lambda image: ops.psnr(image, 0.9 * image, 1.0)),
)

NORMALISING = (
    row("moments", lambda x: (*ops.moments(x, [1]), *ops.moments(x, [0, 2], keepdims=True))),
    row("normalize", lambda x: (ops.normalize(x), ops.normalize(x, 1, 1), ops.normalize(x, -1, 3))),
    row(
        "batch_normalization",
        lambda x: ops.batch_normalization(
            x,
            floats(1, 2, 3),
            floats(1, 4, 9),
            -1,
            floats(0.5, 1, -2),
            floats(2, 3, 4),
        ),
    ),
    row(
        "batch_normalization",
        lambda image: ops.batch_normalization(
            image, np.zeros(6, "float32"), np.ones(6, "float32"), 1
        ),
        "axis",
    ),
    row(
        "layer_normalization",
        lambda x: (
            ops.layer_normalization(x),
            ops.layer_normalization(x, floats(1, -2, 3), floats(0, 1, 2), axis=-1),
        ),
    ),
    row(
        "rms_normalization",
        lambda x: (ops.rms_normalization(x), ops.rms_normalization(x, floats(1, -2, 3))),
    ),
)

WINDOWS = (
    row(
        "conv",
        lambda line: (
            ops.conv(line, K1),
            ops.conv(line, K1, 2, "same"),
            ops.conv(line, K1, padding="same", dilation_rate=2),
        ),
        "1d",
    ),
    row(
        "conv",
        lambda image: (
            ops.conv(image, K2),
            ops.conv(image, K2, (1, 2), "same"),
            ops.conv(image, K2, 1, "same", dilation_rate=(1, 2)),
        ),
        "2d",
    ),
    row("conv", lambda volume: ops.conv(volume, K3, 2, "same"), "3d"),
    row(
        "conv",
        lambda line: ops.conv(
            ops.transpose(line, (0, 2, 1)), K1[:, :2], 1, "valid", "channels_first"
        ),
        "groups first",
    ),
    row(
        "conv_transpose",
        lambda line: (ops.conv_transpose(line, _K1T, 2), ops.conv_transpose(line, _K1T, 2, "same")),
        "1d",
    ),
    row(
        "conv_transpose",
        lambda image: (
            ops.conv_transpose(image, _K2T, 2, "same"),
            ops.conv_transpose(image, _K2T, 2, "valid", output_padding=1),
        ),
        "2d",
    ),
    row("conv_transpose", lambda volume: ops.conv_transpose(volume, _K3T, 2, "same"), "3d"),
    row(
        "depthwise_conv",
        lambda image: (
            ops.depthwise_conv(image, DEPTHWISE),
            ops.depthwise_conv(image, DEPTHWISE, 2, "same"),
        ),
    ),
    row(
        "depthwise_conv",
        lambda image: (
            ops.depthwise_conv(image, DEPTHWISE, 1, "same", dilation_rate=2),
            ops.depthwise_conv(image, DEPTHWISE, 1, "valid", dilation_rate=2),
        ),
        "dilation",
    ),
    row("depthwise_conv", lambda line: ops.depthwise_conv(line, K1[:, :, :2], 2, "same"), "1d"),
    row(
        "separable_conv",
        lambda image: (
            ops.separable_conv(image, DEPTHWISE, POINTWISE),
            ops.separable_conv(image, DEPTHWISE, POINTWISE, 2, "same"),
        ),
    ),
    *each(
        "max_pool,average_pool",
        lambda f, image, line: (f(image, 2), f(image, 3, 2, "same"), f(line, 3, 1, "same")),
    ),
    *each(
        "max_pool,average_pool",
        lambda f, volume, image: (
            f(volume, 2, padding="same"),
            f(ops.transpose(image, (0, 3, 1, 2)), (2, 3), 1, data_format="channels_first"),
        ),
        "3d",
    ),
    *each(
        "adaptive_average_pool,adaptive_max_pool",
        lambda f, line, image, volume: (
            f(line, 5, data_format="channels_last"),
            f(image, (4, 3), data_format="channels_last"),
            f(volume, 2, data_format="channels_last"),
        ),
    ),
    row(
        "unfold",
        lambda image: (
            ops.unfold(ops.transpose(image, (0, 3, 1, 2)), 3),
            ops.unfold(ops.transpose(image, (0, 3, 1, 2)), 2, 2, 1, 2),
        ),
        symbolic=True,
    ),
    row("fold", lambda matrix: ops.fold(ops.reshape(matrix, (-1, 4, 4)), 3, 2)),
    *each(
        "depth_to_space",
        lambda f, volume, image: (
            f(volume[:, :, :, :4, 0], 2),
            f(ops.transpose(volume[:, :, :, :4, 0], (0, 3, 1, 2)), 2, "channels_first"),
        ),
    ),
    *each(
        "space_to_depth",
        lambda f, image: (f(image, 2), f(ops.transpose(image, (0, 3, 1, 2)), 2, "channels_first")),
    ),
    row("extract_sequences", lambda signal: ops.extract_sequences(signal, 8, 5)),
)

ATTENTION = (
    row("dot_product_attention", lambda volume: ops.dot_product_attention(*_qkv(volume))),
    row(
        "dot_product_attention",
        lambda volume: ops.dot_product_attention(*_qkv(volume), is_causal=True, scale=0.3),
        "causal",
    ),
    row(
        "dot_product_attention",
        lambda volume: ops.dot_product_attention(
            *_qkv(volume), bias=volume[:, :, :, :4, 0][:, :1, :4], mask=volume[:, :1, :4, :4, 1] > 0
        ),
        "bias mask",
    ),
    row(
        "dot_product_attention",
        lambda volume: ops.dot_product_attention(
            volume[..., 0], volume[:, :, ::3, :, 1], volume[:, :, ::3, :, 0]
        ),
        "grouped",
    ),
    row(
        "one_hot",
        lambda i, k: (
            ops.one_hot(k, 5),
            ops.one_hot(i, 4, axis=1),
            ops.one_hot(k, 3, dtype="bool"),
        ),
    ),
    row(
        "one_hot",
        lambda k, u8: (ops.one_hot(u8, 9, dtype="int32"), ops.one_hot(ops.cast(k, "float32"), 4)),
        "types",
    ),
    row("multi_hot", lambda k: (ops.multi_hot(k, 5), ops.multi_hot(k, 4, axis=1))),
    row("polar", lambda u, x: ops.polar(u, x), refused="Complex"),
)


def _qkv(volume: Any) -> Any:
    return volume[..., 0][:, :, :4], volume[..., 1][:, :, :4], volume[..., 0][:, :, 2:]


CASES = (*ACTIVATIONS, *LOSSES, *NORMALISING, *WINDOWS, *ATTENTION)
