"""Inputs at a size: reference inputs cut or tiled to it, or seeded samples. Needs numpy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import FeedError
from edgekit.reference import fixed_batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.signature import Feeds, Signature, TensorSpec


def make_feeds(
    signature: Signature,
    *,
    reference: Mapping[str, Any] | None,
    batch: int,
    axes: Mapping[str, int],
    seed: int,
) -> Feeds:
    """Give checked inputs of `batch` samples: reference inputs cut or tiled, or seeded samples.

    A free axis has the length that `axes` gives it, else the reference's own.
    """
    lengths = _lengths(signature, batch, axes)
    if reference is None:
        return signature.check(signature.sample(seed, batch, lengths))
    feeds, fixed = dict(reference), fixed_batch(signature)
    for spec in signature.inputs:
        if spec.name in feeds:
            array = np.asarray(feeds[spec.name])
            if fixed and array.ndim and len(array) not in (0, fixed):
                array = np.take(array, np.arange(fixed) % len(array), axis=0)
            feeds[spec.name] = resize(array, spec, lengths)
    return signature.check(feeds)


def _lengths(signature: Signature, batch: int, axes: Mapping[str, int]) -> dict[str, int]:
    free = signature.free_axes
    for axis in axes:
        if axis not in free:
            raise FeedError(
                f"The model has no free axis {axis!r}: "
                + (f"give the length of {' or '.join(map(repr, free))}." if free else "give none.")
            )
    firsts = {spec.shape[0] if spec.shape else 0 for spec in signature.inputs}
    first = firsts.pop() if len(firsts) == 1 else 0
    if isinstance(first, str):
        if axes.get(first, batch) != batch:
            raise FeedError(
                f"The batch is {batch} and its axis {first!r} has length {axes[first]}: "
                f"give the batch {axes[first]}, and no length for {first!r}."
            )
        return {**axes, first: batch}
    fixed = fixed_batch(signature) or 1  # a model without a batch axis takes one sample
    if batch != fixed:
        raise FeedError(
            f"The batch {batch} was asked for and the model's is fixed to {fixed} "
            f"({', '.join(map(str, signature.inputs))}): give the batch {fixed}, or export the "
            "model with a free batch axis."
        )
    return dict(axes)


def resize(
    array: np.ndarray[Any, Any], spec: TensorSpec, lengths: Mapping[str, int]
) -> np.ndarray[Any, Any]:
    """Cut an array to the lengths of its free axes, or repeat it from its start to fill them."""
    for index, axis in enumerate(spec.shape[: array.ndim]):
        size = array.shape[index]
        if isinstance(axis, str) and size and lengths.get(axis, size) != size:
            array = np.take(array, np.arange(lengths[axis]) % size, axis=index)
    return np.ascontiguousarray(array)
