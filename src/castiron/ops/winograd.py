"""Convolutions by kernels of 3×3, 3×1, 1×3 or 3 in fewer multiplications: Winograd's minimal filtering F(m×m, 3×3) and
F(m, 3), after Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, reduce
from math import prod, sqrt
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, Dim, DType, TensorType
from castiron.ops.base import Example, Op
from castiron.ops.contract import Pack, Unpack
from castiron.ops.convolution import SCALED, Conv
from castiron.ops.fused import Map, body_eval
from castiron.ops.window import random_floats

#: By m: the points at which polynomials are evaluated beside 0 and infinity, each with both signs. √½ and √2 give a
#: fourth of the rounding error of 1 and 2.
POINTS = {2: (1.0,), 4: (sqrt(0.5), sqrt(2.0))}

#: How many results a tile has along each spatial dimension: the same m where the kernel has 3 elements, else 1.
Tile = tuple[int, ...]


@dataclass(frozen=True)
class Transforms:
    """The matrices of y = Aᵀ(G w ⊙ Bᵀ x) for m results y of m + 2 elements x and kernels w of 3, and alike along each
    dimension where there are two."""

    input: np.ndarray  # Bᵀ
    kernel: np.ndarray  # G
    output: np.ndarray  # Aᵀ


def is_tile(tile: Tile, rank: int) -> bool:
    """Whether there are such tiles of so many dimensions."""
    return len(tile) == rank in (1, 2) and {*tile} - {1} in [{m} for m in POINTS]


def kernel_sizes(tile: Tile) -> tuple[int, ...]:
    """Those of the kernels that a tile is for."""
    return tuple(1 if m == 1 else 3 for m in tile)


def places(tile: Tile) -> tuple[int, ...]:
    """How many elements a tile's results need along each dimension, and how many products they are made of."""
    return tuple(1 if m == 1 else m + 2 for m in tile)


@cache
def transforms(m: int) -> Transforms:
    """Those for m results. Row i belongs to the i-th of the points 0, p, -p, q, -q, …, ∞."""
    if m == 1:
        return Transforms(*[np.ones((1, 1))] * 3)
    points = [0.0, *(sign * p for p in POINTS[m] for sign in (1, -1))]
    whole = np.poly1d(points, r=True)
    rows = []
    for i, point in enumerate(points):
        others = [p for k, p in enumerate(points) if k != i]
        scale = np.prod([point - p for p in others])
        polynomial = np.poly1d(others, r=True).coeffs[::-1]
        powers = np.array([point**k for k in range(3)]) / scale
        rows.append((np.append(polynomial, 0.0), powers, [point**k for k in range(m)]))
    rows.append((whole.coeffs[::-1], np.array([0.0, 0.0, 1.0]), [0.0] * (m - 1) + [1.0]))
    input, kernel, output = (np.array(matrix, np.float64) for matrix in zip(*rows, strict=True))
    return Transforms(input, kernel, output.T)


def spread(matrices: Iterable[np.ndarray], a: np.ndarray) -> np.ndarray:
    """a [S…,C,M] with each matrix applied along one of the dimensions S: a matrix [C,M] for each place."""
    whole = reduce(np.kron, matrices)
    return (whole @ a.reshape(whole.shape[1], prod(a.shape[-2:]))).reshape(len(whole), *a.shape[-2:])


class WinogradPack(Op):
    """The transform of w [3,3,C,M], [3,1,C,M], [1,3,C,M] or [3,C,M] for each pair of channels, packed as a matrix [C,M]
    for each place of a tile"""

    name = "winograd_pack"
    examples: ClassVar = (Example((random_floats(3, 3, 16, 32),), {"tile": (2, 2)}),
                          Example((random_floats(3, 3, 5, 19),), {"tile": (4, 4)}),
                          Example((random_floats(3, 5, 19),), {"tile": (4,)}),
                          Example((random_floats(1, 3, 16, 16),), {"tile": (1, 2)}),
                          Example((random_floats(3, 1, 2, 17),), {"tile": (4, 1)}))

    def infer(self, w: TensorType, *, tile: Tile) -> TensorType:
        if not (is_tile(tile, w.rank - 2) and w.is_static and w.shape[:-2] == kernel_sizes(tile)
                and w.shape[-1] != 1 and w.dtype == DType.F32):
            raise ShapeError(f"winograd_pack of {w!r} for tiles of {tile}: expects kernels and tiles of one or two "
                             f"dimensions, of 3 and {' or '.join(map(str, POINTS))} or both of 1, and several outputs")
        count, (*_, channels, outputs) = prod(places(tile)), w.shape
        return Pack().infer(w.with_shape((channels, count * outputs)), groups=count)

    def eval(self, w: np.ndarray, *, tile: Tile) -> np.ndarray:
        channels = w.shape[-2]
        matrices = spread((transforms(m).kernel for m in tile), w).astype(np.float32)
        return Pack().eval(matrices.transpose(1, 0, 2).reshape(channels, -1), groups=prod(places(tile)))


class WinogradConv(Op):
    """f(conv(x, w), …) for kernels w of 3 or 1 along one or two dimensions, strides of 1 and weights packed by
    winograd_pack, with a body f as of packed_conv; computed tile by tile, so an element that is no number spoils its
    whole tile"""

    name = "winograd_conv"
    tolerance: ClassVar[float] = 1e-4
    examples: ClassVar = ()

    def infer(self, x: TensorType, packed: TensorType, *more: TensorType, outputs: int, tile: Tile,
              before: tuple[Dim, ...], after: tuple[Dim, ...], epilogue: Body | None = None) -> TensorType:
        channels = x.shape[-1] if x.rank else None
        if not is_tile(tile, x.rank - 2) or not isinstance(channels, int):
            raise ShapeError(f"winograd_conv of {x!r} in tiles of {tile}: expects known channels and tiles of one or "
                             f"two dimensions, of {' or '.join(map(str, POINTS))} or 1")
        count, once = prod(places(tile)), (1,) * len(tile)
        Unpack().infer(packed, shape=(channels, count * outputs), groups=count)
        result = Conv().infer(x, x.with_shape((*kernel_sizes(tile), channels, outputs)), strides=once, dilations=once,
                              before=before, after=after)
        fused = Map().infer(result, *more, body=epilogue) if epilogue else result
        if fused.shape != result.shape:
            raise ShapeError(f"winograd_conv of {x!r}: the epilogue changes {result!r} to {fused!r}")
        return fused

    def eval(self, x: np.ndarray, packed: np.ndarray, *more: np.ndarray, outputs: int, tile: Tile,
             before: tuple[int, ...], after: tuple[int, ...], epilogue: Body | None) -> np.ndarray:
        channels, kernel, size = x.shape[-1], kernel_sizes(tile), places(tile)
        results = [s + b + a - (k - 1) for s, b, a, k in zip(x.shape[1:-1], before, after, kernel, strict=True)]
        tiles = [-(-count // m) for count, m in zip(results, tile, strict=True)]
        padded = np.zeros((len(x), *(t * m + k - 1 for t, m, k in zip(tiles, tile, kernel, strict=True)), channels))
        kept = padded[:, *(slice(b, None) for b in before)][:, *map(slice, x.shape[1:-1])]
        kept[...] = x[:, *map(slice, kept.shape[1:-1])]
        matrices = Unpack().eval(packed, shape=(channels, prod(size) * outputs), groups=prod(size))
        matrices = matrices.reshape(channels, -1, outputs).astype(np.float64).swapaxes(0, 1)
        there, back = ([getattr(transforms(m), name) for m in tile] for name in ("input", "output"))
        result = np.zeros((len(x), *(t * m for t, m in zip(tiles, tile, strict=True)), outputs))
        with np.errstate(all="ignore"):
            for at in np.ndindex(*tiles):
                begin = [i * m for i, m in zip(at, tile, strict=True)]
                d = padded[:, *(slice(b, b + n) for b, n in zip(begin, size, strict=True))]
                y = spread(back, spread(there, np.moveaxis(d, 0, -2)) @ matrices).swapaxes(0, 1)
                part = result[:, *(slice(b, b + m) for b, m in zip(begin, tile, strict=True))]
                part[...] = y.reshape(part.shape)
        result = np.ascontiguousarray(result[:, *map(slice, results)]).astype(np.float32)
        return body_eval(epilogue, result, *more) if epilogue else result


def _examples() -> tuple[Example, ...]:
    examples = []
    for tile, (n, *sizes, channels), outputs, before, after in (
            ((2, 2), (2, 8, 6, 16), 32, (1, 1), (1, 1)), ((2, 2), (1, 7, 9, 32), 16, (0, 1), (0, 0)),
            ((4, 4), (2, 8, 12, 16), 80, (1, 1), (1, 1)), ((4, 4), (1, 13, 7, 48), 32, (1, 0), (1, 2)),
            ((4, 4), (1, 3, 40, 16), 16, (0, 0), (0, 0)),
            ((4,), (2, 17, 16), 80, (1,), (1,)), ((4,), (3, 11, 32), 16, (2,), (0,)),
            ((4,), (2, 2, 16), 17, (1,), (1,)), ((4,), (1, 3, 16), 15, (0,), (0,)),
            ((2,), (3, 9, 16), 16, (1,), (1,)), ((2,), (1, 1, 48), 16, (2,), (0,)),
            ((1, 4), (2, 3, 13, 16), 32, (0, 1), (0, 1)), ((4, 1), (2, 7, 3, 32), 16, (1, 0), (1, 0)),
            ((1, 2), (1, 2, 5, 16), 16, (1, 2), (0, 0)), ((2, 1), (1, 4, 5, 16), 33, (0, 0), (0, 1))):
        x, w = random_floats(n, *sizes, channels), random_floats(*kernel_sizes(tile), channels, outputs)
        packed = WinogradPack().eval(w, tile=tile)
        attrs = {"tile": tile, "outputs": outputs, "before": before, "after": after}
        plain = Example((x, packed), attrs, batched=(0,), constants=(1,))
        shape = WinogradConv().eval(x, packed, epilogue=None, **attrs).shape
        examples += [plain, Example((x, packed, random_floats(outputs), random_floats(*shape)),
                                    attrs | {"epilogue": SCALED}, batched=(0, 3), constants=(1, 2))]
    return tuple(examples)


WinogradConv.examples = _examples()
