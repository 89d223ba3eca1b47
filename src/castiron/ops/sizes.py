"""Results whose size data decide: operators that compute them padded to what they can be at most, and functions that
count and cut them.

``measured(count, name)`` is the dimension that a count gives; it is known while the model runs, before what mentions it
is computed.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import (
    Dim,
    DType,
    Expr,
    TensorType,
    Value,
    constant,
    counting,
    is_measured,
    maximum,
    measured,
    minimum,
    product,
)
from castiron.ops.base import Example, F, Op, normalize_axis
from castiron.ops.symbolic import dims_of, known

_RNG = np.random.default_rng(29)
_X = np.arange(5 * 3, dtype=np.float32).reshape(5, 3)
_CORNERS = _RNG.random((2, 40, 2)).astype(np.float32)
_BOXES = np.concatenate([_CORNERS, _CORNERS + _RNG.random((2, 40, 2)).astype(np.float32) / 4], axis=2)
_SCORES = np.round(_RNG.random((2, 3, 40)), 2).astype(np.float32)

#: Rows of more elements are not told apart by ``unique``.
MAX_KEYS = 64


class Extent(Op):
    """The first ``size`` elements of x along axis 0. The dimension is what the count, an i64[], is when the model runs,
    and never more than x has"""

    name = "extent"
    examples: ClassVar = (Example((_X, np.int64(3)), {"size": 3}), Example((_X > 4, np.int64(0)), {"size": 0}),
                          Example((_X[:, 0].astype(np.int64), np.int64(5)), {"size": 5}))

    def infer(self, x: TensorType, count: TensorType, *, size: Dim) -> TensorType:
        if not x.rank or count != TensorType(DType.I64):
            raise ShapeError(f"extent of {x!r} by {count!r}: expects an axis, and an i64[]")
        if isinstance(size, Expr) and str(size) not in size.symbols:
            raise ShapeError(f"extent of {x!r}: {size} is not one dimension")
        return x.with_shape((size, *x.shape[1:]))

    def eval(self, x: np.ndarray, count: np.ndarray, *, size: int) -> np.ndarray:
        if not size == count <= len(x):
            raise ShapeError(f"extent of {len(x)} elements: {count} of them are {size}")
        return x[:size].copy()


class Compact(Op):
    """The places (i64) of the true elements of a vector, in order; zeros stand where no more are"""

    name = "compact"
    examples: ClassVar = (Example((_RNG.random(37) < 0.4,), batched=(0,)), Example((np.zeros(3, bool),)),
                          Example((np.ones(3, bool),)))

    def infer(self, mask: TensorType) -> TensorType:
        if mask.dtype != DType.BOOL or mask.rank != 1:
            raise ShapeError(f"compact of {mask!r}: expects a vector of bools")
        return mask.with_dtype(DType.I64)

    def eval(self, mask: np.ndarray) -> np.ndarray:
        places = np.zeros(mask.shape, np.int64)
        found = np.flatnonzero(mask)
        places[:len(found)] = found
        return places


class Suppress(Op):
    """For each item and class the indices (i64) of boxes [item, box, (y1, x1, y2, x2)], y1 <= y2 and x1 <= x2, chosen
    greedily in an order [item, class, box]: those of a score [item, class, box] above ``least`` whose intersection over
    union with none chosen before is above ``overlap``, ``limit`` of them at most; -1 behind them"""

    name = "suppress"
    examples: ClassVar = tuple(
        Example((_BOXES, _SCORES, np.argsort(-_SCORES, kind="stable").astype(np.int32), np.int64(limit),
                 np.float32(overlap), np.float32(least)), {"most": most}, batched=(0, 1, 2))
        for limit, overlap, least, most in ((40, 0.3, 0.2, 40), (5, 0.1, 0.0, 9), (0, 0.5, 0.5, 2), (99, 0.0, 0.9, 40)))

    def infer(self, boxes: TensorType, scores: TensorType, order: TensorType, limit: TensorType, overlap: TensorType,
              least: TensorType, *, most: Dim) -> TensorType:
        fits = boxes.rank == scores.rank == 3 and boxes.shape == (scores.shape[0], scores.shape[2], 4)
        scalars = (limit, overlap, least) == (TensorType(DType.I64), TensorType(DType.F32), TensorType(DType.F32))
        if not fits or not scalars or {boxes.dtype, scores.dtype} != {DType.F32} or order != scores.with_dtype(
                DType.I32):
            raise ShapeError(f"suppress: {boxes!r} and {scores!r} in the order {order!r} are no boxes and scores")
        return TensorType(DType.I64, (*scores.shape[:2], most))

    def eval(self, boxes: np.ndarray, scores: np.ndarray, order: np.ndarray, limit: np.ndarray, overlap: np.ndarray,
             least: np.ndarray, *, most: int) -> np.ndarray:
        out = np.full((*scores.shape[:2], most), -1, np.int64)
        area = np.prod((boxes[..., 2:] - boxes[..., :2]).astype(np.float64), axis=-1)
        for item, kind in np.ndindex(scores.shape[:2]):
            chosen: list[int] = []
            for i in order[item, kind]:
                if len(chosen) >= min(most, limit):
                    break
                a, others = boxes[item, i], boxes[item, chosen]
                sides = np.minimum(a[2:], others[:, 2:]) - np.maximum(a[:2], others[:, :2])
                both = np.prod(sides.astype(np.float64), axis=-1) * (sides > 0).all(axis=-1)
                either = area[item, i] + area[item, chosen] - both
                ratio = np.divide(both, either, out=np.zeros_like(both), where=both > 0).astype(np.float32)
                if scores[item, kind, i] > least and not (ratio > overlap).any(where=both > 0):
                    chosen.append(int(i))
            out[item, kind, :len(chosen)] = chosen
        return out


def size_of(count: Value, name: str) -> Dim:
    """The dimension that an i64 scalar gives: what it is known to be, else one that is measured. One below 0 is
    reported when the model runs."""
    dims = dims_of(count)
    return measured(count, name) if dims is None else dims.item()


def extent(x: Value, count: Value, name: str) -> Value:
    """The first elements along axis 0, as many as an i64[] says that is never larger than x. ``name`` is what their
    number is called."""
    size = size_of(count, name)
    return F.extent(x, counting(size), size=size) if is_measured(size) else _front(x, size)


def _front(x: Value, size: Dim) -> Value:
    return F.slice(x, starts=(0,) * x.type.rank, sizes=(size, *x.type.shape[1:]), steps=(1,) * x.type.rank)


def places(mask: Value, name: str) -> Value:
    """The indices (i64 [n]) of the true elements of a vector of bools."""
    array = known(mask)
    if array is not None and array.dtype == bool:
        return constant(np.flatnonzero(array))
    return extent(F.compact(mask), F.reduce_sum(F.cast(mask, dtype=DType.I64), axes=None), name)


def nonzero(x: Value, name: str = "nonzero") -> Value:
    """The index vectors (i64 [n, rank]) of the elements that are not zero, in row-major order."""
    shape = x.type.shape
    mask = x if x.type.dtype == DType.BOOL else F.not_equal(x, constant(np.zeros((), x.type.dtype.numpy)))
    return coordinates(places(F.reshape(mask, shape=(x.type.size,)), name), shape)


def coordinates(place: Value, shape: tuple[Dim, ...]) -> Value:
    """Places (i64 [n]) in row-major order as index vectors [n, rank]."""
    n = place.type.shape[0]
    if not shape:
        return F.broadcast_to(constant(np.zeros((0, 0), np.int64)) if n == 0 else constant(np.zeros((1, 0), np.int64)),
                              shape=(n, 0))
    columns = []
    for axis, dim in enumerate(shape):
        below = product(shape[axis + 1:])
        column = place if below == 1 else F.floordiv(place, _at_least_one(below))
        column = column if axis == 0 else F.floormod(column, _at_least_one(dim))
        columns.append(F.reshape(column, shape=(n, 1)))
    return columns[0] if len(columns) == 1 else F.concat(*columns, axis=1)


def _at_least_one(dim: Dim) -> Value:
    """A dimension as a divisor: where it is 0 there is nothing to divide."""
    return constant(np.int64(max(dim, 1))) if isinstance(dim, int) else F.maximum(_number(dim), 1)


def _number(dim: Dim) -> Value:
    return constant(np.int64(dim)) if isinstance(dim, int) else F.dims(values=(dim,), shape=(), dtype=DType.I64)


def _count_up(size: Dim) -> Value:
    """0, 1, … size-1 (i64)."""
    return F.sub(F.cumsum(F.broadcast_to(constant(np.ones((), np.int64)), shape=(size,)), axis=0), 1)


def compress(x: Value, mask: Value, axis: int | None = None, name: str = "kept") -> Value:
    """The slices of x along an axis at which a vector of bools, which may be shorter, is true; of all elements in
    row-major order if no axis is given."""
    if axis is None:
        x, axis = F.reshape(x, shape=(x.type.size,)), 0
    return F.gather(x, places(mask, name), axis=normalize_axis(axis, x.type.rank))


def unique(x: Value, ordered: bool = True, name: str = "unique") -> tuple[Value, Value, Value, Value]:
    """The distinct slices of x along axis 0; and i64: of each the first place [n], of each slice of x which of them it
    is, and how often each occurs [n]. They stand in order, by their first elements first, or as they first occur."""
    total, width = x.type.shape[0], product(x.type.shape[1:])
    if not isinstance(width, int) or width > MAX_KEYS:
        raise ShapeError(f"unique of {x!r}: slices of more than {MAX_KEYS} elements are not told apart")
    rows = F.reshape(x, shape=(total, width))
    order = _count_up(total)
    for column in reversed(range(width)):
        key = F.gather(rows, constant(np.int64(column)), axis=1)
        order = F.gather(order, F.argsort(F.gather(key, order, axis=0)), axis=0)
    behind, place = F.gather(rows, order, axis=0), _count_up(total)
    before = F.gather(behind, F.maximum(F.sub(place, 1), 0), axis=0)
    differs = F.cast(F.not_equal(behind, before), dtype=DType.I64)
    new = F.maximum(F.reduce_max(differs, axes=(1,)) if width else F.mul(place, 0),
                    F.cast(F.equal(place, 0), dtype=DType.I64))
    starts = places(F.not_equal(new, 0), name)
    n = starts.type.shape[0]
    group, index = F.sub(F.cumsum(new, axis=0), 1), _count_up(n)
    first = F.gather(order, starts, axis=0)
    inverse = F.gather(group, F.argsort(order), axis=0)
    last = F.equal(index, F.sub(_number(n), 1))
    ends = F.select(last, F.broadcast_to(_number(total), shape=(n,)), F.gather(starts, F.add(index, 1), axis=0))
    counts = F.sub(ends, starts)
    if not ordered:
        turn = F.argsort(first)
        first, counts = F.gather(first, turn, axis=0), F.gather(counts, turn, axis=0)
        inverse = F.cast(F.gather(F.argsort(turn), inverse, axis=0), dtype=DType.I64)
    return F.gather(x, first, axis=0), first, inverse, counts


def suppressed(boxes: Value, scores: Value, limit: Value, overlap: Value, least: Value, most: Dim) -> Value:
    """``suppress`` of f32 boxes (y1, x1, y2, x2) in the order of their scores, of equal ones the first first. A box's
    corners may be any two that are opposite."""
    low, high = (F.slice(boxes, starts=(0, 0, start), sizes=(*boxes.type.shape[:2], 2), steps=(1, 1, 1))
                 for start in (0, 2))
    boxes = F.concat(F.minimum(low, high), F.maximum(low, high), axis=2)
    return F.suppress(boxes, scores, F.argsort(scores, axis=-1, descending=True), limit, overlap, least, most=most)


def non_max_suppression(boxes: Value, scores: Value, limit: Value, overlap: Value, least: Value,
                        name: str = "selected") -> Value:
    """[item, class, box] (i64 [n, 3]) of what non-maximum suppression chooses among f32 boxes [items, boxes, 4] by
    their scores [items, classes, boxes]: at most ``limit`` (i64[]) a class."""
    known_limit = dims_of(limit)
    most = scores.type.shape[2] if known_limit is None else minimum(
        maximum(known_limit.item(), 0), scores.type.shape[2])
    chosen = suppressed(boxes, scores, limit, overlap, least, most)
    flat = F.reshape(chosen, shape=(chosen.type.size,))
    place = places(F.greater_equal(flat, 0), name)
    n = place.type.shape[0]
    where = coordinates(place, chosen.type.shape)
    kept = F.slice(where, starts=(0, 0), sizes=(n, 2), steps=(1, 1))
    return F.concat(kept, F.reshape(F.gather(flat, place, axis=0), shape=(n, 1)), axis=1)


def range_of(start: Value, limit: Value, delta: Value, name: str = "range") -> Value:
    """start, start + delta, … before ``limit``, scalars of one element type."""
    dtype = start.type.dtype
    if dtype.is_float:
        count = F.cast(F.ceil(F.div(F.sub(limit, start), delta)), dtype=DType.I64)
    else:
        wide = [F.cast(v, dtype=DType.I64) for v in (start, limit, delta)]
        count = F.neg(F.floordiv(F.sub(wide[0], wide[1]), wide[2]))
    n = size_of(F.maximum(count, 0), name)
    return F.add(start, F.mul(F.cast(_count_up(n), dtype=dtype), delta))


def distance(first: Value, last: Value) -> int | None:
    """By how much one scalar is above another, if it is computed from it by adding known numbers."""
    (start, before), (end, behind) = _offset(first), _offset(last)
    return behind - before if start == end else None


def _offset(place: Value) -> tuple[Value, int]:
    """A place as another one and how far behind that it is."""
    total = 0
    while place.node.op in ("add", "sub", "cast", "reshape"):
        base = place.node.inputs[0]
        if place.node.op in ("add", "sub"):
            step = place.node.inputs[1]
            if dims_of(step) is None and place.node.op == "add":
                base, step = step, base
            offset = dims_of(step)
            if offset is None or offset.size != 1 or not isinstance(offset.item(), int):
                break
            total += offset.item() * (1 if place.node.op == "add" else -1)
        elif not base.type.dtype.is_integer or (place.type.dtype != DType.I64 and place.node.op == "cast"):
            break
        place = base
    return place, total


def cut_out(x: Value, axis: int, begin: Value | None, end: Value | None, step: int = 1, name: str = "slice") -> Value:
    """x[begin:end:step] along an axis, as Python cuts it; bounds are i64 scalars, None is a missing one. A slice whose
    length is known is taken to lie in x."""
    axis = normalize_axis(axis, x.type.rank)
    length = distance(begin, end) if step == 1 and begin is not None and end is not None else None
    if length is not None and length > 0:
        return F.gather(x, F.add(begin, constant(np.arange(length))), axis=axis)
    whole = _number(x.type.shape[axis])
    low, high = (constant(np.int64(0)), whole) if step > 0 else (constant(np.int64(-1)), F.sub(whole, 1))

    def bound(place: Value) -> Value:
        return F.minimum(F.maximum(F.select(F.less(place, 0), F.add(place, whole), place), low), high)

    first = (low if step > 0 else high) if begin is None else bound(begin)
    last = (high if step > 0 else low) if end is None else bound(end)
    span = F.sub(last, first) if step > 0 else F.sub(first, last)
    count = F.maximum(F.floordiv(F.add(span, abs(step) - 1), abs(step)), 0)
    if axis == 0 and step == 1 and dims_of(first) is not None and dims_of(first).item() == 0:
        return extent(x, count, name)
    n = size_of(count, name)
    return F.gather(x, F.add(first, F.mul(_count_up(n), step)), axis=axis)
