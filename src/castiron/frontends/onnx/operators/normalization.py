"""Normalisation by mean and variance."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axis


def _channels(parameter: Value, rank: int) -> Value:
    """One parameter a channel as it goes together with [N, C, …]."""
    return F.reshape(parameter, shape=(1, *parameter.type.shape, *(1,) * (rank - 2)))


def _normal(x: Value, axes: tuple[int, ...], epsilon: float) -> tuple[Value, Value, Value]:
    """(x - mean) / √(variance + epsilon), the mean, and the reciprocal of the root."""
    mean = F.reduce_mean(x, axes=axes, keepdims=True)
    centred = F.sub(x, mean)
    inverse = F.rsqrt(F.add(F.reduce_mean(F.square(centred), axes=axes, keepdims=True), epsilon))
    return F.mul(centred, inverse), mean, inverse


@converts("BatchNormalization")
def batch_normalization(node: SourceNode, x: Value, scale: Value, bias: Value, mean: Value,
                        variance: Value) -> tuple[Value | None, ...]:
    """By given means and variances; with ``training_mode`` by those of x, which are then mixed into the given."""
    epsilon = node.number("epsilon", 1e-5)
    if node.version < 7 and not node.flag("is_test"):
        raise ModelError("normalises by the statistics of the batch; export the model for inference")
    if not node.flag("spatial", True):  # a parameter for each place
        scale, bias, mean, variance = (F.reshape(v, shape=x.type.shape[1:]) for v in (scale, bias, mean, variance))
        inverse = F.rsqrt(F.add(variance, epsilon))
        return F.add(F.mul(F.mul(F.sub(x, mean), inverse), scale), bias), None, None, None, None
    if not node.flag("training_mode"):
        axis = 1 if x.type.rank > 1 else 0
        return F.batch_norm(x, scale, bias, mean, variance, axis=axis, epsilon=epsilon), None, None, None, None
    axes, keep = tuple(a for a in range(x.type.rank) if a != 1), node.number("momentum", 0.9)
    own = F.reduce_mean(x, axes=axes)
    spread = F.reduce_mean(F.square(F.sub(x, _channels(own, x.type.rank))), axes=axes)
    y = F.batch_norm(x, scale, bias, own, spread, axis=1, epsilon=epsilon)
    return (y, *(F.add(F.mul(old, keep), F.mul(new, 1 - keep)) for old, new in ((mean, own), (variance, spread))))


@converts("InstanceNormalization")
def instance_normalization(node: SourceNode, x: Value, scale: Value, bias: Value) -> Value:
    normal, *_ = _normal(x, tuple(range(2, x.type.rank)), node.number("epsilon", 1e-5))
    return F.add(F.mul(normal, _channels(scale, x.type.rank)), _channels(bias, x.type.rank))


@converts("GroupNormalization")
def group_normalization(node: SourceNode, x: Value, scale: Value, bias: Value) -> Value:
    """With one scale a channel, before version 21 one a group."""
    groups, channels = node.integer("num_groups", 1), x.type.shape[1]
    if scale.type.shape == (groups,) and groups != channels:
        scale, bias = (F.gather(v, constant(np.arange(channels) * groups // channels), axis=0) for v in (scale, bias))
    return F.group_norm(x, scale, bias, groups=groups, axis=1, epsilon=node.number("epsilon", 1e-5))


@converts("LayerNormalization")
def layer_normalization(node: SourceNode, x: Value, scale: Value, bias: Value | None = None) -> tuple[Value, ...]:
    axis = normalize_axis(node.integer("axis", -1), x.type.rank)
    normal, mean, inverse = _normal(x, tuple(range(axis, x.type.rank)), node.number("epsilon", 1e-5))
    y = F.mul(normal, scale)
    return (y if bias is None else F.add(y, bias)), mean, inverse


@converts("RMSNormalization", "SimplifiedLayerNormalization")
def rms_normalization(node: SourceNode, x: Value, scale: Value) -> Value:
    axis = normalize_axis(node.integer("axis", -1), x.type.rank)
    mean = F.reduce_mean(F.square(x), axes=tuple(range(axis, x.type.rank)), keepdims=True)
    return F.mul(F.mul(x, F.rsqrt(F.add(mean, node.number("epsilon", 1e-5)))), scale)


@converts("com.microsoft.SkipLayerNormalization")
def skip_layer_normalization(node: SourceNode, x: Value, skip: Value, scale: Value, shift: Value | None = None,
                             bias: Value | None = None) -> tuple[Value | None, ...]:
    total = F.add(x, skip)
    total = total if bias is None else F.add(total, bias)
    normal, mean, inverse = _normal(total, (-1,), node.number("epsilon", 1e-12))
    y = F.mul(normal, scale)
    return (y if shift is None else F.add(y, shift)), mean, inverse, total
