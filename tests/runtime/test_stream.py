from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.runtime.stream import Piece, regroup, restore
from edgekit.signature import Feeds

sizes = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([2, 3])), max_size=12)


def made(sizes: list[tuple[int, int]]) -> list[Feeds]:
    """Items of so many samples, of so many numbers each, all of them different."""
    start, items = 0, []
    for samples, width in sizes:
        x = np.arange(start, start + samples * width).reshape(samples, width)
        items.append({"x": x, "ids": x[:, 0]})
        start += x.size
    return items


@given(sizes=sizes, batch=st.integers(1, 7))
def test_every_item_comes_back_as_it_was(sizes: list[tuple[int, int]], batch: int) -> None:
    items = made(sizes)
    back = list(restore(regroup(items, batch)))
    assert len(back) == len(items)
    for item, again in zip(items, back, strict=True):
        assert item.keys() == again.keys()
        assert all(np.array_equal(item[name], again[name]) for name in item)


@given(sizes=sizes, batch=st.integers(1, 7))
def test_runs_are_as_large_as_they_can_be(sizes: list[tuple[int, int]], batch: int) -> None:
    runs = [feeds["x"].shape for feeds, _ in regroup(made(sizes), batch)]
    assert sum(rows for rows, _ in runs) == sum(samples for samples, _ in sizes)
    assert all(rows <= batch for rows, _ in runs)
    for (rows, width), (_, following) in itertools.pairwise(runs):
        assert rows == batch or width != following


def test_an_item_of_the_right_size_is_not_copied() -> None:
    (item,) = made([(4, 2)])
    ((feeds, pieces),) = regroup([item], 4)
    assert pieces == [Piece(4, True)]
    assert np.shares_memory(feeds["x"], item["x"])
