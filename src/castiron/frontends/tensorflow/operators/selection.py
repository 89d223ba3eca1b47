"""What is chosen by data, which decide how much it is: true elements, distinct ones, boxes, parts."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import dim_value
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant, minimum, product
from castiron.ops import F, apply, sizes
from castiron.ops.base import normalize_axis
from castiron.ops.symbolic import dims_of

#: What stands for the score of a place that no box fills.
NOTHING = np.float32(-np.inf)


@converts("Where")
def where(node: SourceNode, x: Value) -> Value:
    return sizes.nonzero(x)


@converts("Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2")
def unique(node: SourceNode, x: Value, axis: Value | None = None) -> tuple[Value, ...]:
    """The distinct elements, or slices along an axis, as they first occur."""
    axes = () if axis is None else node.ints(axis, "the axis")
    along = normalize_axis(axes[0], x.type.rank) if axes else 0
    perm = (along, *(a for a in range(x.type.rank) if a != along))
    values, _, inverse, counts = sizes.unique(F.transpose(x, perm=perm), ordered=False)
    index = node.dtype("out_idx", DType.I32)
    return (F.transpose(values, perm=tuple(np.argsort(perm).tolist())), F.cast(inverse, dtype=index),
            F.cast(counts, dtype=index))


@converts("ListDiff")
def list_diff(node: SourceNode, x: Value, other: Value) -> tuple[Value, Value]:
    """The elements of x that another list lacks, and their places."""
    inside = F.sort(other)
    below, up_to = (F.searchsorted(inside, x, side=side) for side in ("left", "right"))
    kept = sizes.places(F.equal(below, up_to), "kept")
    return F.gather(x, kept, axis=0), F.cast(kept, dtype=node.dtype("out_idx", DType.I32))


@converts("DynamicPartition")
def dynamic_partition(node: SourceNode, x: Value, parts: Value) -> tuple[Value, ...]:
    """The slices of x of each part, in their order."""
    count = node.integer("num_partitions", 1)
    lead = product(parts.type.shape)
    rows = F.reshape(x, shape=(lead, *x.type.shape[parts.type.rank:]))
    part = F.reshape(parts, shape=(lead,))
    return tuple(sizes.compress(rows, F.equal(part, constant(np.int32(i))), 0, "part") for i in range(count))


@converts("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(node: SourceNode, *operands: Value) -> Value:
    """The slices of the second half of the operands at the places that the first half gives, the last one of each;
    where none is, zeros."""
    half = len(operands) // 2
    rest = operands[half].type.shape[operands[0].type.rank:]
    places = F.concat(*(F.reshape(v, shape=(v.type.size,)) for v in operands[:half]), axis=0)
    slices = F.concat(*(F.reshape(x, shape=(index.type.size, *rest))
                        for index, x in zip(operands[:half], operands[half:], strict=True)), axis=0)
    wide = F.cast(places, dtype=DType.I64)
    end = F.reduce_max(F.concat(F.add(wide, 1), constant(np.zeros(1, np.int64)), axis=0), axes=None)
    size = sizes.size_of(end, "stitched")
    empty = F.broadcast_to(constant(np.zeros((), slices.type.dtype.numpy)), shape=(size, *rest))
    return F.scatter(empty, F.reshape(wide, shape=(*wide.type.shape, 1)), slices, mode="set")


@converts("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3", "NonMaxSuppressionV4",
          "NonMaxSuppressionV5")
def non_max_suppression(node: SourceNode, boxes: Value, scores: Value, limit: Value, overlap: Value | None = None,
                        least: Value | None = None, sigma: Value | None = None) -> Value | tuple[Value, ...]:
    """The places of the boxes chosen, best first; version 4 also pads them with zeros and says how many there are,
    version 5 also gives their scores."""
    overlap = constant(np.float32(node.number("iou_threshold", 0.5))) if overlap is None else overlap
    least = constant(NOTHING) if least is None else least
    if sigma is not None and node.known(sigma, "sigma").item():
        raise ModelError("boxes whose scores are lowered rather than suppressed (soft_nms_sigma) are not supported")
    n = scores.type.shape[0]
    known = dims_of(limit)
    chosen = _suppressed(F.reshape(boxes, shape=(1, n, 4)), F.reshape(scores, shape=(1, 1, n)), limit, overlap, least)
    chosen = F.reshape(chosen, shape=(chosen.type.size,))
    there = F.greater_equal(chosen, 0)
    count = F.cast(F.reduce_sum(F.cast(there, dtype=DType.I64), axes=None), dtype=DType.I32)
    if not node.flag("pad_to_max_output_size"):
        places = F.gather(chosen, sizes.places(there, "selected"), axis=0)
        found = F.gather(scores, places, axis=0)
    else:
        if known is None:
            raise ModelError("boxes that are padded to a number which depends on what is fed are not supported")
        chosen = _padded(chosen, 0, known.item(), -1)
        places = F.maximum(chosen, 0)
        found = F.select(F.less(chosen, 0), F.cast(constant(np.float32(0)), dtype=scores.type.dtype),
                         F.gather(scores, places, axis=0))
    places = F.cast(places, dtype=DType.I32)
    return {"NonMaxSuppressionV4": (places, count), "NonMaxSuppressionV5": (places, found, count)}.get(node.op, places)


def _suppressed(boxes: Value, scores: Value, limit: Value, overlap: Value, least: Value) -> Value:
    """``suppressed`` of any floats, as many as the limit at most."""
    boxes, scores, overlap, least = (F.cast(v, dtype=DType.F32) for v in (boxes, scores, overlap, least))
    known, n = dims_of(limit), scores.type.shape[2]
    most = n if known is None else minimum(known.item(), n)
    return sizes.suppressed(boxes, scores, F.cast(limit, dtype=DType.I64), overlap, least, most)


def _padded(x: Value, axis: int, size: int, value: float) -> Value:
    """x with as many values behind its elements along an axis that there are ``size``, or cut to that."""
    rank, have = x.type.rank, x.type.shape[axis]
    fill = constant(np.asarray(value, x.type.dtype.numpy))
    after = tuple(size if i == axis else 0 for i in range(rank))
    x = F.pad(x, fill, before=(0,) * rank, after=after) if have != size else x
    return F.slice(x, starts=(0,) * rank, sizes=tuple(size if i == axis else d for i, d in enumerate(x.type.shape)),
                   steps=(1,) * rank)


@converts("CombinedNonMaxSuppression")
def combined_non_max_suppression(node: SourceNode, boxes: Value, scores: Value, limit: Value, total: Value,
                                 overlap: Value, least: Value) -> tuple[Value, ...]:
    """For each item the best boxes [items, total, 4] of those chosen for any class, their scores and classes [items,
    total], and how many there are; zeros behind them."""
    items, n, shared = boxes.type.shape[:3]
    classes = scores.type.shape[2]
    each, most = (node.ints(v, "how many boxes there are")[0] for v in (limit, total))
    if node.flag("pad_per_class"):
        most = minimum(most, each * classes)
    by_class = F.transpose(scores, perm=(0, 2, 1))
    rows = F.transpose(boxes, perm=(0, 2, 1, 3))
    if shared == 1:
        chosen = _suppressed(F.reshape(rows, shape=(items, n, 4)), by_class, limit, overlap, least)
    else:
        single = F.reshape(by_class, shape=(items * classes, 1, n))
        chosen = _suppressed(F.reshape(rows, shape=(items * classes, n, 4)), single, limit, overlap, least)
        chosen = F.reshape(chosen, shape=(items, classes, chosen.type.shape[2]))
    kept = chosen.type.shape[2]
    there, places = F.greater_equal(chosen, 0), F.maximum(chosen, 0)
    found = F.select(there, F.gather(by_class, places, axis=2, batch_dims=2), constant(NOTHING))
    corners = (F.gather(rows, places, axis=2, batch_dims=2) if shared != 1 else
               F.gather(F.reshape(rows, shape=(items, n, 4)), F.reshape(places, shape=(items, classes * kept)), axis=1,
                        batch_dims=1))
    corners = F.reshape(corners, shape=(items, classes * kept, 4))
    if node.flag("clip_boxes", True):
        corners = F.minimum(F.maximum(corners, 0.0), 1.0)
    flat = F.reshape(found, shape=(items, classes * kept))
    if isinstance(kept, int) and classes * kept < most:
        flat = _padded(flat, 1, most, NOTHING)
    best, order = F.top_k(flat, k=most)
    valid = F.greater(best, constant(NOTHING))
    corners = F.gather(corners, order, axis=1, batch_dims=1)
    kinds = F.cast(F.floordiv(F.cast(order, dtype=DType.I64), F.maximum(dim_value(kept, DType.I64), 1)),
                   dtype=DType.F32)
    zero = constant(np.float32(0))
    return (F.select(F.reshape(valid, shape=(items, most, 1)), corners, zero), F.select(valid, best, zero),
            apply("select", valid, kinds, zero), F.reduce_sum(F.cast(valid, dtype=DType.I32), axes=(1,)))
