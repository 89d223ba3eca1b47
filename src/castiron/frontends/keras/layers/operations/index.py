"""Functions that pick, write, order and count elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from castiron.errors import ShapeError
from castiron.frontends.keras.layers.operations.recorded import (
    Operand,
    axis_of,
    common,
    element,
    integer,
    integers,
    operation,
    tensor,
)
from castiron.ir import Dim, DType, Value, maximum, minimum
from castiron.ops import F, apply, sizes
from castiron.ops.base import normalize_axis


@operation("GetItem", op="StridedSlice")
def get_item(x: Operand, key: Any) -> Value:
    """x[key] with integers, slices, new axes, an ellipsis, and one tensor or array of indices."""
    x = tensor(x)
    keys = key if (isinstance(key, list) and any(not isinstance(k, (int, list)) or isinstance(k, bool)
                                                for k in key)) or _is_index_tuple(key) else [key]
    used = sum(k is not None and k is not Ellipsis for k in keys)
    rank = x.type.rank
    if used > rank or sum(k is Ellipsis for k in keys) > 1:
        raise ShapeError(f"{used} indices of {x.type!r}")
    if not any(k is Ellipsis for k in keys):
        keys = [*keys, Ellipsis]
    starts: list[Dim] = []
    sizes: list[Dim] = []
    steps: list[int] = []
    shape: list[Dim] = []
    picked: list[tuple[int, Any]] = []
    for item in keys:
        dim = x.type.shape[len(starts)] if len(starts) < rank else None
        if item is Ellipsis:
            rest = x.type.shape[len(starts):len(starts) + rank - used]
            starts += [0] * len(rest)
            sizes += rest
            steps += [1] * len(rest)
            shape += rest
        elif item is None:
            shape.append(1)
        elif isinstance(item, slice) and not any(isinstance(v, Value) for v in (item.start, item.stop, item.step)):
            start, size, step = bounds(dim, item)
            starts.append(start)
            sizes.append(size)
            steps.append(step)
            shape.append(size)
        elif isinstance(item, int) and not isinstance(item, bool):
            if isinstance(dim, int) and not -dim <= item < dim:
                raise ShapeError(f"index {item} of a dimension of {dim}")
            starts.append(item + dim if item < 0 else item)
            sizes.append(1)
            steps.append(1)
        elif isinstance(item, (Value, np.ndarray, list)):
            picked.append((len(shape), item))
            starts.append(0)
            sizes.append(dim)
            steps.append(1)
            shape.append(dim)
        else:
            raise ShapeError(f"an index {item!r}")
    y = F.reshape(F.slice(x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps)), shape=tuple(shape))
    if len(picked) > 1:
        raise ShapeError(f"{len(picked)} arrays of indices")
    for axis, index in picked:
        index = tensor(index)
        if not index.type.dtype.is_integer:
            raise ShapeError(f"indices {index.type!r}: how many elements they pick depends on the data")
        y = F.gather(y, index, axis=axis)
    return y


def _is_index_tuple(key: Any) -> bool:
    """Whether a recorded list is a tuple of integers, one for each axis: x[0, 1], rather than x[[0, 1]]."""
    return isinstance(key, list) and bool(key) and all(isinstance(k, int) for k in key)


def bounds(dim: Dim, item: slice) -> tuple[Dim, Dim, int]:
    """The start, size and step of a slice of a dimension, as Python bounds it."""
    step = 1 if item.step is None else integer(item.step, "a step")
    if not step:
        raise ShapeError("a slice's step is 0")
    start, stop = (None if v is None else integer(v, "a bound of a slice") for v in (item.start, item.stop))
    if isinstance(dim, int):
        chosen = range(*slice(start, stop, step).indices(dim))
        return (chosen[0] if len(chosen) else 0), len(chosen), step
    low, high = (0, dim) if step > 0 else (-1, dim - 1)

    def bounded(value: int | None, default: Dim) -> Dim:
        if value is None:
            return default
        return maximum(dim + value, low) if value < 0 else minimum(value, high)
    first = bounded(start, low if step > 0 else high)
    last = bounded(stop, high if step > 0 else low)
    length = maximum(last - first if step > 0 else first - last, 0)
    return first, (length + (abs(step) - 1)) // abs(step) if abs(step) > 1 else length, step


@operation("Slice")
def slice_(inputs: Operand, start_indices: Any, *, shape: list[int]) -> Value:
    """``shape`` elements from the start on, which is moved so that they lie inside."""
    x = tensor(inputs)
    starts = integers(start_indices, "the start of a slice")
    sizes = tuple(dim - start if size in (-1, None) else size
                  for dim, start, size in zip(x.type.shape, starts, shape, strict=True))
    return F.slice(x, starts=starts, sizes=sizes, steps=(1,) * x.type.rank)


@operation("SliceUpdate", op="XlaDynamicUpdateSlice")
def slice_update(inputs: Operand, start_indices: Any, updates: Operand) -> Value:
    """x with a block replaced, which begins at known places."""
    x, new = tensor(inputs), tensor(updates, tensor(inputs).type.dtype)
    starts = integers(start_indices, "the start of a block")
    y = new
    for axis in reversed(range(x.type.rank)):
        front, size = starts[axis], y.type.shape[axis]
        rest = x.type.shape[axis] - front - size
        if front == 0 and rest == 0:
            continue
        around = F.slice(x, starts=tuple(starts[i] if i < axis else 0 for i in range(x.type.rank)),
                         sizes=tuple(new.type.shape[i] if i < axis else -1 for i in range(x.type.rank)),
                         steps=(1,) * x.type.rank)
        parts = [_part(around, axis, 0, front), y, _part(around, axis, front + size, rest)]
        y = F.concat(*(p for p in parts if p.type.shape[axis] != 0), axis=axis)
    return y


def _part(x: Value, axis: int, start: Dim, size: Dim) -> Value:
    rank = x.type.rank
    return F.slice(x, starts=tuple(start if i == axis else 0 for i in range(rank)),
                   sizes=tuple(size if i == axis else -1 for i in range(rank)), steps=(1,) * rank)


@operation("Take", op="GatherV2")
def take(x: Operand, indices: Operand, *, axis: int | None = None) -> Value:
    x, indices = tensor(x), tensor(indices)
    indices = indices if indices.type.dtype.is_integer else F.cast(indices, dtype=DType.I32)
    if axis is None:
        x, axis = F.reshape(x, shape=(-1,)), 0
    return F.gather(x, indices, axis=axis_of(axis, x.type.rank))


@operation("TakeAlongAxis", op="GatherV2")
def take_along_axis(x: Operand, indices: Operand, *, axis: int | None = None) -> Value:
    """For each place of the indices the element of x at that place but for one axis, which the index gives."""
    x, indices = tensor(x), tensor(indices)
    indices = indices if indices.type.dtype.is_integer else F.cast(indices, dtype=DType.I32)
    if axis is None:
        return F.gather(F.reshape(x, shape=(-1,)), F.reshape(indices, shape=(-1,)))
    rank = x.type.rank
    axis = axis_of(axis, rank)
    shape = tuple(a if b == 1 and i != axis else b
                  for i, (a, b) in enumerate(zip(x.type.shape, indices.type.shape, strict=True)))
    indices = F.broadcast_to(indices, shape=(*shape[:axis], indices.type.shape[axis], *shape[axis + 1:]))
    x = F.broadcast_to(x, shape=(*shape[:axis], x.type.shape[axis], *shape[axis + 1:]))
    perm = (*(i for i in range(rank) if i != axis), axis)
    y = F.gather(F.transpose(x, perm=perm), F.transpose(indices, perm=perm), axis=rank - 1, batch_dims=rank - 1)
    back = list(range(rank - 1))
    back.insert(axis, rank - 1)
    return F.transpose(y, perm=tuple(back))


@operation("Scatter", op="ScatterNd")
def scatter(indices: Operand, values: Operand, *, shape: list[int]) -> Value:
    """Zeros with the values added at the places."""
    values = tensor(values)
    zeros = F.broadcast_to(tensor(0, values.type.dtype), shape=integers(shape, "a shape"))
    return F.scatter(zeros, tensor(indices), values, mode="add")


@operation("ScatterUpdate", op="TensorScatterUpdate")
def scatter_update(inputs: Operand, indices: Operand, updates: Operand, *, reduction: str | None = None) -> Value:
    x = tensor(inputs)
    mode = {None: "set", "update": "set", "add": "add", "mul": "mul", "max": "max", "min": "min"}.get(reduction)
    if mode is None:
        raise ShapeError(f"scatter with reduction {reduction!r}")
    return F.scatter(x, tensor(indices), tensor(updates, x.type.dtype), mode=mode)


@operation("OneHot")
def one_hot(x: Operand, *, num_classes: int, axis: int = -1, dtype: str | None = None, sparse: bool = False) -> Value:
    if sparse:
        raise ShapeError("a sparse result")
    x = tensor(x)
    x = x if x.type.dtype.is_integer else F.cast(x, dtype=DType.I64)
    return F.one_hot(x, depth=integer(num_classes, "num_classes"), axis=axis, dtype=element(dtype or "float32"))


@operation("MultiHot", op="Max")
def multi_hot(inputs: Operand, *, num_classes: int | None = None, num_tokens: int | None = None, axis: int = -1,
              dtype: str | None = None, sparse: bool = False) -> Value:
    """1 for every class that occurs in a row."""
    x = tensor(inputs)
    y = one_hot(x, num_classes=num_tokens if num_classes is None else num_classes, axis=axis, dtype=dtype,
                sparse=sparse)
    return F.reduce_max(y, axes=(1 if x.type.rank > 1 else 0,))


@operation("SearchSorted")
def searchsorted(sorted_sequence: Operand, values: Operand, *, side: str = "left") -> Value:
    return F.searchsorted(*common(sorted_sequence, values), side=side)


@operation("Digitize", op="Bucketize")
def digitize(x: Operand, bins: Operand) -> Value:
    """The number of bounds that aren't above each element."""
    return F.searchsorted(tensor(bins, DType.F32), tensor(x, DType.F32), side="right")


@operation("UnravelIndex")
def unravel_index(indices: Operand, *, shape: list[int]) -> tuple[Value, ...]:
    index = tensor(indices)
    index = index if index.type.dtype.is_integer else F.cast(index, dtype=DType.I32)
    results = []
    for dim in reversed(integers(shape, "a shape")):
        results.append(F.floormod(index, dim))
        index = F.floordiv(index, dim)
    return tuple(reversed(results))


@operation("TopK", op="TopKV2")
def top_k(x: Operand, *, k: int, sorted: bool = True) -> tuple[Value, ...]:
    return F.top_k(tensor(x), k=integer(k, "k"))


@operation("Nonzero", op="Where")
def nonzero(x: Operand) -> tuple[Value, ...]:
    """The places of the elements that are not zero, a vector for each axis."""
    found = sizes.nonzero(tensor(x))
    columns = (F.gather(found, np.int64(axis), axis=1) for axis in range(found.type.shape[1]))
    return tuple(F.cast(column, dtype=DType.I32) for column in columns)


@operation("Unique", op="UniqueV2")
def unique(x: Operand, *, sorted: bool = True, return_index: bool = False, return_inverse: bool = False,
           return_counts: bool = False, axis: int | None = None, size: int | None = None,
           fill_value: float | None = None) -> Value | tuple[Value, ...]:
    """The distinct elements, or slices along an axis; the first place of each, which of them each is, how often."""
    if size is not None:
        raise ShapeError(f"{size} distinct elements, padded")
    x = tensor(x)
    along = 0 if axis is None else normalize_axis(axis, x.type.rank)
    rows = F.reshape(x, shape=(x.type.size,)) if axis is None else x
    perm = (along, *(a for a in range(rows.type.rank) if a != along))
    values, first, inverse, counts = sizes.unique(F.transpose(rows, perm=perm), ordered=sorted)
    if axis is None:
        inverse = F.reshape(inverse, shape=x.type.shape)
    chosen = [F.transpose(values, perm=tuple(np.argsort(perm).tolist()))]
    for wanted, value in ((return_index, first), (return_inverse, inverse), (return_counts, counts)):
        chosen += [F.cast(value, dtype=DType.I32)] if wanted else []
    return tuple(chosen) if len(chosen) > 1 else chosen[0]


@operation("InTopK", op="InTopKV2")
def in_top_k(targets: Operand, predictions: Operand, *, k: int) -> Value:
    """Whether fewer than k predictions are above that of the target."""
    targets, predictions = tensor(targets, DType.I32), tensor(predictions)
    rows = F.reshape(targets, shape=(*targets.type.shape, 1))
    wanted = F.gather(predictions, rows, axis=1, batch_dims=1)
    above = F.reduce_sum(F.cast(F.greater(predictions, wanted), dtype=DType.I32), axes=(-1,))
    inside = apply("and", F.greater_equal(targets, 0), F.less(targets, np.int32(predictions.type.shape[-1])))
    finite = F.reshape(F.is_finite(wanted), shape=targets.type.shape)
    return apply("and", apply("and", F.less(above, k), inside), finite)


@operation("Sort")
def sort(x: Operand, *, axis: int = -1) -> Value:
    x = tensor(x)
    rank, axis = x.type.rank, axis_of(axis, x.type.rank)
    if axis == rank - 1:
        return F.sort(x)
    perm = list(range(rank))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    return F.transpose(F.sort(F.transpose(x, perm=tuple(perm))), perm=tuple(perm))


@operation("Argsort", op="ArgSort")
def argsort(x: Operand, *, axis: int | None = -1) -> Value:
    x = tensor(x)
    if x.type.dtype is DType.BOOL:
        x = F.cast(x, dtype=DType.I32)
    if axis is None:
        x, axis = F.reshape(x, shape=(-1,)), -1
    return F.argsort(x, axis=axis_of(axis, x.type.rank))
