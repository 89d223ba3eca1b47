"""Core operators on the bits of integers, each element alone. Operands broadcast as in numpy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, TensorType
from castiron.ops.base import Example, Op
from castiron.ops.scalar import INTEGERS, Binary, integers

_ALL = (*INTEGERS, *(integers(dtype, 2, 19) for dtype in (DType.I8, DType.I16, DType.U16, DType.U32, DType.U64)))
_FLOATS = np.random.default_rng(3).standard_normal((3, 19)).astype(np.float32)


class Bitwise(Binary):
    """Two operands of one integer type that broadcast."""

    examples: ClassVar = (*(Example((x, x[::-1, ::-1].copy()), batched=(0, 1)) for x in _ALL),
                          Example((INTEGERS[0], INTEGERS[0][:1]), batched=(0,), constants=(1,)))

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        _expect_integers(self.name, x)
        return super().infer(x, y)


class BitwiseAnd(Bitwise):
    """The bits that are set in x and in y"""
    name, function = "bitwise_and", np.bitwise_and


class BitwiseOr(Bitwise):
    """The bits that are set in x or in y"""
    name, function = "bitwise_or", np.bitwise_or


class BitwiseXor(Bitwise):
    """The bits that are set in one of x and y"""
    name, function = "bitwise_xor", np.bitwise_xor


class Shift(Bitwise):
    """x moved by y bits; y below 0 counts as 0, and as the type's width less 1 from there on."""

    examples: ClassVar = (*Bitwise.examples, *(Example((x, np.arange(-1, 18).astype(x.dtype)), batched=(0,))
                                               for x in _ALL if x.dtype.kind == "i"))
    direction: ClassVar[np.ufunc]

    def eval(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return type(self).direction(x, y.clip(0, 8 * x.dtype.itemsize - 1)).astype(x.dtype)


class LeftShift(Shift):
    """x · 2ʸ, the upper bits lost; y is taken to lie between 0 and the type's width less 1"""
    name, direction = "left_shift", np.left_shift


class RightShift(Shift):
    """⌊x / 2ʸ⌋; y is taken to lie between 0 and the type's width less 1"""
    name, direction = "right_shift", np.right_shift


class BitwiseNot(Op):
    """Each bit of x inverted"""

    name = "bitwise_not"
    examples: ClassVar = tuple(Example((x,), batched=(0,)) for x in _ALL)

    def infer(self, x: TensorType) -> TensorType:
        _expect_integers(self.name, x)
        return x

    def eval(self, x: np.ndarray) -> np.ndarray:
        return np.bitwise_not(x)


class Bitcast(Op):
    """x's bytes read as another element type of the same size. A bool is a byte that isn't 0"""

    name = "bitcast"
    examples: ClassVar = (
        *(Example((x,), {"dtype": DType.of(f"{'u' if x.dtype.kind == 'i' else ''}int{8 * x.dtype.itemsize}")},
                  batched=(0,)) for x in _ALL),
        *(Example((x,), {"dtype": dtype}, batched=(0,)) for x, dtype in (
            (_FLOATS, DType.I32), (_FLOATS.astype(np.float64), DType.I64), (_FLOATS.view(np.int32), DType.F32),
            (_FLOATS.astype(np.float64).view(np.int64), DType.F64), (_FLOATS > 0, DType.U8),
            ((_FLOATS > 0).astype(np.int8), DType.BOOL))))

    def infer(self, x: TensorType, *, dtype: DType) -> TensorType:
        if x.dtype.itemsize != dtype.itemsize:
            raise ShapeError(f"the bytes of {x!r} as {dtype!r}: elements of another size")
        return x.with_dtype(dtype)

    def eval(self, x: np.ndarray, *, dtype: DType) -> np.ndarray:
        return x != 0 if dtype == DType.BOOL else np.ascontiguousarray(x).view(dtype.numpy).reshape(x.shape)


def _expect_integers(name: str, x: TensorType) -> None:
    if not x.dtype.is_integer:
        raise ShapeError(f"{name} of {x!r}: expects integers")
