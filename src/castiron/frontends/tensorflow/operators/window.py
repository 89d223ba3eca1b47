"""Convolution, pooling, and other operators on windows that slide over images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as positions

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, DType, Value, constant
from castiron.ops import F
from castiron.ops.window import output_size, same_padding


def spatial(node: SourceNode, given: tuple[int, ...], rank: int, default: int = 1) -> tuple[int, ...]:
    """The entries for the spatial dimensions of an attribute that has one for each dimension."""
    if not given:
        return (default,) * (rank - 2)
    if len(given) != rank:
        raise ModelError(f"expects {rank} entries, one for each dimension, not {given}")
    first = 2 if _channels_first(node) else 1
    others = (*given[:first], *given[first + rank - 2:])
    if set(others) != {1}:
        raise ModelError(f"windows over the batch or the channels ({given}) are not supported")
    return given[first:first + rank - 2]


def paddings(node: SourceNode, sizes: tuple[Dim, ...], kernel: tuple[int, ...], strides: tuple[int, ...],
             dilations: tuple[int, ...]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """How much is added before and after each spatial dimension."""
    match node.text("padding", "VALID"):
        case "VALID":
            return (0,) * len(sizes), (0,) * len(sizes)
        case "SAME":
            before, after = zip(*map(same_padding, sizes, kernel, strides, dilations), strict=True)
            return before, after
        case "EXPLICIT":
            amounts = node.integers("explicit_paddings")
            first = 2 if _channels_first(node) else 1
            inner = amounts[2 * first:2 * (first + len(sizes))]
            if len(amounts) != 2 * len(sizes) + 4 or sum(amounts) != sum(inner):
                raise ModelError(f"explicit paddings {amounts} of the batch or the channels are not supported")
            return inner[::2], inner[1::2]
        case other:
            raise ModelError(f"padding {other!r} is not supported")


def channels_last(node: SourceNode, x: Value) -> Value:
    """x as [N, S1…Sd, C]."""
    return F.transpose(x, perm=(0, *range(2, x.type.rank), 1)) if _channels_first(node) else x


def as_given(node: SourceNode, y: Value) -> Value:
    """The reverse of ``channels_last``."""
    return F.transpose(y, perm=(0, y.type.rank - 1, *range(1, y.type.rank - 1))) if _channels_first(node) else y


def _channels_first(node: SourceNode) -> bool:
    layout = node.text("data_format", "NHWC")
    if len(layout) not in (4, 5) or layout.endswith("VECT_C"):
        raise ModelError(f"the data format {layout} is not supported")
    return layout.startswith("NC")


def _rank(x: Value, rank: int) -> None:
    if x.type.rank != rank:
        raise ModelError(f"expects a tensor of rank {rank}, not {x.type!r}")


@converts("Conv2D", "Conv3D")
def conv(node: SourceNode, x: Value, w: Value) -> Value:
    rank = 4 if node.op == "Conv2D" else 5
    _rank(x, rank)
    _rank(w, rank)
    x = channels_last(node, x)
    channels, per_group = x.type.shape[-1], w.type.shape[-2]
    if not isinstance(channels, int) or not isinstance(per_group, int) or channels % per_group:
        raise ModelError(f"{channels} channels meet a kernel for {per_group}")
    return _conv(node, x, w, channels // per_group)


@converts("DepthwiseConv2dNative")
def depthwise_conv(node: SourceNode, x: Value, w: Value) -> Value:
    _rank(x, 4)
    _rank(w, 4)
    *sizes, channels, multiplier = w.type.shape
    return _conv(node, channels_last(node, x), F.reshape(w, shape=(*sizes, 1, channels * multiplier)), channels)


def _conv(node: SourceNode, x: Value, w: Value, groups: int) -> Value:
    rank = x.type.rank
    strides = spatial(node, node.integers("strides"), rank)
    dilations = spatial(node, node.integers("dilations"), rank)
    before, after = paddings(node, x.type.shape[1:-1], w.type.shape[:-2], strides, dilations)
    return as_given(node, F.conv(x, w, strides=strides, dilations=dilations, before=before, after=after,
                                 groups=groups))


@converts("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def conv_transpose(node: SourceNode, input_sizes: Value, w: Value, y: Value) -> Value:
    """The transposed convolution of y that gives an image of ``input_sizes``."""
    rank = y.type.rank
    strides = spatial(node, node.integers("strides"), rank)
    dilations = spatial(node, node.integers("dilations"), rank)
    y = channels_last(node, y)
    dims = node.dims(input_sizes, "the size of the result")
    first = 2 if _channels_first(node) else 1
    if len(dims) == rank:
        dims = dims[first:first + rank - 2]
    kernel = w.type.shape[:-2]
    before, after = paddings(node, dims, kernel, strides, dilations)
    for size, count, *window in zip(dims, y.type.shape[1:-1], kernel, strides, dilations, before, after, strict=True):
        if isinstance(size, int) and isinstance(count, int) and output_size(size, *window) != count:
            raise ModelError(f"{count} elements are not what a convolution makes of {size}")
    full = tuple((n - 1) * s + (k - 1) * d + 1
                 for n, k, s, d in zip(y.type.shape[1:-1], kernel, strides, dilations, strict=True))
    after = tuple(f - b - size for f, b, size in zip(full, before, dims, strict=True))
    given = node.dims(input_sizes, "the size of the result")
    channels = given[1 if first == 2 else -1] if len(given) == rank else w.type.shape[-2]
    return as_given(node, F.conv_transpose(y, w, strides=strides, dilations=dilations, before=before, after=after,
                                           groups=channels // w.type.shape[-2]))


@converts("MaxPool", "MaxPool3D")
def max_pool(node: SourceNode, x: Value) -> Value:
    return _max_pool(node, x, node.integers("ksize"), node.integers("strides"))


@converts("MaxPoolV2")
def max_pool_v2(node: SourceNode, x: Value, sizes: Value, strides: Value) -> Value:
    return _max_pool(node, x, node.ints(sizes, "the window"), node.ints(strides, "the strides"))


def _max_pool(node: SourceNode, x: Value, sizes: tuple[int, ...], strides: tuple[int, ...]) -> Value:
    sizes, strides = (spatial(node, given, x.type.rank) for given in (sizes, strides))
    x = channels_last(node, x)
    ones = (1,) * len(sizes)
    before, after = paddings(node, x.type.shape[1:-1], sizes, strides, ones)
    return as_given(node, F.window_max(x, sizes=sizes, strides=strides, dilations=ones, before=before, after=after))


@converts("AvgPool", "AvgPool3D")
def average_pool(node: SourceNode, x: Value) -> Value:
    sizes, strides = (spatial(node, node.integers(name), x.type.rank) for name in ("ksize", "strides"))
    x = channels_last(node, x)
    before, after = paddings(node, x.type.shape[1:-1], sizes, strides, (1,) * len(sizes))
    return as_given(node, F.average_pool(x, sizes=sizes, strides=strides, before=before, after=after,
                                         count_padding=False))


@converts("MaxPoolWithArgmax")
def max_pool_with_argmax(node: SourceNode, x: Value) -> tuple[Value, Value]:
    """The index counts the elements of an image, or with ``include_batch_in_index`` those of all; of equal elements
    the first is the largest."""
    sizes, strides = (spatial(node, node.integers(name), x.type.rank) for name in ("ksize", "strides"))
    batch, height, width, channels = x.type.shape
    per_image = height * width * channels
    if not isinstance(per_image, int):
        raise ModelError(f"the size of an image {x.type!r} must be known when the model is compiled")
    dtype = node.dtype("Targmax", DType.I64)
    index = constant(np.arange(per_image).astype(dtype.numpy).reshape(1, height, width, channels))
    best = found = None
    for value, place in zip(_taps(node, x, sizes, strides, (1, 1), np.finfo(np.float32).min),
                            _taps(node, index, sizes, strides, (1, 1), 0), strict=True):
        if best is None:
            best, found = value, F.broadcast_to(place, shape=value.type.shape)
        else:
            larger = F.greater(value, best)
            best, found = F.select(larger, value, best), F.select(larger, place, found)
    if node.flag("include_batch_in_index"):
        found = F.add(found, F.reshape(F.mul(count_up(batch, dtype), per_image), shape=(batch, 1, 1, 1)))
    return best, found


@converts("Dilation2D")
def dilation(node: SourceNode, x: Value, w: Value) -> Value:
    """The largest sum of an element of the window and the kernel's at its place."""
    _rank(x, 4)
    strides, rates = (spatial(node, node.integers(name), 4) for name in ("strides", "rates"))
    low = np.finfo(x.type.dtype.numpy).min if x.type.dtype.is_float else np.iinfo(x.type.dtype.numpy).min
    result = None
    rows, columns, channels = w.type.shape
    w = F.reshape(w, shape=(rows * columns, channels))
    for i, value in enumerate(_taps(node, x, (rows, columns), strides, rates, low)):
        weight = F.slice(w, starts=(i, 0), sizes=(1, channels), steps=(1, 1))
        value = F.add(value, F.reshape(weight, shape=(channels,)))
        result = value if result is None else F.maximum(result, value)
    return result


@converts("ExtractImagePatches")
def extract_image_patches(node: SourceNode, x: Value) -> Value:
    """Each window's elements side by side."""
    sizes, strides, rates = (spatial(node, node.integers(name), 4) for name in ("ksizes", "strides", "rates"))
    return F.concat(*_taps(node, x, sizes, strides, rates, 0), axis=-1)


def _taps(node: SourceNode, x: Value, sizes: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...],
          padding: float) -> Iterator[Value]:
    """For each position within the window the elements that all windows have there."""
    before, after = paddings(node, x.type.shape[1:-1], sizes, strides, dilations)
    shape = tuple(map(output_size, x.type.shape[1:-1], sizes, strides, dilations, before, after))
    fill = constant(np.asarray(padding, x.type.dtype.numpy))
    padded = F.pad(x, fill, before=(0, *before, 0), after=(0, *after, 0))
    for place in positions(*map(range, sizes)):
        yield F.slice(padded, starts=(0, *(p * d for p, d in zip(place, dilations, strict=True)), 0),
                      sizes=(x.type.shape[0], *shape, x.type.shape[-1]), steps=(1, *strides, 1))


@converts("LRN")
def local_response_normalization(node: SourceNode, x: Value) -> Value:
    """x / (bias + α Σ x²)^β, the sum over the channels that are ``depth_radius`` away at most."""
    radius, channels = node.integer("depth_radius", 5), x.type.shape[-1]
    squares = F.reshape(F.square(x), shape=(-1, channels, 1))
    total = F.window_sum(squares, sizes=(2 * radius + 1,), strides=(1,), dilations=(1,), before=(radius,),
                         after=(radius,))
    scale = F.add(F.mul(F.reshape(total, shape=x.type.shape), node.number("alpha", 1.0)), node.number("bias", 1.0))
    return F.div(x, F.pow(scale, node.number("beta", 0.5)))
