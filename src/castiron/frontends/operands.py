"""What operators of graph formats ask of their operands while a model is compiled."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.ir import Dim, DType, Value
from castiron.ops import F
from castiron.ops.sizes import size_of
from castiron.ops.symbolic import dims_of, known

#: No tensor has more axes.
RANK_LIMIT = 64


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
    def entries(cls, vector: Value) -> list[Dim | Value]:
        """The elements of a vector or scalar of integers: as dimensions where they are known when the model is
        compiled, else as scalars."""
        dims = dims_of(vector)
        if dims is not None:
            return list(dims.flat)
        rank, size = vector.type.rank, vector.type.size
        if vector.node.op in ("stack", "concat") and rank == 1:
            return [entry for part in vector.node.inputs for entry in cls.entries(part)]
        if size == 1:
            return [F.reshape(vector, shape=()) if rank else vector]
        if rank > 1 or not isinstance(size, int) or size > RANK_LIMIT:
            raise ModelError(f"places {vector.type!r} that depend on what is fed")
        return [F.gather(vector, np.int64(i), axis=0) for i in range(size)]

    @classmethod
    def sizes(cls, value: Value, name: str) -> tuple[Dim, ...]:
        """A vector or scalar of integers as sizes: those that depend on what is fed are measured when the model runs,
        and called by the name."""
        return tuple(size_of(F.cast(entry, dtype=DType.I64), name) if isinstance(entry, Value) else entry
                     for entry in cls.entries(value))

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
