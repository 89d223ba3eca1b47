"""Sorting along an axis, and searching what is sorted. NaN counts as larger than any number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, DType, TensorType, Value
from castiron.ops.base import Example, F, Op, normalize_axis, same_dtype
from castiron.ops.scalar import INTEGERS

_RNG = np.random.default_rng(3)
_X = _RNG.standard_normal((3, 5, 19)).astype(np.float32)
_LONG = _RNG.standard_normal((2, 301)).astype(np.float32)
_TIES = np.array([[3, np.nan, -1, 2, np.nan, np.inf, -np.inf, 0, 3, -1, -0.0]], np.float32)


class Sort(Op):
    """The elements along the last axis, smallest first; NaN last"""

    name = "sort"
    examples: ClassVar = (Example((_X,), batched=(0,)), Example((_LONG,), batched=(0,)), Example((_TIES,)),
                          *(Example((x,), batched=(0,)) for x in INTEGERS))

    def infer(self, x: TensorType) -> TensorType:
        if not x.rank:
            raise ShapeError(f"sort of {x!r}: expects at least one axis")
        return x

    def eval(self, x: np.ndarray) -> np.ndarray:
        return np.sort(x, axis=-1)


class ArgSort(Op):
    """The indices (i32) of the elements along an axis, smallest first or, descending, largest first; equal ones
    in the order of their indices"""

    name = "argsort"
    examples: ClassVar = (Example((_X,), batched=(0,)), Example((_X,), {"axis": 1, "descending": True}, batched=(0,)),
                          Example((_X,), {"axis": 0}), Example((_LONG,), {"descending": True}, batched=(0,)),
                          *(Example((_TIES,), {"descending": d}) for d in (False, True)),
                          Example((np.round(_X),), {"descending": True}, batched=(0,)),
                          Example((_X > 0,), batched=(0,)),
                          *(Example((x % 5,), {"descending": True}, batched=(0,)) for x in INTEGERS))

    def infer(self, x: TensorType, *, axis: int = -1, descending: bool = False) -> TensorType:
        normalize_axis(axis, x.rank)
        return x.with_dtype(DType.I32)

    def eval(self, x: np.ndarray, *, axis: int, descending: bool) -> np.ndarray:
        if not descending:
            return np.argsort(x, axis=axis, kind="stable").astype(np.int32)
        rising = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
        return (x.shape[axis] - 1 - np.flip(rising, axis)).astype(np.int32)


class TopK(Op):
    """The k largest elements along the last axis, largest first, and their indices (i32); equal ones in the order
    of their indices"""

    name = "top_k"
    examples: ClassVar = (Example((_X,), {"k": 4}, batched=(0,)), Example((_X[0, 0],), {"k": 19}),
                          Example((np.round(_X),), {"k": 7}, batched=(0,)), Example((_TIES,), {"k": 11}),
                          Example((INTEGERS[0] % 5,), {"k": 3}, batched=(0,)), Example((_X,), {"k": 0}, batched=(0,)))

    def infer(self, x: TensorType, *, k: Dim) -> tuple[TensorType, TensorType]:
        if not x.rank or (isinstance(k, int) and (k < 0 or (isinstance(x.shape[-1], int) and k > x.shape[-1]))):
            raise ShapeError(f"top_k of {x!r}: there are no {k} elements along the last axis")
        best = x.with_shape((*x.shape[:-1], k))
        return best, best.with_dtype(DType.I32)

    def eval(self, x: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
        indices = ArgSort().eval(x, axis=-1, descending=True)[..., :k].copy()
        return np.take_along_axis(x, indices, -1), indices

    def lower(self, x: Value, *, k: Dim) -> tuple[Value, Value]:
        rank = x.type.rank
        indices = F.slice(F.argsort(x, descending=True), starts=(0,) * rank, sizes=(*x.type.shape[:-1], k),
                          steps=(1,) * rank)
        return F.gather(x, indices, axis=-1, batch_dims=rank - 1), indices


class SearchSorted(Op):
    """The index (i32) at which each x keeps the sorted elements sorted: before its equals ("left") or behind them
    ("right"). The sorted are one vector, or one for each vector of x along the last axis"""

    name = "searchsorted"
    examples: ClassVar = (
        *(Example((np.array([-1, 0, 0, 0.5, 2], np.float32), x), {"side": side}, batched=(1,), constants=(0,))
          for side in ("left", "right") for x in (_X, np.round(_X), _TIES)),
        Example((np.array([-5, 0, 3], np.int64), INTEGERS[1]), {"side": "right"}, batched=(1,)),
        Example((np.sort(_X), _X[:, :, 3:7].copy()), batched=(0, 1)),
        Example((_X[0, 0, :0].copy(), _X[0, 0])),
    )

    def infer(self, sorted: TensorType, x: TensorType, *, side: str = "left") -> TensorType:
        if side not in ("left", "right"):
            raise ShapeError(f"searchsorted: the side {side!r} is neither left nor right")
        if sorted.rank != 1 and not (sorted.rank and sorted.rank == x.rank and sorted.shape[:-1] == x.shape[:-1]):
            raise ShapeError(f"searchsorted of {x!r} in {sorted!r}: expects one vector, or one for each of x")
        same_dtype(sorted, x)
        return x.with_dtype(DType.I32)

    def eval(self, sorted: np.ndarray, x: np.ndarray, *, side: str) -> np.ndarray:
        if sorted.ndim == 1:
            return np.searchsorted(sorted, x, side).astype(np.int32)
        out = np.zeros(x.shape, np.int32)
        for place in np.ndindex(x.shape[:-1]):
            out[place] = np.searchsorted(sorted[place], x[place], side)
        return out
