"""What a model is compared on: batch sizes, lengths of free axes, and the answers expected there.

At its own lengths the reference brings the answers. Elsewhere another model gives them, the float
file on the CPU: what it cannot run, or answers with NaN or infinity, is left out and said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit import edges
from edgekit.errors import EdgekitError
from edgekit.feeds import resize
from edgekit.reference import Reference, fixed_batch
from edgekit.runtime.session import engine_reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgekit.runtime.runner import Runner
    from edgekit.signature import Feeds, Signature

#: A batch size that no kernel is written for.
ODD = 3
REFERENCE = "reference"


@dataclass(frozen=True)
class Base:
    """The open model that is compared with, and what reports call it: `float on cpu`."""

    runner: Runner
    name: str


@dataclass(frozen=True)
class Case:
    """Inputs with the outputs expected for them, in batches of one size.

    `inputs` says what they are: `reference`, or the name of an edge (`edges.VALUES`). `axes` has
    the lengths of the free axes other than the batch. `beyond` marks values outside of the range
    that the model was made for.
    """

    inputs: str
    batch: int
    axes: dict[str, int]
    expected_from: str
    batches: tuple[Reference, ...]
    beyond: bool = False


def of_reference(
    reference: Reference, signature: Signature, origin: str = REFERENCE, *, odd: bool = True
) -> Iterator[Case]:
    """Give a reference at batch 1, at an odd size and at all samples at once.

    A model whose batch is fixed has that size alone.
    """
    one = 1 if signature.batched else fixed_batch(signature) or 1
    count = len(next(iter(reference.inputs.values()))) if signature.batched else one
    axes = _own_lengths(signature, reference.inputs)
    for size in dict.fromkeys((one, ODD if odd and count > max(ODD, one) else one, count)):
        batches = tuple(reference.batches(signature, size))
        yield Case(REFERENCE, size, axes, origin, batches)


def other_axes(signature: Signature) -> tuple[str, ...]:
    """Name the free axes of the inputs that are not the batch."""
    firsts = {spec.shape[0] for spec in signature.inputs if spec.shape}
    return tuple(axis for axis in signature.free_axes if axis not in firsts)


def _own_lengths(signature: Signature, inputs: Feeds) -> dict[str, int]:
    lengths = signature.lengths(inputs)
    return {axis: lengths[axis] for axis in other_axes(signature)}


def at_lengths(base: Base, inputs: Feeds, notes: list[str]) -> Iterator[Case]:
    """Give the inputs at a shorter, the shortest and a longer length of the free axes.

    They are cut, or repeated from their start. What is left out goes to `notes`.
    """
    signature = base.runner.signature
    own = _own_lengths(signature, inputs)
    if not own:
        return
    for axes in _other_lengths(own):
        feeds = at(signature, inputs, axes)
        made = _expected(base, feeds)
        if isinstance(made, str):
            notes.append(f"left out {lengths_text(axes)}: {made}")
            continue
        yield from of_reference(made, signature, base.name, odd=False)


def at_edges(
    base: Base,
    inputs: Feeds,
    ranges: Mapping[str, tuple[float, float]],
    notes: list[str],
    *,
    seed: int,
) -> Iterator[Case]:
    """Give edge inputs at batch 1 and an odd one, at the own, shortest and longest lengths."""
    signature = base.runner.signature
    own = _own_lengths(signature, inputs)
    refused: dict[tuple[str, str], list[str]] = {}
    for batch, axes in _edge_shapes(signature, own):
        sized = at(signature, inputs, {**axes, **_batch_axis(signature, batch)})
        for name, feeds in edges.of(signature, sized, ranges, seed=seed):
            made = _expected(base, feeds)
            if isinstance(made, str):
                refused.setdefault((lengths_text(axes), made), []).append(name)
                continue
            beyond = edges.is_beyond(feeds, ranges)
            yield Case(name, batch, axes, base.name, (made,), beyond)
    for (where, reason), names in refused.items():
        what = f"{', '.join(dict.fromkeys(names))}{f' at {where}' if where else ''}"
        notes.append(f"left out {what}: {reason}")


def at(signature: Signature, inputs: Feeds, lengths: Mapping[str, int]) -> Feeds:
    """Give inputs at other lengths of their free axes."""
    return {spec.name: resize(inputs[spec.name], spec, lengths) for spec in signature.inputs}


def _other_lengths(own: Mapping[str, int]) -> list[dict[str, int]]:
    """Give a shorter length, 1 and a longer one, of all axes together."""
    found = [
        {axis: (size + 1) // 2 for axis, size in own.items()},
        dict.fromkeys(own, 1),
        {axis: size + (size + 1) // 2 for axis, size in own.items()},
    ]
    return [axes for i, axes in enumerate(found) if axes not in (own, *found[:i])]


def _edge_shapes(signature: Signature, own: dict[str, int]) -> list[tuple[int, dict[str, int]]]:
    odd = ODD if signature.batched else 1
    shapes = [(1, own), (odd, own)]
    if own:
        shapes += [(1, dict.fromkeys(own, 1)), (odd, {a: 2 * size for a, size in own.items()})]
    return [shape for i, shape in enumerate(shapes) if shape not in shapes[:i]]


def _batch_axis(signature: Signature, batch: int) -> dict[str, int]:
    if not signature.batched:
        return {}
    return {str(spec.shape[0]): batch for spec in signature.inputs}


def _expected(base: Base, feeds: Feeds) -> Reference | str:
    """Ask the model that is compared with; gives why its answer is none."""
    try:
        outputs = base.runner.run(feeds)
    except EdgekitError as error:
        return f"{base.name} does not run it ({engine_reason(error.__cause__ or error)})"
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{base.name} itself answers NaN or infinity (output {name!r})"
    return Reference(feeds, outputs)


def lengths_text(axes: Mapping[str, int]) -> str:
    """Write lengths of free axes: `time 16, height 32`."""
    return ", ".join(f"{axis} {size}" for axis, size in axes.items())
