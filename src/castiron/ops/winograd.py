"""Convolutions by kernels of 3×3 in fewer multiplications: Winograd's minimal filtering F(m×m, 3×3), after
Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks" (2016)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
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


@dataclass(frozen=True)
class Transforms:
    """The matrices of y = Aᵀ(G w Gᵀ ⊙ Bᵀ x B)A for tiles x [m+2, m+2], kernels w [3,3] and results y [m,m]."""

    input: np.ndarray  # Bᵀ
    kernel: np.ndarray  # G
    output: np.ndarray  # Aᵀ


@cache
def transforms(tile: int) -> Transforms:
    """Those for results of tile × tile. Row i belongs to the i-th of the points 0, p, -p, q, -q, …, ∞."""
    points = [0.0, *(sign * p for p in POINTS[tile] for sign in (1, -1))]
    whole = np.poly1d(points, r=True)
    rows = []
    for i, point in enumerate(points):
        others = [p for k, p in enumerate(points) if k != i]
        scale = np.prod([point - p for p in others])
        polynomial = np.poly1d(others, r=True).coeffs[::-1]
        powers = np.array([point**k for k in range(3)]) / scale
        rows.append((np.append(polynomial, 0.0), powers, [point**k for k in range(tile)]))
    rows.append((whole.coeffs[::-1], np.array([0.0, 0.0, 1.0]), [0.0] * (tile - 1) + [1.0]))
    input, kernel, output = (np.array(matrix, np.float64) for matrix in zip(*rows, strict=True))
    return Transforms(input, kernel, output.T)


def spread(kernel: np.ndarray, w: np.ndarray) -> np.ndarray:
    """G w Gᵀ of w [3,3,C,M], a matrix [C,M] for each place, [(m+2)²,C,M]."""
    return (np.kron(kernel, kernel) @ w.reshape(9, -1)).reshape(-1, *w.shape[2:])


class WinogradPack(Op):
    """G w Gᵀ for each pair of channels of w [3,3,C,M], packed as (tile+2)² matrices [C,M]"""

    name = "winograd_pack"
    examples: ClassVar = (Example((random_floats(3, 3, 16, 32),), {"tile": 2}),
                          Example((random_floats(3, 3, 5, 19),), {"tile": 4}))

    def infer(self, w: TensorType, *, tile: int) -> TensorType:
        if w.rank != 4 or not w.is_static or w.shape[:2] != (3, 3) or w.dtype != DType.F32 or tile not in POINTS:
            raise ShapeError(f"winograd_pack of {w!r} for tiles of {tile}: expects kernels of 3×3 and tiles of "
                             + " or ".join(map(str, POINTS)))
        places, (*_, channels, outputs) = (tile + 2) ** 2, w.shape
        return Pack().infer(w.with_shape((channels, places * outputs)), groups=places)

    def eval(self, w: np.ndarray, *, tile: int) -> np.ndarray:
        matrices = spread(transforms(tile).kernel, w).astype(np.float32)
        return Pack().eval(matrices.transpose(1, 0, 2).reshape(w.shape[2], -1), groups=(tile + 2) ** 2)


class WinogradConv(Op):
    """f(conv(x, w), …) for kernels w of 3×3, strides of 1 and weights packed by winograd_pack, with a body f
    as of packed_conv; computed tile by tile, so an element that is no number spoils its whole tile"""

    name = "winograd_conv"
    tolerance: ClassVar[float] = 1e-4
    examples: ClassVar = ()

    def infer(self, x: TensorType, packed: TensorType, *more: TensorType, outputs: int, tile: int,
              before: tuple[Dim, ...], after: tuple[Dim, ...], epilogue: Body | None = None) -> TensorType:
        channels = x.shape[-1] if x.rank == 4 else None
        if tile not in POINTS or not isinstance(channels, int):
            raise ShapeError(f"winograd_conv of {x!r} in tiles of {tile}: expects known channels and tiles of "
                             + " or ".join(map(str, POINTS)))
        Unpack().infer(packed, shape=(channels, (tile + 2) ** 2 * outputs), groups=(tile + 2) ** 2)
        result = Conv().infer(x, x.with_shape((3, 3, channels, outputs)), strides=(1, 1), dilations=(1, 1),
                              before=before, after=after)
        fused = Map().infer(result, *more, body=epilogue) if epilogue else result
        if fused.shape != result.shape:
            raise ShapeError(f"winograd_conv of {x!r}: the epilogue changes {result!r} to {fused!r}")
        return fused

    def eval(self, x: np.ndarray, packed: np.ndarray, *more: np.ndarray, outputs: int, tile: int,
             before: tuple[int, ...], after: tuple[int, ...], epilogue: Body | None) -> np.ndarray:
        n, (height, width) = tile + 2, (s + b + a - 2 for s, b, a in zip(x.shape[1:3], before, after, strict=True))
        down, across = -(-height // tile), -(-width // tile)
        padded = np.zeros((x.shape[0], down * tile + 2, across * tile + 2, x.shape[3]))
        kept = padded[:, before[0]:, before[1]:][:, :x.shape[1], :x.shape[2]]
        kept[...] = x[:, :kept.shape[1], :kept.shape[2]]
        matrices = Unpack().eval(packed, shape=(x.shape[3], n * n * outputs), groups=n * n)
        matrices = matrices.reshape(x.shape[3], n, n, outputs).astype(np.float64)
        t = transforms(tile)
        result = np.zeros((x.shape[0], down * tile, across * tile, outputs))
        with np.errstate(all="ignore"):
            for i in range(down):
                for j in range(across):
                    d = padded[:, i * tile:, j * tile:][:, :n, :n]
                    v = np.einsum("ia,jb,nabc->ijnc", t.input, t.input, d, optimize=True)
                    products = v @ matrices.transpose(1, 2, 0, 3)
                    result[:, i * tile:(i + 1) * tile, j * tile:(j + 1) * tile] = np.einsum(
                        "ai,bj,ijnm->nabm", t.output, t.output, products, optimize=True)
        result = np.ascontiguousarray(result[:, :height, :width]).astype(np.float32)
        return body_eval(epilogue, result, *more) if epilogue else result


def _examples() -> tuple[Example, ...]:
    examples = []
    for tile, (n, height, width, channels), outputs, before, after in (
            (2, (2, 8, 6, 16), 32, (1, 1), (1, 1)), (2, (1, 7, 9, 32), 16, (0, 1), (0, 0)),
            (4, (2, 8, 12, 16), 80, (1, 1), (1, 1)), (4, (1, 13, 7, 48), 32, (1, 0), (1, 2)),
            (4, (1, 3, 40, 16), 16, (0, 0), (0, 0))):
        x, w = random_floats(n, height, width, channels), random_floats(3, 3, channels, outputs)
        packed = WinogradPack().eval(w, tile=tile)
        attrs = {"tile": tile, "outputs": outputs, "before": before, "after": after}
        plain = Example((x, packed), attrs, batched=(0,), constants=(1,))
        shape = WinogradConv().eval(x, packed, epilogue=None, **attrs).shape
        examples += [plain, Example((x, packed, random_floats(outputs), random_floats(*shape)),
                                    attrs | {"epilogue": SCALED}, batched=(0, 3), constants=(1, 2))]
    return tuple(examples)


WinogradConv.examples = _examples()
