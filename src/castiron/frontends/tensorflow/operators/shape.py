"""Operators that move elements, and those that compute shapes."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value, interval, is_inside, meeting, range_
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, DType, Value, constant, exact_div
from castiron.ops import F
from castiron.ops.base import broadcast, normalize_axes, normalize_axis
from castiron.ops.shape import Reshape
from castiron.ops.sizes import cut_out

#: No tensor has more axes than this.
RANK_LIMIT = 64


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
    return F.reshape(x, shape=Reshape.resolve(x.type.shape, node.dims(shape, "the shape")))


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
    begins = node.entries(begin)
    starts = tuple(0 if isinstance(start, Value) else start for start in begins)
    wanted = node.entries(size)
    moving = {axis: start for axis, start in enumerate(begins) if isinstance(start, Value)}
    cut = {axis for axis, size in enumerate(wanted) if isinstance(size, Value) or (axis in moving and size == -1)}
    sizes = tuple(dim if axis in moving or axis in cut else dim - start if size == -1 else size
                  for axis, (dim, start, size) in enumerate(zip(x.type.shape, starts, wanted, strict=True)))
    starts = tuple(0 if axis in cut else start for axis, start in enumerate(starts))
    x = F.slice(x, starts=starts, sizes=sizes, steps=(1,) * x.type.rank) if sizes != x.type.shape else x
    for axis, start in moving.items():
        if axis not in cut:
            x = F.gather(x, F.add(start, count_up(wanted[axis], start.type.dtype)), axis=axis)
    for axis in cut:
        start, size = _place(begins[axis]), _place(wanted[axis])
        rest = F.less(size, 0)
        x = cut_out(x, axis, start, F.select(rest, dim_value(x.type.shape[axis], DType.I64), F.add(start, size)))
    return x


def _place(entry: Dim | Value) -> Value:
    """An element of a vector as a scalar."""
    return F.cast(entry, dtype=DType.I64) if isinstance(entry, Value) else dim_value(entry, DType.I64)


@converts("StridedSlice")
def strided_slice(node: SourceNode, x: Value, begin: Value, end: Value, strides: Value) -> Value:
    begins, ends = node.entries(begin), node.entries(end)
    steps = node.ints(strides, "the strides")
    masks = {name: node.integer(f"{name}_mask", 0)
             for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    entries = range(len(steps))
    given = sum(not (masks["new_axis"] | masks["ellipsis"]) >> i & 1 for i in entries)
    starts, sizes, step, result = [], [], [], []
    moving: dict[int, Value] = {}
    cut: set[int] = set()
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
        first, last = None if has["begin"] else begins[i], None if has["end"] else ends[i]
        if has["shrink_axis"] and isinstance(begins[i], Value):
            moving[len(sizes)] = begins[i]
            start, size = 0, dim
        elif has["shrink_axis"]:
            start, size = begins[i] if is_inside(begins[i]) else dim + begins[i], 1
        elif isinstance(first, Value) or isinstance(last, Value):
            axis = len(sizes)
            cut.add(axis)
            x = cut_out(x, axis, *(None if v is None else _place(v) for v in (first, last)), steps[i])
            start, size = 0, x.type.shape[axis]
            result.append(size)
        else:
            start, size = interval(first, last, steps[i], dim)
            result.append(size)
        starts.append(start)
        sizes.append(size)
        step.append(1 if has["shrink_axis"] or len(sizes) - 1 in moving.keys() | cut else steps[i])
    whole = x.type.shape[len(sizes):]
    starts, sizes, step = starts + [0] * len(whole), [*sizes, *whole], step + [1] * len(whole)
    if tuple(sizes) != x.type.shape or set(starts) - {0} or set(step) - {1}:
        x = F.slice(x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(step))
    for axis in sorted(moving, reverse=True):
        x = F.gather(x, moving[axis], axis=axis)
    result = (*result, *whole)
    return x if result == x.type.shape else F.reshape(x, shape=result)


@converts("Pad", "PadV2")
def pad(node: SourceNode, x: Value, paddings: Value, value: Value | None = None) -> Value:
    amounts = node.dims(paddings, "the padding")
    if value is None:
        value = constant(np.zeros((), x.type.dtype.numpy))
    return F.pad(x, value, before=amounts[::2], after=amounts[1::2])


@converts("MirrorPad")
def mirror_pad(node: SourceNode, x: Value, paddings: Value) -> Value:
    amounts = node.ints(paddings, "the padding")
    edge = {"REFLECT": 1, "SYMMETRIC": 0}[node.text("mode", "")]
    for axis, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        if before or after:
            dim = x.type.shape[axis]
            if isinstance(dim, int) and max(before, after) > dim - edge:
                raise ModelError(f"axis {axis} of {x.type!r} can't be mirrored by {before} and {after}")
            place = F.sub(count_up(dim + before + after, DType.I64), before)
            place = F.select(F.less(place, 0), F.sub(edge - 1, place), place)
            mirrored = F.sub(dim_value(2 * dim - 1 - edge, DType.I64), place)
            x = F.gather(x, F.minimum(place, mirrored), axis=axis)
    return x


@converts("Tile")
def tile(node: SourceNode, x: Value, multiples: Value) -> Value:
    return F.tile(x, multiples=node.sizes(multiples, "repeated"))


@converts("BroadcastTo")
def broadcast_to(node: SourceNode, x: Value, shape: Value) -> Value:
    return F.broadcast_to(x, shape=meeting(node.sizes(shape, "broadcast"), x.type.shape))


@converts("Fill")
def fill(node: SourceNode, shape: Value, value: Value) -> Value:
    return F.broadcast_to(value, shape=node.sizes(shape, "filled"))


@converts("ZerosLike", "OnesLike")
def filled_like(node: SourceNode, x: Value) -> Value:
    value = constant(np.asarray(node.op == "OnesLike", x.type.dtype.numpy))
    return F.broadcast_to(value, shape=x.type.shape)


converts("Range")(range_)


@converts("LinSpace")
def lin_space(node: SourceNode, start: Value, stop: Value, count: Value) -> Value:
    """``count`` numbers at equal distances, the first ``start`` and the last ``stop``."""
    size = node.dims(count, "the number of elements")[0]
    if size == 1:
        return F.reshape(start, shape=(1,))
    place = F.cast(count_up(size), dtype=start.type.dtype)
    gaps = F.cast(dim_value(size - 1), dtype=start.type.dtype)
    inner = F.add(F.mul(place, F.div(F.sub(stop, start), gaps)), start)
    return F.select(F.equal(place, gaps), stop, inner)


@converts("OneHot")
def one_hot(node: SourceNode, indices: Value, depth: Value, on: Value, off: Value) -> Value:
    size, = node.sizes(depth, "classes")
    dims = indices.type.shape
    axis = node.integer("axis", -1)
    axis = len(dims) if axis == -1 else normalize_axis(axis, len(dims) + 1)
    spread = F.reshape(indices, shape=(*dims[:axis], 1, *dims[axis:]))
    classes = F.reshape(count_up(size, indices.type.dtype), shape=(size, *(1,) * (len(dims) - axis)))
    return F.select(F.equal(spread, classes), on, off)
