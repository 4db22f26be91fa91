"""The cheapest way to part a graph in two: a minimum cut, by Dinic's algorithm.

Plain integers in, a set out; this module knows nothing of models.
"""

from __future__ import annotations

from collections import deque

#: More than any cut costs: an edge that is never cut.
NEVER = 1 << 62


class Network:
    """Nodes 0, 1, 2, ... and directed edges with what it costs to cut them."""

    def __init__(self) -> None:
        self._edges: list[list[int]] = []
        self._heads: list[int] = []
        self._room: list[int] = []

    def node(self) -> int:
        """Add a node; gives its number."""
        self._edges.append([])
        return len(self._edges) - 1

    def edge(self, tail: int, head: int, cost: int) -> None:
        """Pay `cost` where `tail` is on the source's side and `head` on the other."""
        for here, there, room in ((tail, head, cost), (head, tail, 0)):
            self._edges[here].append(len(self._heads))
            self._heads.append(there)
            self._room.append(room)

    def linked(self, start: int, without: int) -> set[int]:
        """Give every node that edges of any cost link with `start`, going round `without`."""
        found, queue = {start}, deque([start])
        while queue:
            for edge in self._edges[queue.popleft()]:
                there = self._heads[edge]
                if there != without and there not in found:
                    found.add(there)
                    queue.append(there)
        return found

    def source_side(self, source: int, sink: int) -> set[int]:
        """Cut the cheapest edges between both; gives the smallest source's side there is."""
        while True:
            levels = self._levels(source)
            if sink not in levels:
                return set(levels)
            next_edge = [0] * len(self._edges)
            while self._augment(source, sink, levels, next_edge):
                pass

    def _levels(self, source: int) -> dict[int, int]:
        levels, queue = {source: 0}, deque([source])
        while queue:
            here = queue.popleft()
            for edge in self._edges[here]:
                there = self._heads[edge]
                if self._room[edge] and there not in levels:
                    levels[there] = levels[here] + 1
                    queue.append(there)
        return levels

    def _augment(
        self, source: int, sink: int, levels: dict[int, int], next_edge: list[int]
    ) -> bool:
        """Send what one more path holds, without recursion: models are deep."""
        path: list[int] = []
        here = source
        while here != sink:
            edges = self._edges[here]
            while next_edge[here] < len(edges):
                edge = edges[next_edge[here]]
                there = self._heads[edge]
                if self._room[edge] and levels.get(there) == levels[here] + 1:
                    path.append(edge)
                    here = there
                    break
                next_edge[here] += 1
            else:
                if not path:
                    return False
                # A dead end: step back over the edge that led here, and past it.
                here = self._heads[path.pop() ^ 1]
                next_edge[here] += 1
        amount = min(self._room[edge] for edge in path)
        for edge in path:
            self._room[edge] -= amount
            self._room[edge ^ 1] += amount
        return True
