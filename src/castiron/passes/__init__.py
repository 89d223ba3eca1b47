"""The passes: pure functions from Graph to Graph, in the order of ``PIPELINE``."""

from __future__ import annotations

from collections.abc import Callable

from castiron.ir import Graph
from castiron.passes.demote import demote
from castiron.passes.fold import fold
from castiron.passes.fuse import fuse
from castiron.passes.lower import lower
from castiron.passes.pack import pack
from castiron.passes.share import share
from castiron.passes.simplify import simplify

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (demote, lower, fold, simplify, pack, fold, fuse, share)


def run(graph: Graph, pipeline: tuple[Callable[[Graph], Graph], ...] = PIPELINE) -> Graph:
    """The graph after each pass in turn."""
    for step in pipeline:
        graph = step(graph)
    return graph
