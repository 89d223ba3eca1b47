"""Operators that combine the elements along axes."""

from __future__ import annotations

import math

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value
from castiron.ops import F, apply
from castiron.ops.base import normalize_axis

_REDUCTIONS = {"Sum": "reduce_sum", "Prod": "reduce_prod", "Max": "reduce_max", "Min": "reduce_min",
               "Any": "reduce_max", "All": "reduce_min"}


@converts(*_REDUCTIONS)
def reduction(node: SourceNode, x: Value, axes: Value) -> Value:
    return apply(_REDUCTIONS[node.op], x, axes=_axes(node, axes), keepdims=node.flag("keep_dims"))


@converts("Mean")
def mean(node: SourceNode, x: Value, axes: Value) -> Value:
    if not x.type.dtype.is_float:
        raise ModelError(f"the mean of {x.type!r} is not supported: expects floats")
    return F.reduce_mean(x, axes=_axes(node, axes), keepdims=node.flag("keep_dims"))


@converts("EuclideanNorm")
def euclidean_norm(node: SourceNode, x: Value, axes: Value) -> Value:
    return F.sqrt(F.reduce_sum(F.square(x), axes=_axes(node, axes), keepdims=node.flag("keep_dims")))


@converts("L2Loss")
def l2_loss(node: SourceNode, x: Value) -> Value:
    """Σ x² / 2"""
    return F.div(F.reduce_sum(F.square(x)), 2.0)


@converts("ArgMax", "ArgMin")
def arg_extreme(node: SourceNode, x: Value, axis: Value) -> Value:
    """The smallest index at which the extreme stands."""
    dtype = node.dtype("output_type", DType.I64)
    wide = DType.I32 if dtype.itemsize < 4 else dtype
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    size = x.type.shape[axis]
    extreme = apply("reduce_max" if node.op == "ArgMax" else "reduce_min", x, axes=(axis,), keepdims=True)
    indices = F.reshape(count_up(size, wide), shape=(size, *(1,) * (x.type.rank - axis - 1)))
    found = F.select(F.equal(x, extreme), indices, F.sub(dim_value(size, wide), 1))
    return F.cast(F.reduce_min(found, axes=(axis,)), dtype=dtype)


_CUMULATIVE = {"Cumsum": ("cumsum", 0), "Cumprod": ("cumprod", 1)}


@converts(*_CUMULATIVE)
def cumulative(node: SourceNode, x: Value, axis: Value) -> Value:
    name, start = _CUMULATIVE[node.op]
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    order = F.flip(x, axes=(axis,)) if node.flag("reverse") else x
    if node.flag("exclusive"):
        order = _moved(order, axis, 1, start)
    total = apply(name, order, axis=axis)
    return F.flip(total, axes=(axis,)) if node.flag("reverse") else total


@converts("CumulativeLogsumexp")
def cumulative_logsumexp(node: SourceNode, x: Value, axis: Value) -> Value:
    """ln Σ eˣ of all elements up to each one: sums over 1, 2, 4, … elements, two of which make the next."""
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    size = x.type.shape[axis]
    if not isinstance(size, int):
        raise ModelError(f"axis {axis} of {x.type!r} is free; give free dimensions sizes (--dim)")
    total = F.flip(x, axes=(axis,)) if node.flag("reverse") else x
    if node.flag("exclusive"):
        total = _moved(total, axis, 1, -math.inf)
    reach = 1
    while reach < size:
        other = _moved(total, axis, reach, -math.inf)
        larger, smaller = F.maximum(total, other), F.minimum(total, other)
        more = F.log1p(F.exp(F.sub(smaller, larger)))
        total, reach = F.select(F.equal(smaller, -math.inf), larger, F.add(larger, more)), 2 * reach
    return F.flip(total, axes=(axis,)) if node.flag("reverse") else total


def _moved(x: Value, axis: int, by: int, fill: float) -> Value:
    """The elements ``by`` places further along an axis, with ``fill`` before them."""
    rank = x.type.rank
    padded = F.pad(x, fill, before=tuple(by if i == axis else 0 for i in range(rank)), after=(0,) * rank)
    return F.slice(padded, starts=(0,) * rank, sizes=x.type.shape, steps=(1,) * rank)


def _axes(node: SourceNode, axes: Value) -> tuple[int, ...]:
    return node.ints(axes, "the axes")
