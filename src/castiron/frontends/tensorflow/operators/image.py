"""Images: other sizes, parts, colours."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import dim_value
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.resize import KERNELS, kernel_weights, resampled

_METHODS = {"ResizeBilinear": "bilinear", "ResizeNearestNeighbor": "nearest", "ResizeBicubic": "bicubic",
            "ResizeArea": "area"}


@converts(*_METHODS)
def resize(node: SourceNode, x: Value, sizes: Value) -> Value:
    coordinates = ("align_corners" if node.flag("align_corners") else
                   "half_pixel" if node.flag("half_pixel_centers") else "asymmetric")
    x = x if _METHODS[node.op] == "nearest" else _single(x)
    return F.resize(x, sizes=node.dims(sizes, "the size"), method=_METHODS[node.op], coordinates=coordinates)


def _single(x: Value) -> Value:
    """As f32, which TensorFlow interpolates any numbers in."""
    return x if x.type.dtype == DType.F32 else F.cast(x, dtype=DType.F32)


@converts("ScaleAndTranslate")
def scale_and_translate(node: SourceNode, x: Value, sizes: Value, scale: Value, translation: Value) -> Value:
    kernel = node.text("kernel_type", "lanczos3")
    if kernel not in KERNELS:
        raise ModelError(f"the kernel {kernel!r} is not supported; there are {', '.join(KERNELS)}")
    x = _single(x)
    scales, shifts = node.known(scale, "the scale"), node.known(translation, "the translation")
    for axis, size in enumerate(node.ints(sizes, "the size"), 1):
        old = x.type.shape[axis]
        if not isinstance(old, int) or scales[axis - 1] <= 0:
            raise ModelError(f"the size of {x.type!r} must be known when the model is compiled, and the scale positive")
        x = resampled(x, kernel_weights(kernel, old, size, scales[axis - 1], shifts[axis - 1],
                                        node.flag("antialias", True)), axis)
    return x


@converts("CropAndResize")
def crop_and_resize(node: SourceNode, image: Value, boxes: Value, indices: Value, sizes: Value) -> Value:
    """For each box the part of image ``indices`` between its corners (y1, x1, y2, x2), which count 1 as the last
    row or column."""
    image = _single(image)
    method, outside = node.text("method", "bilinear"), node.number("extrapolation_value", 0.0)
    height, width = image.type.shape[1:3]
    count = boxes.type.shape[0]
    places, inside = [], []
    for axis, (size, limit) in enumerate(zip(node.ints(sizes, "the size"), (height, width), strict=True)):
        first, last = (F.slice(boxes, starts=(0, i), sizes=(count, 1), steps=(1, 1)) for i in (axis, axis + 2))
        end = F.sub(F.cast(dim_value(limit), dtype=DType.F32), 1.0)
        if size > 1:
            step = F.div(F.mul(F.sub(last, first), end), float(size - 1))
            place = F.add(F.mul(first, end), F.mul(constant(np.arange(size, dtype=np.float32)), step))
        else:
            place = F.mul(F.mul(F.add(first, last), 0.5), end)
        shape = (count, size, 1) if axis == 0 else (count, 1, size)
        inside.append(F.reshape(_both(F.greater_equal(place, 0.0), F.less_equal(place, end)), shape=(*shape, 1)))
        places.append(F.reshape(place, shape=shape))
    owner = F.reshape(F.cast(indices, dtype=DType.I32), shape=(count, 1, 1))

    def pixels(row: Value, column: Value) -> Value:
        parts = [owner, F.cast(row, dtype=DType.I32), F.cast(column, dtype=DType.I32)]
        shape = (count, row.type.shape[1], column.type.shape[2])
        parts = [F.reshape(F.broadcast_to(p, shape=shape), shape=(*shape, 1)) for p in parts]
        return F.gather_nd(image, F.concat(*parts, axis=-1))

    y, x = places
    if method == "nearest":
        result = pixels(_half_up(y), _half_up(x))
    else:
        top, left = F.floor(y), F.floor(x)
        down = F.reshape(F.sub(y, top), shape=(*y.type.shape, 1))
        right = F.reshape(F.sub(x, left), shape=(*x.type.shape, 1))
        bottom, far = F.ceil(y), F.ceil(x)
        upper, lower = (_between(pixels(row, left), pixels(row, far), right) for row in (top, bottom))
        result = _between(upper, lower, down)
    return F.select(_both(*inside), result, outside)


def _between(a: Value, b: Value, share: Value) -> Value:
    return F.add(a, F.mul(F.sub(b, a), share))


def _half_up(x: Value) -> Value:
    """The nearest integer of a number that is not negative, as C's ``round``."""
    return F.floor(F.add(x, 0.5))


def _both(a: Value, b: Value) -> Value:
    return getattr(F, "and")(a, b)


@converts("AdjustContrastv2")
def adjust_contrast(node: SourceNode, x: Value, factor: Value) -> Value:
    mean = F.reduce_mean(x, axes=(-3, -2), keepdims=True)
    return F.add(F.mul(F.sub(x, mean), factor), mean)


@converts("RGBToHSV")
def rgb_to_hsv(node: SourceNode, x: Value) -> Value:
    red, green, blue = _channels(x)
    value, low = F.maximum(F.maximum(red, green), blue), F.minimum(F.minimum(red, green), blue)
    spread = F.sub(value, low)
    saturation = F.select(F.greater(value, 0.0), F.div(spread, value), 0.0)
    sixth = F.div(1 / 6, spread)
    hue = F.select(F.equal(red, value), F.mul(F.sub(green, blue), sixth),
                   F.select(F.equal(green, value), F.add(F.mul(F.sub(blue, red), sixth), 2 / 6),
                            F.add(F.mul(F.sub(red, green), sixth), 4 / 6)))
    hue = F.select(F.less_equal(spread, 0.0), 0.0, hue)
    return F.concat(F.select(F.less(hue, 0.0), F.add(hue, 1.0), hue), saturation, value, axis=-1)


@converts("HSVToRGB")
def hsv_to_rgb(node: SourceNode, x: Value) -> Value:
    hue, saturation, value = _channels(x)
    around = F.mul(hue, 6.0)
    shares = (F.sub(F.abs(F.sub(around, 3.0)), 1.0), F.sub(2.0, F.abs(F.sub(around, 2.0))),
              F.sub(2.0, F.abs(F.sub(around, 4.0))))
    return F.concat(*(F.mul(F.add(F.sub(1.0, saturation), F.mul(saturation, F.clip(share, low=0.0, high=1.0))), value)
                      for share in shares), axis=-1)


@converts("AdjustHue")
def adjust_hue(node: SourceNode, x: Value, delta: Value) -> Value:
    hue, saturation, value = _channels(rgb_to_hsv(node, x))
    return hsv_to_rgb(node, F.concat(F.floormod(F.add(hue, delta), 1.0), saturation, value, axis=-1))


@converts("AdjustSaturation")
def adjust_saturation(node: SourceNode, x: Value, scale: Value) -> Value:
    hue, saturation, value = _channels(rgb_to_hsv(node, x))
    return hsv_to_rgb(node, F.concat(hue, F.clip(F.mul(saturation, scale), low=0.0, high=1.0), value, axis=-1))


def _channels(x: Value) -> tuple[Value, Value, Value]:
    if not x.type.rank or x.type.shape[-1] != 3:
        raise ModelError(f"expects three channels, not {x.type!r}")
    rank = x.type.rank
    return tuple(F.slice(x, starts=(*(0,) * (rank - 1), i), sizes=(*x.type.shape[:-1], 1), steps=(1,) * rank)
                 for i in range(3))
