"""Operators that move elements, and those that compute shapes."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, countable, dim_value, interval, meeting, range_
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import Text, constant_text
from castiron.ir import Dim, DType, Value, constant, exact_div, product
from castiron.ops import F
from castiron.ops.base import broadcast, normalize_axes, normalize_axis
from castiron.ops.shape import Reshape
from castiron.ops.sizes import cut_out

#: Bounds of slices from here on stand for the end of an axis, however long that is.
FAR = 10**9

converts("Range")(range_)


@converts("com.microsoft.Range")
def range_by_one(node: SourceNode, start: Value, limit: Value, delta: Value | None = None) -> Value:
    return range_(node, start, limit, constant(start.type.dtype.numpy.type(1)) if delta is None else delta)


@converts("Constant")
def constant_(node: SourceNode) -> Value | Text:
    if (strings := node.strings("value")) is not None:
        return constant_text(strings)
    if "value_string" in node.attrs:
        return constant_text(node.text("value_string", ""))
    if "value_strings" in node.attrs:
        return constant_text(node.texts("value_strings", ()))
    for name in ("value", "sparse_value"):
        if name in node.attrs:
            return constant(node.array(name))
    for name, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if name in node.attrs:
            return constant(dtype(node.attrs[name].f if dtype is np.float32 else node.attrs[name].i))
    if "value_floats" in node.attrs:
        return constant(np.array(node.numbers("value_floats"), np.float32))
    if "value_ints" in node.attrs:
        return constant(np.array(node.integers("value_ints"), np.int64))
    raise ModelError(f"a constant given as {', '.join(node.attrs) or 'nothing'} is not supported")


@converts("ConstantOfShape")
def constant_of_shape(node: SourceNode, shape: Value) -> Value:
    value = node.array("value")
    value = np.zeros(1, np.float32) if value is None else value
    if value.size != 1:
        raise ModelError(f"fills a tensor with {value.size} values")
    return F.broadcast_to(constant(value.reshape(())), shape=node.sizes(shape, "filled"))


@converts("Shape")
def shape(node: SourceNode, x: Value) -> Value:
    dims = x.type.shape[slice(node.integer("start", 0), node.integer("end", x.type.rank))]
    return F.shape(x, dtype=DType.I64) if dims == x.type.shape else F.dims(values=dims, shape=(len(dims),),
                                                                           dtype=DType.I64)


@converts("Size")
def size(node: SourceNode, x: Value) -> Value:
    return F.dims(values=(x.type.size,), shape=(), dtype=DType.I64)


@converts("Reshape")
def reshape(node: SourceNode, x: Value, shape: Value | None = None) -> Value:
    """A dimension 0 is that of x, unless ``allowzero``."""
    dims = node.integers("shape") if shape is None else node.dims(shape, "the shape")
    if not node.flag("allowzero"):
        if any(d == 0 and i >= x.type.rank for i, d in enumerate(dims)):
            raise ModelError(f"the shape {dims} takes a dimension that {x.type!r} doesn't have")
        dims = tuple(x.type.shape[i] if d == 0 else d for i, d in enumerate(dims))
    return F.reshape(x, shape=Reshape.resolve(x.type.shape, dims))


@converts("Flatten")
def flatten(node: SourceNode, x: Value) -> Value:
    axis = node.integer("axis", 1)
    axis = axis if axis == x.type.rank else normalize_axis(axis, max(x.type.rank, 1))
    return F.reshape(x, shape=(product(x.type.shape[:axis]), product(x.type.shape[axis:])))


@converts("Squeeze")
def squeeze(node: SourceNode, x: Value, axes: Value | None = None) -> Value:
    dims, chosen = x.type.shape, node.axes(axes)
    if chosen is None and not x.type.is_static:
        raise ModelError(f"which of the dimensions of {x.type!r} are 1 depends on what is fed; give free dimensions "
                         "sizes (--dim)")
    chosen = tuple(i for i, d in enumerate(dims) if d == 1) if chosen is None else normalize_axes(chosen, len(dims))
    if wrong := [a for a in chosen if dims[a] != 1]:
        raise ModelError(f"axis {wrong[0]} of {x.type!r} is not 1")
    return F.reshape(x, shape=tuple(d for i, d in enumerate(dims) if i not in chosen))


@converts("Unsqueeze")
def unsqueeze(node: SourceNode, x: Value, axes: Value | None = None) -> Value:
    chosen = node.axes(axes) or ()
    rank = x.type.rank + len(chosen)
    places = normalize_axes(chosen, rank)
    if len(places) != len(chosen):
        raise ModelError(f"the axes {chosen} name one twice")
    rest = iter(x.type.shape)
    return F.reshape(x, shape=tuple(1 if i in places else next(rest) for i in range(rank)))


@converts("com.microsoft.ExpandDims")
def expand_dims(node: SourceNode, x: Value, axis: Value) -> Value:
    return unsqueeze(node, x, axis)


@converts("Transpose")
def transpose(node: SourceNode, x: Value) -> Value:
    perm = node.integers("perm") or tuple(reversed(range(x.type.rank)))
    return F.transpose(x, perm=tuple(normalize_axis(a, x.type.rank) for a in perm))


@converts("Concat")
def concat(node: SourceNode, *xs: Value) -> Value:
    return F.concat(*xs, axis=node.integer("axis", 1))


@converts("Split")
def split(node: SourceNode, x: Value, sizes: Value | None = None) -> tuple[Value, ...]:
    """Parts of given sizes, or equal ones, of which the last may be smaller."""
    axis = normalize_axis(node.integer("axis", 0), x.type.rank)
    whole = x.type.shape[axis]
    if sizes is not None:  # before version 2 in the type of x
        return parts(x, axis, node.dims(F.cast(sizes, dtype=DType.I64), "the sizes"))
    if "split" in node.attrs:
        return parts(x, axis, node.integers("split"))
    count = node.integer("num_outputs", len(node.outputs))
    if isinstance(whole, int):
        each = -(-whole // max(count, 1))
        return parts(x, axis, [max(min(each, whole - each * i), 0) for i in range(count)])
    return parts(x, axis, [exact_div(whole, count)] * count)


def parts(x: Value, axis: int, sizes: list[Dim] | tuple[Dim, ...]) -> tuple[Value, ...]:
    """x cut along an axis into parts of these sizes."""
    total = sum(sizes[1:], sizes[0]) if sizes else 0
    if total != x.type.shape[axis]:
        advice = "" if isinstance(x.type.shape[axis], int) else "; give free dimensions sizes (--dim)"
        raise ModelError(f"axis {axis} of {x.type!r} is cut into parts of {total} in all{advice}")
    found, start = [], 0
    for dim in sizes:
        found.append(part(x, axis, start, dim))
        start = start + dim
    return tuple(found)


def part(x: Value, axis: int, start: Dim, size: Dim, step: int = 1) -> Value:
    """Elements along one axis."""
    return F.slice(x, starts=tuple(start if i == axis else 0 for i in range(x.type.rank)),
                   sizes=tuple(size if i == axis else d for i, d in enumerate(x.type.shape)),
                   steps=tuple(step if i == axis else 1 for i in range(x.type.rank)))


@converts("Slice")
def slice_(node: SourceNode, x: Value, starts: Value | None = None, ends: Value | None = None,
           axes: Value | None = None, steps: Value | None = None) -> Value:
    begins = node.integers("starts") if starts is None else node.entries(starts)
    stops = node.integers("ends") if ends is None else node.entries(ends)
    chosen = node.axes(axes)
    chosen = tuple(range(len(begins))) if chosen is None else chosen
    strides = (1,) * len(begins) if steps is None else node.ints(steps, "the steps")
    first, sizes, step = [0] * x.type.rank, list(x.type.shape), [1] * x.type.rank
    for begin, end, axis, stride in zip(begins, stops, chosen, strides, strict=True):
        axis = normalize_axis(axis, x.type.rank)
        if isinstance(begin, Value) or isinstance(end, Value):
            x = cut_out(x, axis, _place(_bound(begin, -stride)), _place(_bound(end, stride)), stride)
            sizes[axis] = x.type.shape[axis]
            continue
        first[axis], sizes[axis] = interval(_bound(begin, -stride), _bound(end, stride), stride, x.type.shape[axis])
        step[axis] = stride
    return F.slice(x, starts=tuple(first), sizes=tuple(sizes), steps=tuple(step))


def _place(bound: Dim | Value | None) -> Value | None:
    return bound if bound is None else F.cast(bound, dtype=DType.I64) if isinstance(bound, Value) else (
        dim_value(bound, DType.I64))


def _bound(place: Dim | Value, direction: int) -> Dim | Value | None:
    """A place, None for one as far away in a direction as an axis may reach."""
    return None if isinstance(place, int) and place * (1 if direction > 0 else -1) >= FAR else place


@converts("Expand")
def expand(node: SourceNode, x: Value, shape: Value) -> Value:
    return F.broadcast_to(x, shape=broadcast(x.type.shape, meeting(node.sizes(shape, "expanded"), x.type.shape)))


@converts("Tile")
def tile(node: SourceNode, x: Value, multiples: Value, axis: Value | None = None) -> Value:
    """As often along each axis as the multiples say; before version 6 along one axis."""
    if node.version < 6:
        if axis is None:
            raise ModelError("Tile has no operand 'axis'")
        along = normalize_axis(int(node.known(axis, "the axis").item()), x.type.rank)
        count = int(node.known(multiples, "how often it is repeated").item())
        return F.tile(x, multiples=tuple(count if i == along else 1 for i in range(x.type.rank)))
    return F.tile(x, multiples=node.sizes(multiples, "repeated"))


@converts("Pad", "com.microsoft.Pad")
def pad(node: SourceNode, x: Value, amounts: Value | None = None, value: Value | None = None,
        axes: Value | None = None) -> Value:
    """x with elements added, or taken away where amounts are negative: a value, or by the mode those of x itself."""
    given = node.integers("pads") or node.integers("paddings") if amounts is None else (
        node.dims(amounts, "the padding"))
    chosen = node.axes(axes)
    chosen = tuple(range(x.type.rank)) if chosen is None else chosen
    if len(given) != 2 * len(chosen):
        raise ModelError(f"{len(given)} amounts of padding for {len(chosen)} axes")
    before, after = [0] * x.type.rank, [0] * x.type.rank
    for axis, low, high in zip(chosen, given[:len(chosen)], given[len(chosen):], strict=True):
        axis = normalize_axis(axis, x.type.rank)
        before[axis], after[axis] = low, high
    mode = node.text("mode", "constant")
    if mode != "constant":
        return _repeated(x, before, after, mode)
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        cut = [-a if isinstance(a, int) and a < 0 else 0 for a in (low, high)]
        if any(cut):
            x = part(x, axis, cut[0], x.type.shape[axis] - sum(cut))
            before[axis], after[axis] = low + cut[0], high + cut[1]
    fill = constant(np.asarray(node.number("value", 0.0), x.type.dtype.numpy)) if value is None else (
        F.reshape(value, shape=()))
    if x.type.dtype == DType.BOOL:
        wide = F.pad(F.cast(x, dtype=DType.U8), F.cast(fill, dtype=DType.U8), before=tuple(before), after=tuple(after))
        return F.cast(wide, dtype=DType.BOOL)
    return F.pad(x, fill, before=tuple(before), after=tuple(after))


def _repeated(x: Value, before: list[Dim], after: list[Dim], mode: str) -> Value:
    if mode not in ("reflect", "edge", "wrap"):
        raise ModelError(f"the padding {mode!r} is not supported")
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        size = x.type.shape[axis]
        if (low, high) == (0, 0):
            continue
        if all(isinstance(n, int) for n in (size, low, high)) and size > 0:
            countable(max(size, 0) + max(low, 0) + max(high, 0))
            places = np.pad(np.arange(size), (max(low, 0), max(high, 0)), mode=mode)
            index = constant(places[max(-low, 0):len(places) - max(-high, 0)].astype(np.int64))
        elif mode != "wrap":
            place = F.sub(count_up(size + low + high, DType.I64), dim_value(low, DType.I64))
            last = dim_value(size - 1, DType.I64)
            if mode == "reflect":
                place = F.abs(place)
                place = F.minimum(place, F.sub(F.mul(last, 2), place))
            index = F.maximum(F.minimum(place, last), 0)
        else:
            raise ModelError(f"axis {axis} of {x.type!r} can't be padded by {mode}; give free dimensions sizes (--dim)")
        x = F.gather(x, index, axis=axis)
    return x


@converts("CenterCropPad")
def center_crop_pad(node: SourceNode, x: Value, shape: Value) -> Value:
    """The middle of x in another size."""
    chosen = normalize_axes(node.integers("axes") or None, x.type.rank)
    for axis, wanted in zip(chosen, node.ints(shape, "the shape"), strict=True):
        size = x.type.shape[axis]
        if not isinstance(size, int):
            raise ModelError(f"the free dimension {size} cut or padded to {wanted}; give free dimensions sizes (--dim)")
        if wanted <= size:
            x = part(x, axis, (size - wanted) // 2, wanted)
        else:
            before = (wanted - size) // 2
            x = F.pad(x, constant(np.zeros((), x.type.dtype.numpy)),
                      before=tuple(before if i == axis else 0 for i in range(x.type.rank)),
                      after=tuple(wanted - size - before if i == axis else 0 for i in range(x.type.rank)))
    return x


@converts("DepthToSpace")
def depth_to_space(node: SourceNode, x: Value) -> Value:
    n, c, h, w = x.type.shape
    b = node.integer("blocksize", 1)
    c = exact_div(c, b * b)
    if node.text("mode", "DCR") == "DCR":
        split, perm = (n, b, b, c, h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, perm = (n, c, b, b, h, w), (0, 1, 4, 2, 5, 3)
    return F.reshape(F.transpose(F.reshape(x, shape=split), perm=perm), shape=(n, c, h * b, w * b))


@converts("SpaceToDepth")
def space_to_depth(node: SourceNode, x: Value) -> Value:
    n, c, h, w = x.type.shape
    b = node.integer("blocksize", 1)
    h, w = exact_div(h, b), exact_div(w, b)
    perm = (0, 3, 5, 1, 2, 4) if node.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    split = F.transpose(F.reshape(x, shape=(n, c, h, b, w, b)), perm=perm)
    return F.reshape(split, shape=(n, c * b * b, h, w))


def _diagonal(rows: Dim, columns: Dim) -> Value:
    """Column minus row of each element of a matrix."""
    return F.sub(F.reshape(count_up(columns, DType.I64), shape=(1, columns)),
                 F.reshape(count_up(rows, DType.I64), shape=(rows, 1)))


@converts("Trilu", "com.microsoft.Trilu")
def trilu(node: SourceNode, x: Value, k: Value | None = None) -> Value:
    """The upper or lower triangle, zeros elsewhere."""
    distance = _diagonal(*x.type.shape[-2:])
    k = constant(np.int64(0)) if k is None else F.reshape(F.cast(k, dtype=DType.I64), shape=())
    kept = (F.greater_equal if node.flag("upper", True) else F.less_equal)(distance, k)
    return F.select(kept, x, constant(np.zeros((), x.type.dtype.numpy)))


@converts("EyeLike")
def eye_like(node: SourceNode, x: Value) -> Value:
    on = F.equal(_diagonal(*x.type.shape), constant(np.int64(node.integer("k", 0))))
    return F.cast(on, dtype=node.dtype("dtype", x.type.dtype))
