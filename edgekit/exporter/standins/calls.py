"""Calls that a graph cannot hold as Keras writes them, and what stands in for them while tracing.

A table of TensorFlow's is a resource that no file has; a layer that loops in Python over the steps
of its input becomes as many copies of itself. The stand-ins answer the same.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def traceable() -> Iterator[None]:
    """Let the stand-ins be called inside the block."""
    import keras
    import tensorflow as tf
    from keras.src.ops import image
    from keras.src.utils import backend_utils

    replaced = (
        # Preprocessing layers take a graph for a data pipeline, and answer in other types there.
        (backend_utils, "in_tf_graph", lambda: False),
        (image, "resize", _resize(image.resize)),
        (keras.layers.TimeDistributed, "call", _call_of_time_distributed),
        (tf.lookup.StaticHashTable, "lookup", _lookup),
    )
    with contextlib.ExitStack() as stack:
        for owner, name, standin in replaced:
            here = name in vars(owner)
            stack.callback(setattr if here else _delete, owner, name, getattr(owner, name))
            setattr(owner, name, standin)
        yield


def _delete(owner: Any, name: str, inherited: Any) -> None:
    delattr(owner, name)


def _call_of_time_distributed(
    layer: Any, inputs: Any, training: Any = None, mask: Any = None
) -> Any:
    """Take the steps of `(batch, time, ...)` for samples: the layer is there once, for any time."""
    import tensorflow as tf

    inner = layer.layer
    kwargs: dict[str, Any] = {"training": training} if inner._call_has_training_arg else {}
    if inner._call_has_mask_arg and mask is not None:
        kwargs["mask"] = _folded(mask)
    outputs = inner.call(_folded(inputs), **kwargs)
    batch, time = tf.unstack(tf.shape(inputs)[:2])
    fixed = inputs.shape[1]
    shape = [-1, fixed] if fixed is not None else [batch, time]
    whole = tf.reshape(outputs, [*shape, *_rest(outputs, 1)])
    return tf.ensure_shape(whole, [*inputs.shape[:2], *outputs.shape[1:]])


def _folded(tensor: Any) -> Any:
    import tensorflow as tf

    return tf.ensure_shape(tf.reshape(tensor, [-1, *_rest(tensor, 2)]), [None, *tensor.shape[2:]])


def _rest(tensor: Any, first: int) -> list[Any]:
    """Give the lengths of the axes from one on, as numbers where they are fixed."""
    import tensorflow as tf

    lengths = tf.shape(tensor)
    return [
        lengths[axis] if size is None else size
        for axis, size in enumerate(tensor.shape)
        if axis >= first
    ]


def _resize(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let pictures be resized to what is computed from their size; Keras wants to see numbers."""
    from keras.src import backend

    def resize(images: Any, size: Any, interpolation: str = "bilinear", **options: Any) -> Any:
        import tensorflow as tf

        if any(tf.is_tensor(length) for length in size):
            return backend.image.resize(images, size, interpolation=interpolation, **options)
        return original(images, size, interpolation=interpolation, **options)

    return resize


def _lookup(table: Any, keys: Any, name: Any = None) -> Any:
    """Look integers up in sorted keys, by halves; text is left to the refusal of its op."""
    import tensorflow as tf

    if tf.executing_eagerly() or not table.key_dtype.is_integer or table.value_dtype == tf.string:
        return super(tf.lookup.StaticHashTable, table).lookup(keys, name)
    with tf.init_scope():
        known, values = (each.numpy() for each in table.export())
        default = table.default_value.numpy()
    keys = tf.cast(keys, table.key_dtype)
    if not known.size:
        return tf.fill(tf.shape(keys), default)
    order = np.argsort(known)
    known, values = tf.constant(known[order]), tf.constant(values[order])
    last = int(known.shape[0]) - 1
    # The place of the last key that is not above: each step doubles what it is exact to.
    place = tf.zeros_like(keys, tf.int32)
    for step in (1 << bit for bit in reversed(range(last.bit_length()))):
        further = tf.minimum(place + step, last)
        place = tf.where(tf.gather(known, further) <= keys, further, place)
    found = tf.equal(tf.gather(known, place), keys)
    return tf.where(found, tf.gather(values, place), tf.constant(default, table.value_dtype))
