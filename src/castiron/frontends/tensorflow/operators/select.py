"""Choice by condition, by index and by size."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.shape import count
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F


@converts("Select")
def select(node: SourceNode, condition: Value, x: Value, y: Value) -> Value:
    """A vector of conditions chooses among rows."""
    if condition.type.rank == 1 and x.type.rank > 1:
        condition = F.reshape(condition, shape=(*condition.type.shape, *(1,) * (x.type.rank - 1)))
    return F.select(condition, x, y)


@converts("SelectV2")
def select_v2(node: SourceNode, condition: Value, x: Value, y: Value) -> Value:
    return F.select(condition, x, y)


@converts("Gather", "ResourceGather")
def gather_rows(node: SourceNode, x: Value, indices: Value) -> Value:
    return F.gather(x, indices, axis=0)


@converts("GatherV2")
def gather(node: SourceNode, x: Value, indices: Value, axis: Value) -> Value:
    if node.integer("batch_dims", 0):
        raise ModelError("batch_dims is not supported")
    return F.gather(x, indices, axis=node.ints(axis, "the axis")[0])


@converts("TopKV2")
def top_k(node: SourceNode, x: Value, k: Value) -> tuple[Value | None, ...]:
    """The k largest along the last axis, the largest first; their indices are not computed."""
    largest = node.ints(k, "k")[0]
    size = x.type.shape[-1] if x.type.rank else 0
    if not isinstance(size, int) or not 0 <= largest <= size:
        raise ModelError(f"the {largest} largest along the last axis of {x.type!r}: it must be known and so large")
    falling = F.flip(F.sort(x), axes=(-1,))
    sizes = (*x.type.shape[:-1], largest)
    return F.slice(falling, starts=(0,) * x.type.rank, sizes=sizes, steps=(1,) * x.type.rank), None


@converts("Bucketize")
def bucketize(node: SourceNode, x: Value) -> Value:
    """How many of the boundaries are not above x."""
    boundaries = np.array(node.numbers("boundaries"), np.float32).astype(x.type.dtype.numpy)
    reached = F.greater_equal(F.reshape(x, shape=(*x.type.shape, 1)), constant(boundaries))
    return F.reduce_sum(F.cast(reached, dtype=DType.I32), axes=(-1,))


@converts("DenseBincount")
def bincount(node: SourceNode, x: Value, size: Value, weights: Value) -> Value:
    """For each class how many elements of a row are it, or the sum of their weights, or whether there are any."""
    classes = count(node.ints(size, "the number of classes")[0], x.type.dtype)
    is_class = F.equal(F.reshape(x, shape=(*x.type.shape, 1)), constant(classes))
    if node.flag("binary_output"):
        return F.cast(F.reduce_max(is_class, axes=(-2,)), dtype=weights.type.dtype)
    amounts = F.cast(is_class, dtype=weights.type.dtype)
    if weights.type.size != 0:
        amounts = F.mul(amounts, F.reshape(weights, shape=(*weights.type.shape, 1)))
    return F.reduce_sum(amounts, axes=(-2,))
