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


def regroup(items: Iterable[Feeds], batch: int) -> Iterator[tuple[Feeds, list[Piece]]]:
    """Give feeds of `batch` samples, in order, with the pieces of items that are in each.

    One is shorter at the end, and where the next item has other lengths beside the batch.
    """
    parts: list[Feeds] = []
    pieces: list[Piece] = []
    room = batch
    for item in items:
        count = len(next(iter(item.values())))
        if parts and not _alike(parts[-1], item):
            yield _join(parts), pieces
            parts, pieces, room = [], [], batch
        start, ends = 0, False
        while not ends:
            stop = min(start + room, count)
            ends = stop == count
            parts.append(_cut(item, start, stop))
            pieces.append(Piece(stop - start, ends))
            room -= stop - start
            start = stop
            if room == 0:
                yield _join(parts), pieces
                parts, pieces, room = [], [], batch
    if parts:
        yield _join(parts), pieces


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


def _alike(first: Feeds, second: Feeds) -> bool:
    return all(first[name].shape[1:] == array.shape[1:] for name, array in second.items())


def _cut(arrays: Feeds, start: int, stop: int) -> Feeds:
    return {name: array[start:stop] for name, array in arrays.items()}


def _join(parts: list[Feeds]) -> Feeds:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
