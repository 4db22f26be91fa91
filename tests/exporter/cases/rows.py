"""How a row of the layers' tables becomes a model: inputs, one layer, and weights that show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.exporter.cases import Case

#: Samples of a row's feed, and the length there of a free axis.
BATCH, LENGTH = 3, 7


@dataclass(frozen=True)
class X:
    """An input without its batch axis: noise around zero, or integers below `high`.

    `batch` is fixed where it is given; `zeros` are the places `(sample, step)` whose values are
    zero, for a mask to find.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    high: int = 5
    low: int = 0
    scale: float = 1.0
    batch: int | None = None
    zeros: tuple[tuple[int, Any], ...] = ()

    def feed(self, seed: int) -> np.ndarray[Any, Any]:
        """Make the values."""
        rng = np.random.default_rng(seed)
        shape = (self.batch or BATCH, *(LENGTH if axis is None else axis for axis in self.shape))
        if self.dtype == "string":
            return np.full(shape, "a", object)
        if self.dtype == "bool":
            return rng.random(shape) > 0.4
        if np.dtype(self.dtype).kind in "iu":
            values = rng.integers(self.low, self.high, shape).astype(self.dtype)
        else:
            values = (rng.normal(size=shape) * self.scale).astype(self.dtype)
        for place in self.zeros:
            values[place] = 0
        return values


#: Sequences that a mask finds padding in at their ends, and between and before their steps.
PADDED = X((None, 3), zeros=((0, slice(4, None)), (1, slice(1, None))))
HOLES = X((None, 3), zeros=((0, 2), (1, 0), (2, slice(None, None, 2))))


def row(
    name: str,
    mode: str,
    inputs: X | Sequence[X],
    /,
    *,
    make: Any = None,
    call: Any = None,
    feeds: Any = None,
    refused: Any = None,
    opset: Any = 18,
    **options: Any,
) -> Case:
    """Give the row of `keras.layers.NAME(**options)`, called on inputs `x0`, `x1`...

    `make` gets the module keras and makes the layer where its options are layers too; `call` gets
    the layer and the tensors, where it is called with more than its inputs.
    """
    xs = [inputs] if isinstance(inputs, X) else list(inputs)

    def build() -> Any:
        import keras

        keras.utils.set_random_seed(0)
        tensors = [
            keras.Input(batch_shape=(x.batch, *x.shape), dtype=x.dtype, name=f"x{i}")
            for i, x in enumerate(xs)
        ]
        layer = make(keras) if make else getattr(keras.layers, name)(**options)
        if call:
            outputs = call(layer, *tensors)
        else:
            outputs = layer(tensors if len(tensors) > 1 else tensors[0])
        return randomised(keras.Model(tensors, outputs))

    feeds = feeds or {f"x{i}": x.feed(i) for i, x in enumerate(xs)}
    return Case(f"keras.layers.{name}", mode, build, feeds, refused, opset)


def randomised(model: Any) -> Any:
    """Give every weight a value of its own: a bias of zeros would hide a wrong place."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "variance" in weight.name:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "float" in str(weight.dtype):
            weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return model


def masked(layer: Any, *tensors: Any) -> Any:
    """Call a layer behind Masking layers."""
    import keras

    hidden = [keras.layers.Masking()(tensor) for tensor in tensors]
    return layer(hidden if len(hidden) > 1 else hidden[0])


def read(tensor: Any) -> Any:
    """Read a sequence by its mask, so that the mask counts in the answer."""
    import keras

    return keras.layers.GRU(2)(tensor)
