"""What a model is once it is planned: steps over a table of buffers, and the weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from castiron.ir import Atom, Dim, Graph, Node, TensorType, Value
from castiron.strips import Strip

#: Alignment of every buffer, and what may be read beyond its end: one vector.
ALIGNMENT = 64

#: Entries 0 and 1 of every table of buffers.
WEIGHTS, SCRATCH = 0, 1


class Weights:
    """The constants of all programs of a model, each distinct one once, aligned and padded."""

    def __init__(self) -> None:
        self._offsets: dict[tuple, int] = {}
        self._arrays: list[tuple[int, np.ndarray]] = []
        self.nbytes = 0

    def add(self, array: np.ndarray) -> int:
        """The byte offset at which the array will stand."""
        data = np.ascontiguousarray(array)
        key = (data.nbytes, sha256(data.reshape(-1).view(np.uint8)).digest())
        if key not in self._offsets:
            self._offsets[key] = self.nbytes
            self._arrays.append((self.nbytes, data))
            self.nbytes = align(self.nbytes + data.nbytes + ALIGNMENT)
        return self._offsets[key]

    def write_to(self, file) -> None:
        """Write all ``nbytes``."""
        position = 0
        for offset, array in self._arrays:
            file.write(bytes(offset - position))
            file.write(memoryview(array.reshape(-1).view(np.uint8)))
            position = offset + array.nbytes
        file.write(bytes(self.nbytes - position))

    def copy_to(self, memory: np.ndarray) -> None:
        """Fill ``memory``, ``nbytes`` bytes, whose gaps keep what they hold."""
        for offset, array in self._arrays:
            memory[offset:offset + array.nbytes] = array.reshape(-1).view(np.uint8)


def align(size: int) -> int:
    """The next multiple of the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Buffer:
    """Where a value lives: a constant in the weights, a slot of the arena, or the caller's memory. Its size is known
    from a ``stage`` of the program on."""

    type: TensorType
    const: int | None = None
    slot: int | None = None
    producer: int | None = None
    stage: int = 0


@dataclass(frozen=True)
class Step:
    """One compiled function: ``nodes`` computed over blocks of ``block`` of the ``rows``, or in one
    piece where ``rows`` is None.

    Values that only the step itself needs live in scratch at the given byte offsets, behind what a node needs while
    it is computed. A step of one product may compute its columns in so many ``slabs``. It ``waits`` for measured
    dimensions. With a ``strip`` its first nodes compute for each block the lines that are missing: a call of one tile
    computes all that it covers, one of many goes on from tile to tile.
    """

    nodes: tuple[Node, ...]
    rows: Dim | None
    block: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    scratch: Mapping[Value, int]
    tile_nanos: int
    slabs: int = 1
    waits: tuple[str, ...] = ()
    strip: Strip | None = None

    @property
    def tiles(self) -> Dim:
        """How many tiles there are: a slab's blocks, then the next one's."""
        rows = 1 if self.rows is None else self.rows
        return (rows + self.block - 1) // self.block * self.slabs


@dataclass(frozen=True)
class Measured:
    """A dimension that is known before a ``step``: the i64 in a buffer."""

    symbol: str
    buffer: int
    step: int


@dataclass(frozen=True)
class Port:
    """A named input or output; ``label`` is the graph's name for it."""

    name: str
    label: str
    buffer: int


@dataclass(frozen=True)
class Program:
    """An ordered list of steps over a table of buffers.

    ``index`` says which buffer a value is in, ``aliases`` in which other value's memory a value is; ``views`` are
    slices that are read where they stand.
    Steps are given the values of ``symbols``, then of ``derived``: what is computed from these. Symbols that no input
    tells are ``measured``, each before a step, which begins a stage.
    The last inputs and outputs are the ends of the states; ``states`` has the byte offsets of their
    initial values in the weights. A ``row_wise`` program should be run for ``piece`` rows after ``piece`` rows, on each
    thread, rather than for many at a time.
    """

    graph: Graph
    symbols: tuple[str, ...]
    derived: tuple[Atom, ...]
    buffers: tuple[Buffer, ...]
    index: Mapping[Value, int]
    aliases: Mapping[Value, Value]
    views: Collection[Value]
    steps: tuple[Step, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[int, ...]
    scratch_bytes: int
    row_wise: bool
    piece: int | None = None
    measured: tuple[Measured, ...] = ()

    @property
    def pauses(self) -> list[int]:
        """The steps before which dimensions are measured: the first ones of all stages but stage 0."""
        return sorted({m.step for m in self.measured})
