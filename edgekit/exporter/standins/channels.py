"""Convolutions with their channels first, which TensorFlow cannot compute on a CPU.

Keras hands the layout on to TensorFlow, and that refuses. The same convolution with the channels
moved last and back is what Keras means, and what other backends answer; the Transposes do not come
to stand in the file, whose convolutions have their channels first anyway.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FUNCTIONS = ("conv", "depthwise_conv", "separable_conv", "conv_transpose")


@contextlib.contextmanager
def last() -> Iterator[None]:
    """Let Keras's backend convolve with the channels last inside the block."""
    from keras.src.backend.tensorflow import nn

    originals = {name: getattr(nn, name) for name in FUNCTIONS}
    for name, original in originals.items():
        setattr(nn, name, _moved(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(nn, name, original)


def _moved(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def convolve(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        import keras
        import tensorflow as tf

        given = inspect.signature(original).bind(inputs, *args, **kwargs).arguments
        layout = given.get("data_format") or keras.config.image_data_format()
        if layout != "channels_first":
            return original(inputs, *args, **kwargs)
        inputs = tf.convert_to_tensor(inputs)
        rank = inputs.shape.rank
        given |= {"data_format": "channels_last"}
        given["inputs"] = tf.transpose(inputs, [0, *range(2, rank), 1])
        return tf.transpose(original(**given), [0, rank - 1, *range(1, rank - 1)])

    return convolve
