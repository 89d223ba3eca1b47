"""Operators on windows that slide over the spatial dimensions of x[N, S1…Sd, C], d = 1, 2 or 3."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as positions
from math import prod
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, DType, TensorType, Value, constant
from castiron.ir.dims import maximum
from castiron.ops.base import Example, F, Op

_RNG = np.random.default_rng(29)


def random_floats(*shape: int) -> np.ndarray:
    """Standard normal numbers for examples."""
    return _RNG.standard_normal(shape).astype(np.float32)


def same_padding(size: Dim, kernel: int, stride: int, dilation: int) -> tuple[Dim, Dim]:
    """How many elements TensorFlow's padding SAME adds before and after a dimension, so that there are
    ⌈size/stride⌉ windows: the smaller half before."""
    total = maximum((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    before = total // 2
    return before, total - before


def output_size(size: Dim, kernel: int, stride: int, dilation: int, before: Dim, after: Dim) -> Dim:
    """The number of windows along a dimension."""
    if before + after == sum(same_padding(size, kernel, stride, dilation)):
        return -(-size // stride)  # the same number, in the form that other operators give it
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def window_shape(name: str, x: TensorType, sizes: tuple[int, ...], strides: tuple[int, ...],
                 dilations: tuple[int, ...], before: tuple[Dim, ...], after: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The spatial dimensions of the result of operator ``name``; ShapeError for attributes that don't fit."""
    rank = x.rank - 2
    if rank not in (1, 2, 3):
        raise ShapeError(f"{name} of {x!r}: expects one to three dimensions between batch and channels")
    attributes = {"sizes": sizes, "strides": strides, "dilations": dilations, "before": before, "after": after}
    for key, values in attributes.items():
        least = 0 if key in ("before", "after") else 1
        if len(values) != rank or any(isinstance(v, int) and v < least for v in values):
            raise ShapeError(f"{name} of {x!r}: {key} are {values}, expected {rank} numbers not below {least}")
    shape = tuple(map(output_size, x.shape[1:-1], sizes, strides, dilations, before, after))
    if any(isinstance(dim, int) and dim < 0 for dim in shape):
        raise ShapeError(f"{name} of {x!r}: a window of {sizes} is larger than the padded input")
    return shape


def taps(x: np.ndarray, sizes: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...],
         before: tuple[int, ...], after: tuple[int, ...],
         padding: float = 0) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """For each position within the window the elements [N, O1…Od, C] that all windows have there."""
    padded = np.pad(x, ((0, 0), *zip(before, after, strict=True), (0, 0)), constant_values=padding)
    shape = tuple(map(output_size, x.shape[1:-1], sizes, strides, dilations, before, after))
    if min(shape) < 0:
        raise ShapeError(f"a window of {sizes} is larger than the padded input {list(padded.shape[1:-1])}")
    for position in positions(*map(range, sizes)):
        index = (slice(p * dilation, p * dilation + count * stride, stride)
                 for p, dilation, count, stride in zip(position, dilations, shape, strides, strict=True))
        yield position, padded[(slice(None), *index)][(slice(None), *(slice(count) for count in shape))]


_SPECIAL = np.where(_RNG.random((2, 6, 5, 19)) < 0.6, random_floats(2, 6, 5, 19),
                    np.resize(np.float32([np.nan, np.inf, -np.inf]), (2, 6, 5, 19)))


class WindowReduction(Op):
    """One result for each window and channel."""

    examples: ClassVar = tuple(
        Example((x,), {"sizes": sizes, "strides": strides, "dilations": dilations, "before": before, "after": after},
                batched=(0,)) for x, sizes, strides, dilations, before, after in (
            (random_floats(2, 8, 9, 17), (2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
            (random_floats(2, 7, 7, 32), (3, 3), (2, 2), (1, 1), (0, 1), (1, 1)),
            (random_floats(1, 9, 3), (3,), (1,), (2,), (2,), (3,)),
            (random_floats(2, 3, 4, 5, 1), (2, 3, 1), (1, 2, 3), (1, 1, 1), (0, 1, 0), (0, 0, 2)),
            (random_floats(3, 2, 2, 4), (5, 5), (1, 1), (1, 1), (2, 2), (2, 2)),
            (random_floats(3, 2, 4), (3,), (1,), (1,), (0,), (0,)),
            (random_floats(3, 4, 0), (3,), (1,), (1,), (0,), (0,)),
            (_SPECIAL, (2, 2), (2, 1), (1, 1), (0, 0), (0, 1)),
            *((_RNG.integers(0, 100, (2, 5, 18)).astype(dtype), (3,), (2,), (1,), (1,), (0,))
              for dtype in ("int8", "int32", "int64", "uint8"))))

    def infer(self, x: TensorType, *, sizes: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...],
              before: tuple[Dim, ...], after: tuple[Dim, ...]) -> TensorType:
        if x.dtype == DType.BOOL:
            raise ShapeError(f"{self.name} of {x!r}: expects numbers")
        shape = window_shape(self.name, x, sizes, strides, dilations, before, after)
        return x.with_shape((x.shape[0], *shape, x.shape[-1]))


class WindowMax(WindowReduction):
    """The largest element of each window, in which padding counts as a number if that is given. As in TensorFlow, NaN
    is passed over, and where there is nothing else, nor anything but other padding and -∞, the smallest finite number
    stands"""

    name = "window_max"
    examples: ClassVar = (
        *WindowReduction.examples,
        *(Example((x,), {"sizes": (3, 3), "strides": (2, 2), "dilations": (1, 1), "before": before, "after": (1, 1),
                         "padding": padding}, batched=(0,))
          for x, before, padding in ((random_floats(2, 7, 6, 33), (1, 1), 0.5), (-_SPECIAL, (3, 1), 0.0),
                                     (random_floats(2, 4, 5, 3), (1, 4), -np.inf))))

    def infer(self, x: TensorType, *, sizes: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...],
              before: tuple[Dim, ...], after: tuple[Dim, ...], padding: float | None = None) -> TensorType:
        return super().infer(x, sizes=sizes, strides=strides, dilations=dilations, before=before, after=after)

    def eval(self, x: np.ndarray, *, sizes: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...],
             before: tuple[int, ...], after: tuple[int, ...], padding: float | None = None) -> np.ndarray:
        low = (np.finfo if x.dtype.kind == "f" else np.iinfo)(x.dtype).min
        result = None
        for _, elements in taps(x, sizes, strides, dilations, before, after, low if padding is None else padding):
            result = np.fmax(elements, low if result is None else result)
        return result.astype(x.dtype)


class WindowSum(WindowReduction):
    """The sum of each window, in which padding counts as zero"""

    name = "window_sum"
    tolerance: ClassVar[float] = 1e-5

    def eval(self, x: np.ndarray, *, sizes: tuple[int, ...], strides: tuple[int, ...],
             dilations: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...]) -> np.ndarray:
        wide = x.astype(np.float64) if x.dtype == np.float32 else x
        with np.errstate(all="ignore"):
            terms = (e for _, e in taps(wide, sizes, strides, dilations, before, after))
            return sum(terms, start=np.zeros((), x.dtype)).astype(x.dtype)


class AveragePool(Op):
    """The mean of each window's elements, those in the padding included (as zeros) or not"""

    name = "average_pool"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = tuple(
        Example((x,), {"sizes": sizes, "strides": strides, "before": before, "after": after,
                       "count_padding": count_padding}, batched=(0,))
        for count_padding in (False, True)
        for x, sizes, strides, before, after in (
            (random_floats(2, 7, 6, 19), (3, 2), (2, 2), (1, 0), (1, 0)),
            (random_floats(2, 6, 3), (2,), (2,), (0,), (0,)),
            (random_floats(1, 3, 3, 3, 2), (2, 2, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1))))

    def infer(self, x: TensorType, *, sizes: tuple[int, ...], strides: tuple[int, ...], before: tuple[Dim, ...],
              after: tuple[Dim, ...], count_padding: bool) -> TensorType:
        if not x.dtype.is_float:
            raise ShapeError(f"{self.name} of {x!r}: expects floats")
        shape = window_shape(self.name, x, sizes, strides, (1,) * len(sizes), before, after)
        return x.with_shape((x.shape[0], *shape, x.shape[-1]))

    def eval(self, x: np.ndarray, *, sizes: tuple[int, ...], strides: tuple[int, ...], before: tuple[int, ...],
             after: tuple[int, ...], count_padding: bool) -> np.ndarray:
        def sums(elements: np.ndarray) -> np.ndarray:
            return sum(e for _, e in taps(elements, sizes, strides, (1,) * len(sizes), before, after))
        count = prod(sizes) if count_padding else sums(np.ones((1, *x.shape[1:-1], 1)))
        with np.errstate(all="ignore"):
            return (sums(x.astype(np.float64)) / count).astype(x.dtype)

    def lower(self, x: Value, *, sizes: tuple[int, ...], strides: tuple[int, ...], before: tuple[Dim, ...],
              after: tuple[Dim, ...], count_padding: bool) -> Value:
        window = {"sizes": sizes, "strides": strides, "dilations": (1,) * len(sizes), "before": before, "after": after}
        total = F.window_sum(x, **window)
        if count_padding or not any((*before, *after)):
            return F.div(total, float(prod(sizes)))
        one = constant(np.ones((), x.type.dtype.numpy))
        return F.div(total, F.window_sum(F.broadcast_to(one, shape=(1, *x.type.shape[1:-1], 1)), **window))
