"""Convolutions in tiles: ``winograd.h``."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from castiron.kernels import contraction
from castiron.kernels.scalar import Instr
from castiron.kernels.window import Windows
from castiron.kernels.writer import LANES, View, Writer, number

#: How many results a tile has along each spatial dimension: 2 or 4 where the kernel has 3 elements, else 1.
Tile = tuple[int, ...]

#: Bytes of transformed tiles and their products that are in use at a time: most of the second-level cache.
BLOCK_BYTES = 768 << 10

#: The columns that are multiplied at a time, as in ``winograd.h``.
COLUMNS = 64

#: Bytes of transformed kernels from which results are computed in parts, by columns.
SLAB_BYTES = 4 << 20


def _places(tile: Tile) -> int:
    """How many elements a tile's results are computed from, and products they are made of."""
    return prod(1 if m == 1 else m + 2 for m in tile)


def tiles(tile: Tile, channels: int) -> int:
    """How many tiles are transformed at a time."""
    return max(6, BLOCK_BYTES // (4 * _places(tile) * (channels + LANES + COLUMNS)))


def slabs(tile: Tile, channels: int, outputs: int) -> int:
    """In how many parts, by columns, a convolution is computed whose kernels take much longer to read than the tiles of
    an image to transform: a power of two, for as many threads."""
    parts = max(1, min(_places(tile) * channels * outputs * 4 // SLAB_BYTES, outputs // COLUMNS))
    return 1 << parts.bit_length() - 1


def workspace(tile: Tile, channels: int) -> int:
    """Bytes of scratch that a convolution needs."""
    v, products = _strides(tile, channels)
    return 4 * (_places(tile) * (v + products) + channels)


def _strides(tile: Tile, channels: int) -> tuple[int, int]:
    """Floats from a place to the next in the transformed tiles and in the products: odd numbers of cache lines, so that
    places don't compete for the same ones."""
    count = tiles(tile, channels)
    return _odd(count * (channels + LANES)), _odd(count * COLUMNS)


def _odd(floats: int) -> int:
    return floats if floats // LANES % 2 else floats + LANES


def pack(w: Writer, out: View, kernels: View, tile: Tile, points: tuple[float, ...]) -> None:
    """out = the transformed and packed kernels."""
    name = w.define("winograd_pack_", f"WINOGRAD_PACK_DEFINE(@, {_parameters(tile, points)})")
    w.line(f"{name}({kernels.shape[-2]}, {kernels.shape[-1]}, {kernels.pointer}, {out.pointer});")


def _parameters(tile: Tile, points: tuple[float, ...]) -> str:
    """A tile's lines and columns, a line being one place along the first dimension, and its points."""
    down, across = (*tile, 1)[:2]
    return ", ".join([str(down), str(across), *(number(p, "f32") for p in (*points, 0.0)[:2])])


def conv(w: Writer, out: View, x: View, packed: View, more: list[View], instrs: list[Instr], windows: Windows,
         tile: Tile, points: tuple[float, ...], scratch: str, slabs: int) -> None:
    """out = epilogue(windows · packed, more…) for whole lines of images. Of several ``slabs`` of columns only the one
    that the variable ``slab`` counts."""
    name = w.define("winograd_", f"{contraction.epilogue(out, more, instrs)}\n"
                    f"WINOGRAD_DEFINE(@, {_parameters(tile, points)}, @_epilogue)")
    operands = contraction.epilogue_operands(w, out, more)
    count, (v, products) = _places(tile), _strides(tile, windows.channels)
    if len(tile) == 1:  # lines of a single column
        windows = replace(windows, before=(*windows.before, 0), **{
            name: (*getattr(windows, name), 1) for name in ("size", "count", "kernel", "stride", "dilation")})
    geometry = w.fresh("g")
    panels = -(-out.shape[-1] // LANES)
    part = -(-panels // slabs)
    last = f"(slab + 1) * {part} < {panels} ? (slab + 1) * {part} : {panels}"
    span = f"0, {panels}" if slabs == 1 else f"slab * {part}, {last}"
    w.line(f"const struct winograd {geometry} = {{{out.shape[-1]}, {span}, {tiles(tile, windows.channels)}, "
           f"{windows.channels + LANES}, {v}, {products}, {scratch}, {scratch} + {count * v}, "
           f"{scratch} + {count * (v + products)}}};")
    w.line(f"{name}(&{windows.declare(w)}, &{geometry}, {x.pointer}, {packed.pointer}, {windows.first}, "
           f"{windows.number}, {out.pointer}, &{operands});")
