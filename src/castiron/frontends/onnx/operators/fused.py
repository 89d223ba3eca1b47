"""What onnxruntime makes of several of ONNX's operators: products with activations, sums with normalisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.contract import gemm, matrix_product
from castiron.frontends.onnx.operators.normalization import rms_normalization, skip_layer_normalization
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.onnx.operators.window import channels_first, channels_last, conv, conv_transpose, max_pool
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.ir import DType, Value, constant
from castiron.ops import F

#: What is done to a product, by the parameters that a node gives.
_ACTIVATIONS = {
    "Relu": lambda x: F.relu(x),
    "Sigmoid": lambda x: F.sigmoid(x),
    "Tanh": lambda x: F.tanh(x),
    "Softplus": lambda x: F.softplus(x),
    "Softsign": lambda x: F.softsign(x),
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha=alpha),
    "Elu": lambda x, alpha=1.0: F.elu(x, alpha=alpha),
    "ThresholdedRelu": lambda x, alpha=1.0: F.threshold(x, threshold=alpha, value=0.0),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: F.hard_sigmoid(x, alpha=alpha, beta=beta),
    "Clip": lambda x, low, high: F.minimum(F.maximum(x, low), high),
}


def _activated(x: Value, name: str, parameters: Sequence[float]) -> Value:
    if name not in ("", *_ACTIVATIONS):
        raise ModelError(f"the activation {name!r} is not supported")
    return _ACTIVATIONS[name](x, *parameters) if name else x


@converts("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
def fused_matmul(node: SourceNode, a: Value, b: Value) -> Value:
    """α·A·B, A and B perhaps transposed; a transposed batch has its first axis before the last one."""
    a, b = (_transposed(v, node.flag(f"trans{x}"), node.flag(f"transBatch{x}")) for x, v in (("A", a), ("B", b)))
    alpha, y = node.number("alpha", 1.0), matrix_product(a, b)
    return y if alpha == 1 else F.mul(y, alpha)


def _transposed(x: Value, matrix: bool, batch: bool) -> Value:
    axes = list(range(x.type.rank))
    if batch and len(axes) > 2:
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if matrix and len(axes) > 1:
        axes[-2:] = axes[:-3:-1]
    return F.transpose(x, perm=tuple(axes))


@converts("com.microsoft.FusedGemm")
def fused_gemm(node: SourceNode, a: Value, b: Value, c: Value | None = None) -> Value:
    names = [f"activation_{name}" for name in ("alpha", "beta", "gamma")]
    return _activated(gemm(node, a, b, c), node.text("activation", ""),
                      [node.number(name, 0.0) for name in names if name in node.attrs])


@converts("com.microsoft.FusedConv")
def fused_conv(node: SourceNode, x: Value, w: Value, bias: Value | None = None, more: Value | None = None) -> Value:
    """A convolution, to which something is added before the activation."""
    y = conv(node, x, w, bias)
    y = y if more is None else F.add(y, more)
    return _activated(y, node.text("activation", ""), node.numbers("activation_params"))


@converts("com.microsoft.ConvTransposeWithDynamicPads")
def conv_transpose_with_pads(node: SourceNode, x: Value, w: Value, pads: Value | None = None,
                             bias: Value | None = None) -> Value:
    given = pb.AttributeProto(name="pads", ints=() if pads is None else node.ints(pads, "the padding"))
    return conv_transpose(replace(node, attrs={**node.attrs, "pads": given}), x, w, bias)


@converts("com.microsoft.NhwcMaxPool")
def max_pool_channels_last(node: SourceNode, x: Value) -> Value:
    return channels_last(max_pool(node, channels_first(x))[0])


@converts("com.microsoft.BiasGelu", "com.microsoft.FastGelu")
def bias_gelu(node: SourceNode, x: Value, bias: Value | None = None) -> Value:
    """gelu(x + bias), the fast one by way of tanh."""
    return F.gelu(x if bias is None else F.add(x, bias), approximate=node.op == "com.microsoft.FastGelu")


@converts("com.microsoft.QuickGelu")
def quick_gelu(node: SourceNode, x: Value) -> Value:
    """x · sigmoid(α·x)"""
    return F.mul(x, F.sigmoid(F.mul(x, node.number("alpha", 1.702))))


@converts("com.microsoft.SkipSimplifiedLayerNormalization")
def skip_rms_normalization(node: SourceNode, x: Value, skip: Value, scale: Value,
                           bias: Value | None = None) -> tuple[Value | None, ...]:
    total = F.add(x, skip)
    total = total if bias is None else F.add(total, bias)
    return rms_normalization(node, total, scale), None, None, total


@converts("com.microsoft.EmbedLayerNormalization")
def embed_layer_normalization(node: SourceNode, words: Value, segments: Value | None, word_table: Value,
                              place_table: Value, segment_table: Value | None, scale: Value, shift: Value,
                              mask: Value | None = None, places: Value | None = None) -> tuple[Value, ...]:
    """The sum of what tables hold for each word [batch, steps], its place and its segment, normalised; how many words
    of each text the mask keeps; and the sum."""
    batch, steps = words.type.shape
    places = F.reshape(count_up(steps), shape=(1, steps)) if places is None else places
    total = F.add(F.gather(word_table, words, axis=0), F.gather(place_table, places, axis=0))
    if segments is not None and segment_table is not None:
        total = F.add(total, F.gather(segment_table, segments, axis=0))
    zero = constant(np.zeros((), np.float32))
    y = skip_layer_normalization(node, total, zero, scale, shift)[0]
    counts = F.broadcast_to(constant(np.int32(0)), shape=(batch,)) if mask is None else (
        F.reduce_sum(F.cast(mask, dtype=DType.I32), axes=(1,)))
    return y, counts, total


@converts("com.microsoft.CDist")
def distances(node: SourceNode, a: Value, b: Value) -> Value:
    """Between all rows of a [N, C] and all of b [M, C]."""
    (n, width), m = a.type.shape, b.type.shape[0]
    difference = F.sub(F.reshape(a, shape=(n, 1, width)), F.reshape(b, shape=(1, m, width)))
    total = F.reduce_sum(F.square(difference), axes=(2,))
    metric = node.text("metric", "sqeuclidean")
    if metric not in ("sqeuclidean", "euclidean"):
        raise ModelError(f"the metric {metric!r} is not supported")
    return F.sqrt(total) if metric == "euclidean" else total
