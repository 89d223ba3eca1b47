"""Convolution and pooling. Channels come before the spatial dimensions, and castiron's own operators have them
last, so that there are transposes around each, of which those between two cancel out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product as positions

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, countable
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Dim, DType, Value, constant, exact_div, product
from castiron.ops import F
from castiron.ops.convolution import full_size
from castiron.ops.window import output_size, same_padding


def channels_last(x: Value) -> Value:
    """[N, C, S1…Sd] as [N, S1…Sd, C]."""
    return F.transpose(x, perm=(0, *range(2, x.type.rank), 1))


def channels_first(y: Value) -> Value:
    """The reverse of ``channels_last``."""
    return F.transpose(y, perm=(0, y.type.rank - 1, *range(1, y.type.rank - 1)))


@dataclass(frozen=True)
class Window:
    """Where a node's windows lie, an entry for each spatial dimension. ``given`` is the padding behind as the node
    has it, without what rounding up adds to ``after``."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[Dim, ...]
    after: tuple[Dim, ...]
    given: tuple[Dim, ...]

    @property
    def attributes(self) -> dict[str, tuple]:
        return {"strides": self.strides, "dilations": self.dilations, "before": self.before, "after": self.after}


def window(node: SourceNode, spatial: tuple[Dim, ...], sizes: tuple[int, ...]) -> Window:
    """The window of a node over dimensions ``spatial``; ModelError for attributes that don't fit."""
    d = len(spatial)
    if d not in (1, 2, 3):
        raise ModelError(f"windows over {d} dimensions are not supported; castiron has 1 to 3")
    strides, dilations = (node.integers(name) or (1,) * d for name in ("strides", "dilations"))
    pads = node.integers("pads") or (0,) * 2 * d
    if not len(sizes) == len(strides) == len(dilations) == d or len(pads) != 2 * d or min(
            (*sizes, *strides, *dilations)) < 1:
        raise ModelError(f"a window of {sizes} with strides {strides}, dilations {dilations} and padding {pads} over "
                         f"{d} dimensions")
    before, after = pads[:d], pads[d:]
    match node.text("auto_pad", "NOTSET"):
        case "NOTSET" | "":
            pass
        case "VALID":
            before = after = (0,) * d
        case "SAME_UPPER" | "SAME_LOWER" as mode:
            both = [same_padding(*dims) for dims in zip(spatial, sizes, strides, dilations, strict=True)]
            before, after = zip(*both, strict=True)
            if mode == "SAME_LOWER":
                before, after = after, before
        case other:
            raise ModelError(f"the padding {other!r} is not supported")
    given = after
    if node.flag("ceil_mode"):
        after = tuple(map(_rounded_up, spatial, sizes, strides, dilations, before, after))
    return Window(sizes, strides, dilations, before, after, given)


def _rounded_up(size: Dim, kernel: int, stride: int, dilation: int, before: Dim, after: Dim) -> Dim:
    """The padding behind with which a last window that isn't whole counts too, if it begins within the input or the
    padding before it."""
    if not all(isinstance(n, int) for n in (size, before, after)):
        raise ModelError(f"rounds up the number of windows over the free dimension {size}; give free dimensions "
                         "sizes (--dim)")
    extent = (kernel - 1) * dilation + 1
    count = -(-(size + before + after - extent) // stride) + 1
    if (count - 1) * stride >= size + before:
        count -= 1
    return max((count - 1) * stride + extent - size - before, after)


def _spatial(x: Value) -> tuple[Dim, ...]:
    return x.type.shape[2:]


def _kernel(node: SourceNode, w: Value) -> tuple[int, ...]:
    given = node.integers("kernel_shape") or w.type.shape[2:]
    if tuple(given) != w.type.shape[2:]:
        raise ModelError(f"the kernel {w.type!r} is said to have the shape {given}")
    return w.type.shape[2:]


@converts("Conv")
def conv(node: SourceNode, x: Value, w: Value, bias: Value | None = None) -> Value:
    at = window(node, _spatial(x), _kernel(node, w))
    return convolved(x, w, bias, at, node.integer("group", 1))


def convolved(x: Value, w: Value, bias: Value | None, at: Window, groups: int) -> Value:
    """x [N, C, S…] convolved with w [M, C/groups, K…]."""
    kernel = F.transpose(w, perm=(*range(2, w.type.rank), 1, 0))
    y = F.conv(channels_last(x), kernel, groups=groups, **at.attributes)
    return channels_first(y if bias is None else F.add(y, bias))


@converts("ConvTranspose")
def conv_transpose(node: SourceNode, x: Value, w: Value, bias: Value | None = None) -> Value:
    spatial, sizes = _spatial(x), _kernel(node, w)
    d = len(spatial)
    at = window(node, spatial, sizes) if node.text("auto_pad", "NOTSET") in ("NOTSET", "", "VALID") else None
    strides, dilations = (node.integers(name) or (1,) * d for name in ("strides", "dilations"))
    extra = node.integers("output_padding") or (0,) * d
    full = [full_size(*dims) for dims in zip(spatial, sizes, strides, dilations, strict=True)]
    wanted = node.integers("output_shape")[-d:]
    if wanted or at is None:
        wanted = wanted or tuple(n * s for n, s in zip(spatial, strides, strict=True))
        total = [f + e - n for f, e, n in zip(full, extra, wanted, strict=True)]
        half = [t // 2 for t in total]
        rest = [t - h for t, h in zip(total, half, strict=True)]
        before, after = (half, rest) if node.text("auto_pad", "") == "SAME_UPPER" else (rest, half)
        if any(isinstance(b, int) and b < 0 for b in before):
            raise ModelError(f"the result is to be {wanted}, larger than the {full} that there are")
    else:
        before, after = at.before, at.after
    after = tuple(a - e for a, e in zip(after, extra, strict=True))
    kernel = F.transpose(w, perm=(*range(2, w.type.rank), 1, 0))
    y = F.conv_transpose(channels_last(x), kernel, strides=strides, dilations=dilations, before=tuple(before),
                         after=after, groups=node.integer("group", 1))
    return channels_first(y if bias is None else F.add(y, bias))


@converts("MaxPool")
def max_pool(node: SourceNode, x: Value) -> tuple[Value, Value | None]:
    at = window(node, _spatial(x), node.integers("kernel_shape"))
    if node.wants(1):
        return _max_and_place(node, x, at)
    return channels_first(F.window_max(channels_last(x), sizes=at.sizes, **at.attributes)), None


def _max_and_place(node: SourceNode, x: Value, at: Window) -> tuple[Value, Value]:
    """The largest elements, of equal ones the first, and their places in x as a vector."""
    spatial, (n, c) = _spatial(x), x.type.shape[:2]
    area = product(spatial)
    if not isinstance(area, int):
        raise ModelError(f"gives places in {x.type!r}, whose size must be known; give free dimensions sizes (--dim)")
    countable(area)
    column_major = node.flag("storage_order")
    places = np.arange(area).reshape(spatial[::-1]).T if column_major else np.arange(area).reshape(spatial)
    low = -np.inf if x.type.dtype.is_float else np.iinfo(x.type.dtype.numpy).min
    best = found = None
    for value, place in zip(_taps(channels_last(x), at, low),
                            _taps(constant(places.reshape(1, *spatial, 1).astype(np.int64)), at, 0), strict=True):
        if best is None:
            best, found = value, F.broadcast_to(place, shape=value.type.shape)
        else:
            larger = F.greater(value, best)
            best, found = F.select(larger, value, best), F.select(larger, place, found)
    base = F.mul(count_up(n * c, DType.I64), area)
    base = F.reshape(base, shape=(n, c, *(1,) * len(spatial)))
    return channels_first(best), F.add(channels_first(found), base)


def _taps(x: Value, at: Window, padding: float) -> Iterator[Value]:
    """For each position within the window the elements that all windows have there."""
    shape = tuple(map(output_size, x.type.shape[1:-1], at.sizes, at.strides, at.dilations, at.before, at.after))
    fill = constant(np.asarray(padding, x.type.dtype.numpy))
    padded = F.pad(x, fill, before=(0, *at.before, 0), after=(0, *at.after, 0))
    for place in positions(*map(range, at.sizes)):
        yield F.slice(padded, starts=(0, *(p * d for p, d in zip(place, at.dilations, strict=True)), 0),
                      sizes=(x.type.shape[0], *shape, x.type.shape[-1]), steps=(1, *at.strides, 1))


@converts("MaxUnpool")
def max_unpool(node: SourceNode, x: Value, places: Value, shape: Value | None = None) -> Value:
    """x's elements at their places in a tensor of zeros, with zeros behind it as far as a shape is asked for."""
    spatial, sizes = _spatial(x), node.integers("kernel_shape")
    d = len(spatial)
    strides, pads = node.integers("strides") or (1,) * d, node.integers("pads") or (0,) * 2 * d
    dims = (*x.type.shape[:2], *((n - 1) * s - b - a + k for n, s, b, a, k
                                 in zip(spatial, strides, pads[:d], pads[d:], sizes, strict=True)))
    total = product(dims)
    flat = F.broadcast_to(constant(np.zeros((), x.type.dtype.numpy)), shape=(total,))
    filled = F.scatter(flat, F.reshape(places, shape=(x.type.size, 1)), F.reshape(x, shape=(x.type.size,)))
    filled = F.reshape(filled, shape=dims)
    if shape is None:
        return filled
    more = tuple(n - dim for n, dim in zip(node.dims(shape, "the shape"), dims, strict=True))
    return F.pad(filled, constant(np.zeros((), x.type.dtype.numpy)), before=(0,) * x.type.rank, after=more)


@converts("AveragePool")
def average_pool(node: SourceNode, x: Value) -> Value:
    """The mean of the elements of each window, with ``count_include_pad`` of those of the padding too, but never of
    what is added so that a last window is whole."""
    at, last = window(node, _spatial(x), node.integers("kernel_shape")), channels_last(x)
    total = F.window_sum(last, sizes=at.sizes, **at.attributes)
    include = node.flag("count_include_pad")
    if at.after == at.given and (include or not any((*at.before, *at.after))):
        return channels_first(F.div(total, float(math.prod(at.sizes))))
    one = constant(np.ones((), x.type.dtype.numpy))
    ones = F.broadcast_to(one, shape=(1, *_spatial(x), 1))
    attributes = at.attributes
    if include:
        ones = F.pad(ones, one, before=(0, *at.before, 0), after=(0, *at.given, 0))
        attributes |= {"before": (0,) * len(at.sizes),
                       "after": tuple(a - g for a, g in zip(at.after, at.given, strict=True))}
    return channels_first(F.div(total, F.window_sum(ones, sizes=at.sizes, **attributes)))


def _order(node: SourceNode) -> float:
    """The p of a norm, in version 1 no integer."""
    return node.number("p", 0.0) or float(node.integer("p", 2))


@converts("LpPool")
def lp_pool(node: SourceNode, x: Value) -> Value:
    """(Σ |x|ᵖ)^(1/p)"""
    at = window(node, _spatial(x), node.integers("kernel_shape"))
    p = _order(node)
    total = F.window_sum(channels_last(F.pow(F.abs(x), p)), sizes=at.sizes, **at.attributes)
    return channels_first(F.pow(total, 1 / p))


@converts("GlobalAveragePool", "GlobalMaxPool")
def global_pool(node: SourceNode, x: Value) -> Value:
    reduce = F.reduce_mean if node.op == "GlobalAveragePool" else F.reduce_max
    return reduce(x, axes=tuple(range(2, x.type.rank)), keepdims=True)


@converts("GlobalLpPool")
def global_lp_pool(node: SourceNode, x: Value) -> Value:
    p = _order(node)
    total = F.reduce_sum(F.pow(F.abs(x), p), axes=tuple(range(2, x.type.rank)), keepdims=True)
    return F.pow(total, 1 / p)


@converts("LRN")
def local_response_normalization(node: SourceNode, x: Value) -> Value:
    """x / (bias + α/size · Σ x²)^β, the sum over ``size`` channels around each."""
    size, channels, last = node.integer("size", 1), x.type.shape[1], channels_last(x)
    squares = F.reshape(F.square(last), shape=(exact_div(x.type.size, channels), channels, 1))
    total = F.window_sum(squares, sizes=(size,), strides=(1,), dilations=(1,), before=((size - 1) // 2,),
                         after=(size // 2,))
    scale = F.add(F.mul(F.reshape(total, shape=last.type.shape), node.number("alpha", 1e-4) / size),
                  node.number("bias", 1.0))
    return channels_first(F.div(last, F.pow(scale, node.number("beta", 0.75))))


@converts("Col2Im")
def col2im(node: SourceNode, x: Value, image: Value, block: Value) -> Value:
    """Blocks [N, C · block, number of blocks] put where they belong in an image, those that overlap added up."""
    sizes, kernel = node.ints(image, "the shape of the image"), node.ints(block, "the shape of a block")
    d = len(sizes)
    strides, dilations = (node.integers(name) or (1,) * d for name in ("strides", "dilations"))
    pads = node.integers("pads") or (0,) * 2 * d
    blocks = tuple(map(output_size, sizes, kernel, strides, dilations, pads[:d], pads[d:]))
    n, channels = x.type.shape[0], exact_div(x.type.shape[1], math.prod(kernel))
    split = F.reshape(x, shape=(n, channels, *kernel, *blocks))
    terms = F.transpose(split, perm=(0, *range(2 + d, 2 + 2 * d), *range(2, 2 + d), 1))
    full = map(full_size, blocks, kernel, strides, dilations)
    after = tuple(f - b - size for f, b, size in zip(full, pads[:d], sizes, strict=True))
    return channels_first(F.overlap_add(terms, strides=strides, dilations=dilations, before=pads[:d], after=after))


@converts("CausalConvWithState")
def causal_conv(node: SourceNode, x: Value, w: Value, bias: Value | None = None,
                past: Value | None = None) -> tuple[Value, Value]:
    """Each channel [N, C, steps] convolved by itself with what is behind it, and the last elements for the next
    call."""
    channels, kernel = x.type.shape[1], w.type.shape[-1]
    if not isinstance(kernel, int) or not isinstance(channels, int):
        raise ModelError(f"a kernel {w.type!r} for {channels} channels")
    if past is None:
        padded = F.pad(x, constant(np.zeros((), x.type.dtype.numpy)), before=(0, 0, kernel - 1), after=(0, 0, 0))
    else:
        padded = F.concat(past, x, axis=2)
    at = Window((kernel,), (1,), (1,), (0,), (0,), (0,))
    y = convolved(padded, w, bias, at, channels)
    match node.text("activation", "none"):
        case "none":
            pass
        case "silu" | "swish":
            y = F.silu(y)
        case other:
            raise ModelError(f"the activation {other!r} is not supported")
    left = kernel - 1
    return y, F.slice(padded, starts=(0, 0, padded.type.shape[2] - left), sizes=(*x.type.shape[:2], left),
                      steps=(1, 1, 1))
