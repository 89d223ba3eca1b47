"""The largest elements, and places among sorted ones."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F, apply


@converts("TopKV2")
def top_k(node: SourceNode, x: Value, k: Value) -> tuple[Value, Value]:
    values, indices = F.top_k(x, k=node.sizes(k, "best")[0])
    return values, F.cast(indices, dtype=node.dtype("index_type", DType.I32))


@converts("InTopK", "InTopKV2")
def in_top_k(node: SourceNode, predictions: Value, targets: Value, k: Value | None = None) -> Value:
    """Whether fewer than k predictions of a row are larger than that of the row's target."""
    largest = node.integer("k", 1) if k is None else node.ints(k, "k")[0]
    rows, classes = predictions.type.shape
    place = F.reshape(targets, shape=(rows, 1))
    own = F.gather(predictions, place, axis=1, batch_dims=1)
    larger = F.reduce_sum(F.cast(F.greater(predictions, own), dtype=DType.I32), axes=(1,))
    valid = apply("and", F.greater_equal(targets, 0), F.less(targets, classes))
    finite = apply("and", F.reshape(F.is_finite(own), shape=(rows,)),
                   F.reduce_min(F.is_finite(predictions), axes=(1,)))
    return apply("and", apply("and", valid, finite), F.less(larger, largest))


@converts("NthElement")
def nth_element(node: SourceNode, x: Value, n: Value) -> Value:
    order = F.sort(x)
    place = node.ints(n, "n")[0]
    size = x.type.shape[-1]
    if not isinstance(size, int) or not 0 <= place < size:
        raise ModelError(f"there is no element {place} along the last axis of {x.type!r}")
    place = size - 1 - place if node.flag("reverse") else place
    return F.gather(order, constant(np.int32(place)), axis=-1)


@converts("LowerBound", "UpperBound")
def bound(node: SourceNode, sorted_rows: Value, x: Value) -> Value:
    found = F.searchsorted(sorted_rows, x, side="left" if node.op == "LowerBound" else "right")
    return F.cast(found, dtype=node.dtype("out_type", DType.I32))


@converts("Bucketize")
def bucketize(node: SourceNode, x: Value) -> Value:
    """How many of the boundaries are not above x."""
    boundaries = np.array(node.numbers("boundaries"), np.float32)
    if not x.type.dtype.is_float:
        x = F.cast(x, dtype=DType.F32)
    return F.searchsorted(constant(boundaries.astype(x.type.dtype.numpy)), x, side="right")


@converts("Bincount")
def bincount(node: SourceNode, x: Value, size: Value, weights: Value) -> Value:
    flat = F.reshape(x, shape=(x.type.size,))
    if weights.type.size != 0:
        weights = F.reshape(weights, shape=(weights.type.size,))
    return dense_bincount(node, flat, size, weights)


@converts("DenseBincount")
def dense_bincount(node: SourceNode, x: Value, size: Value, weights: Value) -> Value:
    """For each class how many elements of a row are it, or the sum of their weights, or whether there are any."""
    classes = count(node.ints(size, "the number of classes")[0], x.type.dtype)
    is_class = F.equal(F.reshape(x, shape=(*x.type.shape, 1)), constant(classes))
    if node.flag("binary_output"):
        return F.cast(F.reduce_max(is_class, axes=(-2,)), dtype=weights.type.dtype)
    amounts = F.cast(is_class, dtype=weights.type.dtype)
    if weights.type.size != 0:
        amounts = F.mul(amounts, F.reshape(weights, shape=(*weights.type.shape, 1)))
    return F.reduce_sum(amounts, axes=(-2,))
