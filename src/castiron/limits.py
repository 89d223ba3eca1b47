"""What one core of this machine does at most, so that a time reads as a share of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from castiron.native import Library, aligned
from castiron.targets.levels import Level
from castiron.toolchain import Tools

_SOURCE = Path(__file__).parent / "kernels" / "limits.c"
_MULTIPLY_ADD, _READ = range(2)
_BLOCK_BYTES = 4096

#: Sizes that stand for the caches and for memory, in MiB.
SIZES_MIB = {"L1": 1 / 64, "L2": 0.5, "L3": 8, "memory": 256}

#: Times of pieces of about this long are taken, in seconds: a neighbour's load meets only some of them.
_PIECE_SECONDS = 0.004


@dataclass(frozen=True)
class Limits:
    """``gflops``: 32-bit multiplications and additions, billions a second, of the fastest pieces of a loop that does
    nothing else. ``read_gbs``: billions of bytes a second that are read, by where they are (``SIZES_MIB``)."""

    gflops: float
    read_gbs: Mapping[str, float]


def measure(tools: Tools, level: Level | None = None, pieces: int = 40) -> Limits:
    """Measure this core's, at an instruction-set level: the processor's highest unless given."""
    library = Library(_SOURCE.read_text(), ("multiply_add", "read_memory"), tools, level)
    memory = aligned(max(map(_bytes, SIZES_MIB.values())), 0)
    sums, count = aligned(4096, 0), np.zeros(1, np.int64)
    table = np.array([memory.ctypes.data, 0, sums.ctypes.data, count.ctypes.data], np.uintp)

    def rate(entry: int, blocks: int) -> float:
        """Tiles a second."""
        symbols, done = np.array([blocks], np.int64), 0

        def seconds(tiles: int) -> float:
            # Goes on where the last piece ended, so that what is read again was read as long ago as it can be.
            nonlocal done
            begin = time.perf_counter()
            library.call(entry, table, symbols, done, done + tiles)
            done += tiles
            return time.perf_counter() - begin

        return _fastest(seconds, pieces)

    gflops = rate(_MULTIPLY_ADD, 0) * count[0] / 1e9
    read = {name: rate(_READ, _bytes(mib) // _BLOCK_BYTES) * _BLOCK_BYTES / 1e9 for name, mib in SIZES_MIB.items()}
    return Limits(float(gflops), read)


def _bytes(mib: float) -> int:
    return int(mib * 2**20)


def _fastest(work: Callable[[int], float], pieces: int) -> float:
    """Tiles a second of the fastest piece of work; the clock takes a while to rise."""
    tiles = 1
    while (taken := work(tiles)) < _PIECE_SECONDS / 2:
        tiles *= 2
    tiles = max(1, round(tiles * _PIECE_SECONDS / taken))
    return tiles / min(work(tiles) for _ in range(pieces))
