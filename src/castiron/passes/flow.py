"""Minimum cuts."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from itertools import pairwise


class Network:
    """Vertices joined by edges that cost something to cut; two of the vertices, ``source`` and ``sink``, are to be
    parted."""

    def __init__(self, source: Hashable, sink: Hashable):
        self.source, self.sink = source, sink
        self._room: dict[Hashable, dict[Hashable, int]] = {source: {}, sink: {}}

    def join(self, a: Hashable, b: Hashable, cost: int) -> None:
        """An edge that is cut if ``a`` is on the source's side and ``b`` on the sink's."""
        for x, y, room in ((a, b, cost), (b, a, 0)):
            edges = self._room.setdefault(x, {})
            edges[y] = edges.get(y, 0) + room

    def source_side(self) -> set[Hashable]:
        """The smallest set of vertices around the source whose edges to the others cost least: what shortest
        augmenting paths leave in its reach (Edmonds and Karp, 1972, https://doi.org/10.1145/321694.321699)."""
        while path := self._path():
            steps = list(pairwise(path))
            room = min(self._room[a][b] for a, b in steps)
            for a, b in steps:
                self._room[a][b] -= room
                self._room[b][a] += room
        return set(self._reached())

    def _reached(self) -> dict[Hashable, Hashable]:
        """The vertices in the source's reach, and from where each is."""
        before: dict[Hashable, Hashable] = {self.source: None}
        waiting = deque([self.source])
        while waiting:
            a = waiting.popleft()
            for b, room in self._room[a].items():
                if room > 0 and b not in before:
                    before[b] = a
                    waiting.append(b)
        return before

    def _path(self) -> list[Hashable]:
        before = self._reached()
        if self.sink not in before:
            return []
        path: list[Hashable] = [self.sink]
        while path[-1] != self.source:
            path.append(before[path[-1]])
        return path[::-1]
