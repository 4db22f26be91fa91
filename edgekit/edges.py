"""Edge inputs: what seeded samples never are, where a file and its variants part first.

Each is made from inputs that are known to be right, and keeps to values that are safe: an id is
never above the highest one that the reference or the vocabulary has. Needs numpy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from edgekit.bundle import Bundle
    from edgekit.signature import Feeds, Signature

    Array = np.ndarray[Any, np.dtype[Any]]
    Range = tuple[float, float]

#: How many times its range a large input has: past what fp16 holds for an input of 10.
LARGE = 1e4


def _full(array: Array, value: float) -> Array:
    return np.full_like(array, value)


def _tiny(array: Array, known: Range) -> Array | None:
    """Fill with a denormal number, which some hardware takes for 0."""
    if array.dtype.kind != "f":
        return None
    return _full(array, float(np.finfo(array.dtype).tiny) / 8)


def _repeated(array: Array, known: Range) -> Array | None:
    """Repeat the first element of each sample: one token from end to end."""
    if array.ndim < 2:
        return None
    first = array[(slice(None), *(slice(0, 1),) * (array.ndim - 1))]
    return np.ascontiguousarray(np.broadcast_to(first, array.shape))


def _alternating(array: Array, known: Range) -> Array:
    """Give the lowest and the highest value in turns."""
    turns = np.arange(array.size).reshape(array.shape) % 2 == 0
    return np.where(turns, *known).astype(array.dtype)


def _scaled(factor: float) -> Callable[[Array, Range], Array | None]:
    """Multiply magnitudes, for floats: an id or a pixel has no larger one."""

    def make(array: Array, known: Range) -> Array | None:
        if array.dtype.kind != "f":
            return None
        most = float(np.finfo(array.dtype).max)
        made = np.multiply(factor, np.abs(array.astype(np.float64)))
        return np.asarray(np.clip(made, -most, most), array.dtype)

    return make


#: Edge -> what it makes of one input with a known range; None leaves that input as it is.
VALUES: dict[str, Callable[[Array, Range], Array | None]] = {
    "zeros": lambda array, known: np.zeros_like(array),
    "ones": lambda array, known: _full(array, min(1, known[1])) if known[1] > 0 else None,
    "lowest": lambda array, known: _full(array, known[0]),
    "highest": lambda array, known: _full(array, known[1]),
    "alternating": _alternating,
    "repeated": _repeated,
    "negative": _scaled(-1.0),
    "large": _scaled(LARGE),
    "tiny": _tiny,
}


def of(
    signature: Signature, inputs: Feeds, ranges: Mapping[str, Range], *, seed: int
) -> Iterator[tuple[str, Feeds]]:
    """Give the edges of inputs by name; one that changes nothing, or repeats another, is left out.

    `seeded` comes first: values drawn evenly from each input's range.
    """
    rng = np.random.default_rng(seed)
    seeded = {name: _drawn(rng, array, ranges[name]) for name, array in inputs.items()}
    known = [inputs, seeded]
    yield "seeded", seeded
    for edge, make in VALUES.items():
        feeds = {}
        for spec in signature.inputs:
            array = inputs[spec.name]
            made = make(array, ranges[spec.name]) if array.dtype.kind in "fiub" else None
            feeds[spec.name] = array if made is None else made
        if not any(_same(feeds, other) for other in known):
            known.append(feeds)
            yield edge, feeds


def known_ranges(
    inputs: Feeds, others: Iterable[Feeds], preprocessing: Mapping[str, Any] | None
) -> dict[str, Range]:
    """Give the lowest and highest value of each input: of the samples, and of the vocabulary."""
    ranges = {}
    groups = [inputs, *others]
    for name in inputs:
        arrays = [group[name] for group in groups if name in group and group[name].size]
        if inputs[name].dtype.kind not in "fiub" or not arrays:
            ranges[name] = (0.0, 0.0)
            continue
        ranges[name] = (float(min(a.min() for a in arrays)), float(max(a.max() for a in arrays)))
    if preprocessing and preprocessing.get("kind") == "characters":
        name = str(preprocessing["input"])
        last = int(preprocessing["offset"]) + len(preprocessing["alphabet"]) - 1
        if name in ranges:
            ranges[name] = (min(ranges[name][0], float(preprocessing["padding"])), float(last))
    return ranges


def calibration_of(bundle: Bundle | None) -> list[Feeds]:
    """Give the inputs that a bundle's variants were calibrated with, where it has them."""
    data = bundle.data("calibration") if bundle else None
    return [data["inputs"]] if data and "inputs" in data else []


def is_beyond(feeds: Feeds, ranges: Mapping[str, Range]) -> bool:
    """Whether a value lies outside of the range that is known of its input."""
    return any(
        array.size > 0
        and array.dtype.kind in "fiu"
        and (array.min() < ranges[name][0] or array.max() > ranges[name][1])
        for name, array in feeds.items()
    )


def _drawn(rng: np.random.Generator, array: Array, known: Range) -> Array:
    low, high = known
    if array.dtype.kind == "f":
        return np.asarray(rng.uniform(low, high, array.shape), array.dtype)
    if array.dtype.kind in "iu":
        drawn = rng.integers(int(low), int(high), array.shape, endpoint=True)
        return np.asarray(drawn, array.dtype)
    return array


def _same(feeds: Feeds, other: Feeds) -> bool:
    return all(np.array_equal(array, other[name]) for name, array in feeds.items())
