"""Ranges of integers, and vectors made of them."""

from __future__ import annotations

import math

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.operands import Operands
from castiron.ir import Dim, DType, Expr, Value, ceil_div, constant, greatest, is_measured, maximum, minimum
from castiron.ops import F
from castiron.ops.sizes import range_of
from castiron.ops.symbolic import known

#: A constant that repeats one value, or counts, may have this many elements; files hold all others in full.
SPLAT_LIMIT = 1 << 26


def countable(size: int) -> int:
    """The number of elements of a constant; ModelError if that are too many to write down."""
    if not 0 <= size <= SPLAT_LIMIT:
        raise ModelError(f"a range of {size} elements")
    return size


def count(size: int, dtype: DType) -> np.ndarray:
    """0, 1, … size-1; ModelError if that are too many to write down."""
    return np.arange(countable(size)).astype(dtype.numpy)


def count_up(size: Dim, dtype: DType = DType.I32) -> Value:
    """0, 1, … size-1 as a vector."""
    if isinstance(size, int):
        return constant(count(size, dtype))
    ones = F.broadcast_to(constant(np.ones((), dtype.numpy)), shape=(size,))
    return F.sub(F.cumsum(ones, axis=0), 1)


def dim_value(dim: Dim, dtype: DType = DType.I32) -> Value:
    """A dimension as a scalar."""
    return constant(np.asarray(dim, dtype.numpy)) if isinstance(dim, int) else F.dims(values=(dim,), shape=(),
                                                                                      dtype=dtype)


def range_(node: Operands, start: Value, limit: Value, delta: Value) -> Value:
    """start, start + delta, … before ``limit``."""
    bounds = [known(v) for v in (start, limit, delta)]
    if any(b is None for b in bounds):
        return range_of(*(F.reshape(v, shape=()) for v in (start, limit, delta)))
    first, last, step = (b[()] for b in bounds)
    if not any(isinstance(b, Expr) for b in (first, last, step)):
        size = max(0, math.ceil((last.item() - first.item()) / step.item()))
        indices = count(size, start.type.dtype)
        return constant((first + indices * step).astype(start.type.dtype.numpy))
    first, last, step = (b if isinstance(b, Expr) else int(b) for b in (first, last, step))
    if not isinstance(step, int) or not step:
        raise ModelError(f"a range from {first} to {last} by steps of {step}")
    size = maximum(ceil_div(last - first if step > 0 else first - last, abs(step)), 0)
    return F.add(F.mul(count_up(size, start.type.dtype), delta), start)


def meeting(sizes: tuple[Dim, ...], dims: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The sizes that dims are broadcast to. One that the model measures is 1 or that of the dimension which it meets,
    where this has more than one element."""
    chosen = list(sizes)
    for back, own in zip(range(1, len(sizes) + 1), reversed(dims), strict=False):
        if isinstance(own, int) and own != 1 and is_measured(sizes[-back]):
            chosen[-back] = own
    return tuple(chosen)


def is_inside(index: Dim) -> bool:
    """Whether an index counts from the front. One that may be either is taken to."""
    return (high := greatest(index)) is None or high >= 0


def interval(begin: Dim | None, end: Dim | None, step: int, dim: Dim) -> tuple[Dim, Dim]:
    """The first element and the number of elements of begin:end:step in a dimension, cut as Python does; None is
    a missing bound."""
    if not step:
        raise ModelError("a stride is 0")
    low, high = (0, dim) if step > 0 else (-1, dim - 1)

    def bound(index: Dim) -> Dim:
        return minimum(index, high) if is_inside(index) else maximum(dim + index, low)

    first = (low if step > 0 else high) if begin is None else bound(begin)
    last = (high if step > 0 else low) if end is None else bound(end)
    length = maximum(last - first if step > 0 else first - last, 0)
    return (first, ceil_div(length, abs(step))) if length != 0 else (0, 0)
