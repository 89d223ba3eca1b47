"""Compiles many graphs in few C units, for every instruction-set level that this machine can run."""

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from castiron import native, passes
from castiron.emit import emit
from castiron.ir import Graph
from castiron.plan import plan
from castiron.program import Weights
from castiron.targets import LEVELS, NEON, Level
from castiron.toolchain import Tools
from emulated import QEMU, EmulatedLibrary

TOOLS = Tools()
NATIVE = native.levels(TOOLS)


def missing(level: Level) -> str:
    """Why a level can't be run here; empty if it can."""
    if level in NATIVE:
        return ""
    if level.arch == "arm64":
        return "" if QEMU else "qemu-aarch64-static is not installed (Debian: apt-get install qemu-user-static)"
    return f"this processor does not have the instruction-set level {level.name}"


RUNNABLE = tuple(level for level in LEVELS if not missing(level))


class Compiled:
    """Runners by name and level. ``graphs`` are the sources, ``programs`` the plans."""

    def __init__(self, graphs: Mapping[str, Graph], units: int = 1, levels: Iterable[Level] = RUNNABLE):
        """Graphs by name, an identifier in C; ``units`` says among how many C units they are shared out."""
        self.graphs, levels = graphs, tuple(levels)
        self.weights = Weights()
        self.programs = {name: plan(passes.run(graph), self.weights) for name, graph in graphs.items()}
        parts = [{name: program for name, program in self.programs.items() if zlib.crc32(name.encode()) % units == unit}
                 for unit in range(units)]
        jobs = [(level, part) for part in parts if part for level in levels]
        with ThreadPoolExecutor(2) as pool:
            libraries = list(pool.map(lambda job: _library(*job), jobs))
        self._places: dict[tuple[Level, str], tuple[native.Library, np.ndarray, int]] = {}
        for (level, part), library in zip(jobs, libraries, strict=True):
            memory, first = library.place(native.load_weights(self.weights)), 0
            for name, program in part.items():
                self._places[level, name] = library, memory, first
                first += len(program.steps)

    def runner(self, name: str, level: Level, wrap: Callable = lambda library: library) -> native.Runner:
        """The program of a graph; ``wrap`` makes another library of the one it is in."""
        library, memory, first = self._places[level, name]
        return native.Runner(self.programs[name], wrap(library), memory, first)


class InPieces:
    """A library that computes the tiles of each step one by one, the last first."""

    def __init__(self, library):
        self._library = library

    def __getattr__(self, name):
        return getattr(self._library, name)

    def call(self, entry, table, symbols, begin, end):
        for tile in reversed(range(begin, end)):
            self._library.call(entry, table, symbols, tile, tile + 1)


def _library(level: Level, part: Mapping) -> native.Library:
    source, entries = emit(part)
    kind = EmulatedLibrary if level == NEON and level not in NATIVE else native.Library
    return kind(source, entries, TOOLS, level)


