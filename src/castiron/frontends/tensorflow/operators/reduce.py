"""Operators that combine the elements along axes."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant
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


@converts("ArgMax", "ArgMin")
def arg_extreme(node: SourceNode, x: Value, axis: Value) -> Value:
    """The smallest index at which the extreme stands."""
    dtype = node.dtype("output_type", DType.I64)
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    size = x.type.shape[axis]
    if not isinstance(size, int):
        raise ModelError(f"axis {axis} of {x.type!r} is free; it must be known when the model is compiled")
    extreme = apply("reduce_max" if node.op == "ArgMax" else "reduce_min", x, axes=(axis,), keepdims=True)
    indices = np.arange(size, dtype=dtype.numpy).reshape(-1, *(1,) * (x.type.rank - axis - 1))
    found = F.select(F.equal(x, extreme), constant(indices), constant(np.asarray(size - 1, dtype.numpy)))
    return F.reduce_min(found, axes=(axis,))


@converts("Cumsum")
def cumsum(node: SourceNode, x: Value, axis: Value) -> Value:
    axis = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank)
    order = F.flip(x, axes=(axis,)) if node.flag("reverse") else x
    if node.flag("exclusive"):
        shift = tuple(int(i == axis) for i in range(x.type.rank))
        padded = F.pad(order, 0, before=shift, after=(0,) * x.type.rank)
        order = F.slice(padded, starts=(0,) * x.type.rank, sizes=x.type.shape, steps=(1,) * x.type.rank)
    total = F.cumsum(order, axis=axis)
    return F.flip(total, axes=(axis,)) if node.flag("reverse") else total


def _axes(node: SourceNode, axes: Value) -> tuple[int, ...]:
    return node.ints(axes, "the axes")
