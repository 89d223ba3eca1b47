"""Arithmetic of two operands, made of core operators."""

from __future__ import annotations

from castiron.ir import Value
from castiron.ops.base import F
from castiron.ops.scalar import Binary


class SquaredDifference(Binary):
    """(x - y)²"""

    name, widen = "squared_difference", True

    @staticmethod
    def function(x, y):
        return (x - y) ** 2

    def lower(self, x: Value, y: Value) -> Value:
        return F.square(F.sub(x, y))
