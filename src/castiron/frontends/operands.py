"""What operators of graph formats ask of their operands while a model is compiled."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.ir import Dim, Value
from castiron.ops.symbolic import dims_of, known


class Operands:
    """A source's node of the operator ``op``, as far as it looks at its operands' elements."""

    name: str
    op: str

    @staticmethod
    def known(value: Value, what: str) -> np.ndarray:
        """The elements of a small tensor; ModelError if they depend on what is fed."""
        array = known(value)
        if array is None:
            raise ModelError(f"{what} depends on what is fed; it must be known when the model is compiled")
        return array

    @staticmethod
    def dims(value: Value, what: str) -> tuple[Dim, ...]:
        """A vector or scalar of integers as dimensions; ModelError if they depend on what is fed."""
        array = dims_of(value)
        if array is None:
            array = _clipped(value)
        if array is None:
            raise ModelError(f"{what} depends on what is fed; it must be known when the model is compiled")
        return tuple(array.ravel().tolist())

    @classmethod
    def ints(cls, value: Value, what: str) -> tuple[int, ...]:
        """As ``dims``, but no free dimension may be among them."""
        dims = cls.dims(value, what)
        if free := [d for d in dims if not isinstance(d, int)]:
            raise ModelError(f"{what} depends on the free dimension {free[0]}; give free dimensions sizes (--dim)")
        return dims


def _clipped(value: Value) -> np.ndarray | None:
    """min(max(x, n), n) is n, whatever is fed; None for anything else."""
    if value.node.op == "minimum" and not value.type.rank:
        for inner, bound in (value.node.inputs, value.node.inputs[::-1]):
            top = known(bound)
            if top is not None and inner.node.op == "maximum":
                below = [known(operand) for operand in inner.node.inputs]
                if any(low is not None and low.dtype != object and top.dtype != object and low >= top for low in below):
                    return top
    return None
