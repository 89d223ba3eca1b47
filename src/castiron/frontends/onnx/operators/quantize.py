"""Integers that stand for numbers by a scale and a zero point, and operators on them."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.narrow import bounds
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.contract import matrix_product
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.onnx.operators.window import convolved, window
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axis


def _spread(parameter: Value, x: Value, node: SourceNode) -> Value:
    """A scale or zero point as it goes together with x: one for all, for each index of an axis, or for each block
    along it."""
    if parameter.type.size == 1 and parameter.type.rank <= 1:
        return F.reshape(parameter, shape=())
    axis = normalize_axis(node.integer("axis", 1), x.type.rank)
    if parameter.type.rank == 1:
        return F.reshape(parameter, shape=tuple(parameter.type.shape[0] if i == axis else 1
                                                for i in range(x.type.rank)))
    block, size = node.integer("block_size", 0), x.type.shape[axis]
    if not block or not isinstance(size, int):
        raise ModelError(f"scales {parameter.type!r} for {x.type!r} without a block size")
    return F.gather(parameter, constant(np.arange(size) // block), axis=axis)


def _bounds(dtype: DType, kind: str | None = None) -> tuple[float, float]:
    if kind is not None:
        return tuple(map(float, bounds(kind)))
    info = np.iinfo(dtype.numpy)
    return float(info.min), float(info.max)


def quantized(x: Value, scale: Value, zero: Value | None, dtype: DType, kind: str | None = None) -> Value:
    """round(x / scale) + zero, halves to even, within the bounds of the type."""
    return _steps(F.div(x, scale), zero, dtype, kind)


def _steps(x: Value, zero: Value | None, dtype: DType, kind: str | None = None) -> Value:
    """round(x) + zero, halves to even, within the bounds of the type."""
    low, high = _bounds(dtype, kind)
    steps = F.round(x)
    if zero is not None:
        steps = F.add(steps, F.cast(zero, dtype=x.type.dtype))
    return F.cast(F.minimum(F.maximum(steps, low), high), dtype=dtype)


@converts("QuantizeLinear")
def quantize_linear(node: SourceNode, x: Value, scale: Value, zero: Value | None = None) -> Value:
    """x / scale in the type of both, or that named by ``precision``; to integers or narrow floats."""
    kinds = node.kinds
    if zero is not None:
        dtype, kind = zero.type.dtype, kinds.of(zero)
    elif node.integer("output_dtype", 0):
        dtype, kind = node.dtype("output_dtype"), node.kind("output_dtype")
    else:
        dtype, kind = DType.U8, None
    narrow = node.kind("precision") if node.integer("precision", 0) else kinds.common((x, scale))
    wide = node.dtype("precision") if node.integer("precision", 0) else DType.F32
    x, scale = (v if v.type.dtype.is_float else F.cast(v, dtype=wide) for v in (x, _spread(scale, x, node)))
    if x.type.dtype != scale.type.dtype:
        x = F.cast(x, dtype=scale.type.dtype)
    quotient = kinds.rounded(F.div(x, scale), narrow)
    if dtype.is_float:
        return kinds.cast(quotient, dtype, kind, node.flag("saturate", True))
    return kinds.mark(_steps(quotient, None if zero is None else _spread(zero, x, node), dtype, kind), kind)


@converts("DequantizeLinear")
def dequantize_linear(node: SourceNode, x: Value, scale: Value, zero: Value | None = None) -> Value:
    """(x - zero) · scale, rounded once to the scale's type or that named by ``output_dtype``."""
    kinds, named = node.kinds, node.integer("output_dtype", 0)
    dtype, kind = (node.dtype("output_dtype"), node.kind("output_dtype")) if named else (
        scale.type.dtype, kinds.of(scale))
    if zero is not None and not x.type.dtype.is_float:
        zero = _spread(zero, x, node)
        x = F.sub(F.cast(x, dtype=DType.I32), F.cast(zero, dtype=DType.I32))
    y = F.mul(F.cast(x, dtype=scale.type.dtype), _spread(scale, x, node))
    return kinds.cast(y, dtype, kind) if named or kind else y


@converts("DynamicQuantizeLinear")
def dynamic_quantize_linear(node: SourceNode, x: Value) -> tuple[Value, Value, Value]:
    """To the range of x itself, which is made to include 0. The scale of nothing but zeros is 1, as onnxruntime has
    it."""
    low = F.minimum(F.reduce_min(x), 0.0)
    high = F.maximum(F.reduce_max(x), 0.0)
    width = F.sub(high, low)
    scale = F.select(F.equal(width, 0.0), 1.0, F.div(width, 255.0))
    zero = F.round(F.maximum(F.minimum(F.div(F.neg(low), scale), 255.0), 0.0))
    zero = F.cast(zero, dtype=DType.U8)
    return quantized(x, scale, zero, DType.U8), scale, zero


def centred(x: Value, zero: Value | None, axis: int) -> Value:
    """x less its zero point, one for all or one for each index of an axis, as i32."""
    x = F.cast(x, dtype=DType.I32)
    if zero is None:
        return x
    zero = F.cast(zero, dtype=DType.I32)
    if zero.type.rank == 1 and zero.type.size != 1:
        shape = tuple(zero.type.shape[0] if i == axis % x.type.rank else 1 for i in range(x.type.rank))
        return F.sub(x, F.reshape(zero, shape=shape))
    return F.sub(x, F.reshape(zero, shape=()) if zero.type.size == 1 else zero)


@converts("MatMulInteger")
def matmul_integer(node: SourceNode, a: Value, b: Value, a_zero: Value | None = None,
                   b_zero: Value | None = None) -> Value:
    return matrix_product(centred(a, a_zero, -2), centred(b, b_zero, -1))


@converts("ConvInteger")
def conv_integer(node: SourceNode, x: Value, w: Value, x_zero: Value | None = None,
                 w_zero: Value | None = None) -> Value:
    at = window(node, x.type.shape[2:], w.type.shape[2:])
    return convolved(centred(x, x_zero, 1), centred(w, w_zero, 0), None, at, node.integer("group", 1))


@converts("QLinearMatMul")
def q_linear_matmul(node: SourceNode, a: Value, a_scale: Value, a_zero: Value, b: Value, b_scale: Value,
                    b_zero: Value, y_scale: Value, y_zero: Value) -> Value:
    total = matrix_product(centred(a, a_zero, -2), centred(b, b_zero, -1))
    return _requantized(total, (a_scale, b_scale, y_scale), y_zero)


@converts("QLinearConv")
def q_linear_conv(node: SourceNode, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value,
                  y_scale: Value, y_zero: Value, bias: Value | None = None) -> Value:
    at = window(node, x.type.shape[2:], w.type.shape[2:])
    total = convolved(centred(x, x_zero, 1), centred(w, w_zero, 0), bias, at, node.integer("group", 1))
    if w_scale.type.rank == 1 and w_scale.type.size != 1:
        w_scale = F.reshape(w_scale, shape=(*w_scale.type.shape, *(1,) * (x.type.rank - 2)))
    return _requantized(total, (x_scale, w_scale, y_scale), y_zero)


def _requantized(total: Value, scales: tuple[Value, Value, Value], zero: Value) -> Value:
    x, w, y = (F.reshape(s, shape=()) if s.type.size == 1 and s.type.rank == 1 else s for s in scales)
    factor = F.div(F.mul(x, w), y)
    numbers = F.round(F.mul(F.cast(total, dtype=factor.type.dtype), factor))
    zero = F.reshape(zero, shape=()) if zero.type.size == 1 and zero.type.rank == 1 else zero
    low, high = _bounds(zero.type.dtype)
    numbers = F.add(numbers, F.cast(zero, dtype=numbers.type.dtype))
    return F.cast(F.minimum(F.maximum(numbers, low), high), dtype=zero.type.dtype)
