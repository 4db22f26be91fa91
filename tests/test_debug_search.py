"""The bisection alone: on graphs of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.debug.search import first_bad


class Graph:
    """Tensors in order, each made from earlier ones; `faults` are bad by themselves."""

    def __init__(self, inputs: Sequence[Sequence[int]], faults: set[int]) -> None:
        self.parents = [sum(1 << p for p in set(made_from)) for made_from in inputs]
        self.ancestors: list[int] = []
        for made_from in inputs:
            mask = 0
            for parent in made_from:
                mask |= self.ancestors[parent] | 1 << parent
            self.ancestors.append(mask)
        self.bad = {
            i
            for i, mask in enumerate(self.ancestors)
            if any((mask | 1 << i) >> f & 1 for f in faults)
        }
        self.probes = 0

    def probe(self, tensors: Sequence[int]) -> list[bool | None]:
        self.probes += 1
        return [tensor in self.bad for tensor in tensors]

    def search(self, start: int, **options: int) -> int:
        return first_bad(self.ancestors, self.parents, start, self.probe, **options)


def chain(length: int, fault: int) -> Graph:
    return Graph([[i - 1] if i else [] for i in range(length)], {fault})


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_in_a_chain_the_one_corrupted_node_is_found_in_logarithmic_runs(
    size: tuple[int, int],
) -> None:
    length, fault = size
    for width in (1, 3):
        graph = chain(length, fault)
        assert graph.search(length - 1, width=width) == fault
        assert graph.probes <= math.ceil(math.log(length, width + 1)) + 2


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[list[int]], int]:
    length = draw(st.integers(2, 40))
    inputs: list[list[int]] = [[]]
    for i in range(1, length):
        inputs.append(draw(st.lists(st.integers(0, i - 1), min_size=1, max_size=3)))
    return inputs, draw(st.integers(0, length - 1))


@given(graphs())
def test_in_any_graph_the_one_corrupted_node_is_found(drawn: tuple[list[list[int]], int]) -> None:
    inputs, fault = drawn
    graph = Graph(inputs, {fault})
    for start in sorted(graph.bad):
        assert graph.search(start) == fault


@given(graphs(), st.data())
def test_what_is_found_is_bad_and_all_that_goes_into_it_is_good(
    drawn: tuple[list[list[int]], int], data: st.DataObject
) -> None:
    # Errors come and go here, as they do behind a mask or a rounding.
    inputs, _ = drawn
    graph = Graph(inputs, set())
    graph.bad = data.draw(st.sets(st.integers(0, len(inputs) - 2))) | {len(inputs) - 1}
    found = graph.search(len(inputs) - 1)
    assert found in graph.bad
    assert not set(inputs[found]) & graph.bad


def test_an_ignored_tensor_is_passed_over() -> None:
    graph = chain(8, 2)
    assert graph.search(7, ignore=1 << 2) == 3


@pytest.mark.parametrize("blind", [{3}, {2, 4}, {0, 1, 2, 3, 5, 6}])
def test_what_cannot_be_told_is_left_out(blind: set[int]) -> None:
    graph = chain(8, 4)
    probe = graph.probe
    graph.probe = lambda tensors: [  # type: ignore[method-assign]
        None if t in blind else bad for t, bad in zip(tensors, probe(tensors), strict=True)
    ]
    assert graph.search(7) == min(t for t in graph.bad if t not in blind)
