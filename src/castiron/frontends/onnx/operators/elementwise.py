"""Operators that compute each element by itself."""

from __future__ import annotations

from functools import reduce

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts, same_as
from castiron.ir import DType, Value, constant
from castiron.ops import F, apply
from castiron.ops.base import normalize_axis
from castiron.ops.symbolic import never_negative

same_as(Neg="neg", Exp="exp", Log="log", Sqrt="sqrt", Sin="sin", Cos="cos", Tan="tan", Asin="asin", Acos="acos",
        Atan="atan", Sinh="sinh", Cosh="cosh", Asinh="asinh", Acosh="acosh", Atanh="atanh", Erf="erf",
        Floor="floor", Ceil="ceil", Round="round", Reciprocal="reciprocal", Not="not", BitwiseNot="bitwise_not",
        IsNaN="is_nan")

#: Operators of two operands.
_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "And": "and", "Or": "or", "Equal": "equal", "Less": "less",
           "Greater": "greater", "LessOrEqual": "less_equal", "GreaterOrEqual": "greater_equal",
           "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor"}


@converts(*_BINARY)
def binary(node: SourceNode, x: Value, y: Value) -> Value:
    return apply(_BINARY[node.op], x, aligned(node, x, y))


def aligned(node: SourceNode, x: Value, y: Value) -> Value:
    """y as it goes together with x: before version 7 its first axis may be that of x which an attribute names."""
    axis = node.integer("axis", -1)
    if node.version >= 7 or not node.flag("broadcast") or axis == -1 or not y.type.rank:
        return y
    axis = normalize_axis(axis, x.type.rank)
    return F.reshape(y, shape=(*y.type.shape, *(1,) * (x.type.rank - y.type.rank - axis)))


@converts("Xor")
def xor(node: SourceNode, x: Value, y: Value) -> Value:
    return F.not_equal(x, aligned(node, x, y))


@converts("Div")
def div(node: SourceNode, x: Value, y: Value) -> Value:
    """The quotient, of integers without its fraction."""
    y = aligned(node, x, y)
    if x.type.dtype.is_float:
        return F.div(x, y)
    return quotient(x, y)


def quotient(x: Value, y: Value) -> Value:
    """Integers divided, the fraction cut off."""
    unsigned = x.type.dtype.numpy.kind == "u" or (never_negative(x) and never_negative(y))
    down = F.floordiv(x, y)
    if unsigned:
        return down
    inexact = F.not_equal(F.mul(down, y), x)
    opposite = F.not_equal(F.less(x, 0), F.less(y, 0))
    return F.add(down, F.cast(apply("and", inexact, opposite), dtype=x.type.dtype))


@converts("Mod")
def mod(node: SourceNode, x: Value, y: Value) -> Value:
    """The remainder with the sign of the divisor, or with ``fmod`` that of the dividend."""
    if not node.flag("fmod") or x.type.dtype.numpy.kind == "u":
        return F.floormod(x, y)
    if not x.type.dtype.is_float:
        return F.sub(x, F.mul(quotient(x, y), y))
    rest = F.floormod(F.abs(x), F.abs(y))
    return F.select(F.less(x, 0), F.neg(rest), rest)


@converts("Pow")
def pow_(node: SourceNode, x: Value, y: Value) -> Value:
    y = aligned(node, x, y)
    if x.type.dtype.is_float:
        exponent = y.constant
        if exponent is not None and exponent.size == 1 and y.type.rank <= x.type.rank and exponent.item() in _POWERS:
            return _POWERS[exponent.item()](x)
        return F.pow(x, F.cast(y, dtype=x.type.dtype))
    wide = F.pow(F.cast(x, dtype=DType.F64), F.cast(y, dtype=DType.F64))
    return F.cast(F.trunc(F.add(wide, F.mul(F.sign(wide), 1e-3))), dtype=x.type.dtype)


_POWERS = {1: lambda x: x, 2: F.square, 0.5: F.sqrt, -1: F.reciprocal, 3: lambda x: F.mul(x, F.square(x))}


@converts("BitShift")
def bit_shift(node: SourceNode, x: Value, y: Value) -> Value:
    """x moved by y bits; by more than it has, or by a negative number, all of them leave."""
    bits, right = x.type.dtype.itemsize * 8, node.text("direction", "") == "RIGHT"
    within = apply("and", F.greater_equal(y, 0), F.less(y, bits))
    by = F.select(within, y, bits - 1)
    if right and x.type.dtype.numpy.kind == "i":
        return F.right_shift(x, by)
    return F.select(within, (F.right_shift if right else F.left_shift)(x, by), constant(x.type.dtype.numpy.type(0)))


@converts("Abs", "Sign")
def signed(node: SourceNode, x: Value) -> Value:
    if x.type.dtype.numpy.kind == "u":
        return x if node.op == "Abs" else F.minimum(x, 1)
    return F.abs(x) if node.op == "Abs" else F.sign(x)


@converts("IsInf")
def is_inf(node: SourceNode, x: Value) -> Value:
    below, above = node.flag("detect_negative", True), node.flag("detect_positive", True)
    if below and above:
        return F.equal(F.abs(x), float("inf"))
    if not (below or above):
        return F.less(F.abs(x), 0.0)
    return F.equal(x, float("-inf") if below else float("inf"))


@converts("Max", "Min", "Sum")
def extremes(node: SourceNode, first: Value, *rest: Value) -> Value:
    return reduce({"Max": F.maximum, "Min": F.minimum, "Sum": F.add}[node.op], rest, first)


@converts("Mean")
def mean(node: SourceNode, first: Value, *rest: Value) -> Value:
    return F.div(reduce(F.add, rest, first), float(1 + len(rest)))


@converts("Where")
def where(node: SourceNode, condition: Value, x: Value, y: Value) -> Value:
    return F.select(condition, x, y)


@converts("Clip")
def clip(node: SourceNode, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    """x between two bounds, of which either may be missing."""
    for bound, name, limit in ((low, "min", F.maximum), (high, "max", F.minimum)):
        if bound is not None:
            x = limit(x, F.reshape(bound, shape=()))
        elif name in node.attrs:
            x = limit(x, constant(np.asarray(node.number(name, 0.0), x.type.dtype.numpy)))
    return x


@converts("Cast")
def cast(node: SourceNode, x: Value) -> Value:
    return node.kinds.cast(x, node.dtype("to"), node.kind("to"), node.flag("saturate", True),
                           node.text("round_mode", "up"))


@converts("CastLike")
def cast_like(node: SourceNode, x: Value, like: Value) -> Value:
    return node.kinds.cast(x, like.type.dtype, node.kinds.of(like), node.flag("saturate", True),
                           node.text("round_mode", "up"))


@converts("BitCast")
def bit_cast(node: SourceNode, x: Value) -> Value:
    return F.bitcast(x, dtype=node.dtype("to"))


@converts("Identity", compound=True)
def identity(node: SourceNode, x: Value) -> Value:
    return x


@converts("Dropout")
def dropout(node: SourceNode, x: Value, ratio: Value | None = None, training: Value | None = None) -> tuple[Value, ...]:
    """x itself, and that all of it is kept; training is not supported unless its ratio is 0."""
    if training is not None and node.known(training, "whether it trains").any():
        if ratio is None or node.known(ratio, "the ratio").any():
            raise ModelError("drops elements as in training; export the model for inference")
    mask = F.broadcast_to(constant(np.asarray(1, bool if node.version >= 10 else x.type.dtype.numpy)),
                          shape=x.type.shape)
    return x, mask
