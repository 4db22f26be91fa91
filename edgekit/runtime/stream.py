"""Feeds of any number of samples as runs of one size, and the answers item by item again.

`regroup` cuts and joins the feeds of a stream, `restore` gives each of them its own outputs; both
hold one run and one item at a time. Axis 0 of every array is the batch. This module needs numpy
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgekit.signature import Feeds, Outputs


class Piece(NamedTuple):
    """How many samples of a run belong to one item, and whether the item ends with them."""

    samples: int
    ends: bool


Run = tuple["Feeds", list[Piece]]


def regroup(items: Iterable[Feeds], batch: int) -> Iterator[Run]:
    """Give feeds of `batch` samples, in order, with the pieces of items that are in each.

    One is shorter at the end, and where the next item has other lengths beside the batch. An error
    of the items is raised after what came before it.
    """
    run = _Filling(batch)
    try:
        for item in items:
            if not run.takes(item):
                yield run.empty()
            start, ends = 0, False
            while not ends:
                start, ends = run.fill(item, start)
                if run.room == 0:
                    yield run.empty()
    except Exception:
        if run.parts:
            yield run.empty()
        raise
    if run.parts:
        yield run.empty()


class _Filling:
    """A run in the making: the parts of items that are in it, and the room that is left."""

    def __init__(self, batch: int) -> None:
        self.batch = self.room = batch
        self.parts: list[Feeds] = []
        self.pieces: list[Piece] = []

    def takes(self, item: Feeds) -> bool:
        last = self.parts[-1] if self.parts else item
        return all(last[name].shape[1:] == array.shape[1:] for name, array in item.items())

    def fill(self, item: Feeds, start: int) -> tuple[int, bool]:
        count = len(next(iter(item.values())))
        stop = min(start + self.room, count)
        self.parts.append(_cut(item, start, stop))
        self.pieces.append(Piece(stop - start, stop == count))
        self.room -= stop - start
        return stop, stop == count

    def empty(self) -> Run:
        run = _join(self.parts), self.pieces
        self.parts, self.pieces, self.room = [], [], self.batch
        return run


def restore(runs: Iterable[tuple[Outputs, list[Piece]]]) -> Iterator[Outputs]:
    """Give the outputs of each item, from those of the runs that `regroup` made of them."""
    parts: list[Outputs] = []
    for outputs, pieces in runs:
        start = 0
        for piece in pieces:
            parts.append(_cut(outputs, start, start + piece.samples))
            start += piece.samples
            if piece.ends:
                yield _join(parts)
                parts = []


def _cut(arrays: Feeds, start: int, stop: int) -> Feeds:
    return {name: array[start:stop] for name, array in arrays.items()}


def _join(parts: list[Feeds]) -> Feeds:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
