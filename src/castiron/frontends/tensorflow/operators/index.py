"""Reading and writing elements by index."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, DType, Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axis


@converts("Gather", "ResourceGather")
def gather_rows(node: SourceNode, x: Value, indices: Value) -> Value:
    batch_dims = node.integer("batch_dims", 0)
    return F.gather(x, indices, axis=batch_dims, batch_dims=batch_dims)


@converts("GatherV2")
def gather(node: SourceNode, x: Value, indices: Value, axis: Value) -> Value:
    batch_dims = node.integer("batch_dims", 0)
    return F.gather(x, indices, axis=node.ints(axis, "the axis")[0],
                    batch_dims=batch_dims + indices.type.rank if batch_dims < 0 else batch_dims)


@converts("GatherNd", "ResourceGatherNd")
def gather_nd(node: SourceNode, x: Value, indices: Value) -> Value:
    return F.gather_nd(x, indices, batch_dims=node.integer("batch_dims", 0))


@converts("ScatterNd")
def scatter_nd(node: SourceNode, indices: Value, updates: Value, shape: Value) -> Value:
    """The updates at the indices, equal indices added up; zeros elsewhere."""
    shape = node.sizes(shape, "scattered")
    if updates.type.dtype == DType.BOOL:
        return F.scatter(_filled(False, updates, shape), indices, updates, mode="set")
    return F.scatter(_filled(0, updates, shape), indices, updates, mode="add")


_SCATTERS = {"TensorScatterUpdate": "set", "TensorScatterAdd": "add", "TensorScatterMax": "max",
             "TensorScatterMin": "min"}


@converts(*_SCATTERS)
def tensor_scatter(node: SourceNode, x: Value, indices: Value, updates: Value) -> Value:
    return F.scatter(x, indices, updates, mode=_SCATTERS[node.op])


@converts("TensorScatterSub")
def tensor_scatter_sub(node: SourceNode, x: Value, indices: Value, updates: Value) -> Value:
    return F.scatter(x, indices, F.neg(updates), mode="add")


_SEGMENTS = {"Sum": "add", "Prod": "mul", "Max": "max", "Min": "min"}


@converts(*(f"UnsortedSegment{kind}" for kind in _SEGMENTS))
def unsorted_segments(node: SourceNode, x: Value, ids: Value, size: Value) -> Value:
    """The rows of each segment combined; those of negative segments are left out."""
    return _segments(x, ids, node.sizes(size, "segments")[0], _SEGMENTS[node.op[len("UnsortedSegment"):]])


@converts(*(f"Segment{kind}" for kind in (*_SEGMENTS, "Mean")))
def segments(node: SourceNode, x: Value, ids: Value) -> Value:
    """The rows of each segment combined; a segment without rows is zero, or one if it is a product."""
    known = np.array(node.ints(ids, "the segments"), np.int64)
    count = int(known[-1]) + 1 if len(known) else 0
    if len(known) and (known.min() < 0 or np.any(np.diff(known) < 0)):
        raise ModelError("the segments don't rise")
    sizes = np.bincount(known, minlength=count).reshape(-1, *(1,) * (x.type.rank - 1))
    if node.op == "SegmentMean":
        result = _segments(x, ids, count, "add")
        return F.div(result, constant(np.maximum(sizes, 1).astype(x.type.dtype.numpy)))
    result = _segments(x, ids, count, _SEGMENTS[node.op[len("Segment"):]])
    if np.all(sizes) or node.op == "SegmentProd":
        return result
    return F.select(constant(sizes > 0), result, constant(np.zeros((), x.type.dtype.numpy)))


def _segments(x: Value, ids: Value, count: Dim, mode: str) -> Value:
    bounds = np.finfo(x.type.dtype.numpy) if x.type.dtype.is_float else np.iinfo(x.type.dtype.numpy)
    start = {"add": 0, "mul": 1, "max": bounds.min, "min": bounds.max}[mode]
    rest = x.type.shape[ids.type.rank:]
    ids = F.cast(ids, dtype=DType.I64)
    ids = F.select(F.less(ids, 0), dim_value(count, DType.I64), ids)
    return F.scatter(_filled(start, x, (count, *rest)), F.reshape(ids, shape=(*ids.type.shape, 1)), x, mode=mode)


@converts("Roll")
def roll(node: SourceNode, x: Value, shift: Value, axis: Value) -> Value:
    """Elements moved on along axes; what leaves at the end comes back at the front."""
    axes = [normalize_axis(a, x.type.rank) for a in node.ints(axis, "the axes")]
    shift = F.reshape(F.cast(shift, dtype=DType.I64), shape=(len(axes),))
    for i, axis in enumerate(axes):
        size = x.type.shape[axis]
        by = F.slice(shift, starts=(i,), sizes=(1,), steps=(1,))
        index = F.floormod(F.sub(count_up(size, DType.I64), by), dim_value(size, DType.I64))
        x = F.gather(x, index, axis=axis)
    return x


@converts("ReverseSequence")
def reverse_sequence(node: SourceNode, x: Value, lengths: Value) -> Value:
    """The first ``lengths[b]`` elements of each sequence b in reverse order, the others where they are."""
    rank = x.type.rank
    time, batch = (normalize_axis(node.integer(name, 0), rank) for name in ("seq_dim", "batch_dim"))
    perm = (batch, time, *(a for a in range(rank) if a not in (batch, time)))
    x = F.transpose(x, perm=perm)
    rows, steps = x.type.shape[:2]
    lengths = F.reshape(F.cast(lengths, dtype=DType.I64), shape=(rows, 1))
    place = F.reshape(count_up(steps, DType.I64), shape=(1, steps))
    index = F.select(F.less(place, lengths), F.sub(F.sub(lengths, 1), place), place)
    return F.transpose(F.gather(x, index, axis=1, batch_dims=1), perm=tuple(np.argsort(perm).tolist()))


def _filled(value: float, like: Value, shape: tuple[Dim, ...]) -> Value:
    return F.broadcast_to(constant(np.asarray(value, like.type.dtype.numpy)), shape=shape)
