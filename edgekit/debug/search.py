"""Bisection in a graph: the first bad tensor, from few looks. It knows nothing of models.

As in a history with merges, a bad tensor is taken to make all that follows from it bad, and a good
one to come from good ones alone. Where that does not hold (a clipped error, a mask), the end of
the search looks once more: what it gives is bad, and everything that goes into it was seen good.

Tensors are numbers in topological order; a set of them is an int with a bit for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    #: Tells which of some tensors are bad; None where that cannot be told.
    Probe = Callable[[Sequence[int]], Sequence[bool | None]]

#: Tensors that are looked at in one run.
WIDTH = 3


def first_bad(
    ancestors: Sequence[int],
    parents: Sequence[int],
    start: int,
    probe: Probe,
    *,
    ignore: int = 0,
    width: int = WIDTH,
) -> int:
    """Give a tensor that is bad while all that goes into it is good; `start` is known to be bad.

    `ancestors` has the set of all that a tensor comes from, `parents` that of the nearest. A
    tensor of `ignore` counts as good, and says nothing of what it comes from. In a chain of n it
    takes about log(n) / log(width + 1) probes.
    """
    bad, seen, inferred = start, ignore, ignore
    while True:
        candidates = ancestors[bad] & ~inferred
        looked = _pivots(candidates, ancestors, width) if candidates else []
        # Nothing is left that could be bad: the inputs that were only inferred are looked at.
        looked = looked or list(_members(parents[bad] & ~seen))
        if not looked:
            return bad
        found = []
        for tensor, is_bad in zip(looked, probe(looked), strict=True):
            if is_bad:
                found.append(tensor)
                continue
            seen |= 1 << tensor
            inferred |= 1 << tensor | (0 if is_bad is None else ancestors[tensor])
        if found:
            bad = min(found, key=lambda tensor: (ancestors[tensor].bit_count(), tensor))
            if not candidates:
                inferred = seen


def _pivots(candidates: int, ancestors: Sequence[int], width: int) -> list[int]:
    """Choose the tensors whose own ancestors cut the candidates into even parts."""
    total = candidates.bit_count()
    weights = [(t, (ancestors[t] & candidates).bit_count() + 1) for t in _members(candidates)]
    chosen: dict[int, None] = {}
    for part in range(1, width + 1):
        goal = total * part / (width + 1)
        tensor, _ = min(weights, key=lambda row: abs(row[1] - goal))
        chosen[tensor] = None
    return list(chosen)


def _members(tensors: int) -> Iterator[int]:
    while tensors:
        low = tensors & -tensors
        yield low.bit_length() - 1
        tensors ^= low
