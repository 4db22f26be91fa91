"""Free axes: which inputs share a length, and which lengths the outputs follow.

Neither is written in a Keras model, so both are measured: Keras is run on lengths that all differ,
and its answers to two sets of lengths are compared.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from edgekit.errors import ExportError
from edgekit.exporter import trace
from edgekit.signature import SPATIAL, SPATIAL_AXIS, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekit.signature import Feeds, Outputs


def tie(
    model: Any, inputs: tuple[TensorSpec, ...], reference: Feeds | None
) -> tuple[TensorSpec, ...]:
    """Give axes one name where the model needs them to be of one length.

    Axes that may differ keep names of their own. Where Keras refuses lengths that all differ, those
    that are equal in the reference are one axis, and without a reference all but the batch.
    """
    if _runs(model, inputs):
        return inputs
    groups: dict[int, list[str]] = defaultdict(list)
    for spec in inputs:
        for i, axis in enumerate(spec.shape):
            if i and isinstance(axis, str):
                groups[reference[spec.name].shape[i] if reference else 0].append(axis)
    names = {axis: group[0] for group in groups.values() for axis in group}
    tied = tuple(_renamed(spec, names) for spec in inputs)
    return tied if _runs(model, tied) else inputs


def sizes(inputs: Sequence[TensorSpec], step: int) -> dict[str, int]:
    """Lengths for the free axes, all different, and different for another `step`."""
    return {
        axis: (SPATIAL_AXIS if axis.endswith(SPATIAL) else 1) + step * (2 + i) + 4 * i
        for i, axis in enumerate(Signature(tuple(inputs), ()).free_axes)
    }


def probe(signature: Signature, reference: Feeds) -> Feeds:
    """Make inputs whose free axes all have other lengths than in the reference, and than another.

    What answers right on both has not fixed a length that is free.
    """
    used = signature.lengths(reference)
    lengths = next(
        lengths
        for lengths in (sizes(signature.inputs, step) for step in itertools.count(1))
        if all(lengths[axis] != used[axis] for axis in lengths)
    )
    return signature.sample(1, axes=lengths)


def output_shapes(
    signature: Signature, answers: Sequence[tuple[Feeds, Outputs]]
) -> dict[str, tuple[int | str, ...]]:
    """Name the axes of the outputs that follow an input's, from two answers to other lengths.

    A conversion's own shapes are not trusted: what Keras answers is. Raises `ExportError` for an
    output whose rank depends on the input.
    """
    (feeds, outputs), (other_feeds, other_outputs) = answers
    lengths, others = signature.lengths(feeds), signature.lengths(other_feeds)
    shapes: dict[str, tuple[int | str, ...]] = {}
    for name, first in outputs.items():
        second = other_outputs[name]
        if first.ndim != second.ndim:
            raise ExportError(
                f"The output {name!r} has {first.ndim} or {second.ndim} axes depending on the "
                "input: export a model whose outputs keep their rank."
            )
        axes: list[int | str] = []
        for i, pair in enumerate(zip(first.shape, second.shape, strict=True)):
            named = [axis for axis in lengths if (lengths[axis], others[axis]) == pair]
            free = named[0] if named else f"{name}_axis{i}"
            axes.append(free if named or pair[0] != pair[1] else pair[0])
        shapes[name] = tuple(axes)
    return shapes


def _runs(model: Any, inputs: tuple[TensorSpec, ...]) -> bool:
    if len(inputs) == 1:
        return True
    feeds = Signature(inputs, ()).sample(0, axes=sizes(inputs, 1))
    try:
        trace.predict(model, inputs, feeds)
    except Exception:  # noqa: BLE001 - a model's code may raise anything; tracing reports it
        return False
    return True


def _renamed(spec: TensorSpec, names: dict[str, str]) -> TensorSpec:
    shape = tuple(names.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape)
    return dataclasses.replace(spec, shape=shape)
