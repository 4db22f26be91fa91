"""Free axes: which inputs share a length, and which lengths the outputs follow.

Neither is written in a Keras model, so both are measured: Keras is run on lengths that all differ,
and its answers to two sets of lengths are compared.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ExportError
from edgekit.exporter import blame, trace
from edgekit.reference import Reference
from edgekit.signature import SPATIAL, SPATIAL_AXIS, Signature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekit.signature import Feeds


@dataclass(frozen=True)
class Rule:
    """How lengths are chosen: `base + step * pace + i * gap`, for the free axis `i` of the inputs.

    A picture's axes have numbers of their own, and so have those of other floats. `step` gives
    other lengths by the same rule.
    """

    picture: tuple[int, int, int]
    floats: tuple[int, int, int]
    other: tuple[int, int, int]

    def lengths(self, inputs: Sequence[TensorSpec], step: int) -> dict[str, int]:
        """Give a length for every free axis, all different, and different for another `step`."""
        signature = Signature(tuple(inputs), ())
        signals = {a for s in inputs if "float" in s.dtype for a in s.shape[1:]}
        found = {}
        for i, axis in enumerate(signature.free_axes):
            kind = self.floats if axis in signals else self.other
            base, pace, gap = self.picture if axis.endswith(SPATIAL) else kind
            found[axis] = base + step * (pace + (i if pace < gap else 0)) + i * gap
        return found


_ANY, _SHORT = (1, 2, 4), (1, 1, 1)
_HALVED = (SPATIAL_AXIS, 64, 64)
#: The first rule that Keras accepts counts. Lengths without a common factor show most; a network
#: that halves a picture and adds what it had before needs multiples, one with a table of positions
#: short sequences, and one that convolves a recording long ones.
RULES = (
    Rule((SPATIAL_AXIS, 2, 4), _ANY, _ANY),
    Rule(_HALVED, _ANY, _ANY),
    Rule(_HALVED, _SHORT, _SHORT),
    Rule(_HALVED, (32, 32, 32), _SHORT),
    Rule(_HALVED, (2048, 512, 512), _SHORT),
)
STEPS = (1, 2, 3)
#: Up to so many free axes, every way to tie them is tried: 15 for four.
MOST_TIED = 4


@dataclass(frozen=True)
class Settled:
    """The inputs with their axes named, and what Keras answers to two feeds.

    The lengths of the second are others than those of the first, where `varied`.
    """

    inputs: tuple[TensorSpec, ...]
    references: tuple[Reference, Reference]
    varied: bool = True


def settle(
    model: Any,
    inputs: tuple[TensorSpec, ...],
    reference: Feeds | None,
    limits: Mapping[str, int],
    batch: int,
    seed: int = 0,
) -> Settled:
    """Find which axes share a length, and inputs that the model runs on.

    Axes that may differ keep names of their own. Where Keras refuses lengths that all differ, those
    that are equal in the reference are one axis; without a reference as few are tied as it takes.
    What answers right at two sets of lengths has not fixed one that is free. `limits` bounds
    integers.

    Raises `ExportError` where Keras itself runs on nothing.
    """
    run = functools.partial(_answer, trace.predictor(model, inputs))
    first = run(inputs, reference) if reference is not None else None
    if isinstance(first, Exception):
        raise ExportError(
            f"Keras cannot run the model {model.name!r} on the reference "
            f"({blame.cause_in_a_message(first)}): give inputs that the model takes."
        ) from first
    refusals = []
    for bounds in (limits, {}) if limits else ({},):
        for rule, names in itertools.product(RULES, _ties(inputs, reference)):
            tied = tuple(_renamed(spec, names) for spec in inputs)
            found = _settle_by(rule, run, tied, first, bounds, batch, seed)
            if isinstance(found, Settled):
                return found
            refusals.append(found)
    if first is None:
        made = Signature(inputs, ()).sample(seed, batch=batch, limits=limits)
        first = run(inputs, made)
    if isinstance(first, Exception):
        raise ExportError(
            f"Keras does not run the model {model.name!r} on inputs that were made for it "
            f"({blame.cause_in_a_message(refusals[0])}): give some of your own with "
            "reference={name: array}."
        ) from refusals[0]
    other = run(inputs, _fewer(inputs, first.inputs))
    return Settled(inputs, (first, first if isinstance(other, Exception) else other), varied=False)


def _settle_by(
    rule: Rule,
    run: Callable[..., Reference | Exception],
    inputs: tuple[TensorSpec, ...],
    first: Reference | None,
    limits: Mapping[str, int],
    batch: int,
    seed: int,
) -> Settled | Exception:
    """Try the lengths of one rule; gives why Keras refuses them where it does."""
    signature = Signature(inputs, ())
    refusal: Exception | None = None
    for step in STEPS:
        lengths = rule.lengths(inputs, step)
        used = signature.lengths(first.inputs) if first else {}
        if any(used.get(axis) == length for axis, length in lengths.items()):
            continue
        made = signature.sample(1, axes=lengths, limits=limits)
        other = run(inputs, _in_range(made, first.inputs) if first else made)
        if isinstance(other, Exception):
            return refusal or other
        if first is not None:
            return Settled(inputs, (first, other))
        batches = {s.shape[0] for s in inputs if s.shape and isinstance(s.shape[0], str)}
        again = rule.lengths(inputs, step + 1)
        for chosen in ({}, {a: n for a, n in again.items() if a not in batches}):
            made = signature.sample(seed, batch=batch, axes=chosen, limits=limits)
            if any(signature.lengths(made)[axis] == lengths[axis] for axis in lengths):
                continue
            found = run(inputs, made)
            if isinstance(found, Reference):
                return Settled(inputs, (found, other))
            refusal = found
    return refusal or ValueError("no lengths are left to try")


def _ties(inputs: tuple[TensorSpec, ...], reference: Feeds | None) -> list[dict[str, str]]:
    """Give the ways to name axes, the fewest ties first.

    With a reference: each axis for itself, and those of one length in it. Without one every way to
    tie them where that is a handful, else none of them or all.
    """
    free = [(spec.name, i, a) for spec in inputs for i, a in enumerate(spec.shape) if i]
    axes = list(dict.fromkeys(axis for _, _, axis in free if isinstance(axis, str)))
    if reference:
        groups: dict[int, list[str]] = defaultdict(list)
        for name, i, axis in free:
            if isinstance(axis, str):
                groups[reference[name].shape[i]].append(axis)
        ways = [[[axis] for axis in axes], list(groups.values())]
    elif len(axes) <= MOST_TIED:
        ways = sorted(_partitions(axes), key=len, reverse=True)
    else:
        ways = [[[axis] for axis in axes], [axes]]
    named = [{axis: group[0] for group in way for axis in group} for way in ways]
    return [names for i, names in enumerate(named) if names not in named[:i]]


def _partitions(axes: Sequence[str]) -> list[list[list[str]]]:
    """Give every way to put the axes into groups, which keep their order."""
    if not axes:
        return [[]]
    ways = []
    for way in _partitions(axes[:-1]):
        ways.append([*way, [axes[-1]]])
        ways += [[*way[:i], [*way[i], axes[-1]], *way[i + 1 :]] for i in range(len(way))]
    return ways


def _in_range(feeds: Feeds, given: Feeds) -> Feeds:
    """Spread floats of 0..1 over the range of those that were given: pixels are up to 255."""
    spread = {}
    for name, array in feeds.items():
        known = given[name]
        if array.dtype.kind == "f" and known.size and np.isfinite(known).all():
            low, high = known.min(), known.max()
            spread[name] = (low + array * (high - low)).astype(array.dtype)
        else:
            spread[name] = array
    return spread


def _answer(keras: Any, inputs: tuple[TensorSpec, ...], feeds: Feeds) -> Reference | Exception:
    """Run Keras; gives what it raises."""
    try:
        return Reference(feeds, keras(feeds))
    except Exception as error:  # noqa: BLE001 - a model's code may raise anything
        return error


def _fewer(inputs: tuple[TensorSpec, ...], feeds: Feeds) -> Feeds:
    """Drop half of the samples, where axis 0 of every input is one free axis."""
    firsts = {spec.shape[0] if spec.shape else 0 for spec in inputs}
    if len(firsts) > 1 or not isinstance(firsts.pop(), str):
        return feeds
    return {name: array[: (len(array) + 1) // 2] for name, array in feeds.items()}


def output_shapes(
    settled: Settled, known: Sequence[Sequence[int | str | None] | None]
) -> dict[str, tuple[int | str, ...]]:
    """Name the axes of the outputs that follow an input's, from two answers to other lengths.

    A conversion's own shapes, `known`, are not trusted where lengths varied: what Keras answers is.
    Raises `ExportError` for an output whose rank depends on the input.
    """
    signature = Signature(settled.inputs, ())
    first, second = settled.references
    lengths, others = signature.lengths(first.inputs), signature.lengths(second.inputs)
    shapes: dict[str, tuple[int | str, ...]] = {}
    for (name, one), told in zip(first.outputs.items(), known, strict=True):
        two = second.outputs[name]
        if one.ndim != two.ndim:
            raise ExportError(
                f"The output {name!r} has {one.ndim} or {two.ndim} axes depending on the "
                "input: export a model whose outputs keep their rank."
            )
        axes: list[int | str] = []
        for i, pair in enumerate(zip(one.shape, two.shape, strict=True)):
            fixed = settled.varied or told is None or isinstance(told[i], int)
            named = [
                axis
                for axis in lengths
                if (lengths[axis], others[axis]) == pair
                and not (fixed and lengths[axis] == others[axis])
            ]
            free = named[0] if named else f"{name}_axis{i}"
            axes.append(free if named or pair[0] != pair[1] or not fixed else pair[0])
        shapes[name] = tuple(axes)
    return shapes


def _renamed(spec: TensorSpec, names: dict[str, str]) -> TensorSpec:
    shape = tuple(names.get(axis, axis) if isinstance(axis, str) else axis for axis in spec.shape)
    return dataclasses.replace(spec, shape=shape)
