"""Arithmetic of two operands, made of core operators."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.ir import Value
from castiron.ops.base import Example, F
from castiron.ops.scalar import Binary

_X = np.random.default_rng(19).standard_normal((5, 37)).astype(np.float32) * 9
_INTEGERS = np.array([7, -7, 7, -7, 0, 12, -12, 5], np.int32)


class SquaredDifference(Binary):
    """(x - y)²"""

    name, widen = "squared_difference", True

    @staticmethod
    def function(x, y):
        return (x - y) ** 2

    def lower(self, x: Value, y: Value) -> Value:
        return F.square(F.sub(x, y))


class FloorMod(Binary):
    """x - ⌊x / y⌋ · y: the remainder with the sign of y; for integers y must not be 0"""

    name, widen = "floormod", True
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        Example((_X, np.full_like(_X[:1], 0.75)), batched=(0,), constants=(1,)),
        Example((_X, np.copysign(np.abs(_X[::-1]) + 0.1, _X[::-1])), batched=(0, 1)),
        Example((_INTEGERS, np.array([3, 3, -3, -3, 5, 4, 4, -5], np.int32))),
        Example((_INTEGERS.astype(np.int64), np.array(3, np.int64)), constants=(1,)))

    @staticmethod
    def function(x, y):
        return x - np.floor(x / y) * y if x.dtype.kind == "f" else np.mod(x, y)

    def lower(self, x: Value, y: Value) -> Value:
        return F.sub(x, F.mul(F.floordiv(x, y), y))
