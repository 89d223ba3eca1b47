"""Operators that move elements, and those that compute shapes."""

from __future__ import annotations

import math

import numpy as np

from castiron.errors import ModelError, ShapeError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.frontends.tensorflow.tensors import SPLAT_LIMIT
from castiron.ir import DType, Expr, Value, constant, exact_div
from castiron.ops import F
from castiron.ops.base import broadcast, normalize_axes, normalize_axis


@converts("Shape")
def shape(node: SourceNode, x: Value) -> Value:
    return F.shape(x, dtype=node.dtype("out_type", DType.I32))


@converts("ShapeN")
def shape_n(node: SourceNode, *xs: Value) -> tuple[Value, ...]:
    return tuple(shape(node, x) for x in xs)


@converts("Size")
def size_(node: SourceNode, x: Value) -> Value:
    return F.dims(values=(x.type.size,), shape=(), dtype=node.dtype("out_type", DType.I32))


@converts("Rank")
def rank(node: SourceNode, x: Value) -> Value:
    return constant(np.int32(x.type.rank))


@converts("BroadcastArgs")
def broadcast_args(node: SourceNode, x: Value, y: Value) -> Value:
    dims = broadcast(node.dims(x, "the first shape"), node.dims(y, "the second shape"))
    return F.dims(values=dims, shape=(len(dims),), dtype=x.type.dtype)


@converts("InvertPermutation")
def invert_permutation(node: SourceNode, x: Value) -> Value:
    return constant(np.argsort(node.ints(x, "the permutation")).astype(x.type.dtype.numpy))


@converts("Reshape")
def reshape(node: SourceNode, x: Value, shape: Value) -> Value:
    return F.reshape(x, shape=node.dims(shape, "the shape"))


@converts("ExpandDims")
def expand_dims(node: SourceNode, x: Value, axis: Value) -> Value:
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank + 1)
    return F.reshape(x, shape=(*x.type.shape[:axis], 1, *x.type.shape[axis:]))


@converts("Squeeze")
def squeeze(node: SourceNode, x: Value) -> Value:
    dims = x.type.shape
    axes = normalize_axes(node.integers("squeeze_dims") or None, len(dims))
    if node.integers("squeeze_dims") and any(dims[a] != 1 for a in axes):
        raise ModelError(f"axes {axes} of {x.type!r} are not 1")
    return F.reshape(x, shape=tuple(d for i, d in enumerate(dims) if i not in axes or d != 1))


@converts("Transpose")
def transpose(node: SourceNode, x: Value, perm: Value) -> Value:
    return F.transpose(x, perm=tuple(normalize_axis(a, x.type.rank) for a in node.ints(perm, "the order of axes")))


@converts("ReverseV2")
def reverse(node: SourceNode, x: Value, axes: Value) -> Value:
    return F.flip(x, axes=node.ints(axes, "the axes"))


@converts("Pack")
def pack(node: SourceNode, *xs: Value) -> Value:
    return F.stack(*xs, axis=node.integer("axis", 0))


@converts("Unpack")
def unpack(node: SourceNode, x: Value) -> tuple[Value, ...]:
    axis = normalize_axis(node.integer("axis", 0), x.type.rank)
    rest = (*x.type.shape[:axis], *x.type.shape[axis + 1:])
    return tuple(F.reshape(part, shape=rest) for part in _parts(x, axis, [1] * node.integer("num", 0)))


@converts("ConcatV2")
def concat_v2(node: SourceNode, *operands: Value) -> Value:
    *xs, axis = operands
    return F.concat(*xs, axis=node.ints(axis, "the axis")[0])


@converts("Concat")
def concat(node: SourceNode, axis: Value, *xs: Value) -> Value:
    return F.concat(*xs, axis=node.ints(axis, "the axis")[0])


@converts("Split")
def split(node: SourceNode, axis: Value, x: Value) -> tuple[Value, ...]:
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    count = node.integer("num_split", 1)
    return _parts(x, axis, [exact_div(x.type.shape[axis], count)] * count)


@converts("SplitV")
def split_v(node: SourceNode, x: Value, sizes: Value, axis: Value) -> tuple[Value, ...]:
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    sizes = node.dims(sizes, "the sizes")
    rest = x.type.shape[axis]
    for dim in sizes:
        rest = rest - (0 if dim == -1 else dim)
    return _parts(x, axis, [rest if dim == -1 else dim for dim in sizes])


def _parts(x: Value, axis: int, sizes: list) -> tuple[Value, ...]:
    total = sum(sizes[1:], sizes[0]) if sizes else 0
    if total != x.type.shape[axis]:
        raise ModelError(f"axis {axis} of {x.type!r} is cut into parts of {total} in all")
    dims, parts, start = x.type.shape, [], 0
    for dim in sizes:
        parts.append(F.slice(x, starts=tuple(start if i == axis else 0 for i in range(len(dims))),
                             sizes=tuple(dim if i == axis else d for i, d in enumerate(dims)),
                             steps=(1,) * len(dims)))
        start = start + dim
    return tuple(parts)


@converts("Slice")
def slice_(node: SourceNode, x: Value, begin: Value, size: Value) -> Value:
    starts = node.dims(begin, "the begin")
    sizes = tuple(dim - start if size == -1 else size for dim, start, size
                  in zip(x.type.shape, starts, node.dims(size, "the size"), strict=True))
    return F.slice(x, starts=starts, sizes=sizes, steps=(1,) * x.type.rank)


@converts("StridedSlice")
def strided_slice(node: SourceNode, x: Value, begin: Value, end: Value, strides: Value) -> Value:
    begins, ends = node.dims(begin, "the begin"), node.dims(end, "the end")
    steps = node.ints(strides, "the strides")
    masks = {name: node.integer(f"{name}_mask", 0)
             for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    entries = range(len(steps))
    given = sum(not (masks["new_axis"] | masks["ellipsis"]) >> i & 1 for i in entries)
    starts, sizes, step, result = [], [], [], []
    for i in entries:
        has = {name: bool(mask >> i & 1) for name, mask in masks.items()}
        if has["ellipsis"]:
            whole = x.type.shape[len(sizes):len(sizes) + x.type.rank - given]
            starts, sizes = starts + [0] * len(whole), [*sizes, *whole]
            step, result = step + [1] * len(whole), [*result, *whole]
            continue
        if has["new_axis"]:
            result.append(1)
            continue
        if len(sizes) == x.type.rank:
            raise ModelError(f"more indices than {x.type!r} has axes")
        dim = x.type.shape[len(sizes)]
        if has["shrink_axis"]:
            start, count = begins[i] if _is_inside(begins[i]) else dim + begins[i], 1
        else:
            start, count = _interval(None if has["begin"] else begins[i], None if has["end"] else ends[i],
                                     steps[i], dim)
            result.append(count)
        starts.append(start)
        sizes.append(count)
        step.append(1 if has["shrink_axis"] else steps[i])
    whole = x.type.shape[len(sizes):]
    starts, sizes, step = starts + [0] * len(whole), [*sizes, *whole], step + [1] * len(whole)
    if tuple(sizes) != x.type.shape or set(starts) - {0} or set(step) - {1}:
        x = F.slice(x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(step))
    result = (*result, *whole)
    return x if result == x.type.shape else F.reshape(x, shape=result)


def _is_inside(index) -> bool:
    """Whether an index counts from the front. A free one is taken to."""
    return isinstance(index, Expr) or index >= 0


def _interval(begin, end, step: int, dim) -> tuple:
    """The first element and the number of elements of begin:end:step in a dimension; None is a missing
    bound. Bounds beyond a known dimension are cut as Python does."""
    if not step:
        raise ModelError("a stride is 0")
    low, high = (0, dim) if step > 0 else (-1, dim - 1)

    def bound(index):
        if not _is_inside(index):
            index = dim + index
        if isinstance(index, int) and isinstance(dim, int):
            return min(max(index, low), high)
        if isinstance(index, int) and index > _least(dim):
            raise ModelError(f"the bound {index} may lie beyond the free dimension {dim}; "
                             f"give the input a fixed shape")
        return index

    first = (low if step > 0 else high) if begin is None else bound(begin)
    last = (high if step > 0 else low) if end is None else bound(end)
    length = last - first if step > 0 else first - last
    if isinstance(length, int):
        return (first, -(-length // abs(step))) if length > 0 else (0, 0)
    if _least(length) < 0:
        raise ModelError(f"{length} elements may be less than none; give the input a fixed shape")
    try:
        return first, exact_div(length, abs(step))
    except ShapeError:
        raise ModelError(f"stride {step} over {length} elements; give the input a fixed shape") from None


def _least(dim) -> int:
    """A lower bound of a dimension whose symbols are at least 1; -1 if there is none."""
    if isinstance(dim, int):
        return dim
    if any(monomial and factor < 0 for monomial, factor in dim.terms):
        return -1
    return dim.evaluate(dict.fromkeys(dim.symbols, 1))


@converts("Pad", "PadV2")
def pad(node: SourceNode, x: Value, paddings: Value, value: Value | None = None) -> Value:
    amounts = node.ints(paddings, "the padding")
    if value is None:
        value = constant(np.zeros((), x.type.dtype.numpy))
    return F.pad(x, value, before=amounts[::2], after=amounts[1::2])


@converts("MirrorPad")
def mirror_pad(node: SourceNode, x: Value, paddings: Value) -> Value:
    amounts = node.ints(paddings, "the padding")
    mode = {"REFLECT": "reflect", "SYMMETRIC": "symmetric"}[node.text("mode", "")]
    for axis, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        if before or after:
            dim = x.type.shape[axis]
            if not isinstance(dim, int) or max(before, after) > dim - (mode == "reflect"):
                raise ModelError(f"axis {axis} of {x.type!r} can't be mirrored by {before} and {after}")
            x = F.gather(x, constant(np.pad(count(dim, DType.I32), (before, after), mode)), axis=axis)
    return x


@converts("Tile")
def tile(node: SourceNode, x: Value, multiples: Value) -> Value:
    return F.tile(x, multiples=node.dims(multiples, "the multiples"))


@converts("BroadcastTo")
def broadcast_to(node: SourceNode, x: Value, shape: Value) -> Value:
    return F.broadcast_to(x, shape=node.dims(shape, "the shape"))


@converts("Fill")
def fill(node: SourceNode, shape: Value, value: Value) -> Value:
    return F.broadcast_to(value, shape=node.dims(shape, "the shape"))


@converts("ZerosLike", "OnesLike")
def filled_like(node: SourceNode, x: Value) -> Value:
    value = constant(np.asarray(node.op == "OnesLike", x.type.dtype.numpy))
    return F.broadcast_to(value, shape=x.type.shape)


@converts("Range")
def range_(node: SourceNode, start: Value, limit: Value, delta: Value) -> Value:
    bounds = [node.known(v, what) for v, what in ((start, "the start"), (limit, "the limit"), (delta, "the delta"))]
    first, last, step = (b[()] for b in bounds)
    if not any(isinstance(b, Expr) for b in (first, last, step)):
        size = max(0, math.ceil((last.item() - first.item()) / step.item()))
        indices = count(size, start.type.dtype)
        return constant((first + indices * step).astype(start.type.dtype.numpy))
    size = exact_div(last - first if isinstance(last, Expr) else int(last) - first, int(step))
    ones = F.broadcast_to(constant(np.ones((), start.type.dtype.numpy)), shape=(size,))
    return F.add(F.mul(F.sub(F.cumsum(ones, axis=0), 1), delta), start)


@converts("OneHot")
def one_hot(node: SourceNode, indices: Value, depth: Value, on: Value, off: Value) -> Value:
    classes = count(node.ints(depth, "the depth")[0], indices.type.dtype)
    dims = indices.type.shape
    axis = node.integer("axis", -1)
    axis = len(dims) if axis == -1 else normalize_axis(axis, len(dims) + 1)
    spread = F.reshape(indices, shape=(*dims[:axis], 1, *dims[axis:]))
    classes = classes.reshape(-1, *(1,) * (len(dims) - axis))
    return F.select(F.equal(spread, constant(classes)), on, off)


def count(size: int, dtype: DType) -> np.ndarray:
    """0, 1, … size-1; ModelError if that are too many to write down."""
    if not 0 <= size <= SPLAT_LIMIT:
        raise ModelError(f"a range of {size} elements")
    return np.arange(size).astype(dtype.numpy)
