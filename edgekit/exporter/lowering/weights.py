"""Weights on their way through the TensorFlow graph: small ones as constants, large ones outside.

Freezing variables copies each into the graph, and each step after it copies the graph again. So
while a model is traced, reading a large variable leaves a marker, and the file's initializer is
made of the variable's own memory at the end. Reading a small one gives a constant, which
TensorFlow and tf2onnx fold as they convert.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Weight:
    """A variable that was read while tracing."""

    variable: Any

    def array(self) -> np.ndarray[Any, Any]:
        """Give its value, without a copy where TensorFlow allows that; bfloat16 as float32."""
        array = value(self.variable)
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def value(variable: Any) -> np.ndarray[Any, Any]:
    """Read a Keras variable as an array, without a copy where TensorFlow allows that."""
    import tensorflow as tf

    return np.asarray(tf.convert_to_tensor(variable))


@contextlib.contextmanager
def lifted(leave: Callable[[Weight], Any]) -> Iterator[None]:
    """Read variables as constants inside the block, large ones as what `leave` gives."""
    import keras
    import tensorflow as tf

    owner = next(cls for cls in keras.Variable.__mro__ if "value" in vars(cls))
    original = vars(owner)["value"]
    seen: dict[tuple[int, int], Any] = {}

    def read(variable: Any) -> Any:
        held = variable._value
        if tf.executing_eagerly() or held is None:
            return original.fget(variable)
        graph = _outermost(tf.compat.v1.get_default_graph())
        key = id(graph), id(variable)
        if key not in seen:
            with graph.as_default():
                tensor = _constant(held) if _small(held) else leave(Weight(variable))
            # The graph is kept with the tensor: its id must not be given to another one.
            seen[key] = graph, tensor
        return variable._maybe_autocast(seen[key][1])

    owner.value = property(read)
    try:
        yield
    finally:
        owner.value = original


def _outermost(graph: Any) -> Any:
    """Give the graph that a loop's body or a branch is inside of: bodies capture what it holds."""
    outer = getattr(graph, "outer_graph", None)
    return graph if outer is None or not outer.building_function else _outermost(outer)


def _small(held: Any) -> bool:
    return int(np.prod(held.shape)) * int(held.dtype.size) < LARGE_BYTES


def _constant(held: Any) -> Any:
    import tensorflow as tf

    with tf.init_scope():
        array = held.numpy()
    return tf.constant(array)
