"""Images in another size, and sampled at given places."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count, count_up, countable, dim_value
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Dim, DType, Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axes
from castiron.ops.resize import resampled

#: How a place between two elements becomes one of them.
_ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5), "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor, "ceil": np.ceil}


@converts("Upsample")
def upsample(node: SourceNode, x: Value, scales: Value | None = None) -> Value:
    """Each axis as often as its scale says, the coordinates those of Resize's "asymmetric". Of two elements the nearest
    is the one before, and the one behind where the axis becomes shorter, as onnxruntime has it."""
    given = node.numbers("scales") if scales is None else tuple(node.known(scales, "the scales").tolist())
    if node.version < 7:
        given = (1.0, 1.0, node.number("height_scale", 1.0), node.number("width_scale", 1.0))
    if len(given) != x.type.rank:
        raise ModelError(f"{len(given)} scales for {x.type!r}")
    for axis, scale in enumerate(given):
        if scale != 1:
            size = _size(x, axis)
            new = math.floor(size * scale)
            places = count(new, DType.F64) / scale
            mode = {"nearest": "nearest", "linear": "linear", "bilinear": "linear"}.get(node.text("mode", "nearest"))
            x = _along(x, axis, places, mode, scale, node, "floor" if scale > 1 else "ceil")
    return x


@converts("Resize")
def resize(node: SourceNode, x: Value, roi: Value | None = None, scales: Value | None = None,
           sizes: Value | None = None) -> Value:
    """Each axis by itself: element i of the result lies at a place in x that the coordinates say, and is the nearest
    element there, or a weighted sum of those around."""
    if node.version < 11:
        return upsample(node, x, roi)
    axes = node.integers("axes") or tuple(range(x.type.rank))
    axes = tuple(a % x.type.rank for a in axes) if normalize_axes(axes, x.type.rank) else ()
    given = () if scales is None else tuple(node.known(scales, "the scales").tolist())
    regions = () if roi is None else tuple(node.known(roi, "the region").tolist())
    if not given:
        if sizes is None:
            raise ModelError("Resize has neither scales nor sizes")
        dims = node.dims(sizes, "the sizes")
        if not all(isinstance(n, int) for n in (*dims, *(x.type.shape[a] for a in axes))):
            return _free(node, x, axes, dims)
        wanted = node.ints(sizes, "the sizes")
        given = _scales(node, [_size(x, a) for a in axes], wanted)
        new = [n if node.text("keep_aspect_ratio_policy", "stretch") == "stretch" else round_half_up(s * _size(x, a))
               for n, s, a in zip(wanted, given, axes, strict=True)]
    elif any(s != 1 and not isinstance(x.type.shape[a], int) for s, a in zip(given, axes, strict=True)):
        return _free(node, x, axes, tuple(_scaled(x.type.shape[a], s) for s, a in zip(given, axes, strict=True)), given)
    else:
        new = [math.floor(_size(x, a) * np.float32(s)) if s != 1 else x.type.shape[a]
               for s, a in zip(given, axes, strict=True)]
    outside = None
    for i, (axis, scale, size) in enumerate(zip(axes, given, new, strict=True)):
        region = (regions[i], regions[i + len(axes)]) if len(regions) == 2 * len(axes) else (0.0, 1.0)
        cropped = node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
        if scale == 1 and size == x.type.shape[axis] and not (cropped and region != (0.0, 1.0)):
            continue
        old = _size(x, axis)
        places = _places(node, old, size, scale, region)
        x = _along(x, axis, places, node.text("mode", "nearest"), scale, node,
                   node.text("nearest_mode", "round_prefer_floor"))
        if cropped:
            far = ((places < 0) | (places > old - 1)).reshape(-1, *(1,) * (x.type.rank - 1 - axis))
            outside = far if outside is None else outside | far
    if outside is not None and outside.any():
        value = np.asarray(node.number("extrapolation_value", 0.0), x.type.dtype.numpy)
        x = F.select(constant(outside), constant(value), x)
    return x


def _scaled(dim: Dim, scale: float) -> Dim:
    """⌊dim · scale⌋ of a scale that is a simple fraction."""
    ratio = Fraction(scale).limit_denominator(64)
    if abs(float(ratio) - scale) > 1e-6 * scale:
        raise ModelError(f"resizes the free dimension {dim} by {scale}; give free dimensions sizes (--dim)")
    return dim * ratio.numerator // ratio.denominator


def _free(node: SourceNode, x: Value, axes: tuple[int, ...], sizes: tuple[Dim, ...],
          scales: tuple[float, ...] = ()) -> Value:
    """x resized to dimensions that are not all known, by scales unless these follow from the sizes."""
    coordinates, mode = node.text("coordinate_transformation_mode", "half_pixel"), node.text("mode", "nearest")
    rounding = node.text("nearest_mode", "round_prefer_floor")
    new = list(x.type.shape)
    for axis, size in zip(axes, sizes, strict=True):
        new[axis] = size
    if mode == "nearest" and ((coordinates == "asymmetric" and rounding == "floor")
                              or (coordinates.endswith("half_pixel") and rounding.startswith("round"))):
        factors = [_factor(n, old) for n, old in zip(new, x.type.shape, strict=True)]
        if all(factors):  # each element so many times
            split = [d for n in x.type.shape for d in (n, 1)]
            wide = [d for n, factor in zip(x.type.shape, factors, strict=True) for d in (n, factor)]
            return F.reshape(F.broadcast_to(F.reshape(x, shape=tuple(split)), shape=tuple(wide)), shape=tuple(new))
    whole = all(scale == int(scale) for scale in scales)  # then they are the ratios of the sizes
    if mode == "linear" and whole and tuple(new[:2]) == x.type.shape[:2] and not node.flag("antialias") and (
            coordinates in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")):
        rank = x.type.rank
        y = F.resize(F.transpose(x, perm=(0, *range(2, rank), 1)), sizes=tuple(new[2:]), method="bilinear",
                     coordinates=coordinates.removeprefix("pytorch_"))
        return F.transpose(y, perm=(0, rank - 1, *range(1, rank - 1)))
    if mode not in ("nearest", "linear", "cubic") or node.flag("antialias") or node.flag("exclude_outside"):
        raise ModelError(f"resizes {x.type!r} to {tuple(new)} by {mode!r} with antialias or exclude_outside, which is "
                         "not supported for free dimensions; give free dimensions sizes (--dim)")
    dtype = x.type.dtype
    x = x if dtype.is_float or mode == "nearest" else F.cast(x, dtype=DType.F32)
    for axis, size, scale in zip(axes, sizes, scales or (None,) * len(axes), strict=True):
        if size != x.type.shape[axis]:
            x = _gathered(node, x, axis, _free_places(coordinates, x.type.shape[axis], size, scale), mode, rounding)
    return x if x.type.dtype == dtype else F.cast(F.round(x), dtype=dtype)


def _free_places(coordinates: str, old: Dim, new: Dim, scale: float | None) -> Value:
    """As ``_places``, of dimensions that are not known, as doubles."""
    i, before, after = count_up(new, DType.F64), dim_value(old, DType.F64), dim_value(new, DType.F64)
    factor = F.div(after, before) if scale is None else constant(np.float64(scale))
    length = F.mul(factor, before)
    halves = F.sub(F.div(F.add(i, 0.5), factor), 0.5)
    match coordinates:
        case "half_pixel":
            return halves
        case "asymmetric":
            return F.div(i, factor)
        case "pytorch_half_pixel":
            return F.select(F.greater(length, 1.0), halves, -0.5)
        case "align_corners":
            return F.mul(i, F.div(F.sub(before, 1.0), F.maximum(F.sub(length, 1.0), 1.0)))
        case "half_pixel_symmetric":
            return F.add(halves, F.mul(F.mul(before, 0.5), F.sub(1.0, F.div(after, length))))
        case "tf_half_pixel_for_nn":
            return F.div(F.add(i, 0.5), factor)
    raise ModelError(f"the coordinates {coordinates!r} are not supported for free dimensions; give free dimensions "
                     "sizes (--dim)")


def _gathered(node: SourceNode, x: Value, axis: int, places: Value, mode: str, rounding: str) -> Value:
    """x at places along an axis that are computed."""
    last = F.sub(dim_value(x.type.shape[axis], DType.F64), 1.0)

    def at(place: Value) -> Value:
        return F.gather(x, F.cast(F.maximum(F.minimum(place, last), 0.0), dtype=DType.I64), axis=axis)

    if mode == "nearest":
        rounded = {"floor": F.floor, "ceil": F.ceil, "round_prefer_floor": lambda v: F.ceil(F.sub(v, 0.5)),
                   "round_prefer_ceil": lambda v: F.floor(F.add(v, 0.5))}
        if rounding not in rounded:
            raise ModelError(f"the rounding {rounding!r} is not supported")
        return at(rounded[rounding](places))
    total, shape = None, (places.type.shape[0], *(1,) * (x.type.rank - 1 - axis))
    for place, weight in around(places, mode, node.number("cubic_coeff_a", -0.75)):
        term = F.mul(at(place), F.reshape(F.cast(weight, dtype=x.type.dtype), shape=shape))
        total = term if total is None else F.add(total, term)
    return total


def _factor(new: Dim, old: Dim) -> int:
    """How many times a dimension is another, 0 if it isn't so."""
    if isinstance(new, int) and isinstance(old, int):
        return new // old if old and new % old == 0 else 0
    return next((k for k in range(1, 33) if old * k == new), 0)


def round_half_up(x: float) -> int:
    """The nearest integer, halves up."""
    return math.floor(x + 0.5)


def _size(x: Value, axis: int) -> int:
    size = x.type.shape[axis]
    if not isinstance(size, int) or size < 1:
        raise ModelError(f"resizes the dimension {size}, which must be known; give free dimensions sizes (--dim)")
    return size


def _scales(node: SourceNode, old: list[int], wanted: tuple[int, ...]) -> tuple[float, ...]:
    """The scale of each axis; one for all if the proportions stay."""
    if len(wanted) != len(old):
        raise ModelError(f"{len(wanted)} sizes for {len(old)} axes")
    scales = [n / o for n, o in zip(wanted, old, strict=True)]
    match node.text("keep_aspect_ratio_policy", "stretch"):
        case "stretch":
            return tuple(scales)
        case "not_larger":
            return (min(scales),) * len(scales)
        case "not_smaller":
            return (max(scales),) * len(scales)
        case other:
            raise ModelError(f"the policy {other!r} is not supported")


def _places(node: SourceNode, old: int, new: int, scale: float, region: tuple[float, float]) -> np.ndarray:
    """Where in an axis of ``old`` elements each of the ``new`` lies."""
    i, length = count(new, DType.F64), scale * old
    match node.text("coordinate_transformation_mode", "half_pixel"):
        case "half_pixel":
            return (i + 0.5) / scale - 0.5
        case "asymmetric":
            return i / scale
        case "pytorch_half_pixel":
            return (i + 0.5) / scale - 0.5 if length > 1 else np.full(new, -0.5)
        case "align_corners":
            return i * (old - 1) / (length - 1) if length != 1 else np.zeros(new)
        case "half_pixel_symmetric":
            return old / 2 * (1 - new / length) + (i + 0.5) / scale - 0.5
        case "tf_half_pixel_for_nn":
            return (i + 0.5) / scale
        case "tf_crop_and_resize":
            start, end = region
            inner = i * (end - start) * (old - 1) / (length - 1) if length != 1 else np.full(
                new, (end - start) * (old - 1) / 2)
            return start * (old - 1) + inner
        case other:
            raise ModelError(f"the coordinates {other!r} are not supported")


def _along(x: Value, axis: int, places: np.ndarray, mode: str | None, scale: float, node: SourceNode,
           rounding: str) -> Value:
    """x at places along an axis."""
    old = _size(x, axis)
    if mode == "nearest":
        if rounding not in _ROUNDING:
            raise ModelError(f"the rounding {rounding!r} is not supported")
        index = _ROUNDING[rounding](places).clip(0, old - 1)
        return F.gather(x, constant(index.astype(np.int64)), axis=axis)
    if mode not in ("linear", "cubic"):
        raise ModelError(f"the method {mode!r} is not supported")
    width = min(scale, 1.0) if node.flag("antialias") else 1.0
    a = node.number("cubic_coeff_a", -0.75)
    kernel, radius = (_triangle, 1) if mode == "linear" else (lambda d: _cubic(d, a), 2)
    reach = math.ceil(radius / width)
    countable(len(places) * old)
    matrix = np.zeros((len(places), old))
    for i, place in enumerate(places):
        around = np.arange(math.floor(place) - reach, math.floor(place) + reach + 2)
        weight = kernel(np.abs(around - place) * width)
        if node.flag("exclude_outside"):
            weight = np.where((around >= 0) & (around < old), weight, 0)
        np.add.at(matrix[i], around.clip(0, old - 1), weight / weight.sum())
    dtype = x.type.dtype
    y = resampled(x if dtype.is_float else F.cast(x, dtype=DType.F32), matrix, axis)
    return y if dtype.is_float else F.cast(F.round(y), dtype=dtype)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel (1981) with the coefficient a."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@converts("GridSample", "com.microsoft.GridSample")
def grid_sample(node: SourceNode, x: Value, grid: Value) -> Value:
    """x [N, C, S1…Sd] at the places grid [N, O1…Od, d] says, where -1 and 1 are the ends of an axis, the last axis
    first."""
    d = x.type.rank - 2
    sizes = [_size(x, 2 + i) for i in range(d)]
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(node.text("mode", "linear"), node.text("mode", "linear"))
    padding, corners = node.text("padding_mode", "zeros"), node.flag("align_corners")
    if mode not in ("nearest", "linear", "cubic") or padding not in ("zeros", "border", "reflection"):
        raise ModelError(f"samples by {mode!r} with the padding {padding!r}, which is not supported")
    n, *out = grid.type.shape[:-1]
    places = []
    for i, size in enumerate(sizes):
        place = F.gather(grid, constant(np.int64(d - 1 - i)), axis=-1)
        place = F.mul(F.add(place, 1.0), (size - 1) / 2) if corners else F.div(
            F.sub(F.mul(F.add(place, 1.0), float(size)), 1.0), 2.0)
        if padding != "zeros" and mode != "cubic":
            place = _inside(place, size, padding, corners)
        places.append(place)
    rows = F.transpose(x, perm=(0, *range(2, x.type.rank), 1))
    taps = [around(place, mode) for place in places]
    total = None
    for choice in np.ndindex(*map(len, taps)):
        index, weight, within = [], None, None
        for axis, k in enumerate(choice):
            at, factor = taps[axis][k]
            if padding != "zeros":
                at = _inside(at, sizes[axis], padding, corners) if mode == "cubic" else at
            else:
                inside = F.cast(F.equal(F.minimum(F.maximum(at, 0.0), float(sizes[axis] - 1)), at), dtype=x.type.dtype)
                within = inside if within is None else F.mul(within, inside)
            index.append(F.reshape(F.cast(F.minimum(F.maximum(at, 0.0), float(sizes[axis] - 1)), dtype=DType.I64),
                                   shape=(n, *out, 1)))
            if factor is not None:
                weight = factor if weight is None else F.mul(weight, factor)
        found = F.gather_nd(rows, F.concat(*index, axis=-1), batch_dims=1)
        for factor in (weight, within):
            if factor is not None:
                found = F.mul(found, F.reshape(factor, shape=(n, *out, 1)))
        total = found if total is None else F.add(total, found)
    return F.transpose(total, perm=(0, d + 1, *range(1, d + 1)))


def _inside(place: Value, size: int, padding: str, corners: bool) -> Value:
    """A place beyond the ends as the nearest one, or reflected at them as often as needed."""
    if padding == "border":
        return F.minimum(F.maximum(place, 0.0), float(size - 1))
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    if high == low:
        return F.mul(place, 0.0)
    around = F.floormod(F.sub(place, low), 2 * (high - low))
    mirrored = F.sub(high - low, F.abs(F.sub(around, high - low)))
    return F.minimum(F.maximum(F.add(mirrored, low), 0.0), float(size - 1))


def around(place: Value, mode: str, a: float = -0.75) -> list[tuple[Value, Value | None]]:
    """The elements around a place and their weights, of a cubic with the coefficient a."""
    if mode == "nearest":
        return [(F.round(place), None)]
    first = F.floor(place)
    rest = F.sub(place, first)
    if mode == "linear":
        return [(first, F.sub(1.0, rest)), (F.add(first, 1.0), rest)]
    taps = []
    for offset in (-1, 0, 1, 2):
        distance = F.abs(F.sub(rest, float(offset)))
        if offset in (0, 1):
            weight = F.add(F.mul(F.mul(F.sub(F.mul(distance, a + 2), a + 3), distance), distance), 1.0)
        else:
            weight = F.sub(F.mul(F.add(F.mul(F.sub(F.mul(distance, a), 5 * a), distance), 8 * a), distance), 4 * a)
        taps.append((F.add(first, float(offset)), weight))
    return taps


@converts("AffineGrid")
def affine_grid(node: SourceNode, theta: Value, size: Value) -> Value:
    """The places for GridSample that matrices [N, d, d + 1] move a grid over an image of a size to."""
    n, _, *sizes = node.ints(size, "the size")
    d, corners = len(sizes), node.flag("align_corners")
    countable(math.prod(sizes))
    axes = [np.linspace(-1, 1, s) if corners else (2 * np.arange(s) + 1) / s - 1 for s in sizes]
    grid = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(sizes)], -1).reshape(-1, d + 1)
    moved = F.matmul(constant(grid.astype(theta.type.dtype.numpy)), theta, transpose_b=True)
    return F.reshape(moved, shape=(n, *sizes, d))
