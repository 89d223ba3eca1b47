"""onnxruntime's operators on integers that stand for numbers by a scale and a zero point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.activation import softmax
from castiron.frontends.onnx.operators.contract import matrix_product
from castiron.frontends.onnx.operators.quantize import (
    centred,
    dequantize_linear,
    dynamic_quantize_linear,
    q_linear_conv,
    quantize_linear,
    quantized,
)
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.onnx.operators.window import average_pool, channels_first, channels_last, global_pool
from castiron.ir import DType, Value, constant
from castiron.ops import F

converts("com.microsoft.QuantizeLinear")(quantize_linear)
converts("com.microsoft.DequantizeLinear")(dequantize_linear)


def _number(x: Value, scale: Value, zero: Value | None) -> Value:
    """What integers stand for."""
    return F.mul(F.cast(centred(x, zero, -1), dtype=DType.F32), F.reshape(scale, shape=()))


def _integers(y: Value, scale: Value, zero: Value | None, like: Value) -> Value:
    """Integers of the type of others that stand for y."""
    zero = None if zero is None else F.reshape(zero, shape=())
    return quantized(y, F.reshape(scale, shape=()), zero, like.type.dtype)


@converts("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def binary(node: SourceNode, a: Value, a_scale: Value, a_zero: Value | None, b: Value, b_scale: Value,
           b_zero: Value | None, y_scale: Value, y_zero: Value | None = None) -> Value:
    function = F.add if node.op == "com.microsoft.QLinearAdd" else F.mul
    return _integers(function(_number(a, a_scale, a_zero), _number(b, b_scale, b_zero)), y_scale, y_zero, a)


_UNARY: dict[str, Callable[[SourceNode, Value], Value]] = {
    "QLinearSigmoid": lambda node, x: F.sigmoid(x),
    "QLinearLeakyRelu": lambda node, x: F.leaky_relu(x, alpha=node.number("alpha", 0.01)),
    "QLinearSoftmax": lambda node, x: softmax(replace(node, op="Softmax", version=node.integer("opset", 13)), x),
    "QLinearAveragePool": lambda node, x: _channels_apart(node, x, average_pool),
    "QLinearGlobalAveragePool": lambda node, x: _channels_apart(replace(node, op="GlobalAveragePool"), x, global_pool),
    "QLinearReduceMean": lambda node, x: F.reduce_mean(x, axes=node.integers("axes") or None,
                                                       keepdims=node.flag("keepdims", True)),
}


def _channels_apart(node: SourceNode, x: Value, function: Callable[[SourceNode, Value], Value]) -> Value:
    last = node.flag("channels_last")
    y = function(node, channels_first(x) if last else x)
    return channels_last(y) if last else y


@converts(*(f"com.microsoft.{name}" for name in _UNARY))
def unary(node: SourceNode, x: Value, x_scale: Value, x_zero: Value | None, y_scale: Value,
          y_zero: Value | None = None) -> Value:
    y = _UNARY[node.op.removeprefix("com.microsoft.")](node, _number(x, x_scale, x_zero))
    return _integers(y, y_scale, y_zero, x)


@converts("com.microsoft.QLinearConcat")
def concat(node: SourceNode, y_scale: Value, y_zero: Value, *operands: Value) -> Value:
    """Of three operands each: integers, their scale and their zero point."""
    if not operands or len(operands) % 3:
        raise ModelError(f"{node.op} of {len(operands)} operands, which come in threes")
    numbers = [_number(*operands[i:i + 3]) for i in range(0, len(operands), 3)]
    return _integers(F.concat(*numbers, axis=node.integer("axis", 1)), y_scale, y_zero, operands[0])


@converts("com.microsoft.QLinearWhere")
def where(node: SourceNode, condition: Value, x: Value, x_scale: Value, x_zero: Value, y: Value, y_scale: Value,
          y_zero: Value, z_scale: Value, z_zero: Value) -> Value:
    chosen = F.select(condition, _number(x, x_scale, x_zero), _number(y, y_scale, y_zero))
    return _integers(chosen, z_scale, z_zero, x)


@converts("com.microsoft.QLinearConv")
def conv(node: SourceNode, x: Value, x_scale: Value, x_zero: Value, w: Value, w_scale: Value, w_zero: Value,
         y_scale: Value, y_zero: Value, bias: Value | None = None) -> Value:
    return _channels_apart(node, x, lambda node, x: q_linear_conv(node, x, x_scale, x_zero, w, w_scale, w_zero,
                                                                  y_scale, y_zero, bias))


@converts("com.microsoft.QGemm")
def gemm(node: SourceNode, a: Value, a_scale: Value, a_zero: Value | None, b: Value, b_scale: Value,
         b_zero: Value | None, c: Value | None = None, y_scale: Value | None = None,
         y_zero: Value | None = None) -> Value:
    """α·A·B + C, where C's scale is that of the product; integers if there is a scale for them, else numbers."""
    flip_a, flip_b = node.flag("transA"), node.flag("transB")
    total = F.matmul(centred(a, a_zero, -2), centred(b, b_zero, 0 if flip_b else 1), transpose_a=flip_a,
                     transpose_b=flip_b)
    total = total if c is None else F.add(total, c)
    scale = F.mul(F.mul(_spread(a_scale), _spread(b_scale)), node.number("alpha", 1.0))
    y = F.mul(F.cast(total, dtype=DType.F32), scale)
    return y if y_scale is None else _integers(y, y_scale, y_zero, a)


def _spread(scale: Value) -> Value:
    """One scale, or one a column."""
    return F.reshape(scale, shape=()) if scale.type.size == 1 else scale


@converts("com.microsoft.MatMulIntegerToFloat")
def product_as_numbers(node: SourceNode, a: Value, b: Value, a_scale: Value, b_scale: Value,
                       a_zero: Value | None = None, b_zero: Value | None = None, bias: Value | None = None) -> Value:
    total = matrix_product(centred(a, a_zero, -2), centred(b, b_zero, -1))
    y = F.mul(F.cast(total, dtype=DType.F32), F.mul(_spread(a_scale), _spread(b_scale)))
    return y if bias is None else F.add(y, bias)


@converts("com.microsoft.DynamicQuantizeMatMul")
def dynamic_product(node: SourceNode, a: Value, b: Value, b_scale: Value, b_zero: Value | None = None,
                    bias: Value | None = None) -> Value:
    """A is made integers by its own range."""
    integers, scale, zero = dynamic_quantize_linear(node, a)
    return product_as_numbers(node, integers, b, scale, b_scale, zero, b_zero, bias)


@converts("com.microsoft.MatMulNBits")
def product_of_packed(node: SourceNode, a: Value, b: Value, scales: Value, zeros: Value | None = None,
                      order: Value | None = None, bias: Value | None = None) -> Value:
    """A·Bᵀ with B [N, K] packed into bytes, with a scale for each block along K."""
    n, k, bits, block = (node.integer(name, 0) for name in ("N", "K", "bits", "block_size"))
    if order is not None:
        raise ModelError(f"{node.op} with blocks that are out of order is not supported")
    y = matrix_product(a, constant(np.ascontiguousarray(_unpacked(node, b, scales, zeros, bits, block, (n, k)).T)))
    return y if bias is None else F.add(y, bias)


@converts("com.microsoft.GatherBlockQuantized")
def gather_packed(node: SourceNode, table: Value, indices: Value, scales: Value, zeros: Value | None = None) -> Value:
    """Rows of a table that is packed into bytes along its last axis."""
    bits, block, rank = node.integer("bits", 4), node.integer("block_size", 128), table.type.rank
    if table.type.dtype != DType.U8 or node.integer("gather_axis", 0) or node.integer("quantize_axis", 1) not in (
            -1, rank - 1) or rank != 2:
        raise ModelError(f"{node.op} of {table.type!r} along these axes is not supported")
    rows, width = table.type.shape
    return F.gather(constant(_unpacked(node, table, scales, zeros, bits, block, (rows, width * 8 // bits))), indices,
                    axis=0)


def _unpacked(node: SourceNode, packed: Value, scales: Value, zeros: Value | None, bits: int, block: int,
              shape: tuple[int, int]) -> np.ndarray:
    """(integer - zero point) · scale of each block along the rows of a constant; several integers share a byte, the
    first one in the lowest bits."""
    if any(v is not None and v.constant is None for v in (packed, scales, zeros)):
        raise ModelError(f"the weights of {node.op} must be constants")
    if bits not in (2, 4, 8) or block < 1 or min(shape) < 1 or shape[0] * shape[1] * bits > packed.constant.size * 8:
        raise ModelError(f"{node.op} of {bits} bits in blocks of {block} for {shape} is not supported")
    rows, width = shape
    block_of, blocks = np.arange(width) // block, -(-width // block)

    def spread(array: np.ndarray) -> np.ndarray:
        """Integers out of bytes, in rows."""
        parts = (array.reshape(rows, -1)[:, :, None] >> np.arange(0, 8, bits, dtype=np.uint8)) & ((1 << bits) - 1)
        return parts.reshape(rows, -1)

    numbers, scale = spread(packed.constant)[:, :width], scales.constant.reshape(rows, blocks)[:, block_of]
    if zeros is None:
        return (numbers.astype(np.float32) - float(1 << (bits - 1))) * scale
    found = spread(zeros.constant)[:, :blocks] if zeros.type.dtype == DType.U8 else zeros.constant.reshape(rows, blocks)
    return (numbers - found[:, block_of].astype(np.float32)) * scale
