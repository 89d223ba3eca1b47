"""Functions that turn the numbers along an axis into probabilities, made of core operators."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import TensorType, Value, constant
from castiron.ops.base import Example, F, Op, normalize_axis

_RNG = np.random.default_rng(17)
_X = (_RNG.standard_normal((5, 37)) * 4).astype(np.float32)
_CUBE = (_RNG.standard_normal((3, 7, 5)) * 4).astype(np.float32)
_EDGES = np.array([[1, 2, np.inf, 0], [-np.inf] * 4, [1, -np.inf, 2, 2], [np.nan, 1, 2, 3], [3e38, -3e38, 0, 1],
                   [-100, -101, -90, -300], [1e4, 1e4, 9999, 0]], np.float32)


class AlongAxis(Op):
    """A float tensor of which each vector along an axis is replaced."""

    examples: ClassVar = (Example((_X,), batched=(0,)),
                          Example((_EDGES,)),
                          Example((_CUBE,), {"axis": 1}, batched=(0,)),
                          Example((_CUBE,), {"axis": 0}),
                          Example((_X[:, :1].copy(),), batched=(0,)))

    def infer(self, x: TensorType, *, axis: int = -1) -> TensorType:
        if not x.dtype.is_float:
            raise ShapeError(f"{self.name} of {x!r}: expects a float tensor")
        normalize_axis(axis, x.rank)
        return x


class Softmax(AlongAxis):
    """eˣ / Σ eˣ along an axis, computed from x - max x"""

    name = "softmax"

    def eval(self, x: np.ndarray, *, axis: int) -> np.ndarray:
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64)
            powers = np.exp(wide - wide.max(axis, keepdims=True, initial=-np.inf))
            return (powers / powers.sum(axis, keepdims=True)).astype(x.dtype)

    def lower(self, x: Value, *, axis: int) -> Value:
        powers = F.exp(F.sub(x, F.reduce_max(x, axes=(axis,), keepdims=True)))
        return F.mul(powers, F.reciprocal(F.reduce_sum(powers, axes=(axis,), keepdims=True)))


class LogSoftmax(AlongAxis):
    """x - ln Σ eˣ along an axis, computed from x - max x"""

    name = "log_softmax"

    def eval(self, x: np.ndarray, *, axis: int) -> np.ndarray:
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64)
            shifted = wide - wide.max(axis, keepdims=True, initial=-np.inf)
            return (shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))).astype(x.dtype)

    def lower(self, x: Value, *, axis: int) -> Value:
        shifted = F.sub(x, F.reduce_max(x, axes=(axis,), keepdims=True))
        return F.sub(shifted, F.log(F.reduce_sum(F.exp(shifted), axes=(axis,), keepdims=True)))


class Sparsemax(AlongAxis):
    """max(x - τ, 0) along an axis, τ such that the result sums to 1: the point of the simplex that is
    nearest to x (Martins and Astudillo, 2016, https://arxiv.org/abs/1602.02068)"""

    name = "sparsemax"
    tolerance: ClassVar[float] = 4e-6
    examples: ClassVar = (Example((_X,), batched=(0,)), Example((_X / 8,), batched=(0,)),
                          Example((_CUBE / 8,), {"axis": 1}, batched=(0,)),
                          Example((_X[:, :1].copy(),), batched=(0,)))

    def eval(self, x: np.ndarray, *, axis: int) -> np.ndarray:
        wide = np.moveaxis(x.astype(np.float64), axis, -1)
        falling = -np.sort(-wide, axis=-1)
        tau = (np.cumsum(falling, -1) - 1) / np.arange(1, wide.shape[-1] + 1)
        count = np.sum(falling > tau, -1, keepdims=True)
        tau = np.take_along_axis(tau, np.maximum(count - 1, 0), -1)
        return np.moveaxis(np.maximum(wide - tau, 0), -1, axis).astype(x.dtype)

    def lower(self, x: Value, *, axis: int) -> Value:
        # Of z sorted so that it falls, τₖ = (Σᵢ≤ₖ zᵢ - 1)/k grows as long as zₖ > τₖ₋₁, that is while k
        # elements are kept: τ is the largest τₖ. Taking the peak away first keeps the sums small.
        axis = normalize_axis(axis, x.type.rank)
        last = x.type.rank - 1
        swap = tuple(last if i == axis else axis if i == last else i for i in range(x.type.rank))
        moved = x if axis == last else F.transpose(x, perm=swap)
        peak = F.reduce_max(moved, axes=(-1,), keepdims=True)
        moved = F.sub(moved, peak)
        falling = F.neg(F.sort(F.neg(moved)))
        ones = F.broadcast_to(constant(1, x.type.dtype.numpy), shape=moved.type.shape)
        tau = F.reduce_max(F.div(F.sub(F.cumsum(falling, axis=-1), 1.0), F.cumsum(ones, axis=-1)),
                           axes=(-1,), keepdims=True)
        result = F.maximum(F.sub(moved, tau), 0.0)
        return result if axis == last else F.transpose(result, perm=swap)
