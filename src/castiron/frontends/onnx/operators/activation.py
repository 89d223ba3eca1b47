"""Activation functions."""

from __future__ import annotations

from functools import partial

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.narrow import Kinds
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts, same_as
from castiron.ir import DType, Value, constant, product
from castiron.ops import F
from castiron.ops.base import normalize_axis

same_as(Sigmoid="sigmoid", Tanh="tanh", Softplus="softplus", Softsign="softsign", Mish="mish", HardSwish="hard_silu")


@converts("Relu")
def relu(node: SourceNode, x: Value) -> Value:
    return F.relu(x) if x.type.dtype.is_float else F.maximum(x, 0)


@converts("LeakyRelu")
def leaky_relu(node: SourceNode, x: Value) -> Value:
    return F.leaky_relu(x, alpha=node.number("alpha", 0.01))


@converts("PRelu")
def p_relu(node: SourceNode, x: Value, slope: Value) -> Value:
    """x where it isn't negative, else x times its slope; before version 7 one slope a channel."""
    if node.version < 7 and slope.type.rank == 1 and x.type.rank > 2:
        slope = F.reshape(slope, shape=(*slope.type.shape, *(1,) * (x.type.rank - 2)))
    return F.select(F.less(x, 0), F.mul(x, slope), x)


@converts("Elu")
def elu(node: SourceNode, x: Value) -> Value:
    return F.elu(x, alpha=node.number("alpha", 1.0))


@converts("Celu")
def celu(node: SourceNode, x: Value) -> Value:
    return F.celu(x, alpha=node.number("alpha", 1.0))


@converts("Selu")
def selu(node: SourceNode, x: Value) -> Value:
    """γ·x above 0, else γ·(α·eˣ - α)."""
    alpha, gamma = (1.6732, 1.0507) if node.version < 6 else (1.6732631921768188, 1.0507010221481323)
    alpha, gamma = node.number("alpha", alpha), node.number("gamma", gamma)
    return F.mul(F.select(F.greater(x, 0), x, F.mul(F.expm1(F.minimum(x, 0)), alpha)), gamma)


@converts("Affine")
def affine(node: SourceNode, x: Value) -> Value:
    """α·x + β: one of the operators that were on trial in the first versions, as the three that follow."""
    return F.add(F.mul(x, node.number("alpha", 1.0)), node.number("beta", 0.0))


@converts("ScaledTanh")
def scaled_tanh(node: SourceNode, x: Value) -> Value:
    return F.mul(F.tanh(F.mul(x, node.number("beta", 0.5))), node.number("alpha", 0.5))


@converts("ParametricSoftplus")
def parametric_softplus(node: SourceNode, x: Value) -> Value:
    return F.mul(F.softplus(F.mul(x, node.number("beta", 1.0))), node.number("alpha", 1.0))


@converts("ImageScaler")
def image_scaler(node: SourceNode, x: Value) -> Value:
    """scale·x + bias of each channel."""
    bias = np.array(node.numbers("bias"), x.type.dtype.numpy).reshape(-1, *(1,) * (x.type.rank - 2))
    return F.add(F.mul(x, node.number("scale", 1.0)), constant(bias))


@converts("ThresholdedRelu")
def thresholded_relu(node: SourceNode, x: Value) -> Value:
    return F.threshold(x, threshold=node.number("alpha", 1.0), value=0.0)


@converts("HardSigmoid")
def hard_sigmoid(node: SourceNode, x: Value) -> Value:
    return F.hard_sigmoid(x, alpha=node.number("alpha", 0.2), beta=node.number("beta", 0.5))


@converts("Swish")
def swish(node: SourceNode, x: Value) -> Value:
    alpha = node.number("alpha", 1.0)
    return F.silu(x) if alpha == 1 else F.mul(x, F.sigmoid(F.mul(x, alpha)))


@converts("Gelu", "com.microsoft.Gelu")
def gelu(node: SourceNode, x: Value) -> Value:
    return F.gelu(x, approximate=node.text("approximate", "none") == "tanh")


@converts("Shrink")
def shrink(node: SourceNode, x: Value) -> Value:
    """x + bias below -lambd, x - bias above lambd, 0 between them."""
    bound, bias = node.number("lambd", 0.5), node.number("bias", 0.0)
    if not x.type.dtype.is_float:
        dtype = x.type.dtype
        return F.cast(shrink(node, F.cast(x, dtype=DType.F32)), dtype=dtype)
    return F.select(F.less(x, -bound), F.add(x, bias), F.select(F.greater(x, bound), F.sub(x, bias), 0.0))


@converts("Softmax", "LogSoftmax", "Hardmax")
def softmax(node: SourceNode, x: Value) -> Value:
    """Along one axis; before version 13 along all axes from it on as if they were one."""
    function = {"Softmax": F.softmax, "LogSoftmax": F.log_softmax, "Hardmax": _hardmax}[node.op]
    if node.op == "Softmax" and (kind := node.kinds.of(x)):
        function = partial(_softmax_in_steps, kinds=node.kinds, kind=kind)
    if node.version >= 13:
        return function(x, axis=normalize_axis(node.integer("axis", -1), x.type.rank))
    axis = normalize_axis(node.integer("axis", 1), x.type.rank)
    if axis == x.type.rank - 1:
        return function(x, axis=axis)
    flat = F.reshape(x, shape=(*x.type.shape[:axis], product(x.type.shape[axis:])))
    return F.reshape(function(flat, axis=axis), shape=x.type.shape)


def _softmax_in_steps(x: Value, axis: int, kinds: Kinds, kind: str) -> Value:
    """With powers and their sum rounded to a narrow float, as in ONNX's definition of Softmax as a function; the
    exponents are not, which would cost several bits of large ones."""
    powers = kinds.rounded(F.exp(F.sub(x, F.reduce_max(x, axes=(axis,), keepdims=True))), kind)
    return F.div(powers, kinds.rounded(F.reduce_sum(powers, axes=(axis,), keepdims=True), kind))


def _hardmax(x: Value, axis: int) -> Value:
    """1 at the first of the largest elements, else 0."""
    size = x.type.shape[axis]
    if not isinstance(size, int):
        raise ModelError(f"Hardmax along the free dimension {size}")
    largest = F.cast(F.equal(x, F.reduce_max(x, axes=(axis,), keepdims=True)), dtype=DType.I32)
    first = F.equal(F.mul(largest, F.cumsum(largest, axis=axis)), 1)
    return F.cast(first, dtype=x.type.dtype)



@converts("SwiGLU")
def swi_glu(node: SourceNode, x: Value, gate: Value) -> Value:
    return F.mul(swish(node, x), gate)
