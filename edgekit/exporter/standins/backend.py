"""Functions of Keras's TensorFlow backend that a graph cannot hold as they are written.

Some ask a tensor for its value or its shape for numbers, some loop over samples, some look at bits.
While a model is traced, these stand in for them; they answer the same.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def traceable() -> Iterator[None]:
    """Let these functions stand in for Keras's inside the block."""
    import tensorflow as tf

    with contextlib.ExitStack() as stack:
        stack.callback(setattr, tf, "cond", tf.cond)
        tf.cond = _chosen(tf.cond)
        for target, function in _FUNCTIONS.items():
            module_name, _, name = target.partition(":")
            module = importlib.import_module(f"keras.src.backend.tensorflow.{module_name}")
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, function)
        yield


def _chosen(cond: Callable[..., Any]) -> Callable[..., Any]:
    """Let a condition that is known while tracing leave one branch only."""
    import tensorflow as tf

    @functools.wraps(cond)
    def chosen(pred: Any, true_fn: Any = None, false_fn: Any = None, **options: Any) -> Any:
        known = tf.get_static_value(pred) if tf.is_tensor(pred) else pred
        if known is None or true_fn is None or false_fn is None:
            return cond(pred, true_fn, false_fn, **options)
        return true_fn() if known else false_fn()

    return chosen


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Find the first of the largest; -0 is as large as 0, which Keras has before it."""
    import tensorflow as tf

    return _extreme(tf.argmax, x, axis, keepdims)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Find the first of the smallest."""
    import tensorflow as tf

    return _extreme(tf.argmin, x, axis, keepdims)


def _extreme(find: Callable[..., Any], x: Any, axis: Any, keepdims: bool) -> Any:
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    if x.dtype == tf.bool:
        x = tf.cast(x, tf.int32)
    rank = x.shape.rank
    flat = tf.reshape(x, [-1]) if axis is None else x
    found = find(flat, axis=0 if axis is None else axis, output_type="int32")
    if not keepdims:
        return found
    if axis is None:
        return tf.reshape(found, [1] * rank)
    return tf.expand_dims(found, axis)


def signbit(x: Any) -> Any:
    """Whether a number has a minus: 1 / -0 is negative."""
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    if x.dtype == tf.bool:
        return tf.zeros_like(x)
    if x.dtype.is_integer:
        return x < 0
    return tf.where(tf.equal(x, 0), tf.math.reciprocal(x) < 0, x < 0)


def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each of x1 is one of x2."""
    import tensorflow as tf
    from keras.src import backend

    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    pairs = tf.cast(x1, dtype)[..., None], tf.reshape(tf.cast(x2, dtype), [-1])
    found = tf.reduce_any(tf.equal(*pairs), axis=-1)
    return tf.logical_not(found) if invert else found


def corrcoef(x: Any) -> Any:
    """Correlate the rows of `(variables, samples)` with each other."""
    import keras
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    if x.dtype.is_integer or x.dtype == tf.bool:
        x = tf.cast(x, keras.backend.floatx())
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    samples = tf.cast(tf.shape(x)[-1], x.dtype)
    covariance = tf.matmul(centred, centred, transpose_b=True) / (samples - 1)
    deviation = tf.sqrt(tf.linalg.diag_part(covariance))
    ratio = covariance / (deviation[:, None] * deviation[None, :])
    return tf.clip_by_value(ratio, -1.0, 1.0)


def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """Sort what is not a number behind, and count only what is before it."""
    import keras
    import tensorflow as tf

    x = tf.convert_to_tensor(x)
    q = tf.convert_to_tensor(q, dtype=keras.backend.floatx())
    rank = x.shape.rank
    axes = list(range(rank)) if axis is None else [a % rank for a in np.atleast_1d(axis)]
    rest = [a for a in range(rank) if a not in axes]
    shape = tf.shape(x)
    kept = tf.gather(shape, tf.constant(rest, tf.int32))
    rows = tf.reshape(tf.transpose(x, [*rest, *axes]), tf.concat([kept, [-1]], 0))
    missing = tf.math.is_nan(rows)
    ordered = tf.sort(tf.where(missing, tf.constant(np.inf, rows.dtype), rows), axis=-1)
    count = tf.reduce_sum(tf.cast(~missing, tf.int32), axis=-1, keepdims=True)
    place = tf.cast(count - 1, tf.float64) * tf.cast(tf.reshape(q, [-1]), tf.float64)
    found = _between(ordered, place, count, method)
    found = tf.where(count > 0, found, tf.constant(np.nan, found.dtype))
    found = tf.transpose(found, [len(rest), *range(len(rest))])
    if keepdims:
        ones = [1 if a in axes else shape[a] for a in range(rank)]
        found = tf.reshape(found, [-1, *ones])
    return found if q.shape.rank else found[0]


def _between(ordered: Any, place: Any, count: Any, method: str) -> Any:
    """Give what is at a place between two neighbours of sorted `(..., n)`."""
    import tensorflow as tf

    def at(index: Any) -> Any:
        whole = tf.clip_by_value(tf.cast(index, tf.int32), 0, tf.maximum(count - 1, 0))
        return tf.gather(ordered, whole, batch_dims=ordered.shape.rank - 1)

    low, high = at(tf.floor(place)), at(tf.math.ceil(place))
    share = tf.cast(place - tf.floor(place), ordered.dtype)
    if method == "nearest":
        return at(tf.round(place))
    ways = {"lower": low, "higher": high, "midpoint": (low + high) / 2}
    return ways.get(method, low * (1 - share) + high * share)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Keras's type for a sequence whose length is known: int32."""
    import tensorflow as tf

    return tf.searchsorted(sorted_sequence, values, side=side, out_type="int32")


def unravel_index(indices: Any, shape: Any) -> Any:
    """Turn flat indices into one for each axis, in Keras's own order where they are a matrix."""
    import tensorflow as tf

    rest = tf.convert_to_tensor(indices)
    found = []
    for size in reversed(shape) if rest.shape.rank == 1 else shape:
        found.append(rest % size)
        rest = rest // size
    return tuple(reversed(found))


def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """Choose by conditions, one inside of the other."""
    import tensorflow as tf
    from keras.src.backend.tensorflow import core

    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, len(branches) - 1)

    def choose(first: int) -> Any:
        if first == len(branches) - 1:
            return branches[first](*operands)
        here = tf.equal(index, first)
        return core.cond(here, lambda: branches[first](*operands), lambda: choose(first + 1))

    return choose(0)


def inner(x1: Any, x2: Any) -> Any:
    """Multiply along the last axes, or by a number."""
    import tensorflow as tf
    from keras.src import backend

    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    x1, x2 = tf.cast(x1, dtype), tf.cast(x2, dtype)
    return tf.tensordot(x1, x2, [[-1], [-1]]) if x1.shape.rank and x2.shape.rank else x1 * x2


def kron(x1: Any, x2: Any) -> Any:
    """Put x2 times each number of x1 in its place."""
    import tensorflow as tf
    from keras.src import backend

    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    rank = max(x1.shape.rank, x2.shape.rank)
    shapes = [tf.concat([[1] * (rank - x.shape.rank), tf.shape(x)], 0) for x in (x1, x2)]
    ones = tf.ones([rank], tf.int32)
    outer = tf.reshape(tf.cast(x1, dtype), tf.reshape(tf.stack([shapes[0], ones], 1), [-1]))
    block = tf.reshape(tf.cast(x2, dtype), tf.reshape(tf.stack([ones, shapes[1]], 1), [-1]))
    return tf.reshape(outer * block, shapes[0] * shapes[1])


def scan(
    f: Callable[..., Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> Any:
    """Loop with the carry as a variable; Keras keeps it in an array of one, written in place."""
    import keras
    import tensorflow as tf

    flat = [tf.convert_to_tensor(x) for x in keras.tree.flatten(xs)] if xs is not None else []
    count = int(length) if length is not None else tf.shape(flat[0])[0]
    carry = [tf.convert_to_tensor(x) for x in keras.tree.flatten(init)]
    arrays = [tf.TensorArray(x.dtype, size=count, element_shape=x.shape) for x in carry]

    def step(i: Any, now: Any, written: Any) -> Any:
        at = count - 1 - i if reverse else i
        chosen = [tf.gather(x, at) for x in flat]
        x = keras.tree.pack_sequence_as(xs, chosen) if keras.tree.is_nested(xs) else None
        x = chosen[0] if x is None and chosen else x
        packed = keras.tree.pack_sequence_as(init, now) if keras.tree.is_nested(init) else now[0]
        then, y = f(packed, x)
        then = now if then is None else keras.tree.flatten(then)
        if y is not None:
            pairs = zip(written, keras.tree.flatten(y), strict=True)
            written = [array.write(i, value) for array, value in pairs]
        return i + 1, list(then), list(written)

    _, carry, arrays = tf.while_loop(lambda i, *_: i < count, step, (0, carry, arrays))
    made = [array.stack() for array in arrays]
    made = [tf.reverse(y, [0]) if reverse else y for y in made]
    if not keras.tree.is_nested(init):
        return carry[0], made[0]
    return tuple(keras.tree.pack_sequence_as(init, each) for each in (carry, made))


def greatest_common_divisor(x1: Any, x2: Any) -> Any:
    """Euclid's algorithm on tensors that broadcast, until every remainder is zero."""
    import tensorflow as tf
    from keras.src import backend

    x1, x2 = tf.convert_to_tensor(x1), tf.convert_to_tensor(x2)
    dtype = backend.result_type(x1.dtype, x2.dtype)
    x1, x2 = tf.cast(x1, dtype), tf.cast(x2, dtype)
    zeros = tf.zeros_like(x1 + x2)
    pair = [x + zeros if x.dtype.is_unsigned else tf.abs(x) + zeros for x in (x1, x2)]

    def step(a: Any, b: Any) -> Any:
        done = tf.equal(b, 0)
        rest = tf.math.floormod(a, tf.where(done, tf.ones_like(b), b))
        return tf.where(done, a, b), tf.where(done, b, rest)

    return tf.while_loop(lambda a, b: tf.reduce_any(tf.not_equal(b, 0)), step, pair)[0]


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> Any:
    """Take the likeliest class of each step of `(batch, time, classes)`, and close the gaps."""
    import tensorflow as tf

    if strategy != "greedy":
        raise NotImplementedError("a beam search grows with the data, which ONNX cannot hold")
    inputs = tf.convert_to_tensor(inputs)
    lengths = tf.cast(sequence_lengths, tf.int32)[:, None]
    classes = inputs.shape[-1]
    blank = classes - 1 if mask_index is None else mask_index % classes
    best = tf.argmax(inputs, axis=-1, output_type=tf.int32)
    steps = tf.range(tf.shape(inputs)[1])
    inside = steps < lengths
    kept = inside & tf.not_equal(best, blank)
    if merge_repeated:
        before = tf.concat([tf.fill([tf.shape(best)[0], 1], -1), best[:, :-1]], axis=1)
        kept &= tf.not_equal(best, before)
    # Of equal values the earlier comes first, so what is kept stays in its order.
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
    count = tf.reduce_sum(tf.cast(kept, tf.int32), axis=1, keepdims=True)
    decoded = tf.where(steps < count, tf.gather(best, order, batch_dims=1), -1)
    largest = tf.where(inside, tf.reduce_max(inputs, axis=-1), tf.zeros([], inputs.dtype))
    return decoded[None], -tf.reduce_sum(largest, axis=1, keepdims=True)


_FUNCTIONS = {
    "numpy:argmax": argmax,
    "numpy:argmin": argmin,
    "numpy:corrcoef": corrcoef,
    "numpy:gcd": greatest_common_divisor,
    "numpy:inner": inner,
    "numpy:isin": isin,
    "numpy:kron": kron,
    "numpy:nanquantile": nanquantile,
    "numpy:searchsorted": searchsorted,
    "numpy:signbit": signbit,
    "numpy:unravel_index": unravel_index,
    "core:scan": scan,
    "core:switch": switch,
    "nn:ctc_decode": ctc_decode,
}
