"""Reading, writing and ordering elements by index."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import part
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F, sizes
from castiron.ops.base import normalize_axis


@converts("Gather")
def gather(node: SourceNode, x: Value, indices: Value) -> Value:
    return F.gather(x, indices, axis=node.integer("axis", 0))


@converts("GatherND", "com.microsoft.GatherND")
def gather_nd(node: SourceNode, x: Value, indices: Value) -> Value:
    return F.gather_nd(x, indices, batch_dims=node.integer("batch_dims", 0))


@converts("GatherElements")
def gather_elements(node: SourceNode, x: Value, indices: Value) -> Value:
    """Of each vector along an axis the elements that the indices at the same place name."""
    rank = x.type.rank
    axis = normalize_axis(node.integer("axis", 0), rank)
    for other in range(rank):
        if other != axis and x.type.shape[other] != indices.type.shape[other]:
            x = part(x, other, 0, indices.type.shape[other])
    perm = (*(a for a in range(rank) if a != axis), axis)
    found = F.gather(F.transpose(x, perm=perm), F.transpose(indices, perm=perm), axis=rank - 1, batch_dims=rank - 1)
    return F.transpose(found, perm=tuple(np.argsort(perm).tolist()))


_MODES = {"none": "set", "add": "add", "mul": "mul", "max": "max", "min": "min"}


def _mode(node: SourceNode) -> str:
    given = node.text("reduction", "none")
    if given not in _MODES:
        raise ModelError(f"the reduction {given!r} is not supported")
    return _MODES[given]


@converts("ScatterND")
def scatter_nd(node: SourceNode, x: Value, indices: Value, updates: Value) -> Value:
    return F.scatter(x, indices, updates, mode=_mode(node))


@converts("ScatterElements", "Scatter")
def scatter_elements(node: SourceNode, x: Value, indices: Value, updates: Value) -> Value:
    """x with the updates at their own places, but along an axis where the indices say."""
    rank, shape = x.type.rank, indices.type.shape
    axis = normalize_axis(node.integer("axis", 0), rank)
    indices = F.cast(indices, dtype=DType.I64)
    places = []
    for a in range(rank):
        place = indices if a == axis else F.broadcast_to(
            F.reshape(count_up(shape[a], DType.I64), shape=tuple(shape[a] if i == a else 1 for i in range(rank))),
            shape=shape)
        places.append(F.reshape(place, shape=(*shape, 1)))
    return F.scatter(x, F.concat(*places, axis=-1), updates, mode=_mode(node))


@converts("OneHot")
def one_hot(node: SourceNode, indices: Value, depth: Value, values: Value) -> Value:
    """The second of two values at the index, counted from the end if it is negative, elsewhere the first."""
    size, = node.sizes(F.cast(depth, dtype=DType.I64), "classes")
    dims = indices.type.shape
    axis = node.integer("axis", -1)
    axis = normalize_axis(axis, len(dims) + 1)
    indices = F.cast(indices, dtype=DType.I64)
    indices = F.select(F.less(indices, 0), F.add(indices, dim_value(size, DType.I64)), indices)
    spread = F.reshape(indices, shape=(*dims[:axis], 1, *dims[axis:]))
    classes = F.reshape(count_up(size, DType.I64), shape=(size, *(1,) * (len(dims) - axis)))
    off, on = (F.reshape(part(values, 0, i, 1), shape=()) for i in (0, 1))
    return F.select(F.equal(spread, classes), on, off)


@converts("Compress")
def compress(node: SourceNode, x: Value, condition: Value) -> Value:
    """The slices along an axis, or the elements, for which a condition holds."""
    return sizes.compress(x, condition, node.integer("axis", 0) if "axis" in node.attrs else None)


@converts("NonZero")
def non_zero(node: SourceNode, x: Value) -> Value:
    return F.transpose(sizes.nonzero(x), perm=(1, 0))


@converts("Unique")
def unique(node: SourceNode, x: Value) -> tuple[Value, ...]:
    """Of elements, or of slices along an axis."""
    axis = normalize_axis(node.integer("axis", 0), x.type.rank) if "axis" in node.attrs else 0
    if "axis" not in node.attrs:
        x = F.reshape(x, shape=(x.type.size,))
    perm = (axis, *(a for a in range(x.type.rank) if a != axis))
    values, *places = sizes.unique(F.transpose(x, perm=perm), node.flag("sorted", True))
    return F.transpose(values, perm=tuple(np.argsort(perm).tolist())), *places


@converts("com.microsoft.Unique")
def unique_in_order(node: SourceNode, x: Value) -> tuple[Value, ...]:
    """Of elements, in the order in which they come; which of them each element is, and how often each comes."""
    values, _, which, counts = sizes.unique(x, False)
    return values, which, counts


@converts("TopK")
def top_k(node: SourceNode, x: Value, k: Value | None = None) -> tuple[Value, Value]:
    """The k largest or smallest elements along an axis and their places, of equal ones the first."""
    count = node.integer("k", 0) if k is None else node.sizes(k, "best")[0]
    axis = normalize_axis(node.integer("axis", -1), x.type.rank)
    size = x.type.shape[axis]
    if isinstance(size, int) and isinstance(count, int) and not 0 <= count <= size:
        raise ModelError(f"there are no {count} elements along axis {axis} of {x.type!r}")
    perm = (*(a for a in range(x.type.rank) if a != axis), axis)
    moved = F.transpose(x, perm=perm)
    if node.flag("largest", True):
        values, places = F.top_k(moved, k=count)
    else:
        places = part(F.argsort(moved), x.type.rank - 1, 0, count)
        values = F.gather(moved, places, axis=-1, batch_dims=x.type.rank - 1)
    back = tuple(np.argsort(perm).tolist())
    return F.transpose(values, perm=back), F.transpose(F.cast(places, dtype=DType.I64), perm=back)


@converts("ReverseSequence")
def reverse_sequence(node: SourceNode, x: Value, lengths: Value) -> Value:
    """The first ``lengths[b]`` elements of each sequence b in reverse order, the others where they are."""
    rank = x.type.rank
    time = normalize_axis(node.integer("time_axis", 0), rank)
    batch = normalize_axis(node.integer("batch_axis", 1), rank)
    perm = (batch, time, *(a for a in range(rank) if a not in (batch, time)))
    x = F.transpose(x, perm=perm)
    return F.transpose(reversed_rows(x, lengths), perm=tuple(np.argsort(perm).tolist()))


def reversed_rows(x: Value, lengths: Value) -> Value:
    """x [rows, steps, …] with the first ``lengths`` [rows] steps of each row in reverse order."""
    rows, steps = x.type.shape[:2]
    lengths = F.reshape(F.cast(lengths, dtype=DType.I64), shape=(rows, 1))
    place = F.reshape(count_up(steps, DType.I64), shape=(1, steps))
    index = F.select(F.less(place, lengths), F.sub(F.sub(lengths, 1), place), place)
    return F.gather(x, index, axis=1, batch_dims=1)


@converts("TensorScatter")
def tensor_scatter(node: SourceNode, cache: Value, update: Value, places: Value | None = None) -> Value:
    """The update [batch, …] in the cache from each item's place along an axis on, with ``mode`` "circular" from the
    front again behind the end."""
    rank, shape = cache.type.rank, update.type.shape
    axis = normalize_axis(node.integer("axis", -2), rank)
    steps = F.reshape(count_up(shape[axis], DType.I64), shape=(1, shape[axis]))
    starts = F.reshape(F.cast(places, dtype=DType.I64), shape=(shape[0], 1)) if places is not None else (
        constant(np.zeros((1, 1), np.int64)))
    at = F.broadcast_to(F.add(steps, starts), shape=(shape[0], shape[axis]))
    if node.text("mode", "linear") == "circular":
        at = F.floormod(at, dim_value(cache.type.shape[axis], DType.I64))
    items = F.broadcast_to(F.reshape(count_up(shape[0], DType.I64), shape=(shape[0], 1)), shape=at.type.shape)
    perm = (0, axis, *(a for a in range(1, rank) if a != axis))
    filled = F.scatter(F.transpose(cache, perm=perm), F.stack(items, at, axis=-1), F.transpose(update, perm=perm))
    return F.transpose(filled, perm=tuple(np.argsort(perm).tolist()))
