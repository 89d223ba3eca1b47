"""Products in seven eighths of the multiplications: Strassen, "Gaussian Elimination is not Optimal" (1969), with the
fewer additions of Winograd (Knuth, The Art of Computer Programming, volume 2, 4.6.4)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, TensorType
from castiron.ir import product as multiply
from castiron.ops.base import Example, Op
from castiron.ops.contract import PANEL, Dense, Pack, Unpack
from castiron.ops.convolution import SCALED
from castiron.ops.fused import body_eval
from castiron.ops.window import random_floats

#: Of what a product's terms and its columns must be multiples.
TERMS, COLUMNS = 2 * PANEL, 8 * PANEL


def fits(a: TensorType, columns: int) -> bool:
    """Whether rows of ``a`` [N,…,S,K] come in pairs, neighbours along the axis before the last, and K and the columns
    can be halved."""
    *_, rows, terms = a.shape if a.rank > 2 else (None, None)
    known = isinstance(rows, int) and isinstance(terms, int) and rows and terms and columns
    return bool(known) and not (rows % 2 or terms % TERMS or columns % COLUMNS)


def combinations(b: np.ndarray) -> np.ndarray:
    """What the seven products take of b [K,N]: [7,K/2,N/2]."""
    k, n = b.shape[0] // 2, b.shape[1] // 2
    b11, b12, b21, b22 = b[:k, :n], b[:k, n:], b[k:, :n], b[k:, n:]
    t1 = b12 - b11
    t2 = b22 - t1
    return np.stack([b11, b21, t2, b22 - b12, b21 - t2, t1, b22])


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a [M,K] times the matrix that ``combinations`` gave b [7,K/2,N/2], row 2i with row 2i+1: [M,N]."""
    k, above, below = b.shape[1], a[0::2], a[1::2]
    a11, a12, a21, a22 = above[:, :k], above[:, k:], below[:, :k], below[:, k:]
    s1 = a21 + a22
    s2 = s1 - a11
    p1, p2, p6, p7, p4, p5, p3 = np.stack([a11, a12, s2, a11 - a21, a22, s1, a12 - s2]) @ b
    u2 = p1 + p6
    u3 = u2 + p7
    c = np.empty((a.shape[0], 2 * b.shape[2]), a.dtype)
    c[0::2] = np.concatenate([p1 + p2, u2 + p5 + p3], axis=1)
    c[1::2] = np.concatenate([u3 + p4, u3 + p5], axis=1)
    return c


class StrassenPack(Op):
    """What Strassen's products take of the matrix b that has the last dimension as its columns, seven matrices
    [K/2,N/2] one below the other, packed as by pack; behind them the quarter of b that is not among them"""

    name = "strassen_pack"
    examples: ClassVar = (Example((random_floats(32, 128),)), Example((random_floats(3, 32, 256),)))

    def infer(self, b: TensorType) -> TensorType:
        if b.rank < 2 or not b.is_static or not b.size or multiply(b.shape[:-1]) % TERMS or b.shape[-1] % COLUMNS:
            raise ShapeError(f"strassen_pack of {b!r}: expects a multiple of {TERMS} rows and of {COLUMNS} columns")
        return b.with_shape((2 * b.size,))

    def eval(self, b: np.ndarray) -> np.ndarray:
        b = b.reshape(-1, b.shape[-1])
        k, n = b.shape[0] // 2, b.shape[1] // 2
        return np.concatenate([Pack().eval(part).ravel() for part in (combinations(b).reshape(7 * k, n), b[:k, n:])])


class StrassenUnpack(Op):
    """The weights of the given shape from what strassen_pack makes of them"""

    name = "strassen_unpack"
    examples: ClassVar = tuple(Example((StrassenPack().eval(b),), {"shape": b.shape}) for b in (
        random_floats(64, 128), random_floats(1, 32, 256)))

    def infer(self, packed: TensorType, *, shape: tuple[int, ...]) -> TensorType:
        weights = packed.with_shape(shape)
        if packed != StrassenPack().infer(weights):
            raise ShapeError(f"strassen_unpack of {packed!r}: {weights!r} is packed as "
                             f"{StrassenPack().infer(weights)!r}")
        return weights

    def eval(self, packed: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        k, n = packed.size // shape[-1] // 4, shape[-1] // 2
        b11, b21, *_, b22 = _taken(packed, k, n)
        b12 = Unpack().eval(packed[7 * k * n:].reshape(-1, k, PANEL), shape=(k, n))
        return np.block([[b11, b12], [b21, b22]]).reshape(shape)


def _taken(packed: np.ndarray, k: int, n: int) -> np.ndarray:
    """What the products take, [7,k,n]."""
    return Unpack().eval(packed[:7 * k * n].reshape(-1, 7 * k, PANEL), shape=(7 * k, n)).reshape(7, k, n)


class StrassenDense(Op):
    """C[…,j] = f(Σₖ A[…,k] · B[k,j], …) with B packed by strassen_pack and a body f as of dense; rows are computed in
    pairs along the axis before the last, so an element that is no number spoils both"""

    name = "strassen_dense"
    tolerance: ClassVar[float] = 5e-5
    examples: ClassVar = ()

    def infer(self, a: TensorType, packed: TensorType, *more: TensorType, columns: int,
              epilogue: Body | None = None) -> TensorType:
        if not fits(a, columns):
            raise ShapeError(f"strassen_dense of {a!r}: expects three dimensions or more, an even number of rows, a "
                             f"multiple of {TERMS} terms and of {COLUMNS} columns, not {columns}")
        plain = a.with_shape((a.shape[-1], columns))
        if packed != StrassenPack().infer(plain):
            raise ShapeError(f"strassen_dense by {packed!r}: {plain!r} is packed as {StrassenPack().infer(plain)!r}")
        return Dense().infer(a, Pack().infer(plain), *more, columns=columns, epilogue=epilogue)

    def eval(self, a: np.ndarray, packed: np.ndarray, *more: np.ndarray, columns: int,
             epilogue: Body | None) -> np.ndarray:
        k, n = a.shape[-1] // 2, columns // 2
        b = _taken(packed, k, n).astype(np.float64)
        with np.errstate(all="ignore"):
            result = product(a.reshape(-1, 2 * k).astype(np.float64), b).astype(np.float32)
        result = result.reshape(*a.shape[:-1], columns)
        return body_eval(epilogue, result, *more) if epilogue else result


def _examples() -> tuple[Example, ...]:
    examples = []
    for lead, terms, columns in (((1, 2), 32, 128), ((3, 6), 64, 256), ((2, 26), 32, 384), ((2, 3, 2), 160, 128),
                                 ((1, 70), 96, 128)):
        a, b = random_floats(*lead, terms), random_floats(terms, columns)
        packed, attrs = StrassenPack().eval(b), {"columns": columns}
        examples += [Example((a, packed), attrs, batched=(0,), constants=(1,)),
                     Example((a, packed, random_floats(columns), random_floats(*lead, columns)),
                             attrs | {"epilogue": SCALED}, batched=(0, 3), constants=(1, 2))]
    return tuple(examples)


StrassenDense.examples = _examples()
