"""The passes: pure functions from Graph to Graph, in the order of ``PIPELINE``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from castiron.errors import OutputError
from castiron.ir import Graph, in_bodies, print_graph
from castiron.passes.attend import attend
from castiron.passes.cells import cells
from castiron.passes.check import check
from castiron.passes.control import control
from castiron.passes.dequantize import dequantize
from castiron.passes.fold import fold
from castiron.passes.fuse import fuse
from castiron.passes.hoist import hoist
from castiron.passes.layout import layout
from castiron.passes.lower import lower
from castiron.passes.pack import pack
from castiron.passes.share import share
from castiron.passes.simplify import simplify
from castiron.passes.standardize import standardize

PIPELINE: tuple[Callable[[Graph], Graph], ...] = (
    control, dequantize, lower, fold, control, simplify, layout, attend, standardize, simplify, pack, fold, hoist,
    fuse, cells, share)


def run(graph: Graph, pipeline: tuple[Callable[[Graph], Graph], ...] = PIPELINE, dump: str | Path | None = None,
        verify: bool | None = None) -> Graph:
    """The graph after each pass in turn, each applied to the bodies of nodes first and then to the graph around.

    ``dump`` (by default the variable CASTIRON_DUMP) is a folder in which the graph is left as text after
    each pass. With ``verify`` (by default whether CASTIRON_VERIFY is set and not 0) each pass is checked by
    the interpreter: VerifyError names the one that changes a result.
    """
    dump = dump or os.environ.get("CASTIRON_DUMP")
    verify = os.environ.get("CASTIRON_VERIFY", "0") not in ("", "0") if verify is None else verify
    if dump:
        _dump(Path(dump), graph, 0, "source")
    for number, step in enumerate(pipeline, 1):
        before, graph = graph, step(in_bodies(graph, step))
        if dump:
            _dump(Path(dump), graph, number, step.__name__)
        if verify:
            check(before, graph, step.__name__)
    return graph


def _dump(folder: Path, graph: Graph, number: int, step: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{'trace' if graph.traced else 'fast'}-{number}-{step}.txt"
        (folder / name).write_text(print_graph(graph, abbreviate=True))
    except OSError as error:
        raise OutputError(f"{folder}: the dump can't be written: {error.strerror or error}") from None
