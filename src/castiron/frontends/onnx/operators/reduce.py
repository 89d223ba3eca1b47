"""Operators that combine the elements along axes."""

from __future__ import annotations

import numpy as np

from castiron.frontends.counting import dim_value
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axes, normalize_axis


def _l1(x: Value, **over) -> Value:
    return F.reduce_sum(F.abs(x), **over)


def _square_sum(x: Value, **over) -> Value:
    return F.reduce_sum(F.mul(x, x), **over)


def _l2(x: Value, **over) -> Value:
    if not x.type.dtype.is_float:
        return F.cast(_l2(F.cast(x, dtype=DType.F32), **over), dtype=x.type.dtype)
    return F.sqrt(_square_sum(x, **over))


def _log_sum(x: Value, **over) -> Value:
    if not x.type.dtype.is_float:
        return F.cast(_log_sum(F.cast(x, dtype=DType.F32), **over), dtype=x.type.dtype)
    return F.log(F.reduce_sum(x, **over))


def _mean(x: Value, **over) -> Value:
    if not x.type.dtype.is_float:
        return F.cast(F.reduce_mean(F.cast(x, dtype=DType.F32), **over), dtype=x.type.dtype)
    return F.reduce_mean(x, **over)


def _log_sum_exp(x: Value, **over) -> Value:
    if not x.type.dtype.is_float:
        return F.cast(_log_sum_exp(F.cast(x, dtype=DType.F32), **over), dtype=x.type.dtype)
    return F.reduce_logsumexp(x, **over)


_REDUCTIONS = {
    "ReduceSum": lambda x, **over: F.reduce_sum(x, **over), "ReduceProd": lambda x, **over: F.reduce_prod(x, **over),
    "ReduceMax": lambda x, **over: F.reduce_max(x, **over), "ReduceMin": lambda x, **over: F.reduce_min(x, **over),
    "ReduceMean": _mean, "ReduceL1": _l1, "ReduceL2": _l2, "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp, "ReduceSumSquare": _square_sum}

#: What each does to one element, where no axes mean none.
_OF_ONE = {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceSumSquare"}


@converts(*_REDUCTIONS)
def reduction(node: SourceNode, x: Value, axes: Value | None = None) -> Value:
    """Along axes, by default all, or none with ``noop_with_empty_axes``."""
    chosen = node.axes(axes)
    if not chosen:
        chosen = () if node.flag("noop_with_empty_axes") else None
    if chosen == () and node.op not in _OF_ONE:
        return x
    return _REDUCTIONS[node.op](x, axes=chosen, keepdims=node.flag("keepdims", True))


@converts("ArgMax", "ArgMin")
def arg_extreme(node: SourceNode, x: Value) -> Value:
    """The place of the largest or smallest element: of equal ones the first, or with ``select_last_index`` the
    last."""
    axis = normalize_axis(node.integer("axis", 0), x.type.rank)
    last, largest = node.flag("select_last_index"), node.op == "ArgMax"
    size = x.type.shape[axis]
    backwards = F.flip(x, axes=(axis,)) if last else x
    order = F.argsort(backwards, axis=axis, descending=largest)
    ones = tuple(1 if i == axis else d for i, d in enumerate(x.type.shape))
    found = F.slice(order, starts=(0,) * x.type.rank, sizes=ones, steps=(1,) * x.type.rank)
    found = F.cast(found, dtype=DType.I64)
    if last:
        found = F.sub(F.sub(dim_value(size, DType.I64), 1), found)
    return found if node.flag("keepdims", True) else F.reshape(
        found, shape=tuple(d for i, d in enumerate(x.type.shape) if i != axis))


@converts("CumSum", "CumProd")
def cumulative(node: SourceNode, x: Value, axis: Value) -> Value:
    """Each with all before it combined; ``exclusive`` without the element itself, ``reverse`` from the end."""
    along, neutral = normalize_axis(node.ints(axis, "the axis")[0], x.type.rank), int(node.op == "CumProd")
    x = F.flip(x, axes=(along,)) if node.flag("reverse") else x
    if node.flag("exclusive"):
        front = tuple(1 if i == along else 0 for i in range(x.type.rank))
        padded = F.pad(x, constant(np.asarray(neutral, x.type.dtype.numpy)), before=front, after=(0,) * x.type.rank)
        x = F.slice(padded, starts=(0,) * x.type.rank, sizes=x.type.shape, steps=(1,) * x.type.rank)
    total = (F.cumprod if neutral else F.cumsum)(x, axis=along)
    return F.flip(total, axes=(along,)) if node.flag("reverse") else total


@converts("LpNormalization")
def lp_normalization(node: SourceNode, x: Value) -> Value:
    """x divided by its norm along an axis, 0 where that is 0."""
    axis = normalize_axis(node.integer("axis", -1), x.type.rank)
    norm = (_l1 if node.integer("p", 2) == 1 else _l2)(x, axes=(axis,), keepdims=True)
    return F.select(F.equal(norm, 0.0), 0.0, F.div(x, norm))


@converts("MeanVarianceNormalization")
def mean_variance_normalization(node: SourceNode, x: Value) -> Value:
    axes = normalize_axes(node.integers("axes", (0, 2, 3)), x.type.rank)
    centred = F.sub(x, F.reduce_mean(x, axes=axes, keepdims=True))
    deviation = F.sqrt(F.reduce_mean(F.square(centred), axes=axes, keepdims=True))
    return F.div(centred, F.add(deviation, 1e-9))
