"""Images in another size, with the arithmetic of TensorFlow's ``tf.image.resize`` and ``Resize…`` operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, DType, TensorType, Value, constant
from castiron.ops.base import Example, F, Op, normalize_axis

_RNG = np.random.default_rng(29)
_IMAGE = _RNG.standard_normal((2, 5, 7, 3)).astype(np.float32)
_LINE = _RNG.standard_normal((2, 9, 18)).astype(np.float32)
_HOLES = np.where(_IMAGE > 1.5, np.nan, _IMAGE).astype(np.float32)

#: Entries for one unit of distance in the table from which TensorFlow's bicubic operator takes its weights.
_CUBIC_ENTRIES = 1024

COORDINATES = ("half_pixel", "align_corners", "asymmetric")

#: Methods that also take sizes which are not known when the model is compiled.
FREE_METHODS = ("nearest", "bilinear", "bicubic")


class Resample(Op):
    """Σₜ weights[i,t] · x[…, starts[i] + t, …] along an axis; what has the weight 0 is left out, and starts beyond
    x give the nearest that fit"""

    name = "resample"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = (
        *(Example((_LINE, np.array([0, 3, 6, 8, -2], np.int32), _RNG.standard_normal((5, 3)).astype(np.float32)),
                  {"axis": axis}, batched=batched, constants=(1, 2)) for axis, batched in ((1, (0,)), (-1, (0,)))),
        Example((_HOLES, np.array([1, 0], np.int32), np.array([[0.5, 0, -1], [2, 1, 0]], np.float32)), {"axis": 2},
                batched=(0,)),
        Example((_LINE, np.zeros(4, np.int32), np.zeros((4, 0), np.float32)), {"axis": 0}),
    )

    def infer(self, x: TensorType, starts: TensorType, weights: TensorType, *, axis: int) -> TensorType:
        axis = normalize_axis(axis, x.rank)
        if not x.dtype.is_float or weights.dtype != x.dtype or starts.dtype != DType.I32:
            raise ShapeError(f"resample of {x!r} by {starts!r} and {weights!r}: expects floats and i32 starts")
        if starts.rank != 1 or weights.rank != 2 or starts.shape[0] != weights.shape[0]:
            raise ShapeError(f"resample by {starts!r} and {weights!r}: expects a start and a row of weights for each")
        size, taps = x.shape[axis], weights.shape[1]
        if not (isinstance(size, int) and isinstance(taps, int) and taps <= size):
            raise ShapeError(f"resample of {x!r} along axis {axis} by {weights!r}: more weights than elements")
        return x.with_shape((*x.shape[:axis], starts.shape[0], *x.shape[axis + 1:]))

    def eval(self, x: np.ndarray, starts: np.ndarray, weights: np.ndarray, *, axis: int) -> np.ndarray:
        taps = weights.shape[1]
        first = starts.clip(0, x.shape[axis] - taps)
        rows = np.moveaxis(x, axis, -1).astype(np.float64)
        total = np.zeros((*rows.shape[:-1], len(starts)))
        with np.errstate(all="ignore"):
            for t in range(taps):
                weight = weights[:, t].astype(np.float64)
                total += np.where(weight == 0, 0, weight * rows[..., first + t])
            return np.moveaxis(total, -1, axis).astype(x.dtype)


class Resize(Op):
    """x [N, S1…Sd, C] in the sizes given for S1…Sd.

    Element i of the result lies in x at (i + ½)·scale - ½ with the coordinates "half_pixel" and scale = old/new,
    at i·scale with "asymmetric", and so with "align_corners" where scale = (old - 1)/(new - 1). The method says
    which elements around are weighted how: "nearest", "bilinear", "bicubic" (Keys, 1981), "area" (the mean of
    what an element covers), "lanczos3", "lanczos5", "gaussian", "mitchellcubic". With ``antialias`` the bilinear
    and bicubic kernels, and those of the last four, are as wide as the scale where the result is smaller. The
    result is of floats except that of "nearest"
    """

    name = "resize"
    tolerance: ClassVar[float] = 5e-6
    examples: ClassVar = (
        *(Example((_IMAGE,), {"sizes": sizes, "method": method}, batched=(0,))
          for method in ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
          for sizes in ((11, 3),)),
        *(Example((_IMAGE,), {"sizes": (3, 14), "method": method, "coordinates": coordinates}, batched=(0,))
          for method in ("nearest", "bilinear", "bicubic") for coordinates in ("align_corners", "asymmetric")),
        *(Example((_IMAGE,), {"sizes": (2, 7), "method": method, "antialias": True}, batched=(0,))
          for method in ("bilinear", "bicubic", "lanczos3")),
        Example((_LINE,), {"sizes": (4,), "method": "bilinear"}, batched=(0,)),
        Example(((_IMAGE * 50).astype(np.int32),), {"sizes": (10, 14), "method": "bilinear"}, batched=(0,)),
        Example(((_IMAGE * 50).astype(np.int32),), {"sizes": (10, 14), "method": "nearest"}, batched=(0,)),
    )

    def infer(self, x: TensorType, *, sizes: tuple[Dim, ...], method: str = "bilinear", antialias: bool = False,
              coordinates: str = "half_pixel") -> TensorType:
        if x.rank < 3 or len(sizes) != x.rank - 2 or x.dtype == DType.BOOL or any(
                isinstance(size, int) and size < 1 for size in (*sizes, *x.shape[1:-1])):
            raise ShapeError(f"resize of {x!r} to {sizes}: expects numbers, and a size for each axis between the first "
                             f"and the last")
        free = not all(isinstance(size, int) for size in (*sizes, *x.shape[1:-1]))
        if free and method != "nearest" and (antialias or method not in FREE_METHODS):
            raise ShapeError(f"resize of {x!r} to {sizes} by {method}: the sizes must be known when the model is "
                             f"compiled; give free dimensions sizes (--dim)")
        if method not in ("nearest", *_WEIGHTS, *KERNELS) or coordinates not in COORDINATES:
            raise ShapeError(f"resize: the method {method!r} with {coordinates!r} coordinates is not supported")
        return TensorType(x.dtype if method == "nearest" or x.dtype.is_float else DType.F32,
                          (x.shape[0], *sizes, x.shape[-1]))

    def eval(self, x: np.ndarray, *, sizes: tuple[int, ...], method: str, antialias: bool,
             coordinates: str) -> np.ndarray:
        for axis, size in enumerate(sizes, 1):
            if method == "nearest":
                x = np.take(x, nearest(x.shape[axis], size, coordinates), axis)
            else:
                matrix = weights(method, x.shape[axis], size, antialias, coordinates)
                x = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
                x = Resample().eval(x, *spans(matrix.astype(x.dtype)), axis=axis)
        return x

    def lower(self, x: Value, *, sizes: tuple[Dim, ...], method: str, antialias: bool, coordinates: str) -> Value:
        if method != "nearest" and not x.type.dtype.is_float:
            x = F.cast(x, dtype=DType.F32)
        for axis, size in enumerate(sizes, 1):
            old = x.type.shape[axis]
            if not (isinstance(old, int) and isinstance(size, int)):
                x = _resized(x, axis, size, method, coordinates)
            elif method == "nearest":
                x = F.gather(x, constant(nearest(old, size, coordinates)), axis=axis)
            else:
                x = resampled(x, weights(method, old, size, antialias, coordinates), axis)
        return x


def _resized(x: Value, axis: int, new: Dim, method: str, coordinates: str) -> Value:
    """What ``nearest`` and ``weights`` say, computed where the model runs: the elements around each place, weighted."""
    old = _size(x.type.shape[axis])
    i = F.cast(F.sub(F.cumsum(F.broadcast_to(constant(np.int32(1)), shape=(new,)), axis=0), 1), dtype=DType.F32)
    scale = F.div(old, _size(new))
    if coordinates == "align_corners":
        scale = F.select(F.greater(_size(new), 1.0), F.div(F.sub(old, 1.0), F.sub(_size(new), 1.0)), scale)
    middle = 0.5 if coordinates == "half_pixel" else 0.0

    def elements(place: Value) -> Value:
        return F.gather(x, F.cast(F.maximum(F.minimum(place, F.sub(old, 1.0)), 0.0), dtype=DType.I32), axis=axis)

    def along(weight: Value) -> Value:
        return F.reshape(F.cast(weight, dtype=x.type.dtype), shape=(new, *(1,) * (x.type.rank - axis - 1)))

    if method == "nearest":
        place = F.mul(F.add(i, middle), scale)
        return elements(F.floor(F.add(place, 0.5) if coordinates == "align_corners" else place))
    place = F.sub(F.mul(F.add(i, middle), scale), middle)
    first = F.floor(place)
    share = F.sub(place, first)
    if method == "bilinear":
        low = elements(first)
        return F.add(low, F.mul(F.sub(elements(F.ceil(place)), low), along(share)))
    a = -0.5 if middle else -0.75
    share = F.div(F.round(F.mul(share, float(_CUBIC_ENTRIES))), float(_CUBIC_ENTRIES))
    rest = F.sub(1.0, share)
    amounts = (_cubic_far(share, a), _cubic_near(share, a), _cubic_near(rest, a), _cubic_far(rest, a))
    places = [F.add(first, float(j)) for j in (-1, 0, 1, 2)]
    if middle:
        inside = [getattr(F, "and")(F.greater_equal(p, 0.0), F.less(p, old)) for p in places]
        amounts = [F.select(ok, amount, 0.0) for ok, amount in zip(inside, amounts, strict=True)]
        total = F.add(F.add(amounts[0], amounts[1]), F.add(amounts[2], amounts[3]))
        amounts = [F.div(amount, total) for amount in amounts]
    terms = [F.mul(elements(p), along(amount)) for p, amount in zip(places, amounts, strict=True)]
    return F.add(F.add(terms[0], terms[1]), F.add(terms[2], terms[3]))


def _size(dim: Dim) -> Value:
    return F.cast(F.dims(values=(dim,), shape=(), dtype=DType.I32), dtype=DType.F32)


def _cubic_near(distance: Value, a: float) -> Value:
    square = F.square(distance)
    return F.add(F.mul(F.sub(F.mul(distance, a + 2), a + 3), square), 1.0)


def _cubic_far(distance: Value, a: float) -> Value:
    further = F.add(distance, 1.0)
    inner = F.add(F.mul(F.sub(F.mul(further, a), 5 * a), further), 8 * a)
    return F.sub(F.mul(inner, further), 4 * a)


def resampled(x: Value, matrix: np.ndarray, axis: int) -> Value:
    """x multiplied by a matrix [new, old] along an axis; most of it should be zero."""
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
        return x
    starts, rows = spans(matrix.astype(x.type.dtype.numpy))
    return F.resample(x, constant(starts), constant(rows), axis=axis)


def spans(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A matrix [new, old] as the first column (i32) of each row and as many elements from there on as the row with
    the widest span of nonzero elements has."""
    used = matrix != 0
    first = np.where(used.any(1), used.argmax(1), 0)
    last = np.where(used.any(1), matrix.shape[1] - 1 - used[:, ::-1].argmax(1), 0)
    taps = int((last - first).max()) + 1
    starts = np.minimum(first, matrix.shape[1] - taps)
    return starts.astype(np.int32), np.take_along_axis(matrix, starts[:, None] + np.arange(taps), 1)


def nearest(old: int, new: int, coordinates: str) -> np.ndarray:
    """The index (i32) of the nearest element for each new one, in TensorFlow's single precision."""
    scale = _scale(old, new, coordinates)
    i = np.arange(new, dtype=np.float32)
    place = np.floor(i * scale + np.float32(0.5)) if coordinates == "align_corners" else np.floor(
        (i + np.float32(0.5)) * scale if coordinates == "half_pixel" else i * scale)
    return np.minimum(place, old - 1).astype(np.int32)


def weights(method: str, old: int, new: int, antialias: bool = False, coordinates: str = "half_pixel") -> np.ndarray:
    """The matrix [new, old] by which a method resizes an axis."""
    kernel = {"bilinear": "triangle", "bicubic": "keyscubic"}.get(method, method) if antialias else method
    if kernel in KERNELS:
        return kernel_weights(kernel, old, new, new / old, 0.0, antialias)
    return _WEIGHTS[method](old, new, coordinates)


def _scale(old: int, new: int, coordinates: str) -> np.float32:
    if coordinates == "align_corners" and new > 1:
        return np.float32(old - 1) / np.float32(new - 1)
    return np.float32(old) / np.float32(new)


def _places(old: int, new: int, coordinates: str) -> np.ndarray:
    """Where each new element lies among the old ones, in single precision."""
    scale, i = _scale(old, new, coordinates), np.arange(new, dtype=np.float32)
    if coordinates == "half_pixel":
        return (i + np.float32(0.5)) * scale - np.float32(0.5)
    return i * scale


def _bilinear(old: int, new: int, coordinates: str) -> np.ndarray:
    place = _places(old, new, coordinates)
    matrix = np.zeros((new, old), np.float32)
    for i, x in enumerate(place):
        share = x - np.floor(x)
        matrix[i, max(int(np.floor(x)), 0)] += 1 - share
        matrix[i, min(int(np.ceil(x)), old - 1)] += share
    return matrix


def _bicubic(old: int, new: int, coordinates: str) -> np.ndarray:
    """Half-pixel coordinates go with a = -½ and no weight for what is outside, others with a = -¾ and the nearest
    element for it."""
    inside_only = coordinates == "half_pixel"
    a = -0.5 if inside_only else -0.75
    distance = np.arange(_CUBIC_ENTRIES + 1) / _CUBIC_ENTRIES
    near = (((a + 2) * distance - (a + 3)) * distance * distance + 1).astype(np.float32)
    distance += 1
    far = (((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a).astype(np.float32)
    matrix = np.zeros((new, old), np.float32)
    for i, x in enumerate(_places(old, new, coordinates)):
        first = int(np.floor(x))
        entry = int(np.rint((x - np.floor(x)) * np.float32(_CUBIC_ENTRIES)))
        amounts = far[entry], near[entry], near[_CUBIC_ENTRIES - entry], far[_CUBIC_ENTRIES - entry]
        for j, amount in enumerate(amounts, first - 1):
            if 0 <= j < old or not inside_only:
                matrix[i, min(max(j, 0), old - 1)] += amount
    return _normalized(matrix) if inside_only else matrix


def _area(old: int, new: int, coordinates: str) -> np.ndarray:
    if old == 1:
        return np.ones((new, 1), np.float32)
    scale = _scale(old, new, coordinates)
    matrix = np.zeros((new, old), np.float32)
    for i in range(new):
        low, high = np.float32(i) * scale, np.float32(i + 1) * scale
        for j in range(int(np.floor(low)), int(np.ceil(high))):
            matrix[i, min(j, old - 1)] += (min(j + 1, high) - max(j, low)) / scale
    return matrix


_WEIGHTS: dict[str, Callable[[int, int, str], np.ndarray]] = {"bilinear": _bilinear, "bicubic": _bicubic, "area": _area}


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.where(x <= 1e-3, 1, np.sinc(x) * np.sinc(x / radius))


#: By name: a kernel of the distance in old elements, which is at least 0, and the distance from which on it is 0.
KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "lanczos1": (_lanczos(1), 1.0),
    "lanczos3": (_lanczos(3), 3.0),
    "lanczos5": (_lanczos(5), 5.0),
    "gaussian": (lambda x: np.exp(-2 * x * x), 1.5),
    "box": (lambda x: np.where(x < 0.5, 1.0, np.where(x == 0.5, 0.5, 0.0)), 0.5),
    "triangle": (lambda x: 1 - x, 1.0),
    "keyscubic": (lambda x: np.where(x >= 1, ((-0.5 * x + 2.5) * x - 4) * x + 2, (1.5 * x - 2.5) * x * x + 1), 2.0),
    "mitchellcubic": (lambda x: np.where(x >= 1, ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9,
                                         (7 / 6 * x - 2) * x * x + 8 / 9), 2.0),
}


def kernel_weights(kernel: str, old: int, new: int, scale: float, translation: float, antialias: bool) -> np.ndarray:
    """The matrix [new, old] of TensorFlow's ScaleAndTranslate: element i of the result lies at
    (i + ½ - translation)/scale - ½."""
    function, radius = KERNELS[kernel]
    inverse = np.float32(1) / np.float32(scale)
    width = max(inverse, np.float32(1)) if antialias else np.float32(1)
    matrix = np.zeros((new, old), np.float32)
    for i in range(new):
        place = np.float32(i + 0.5) * inverse + np.float32(-inverse * np.float32(translation))
        if not 0 <= place <= old:
            continue
        low = max(int(np.ceil(place - radius * width - np.float32(0.5))), 0)
        high = min(int(np.floor(place + radius * width - np.float32(0.5))), old - 1)
        distance = np.abs((np.arange(low, high + 1) + 0.5 - place) / width)
        matrix[i, low:high + 1] = np.where(distance >= radius, 0, function(distance)) if kernel != "box" else (
            function(distance))
    return _normalized(matrix)


def _normalized(matrix: np.ndarray) -> np.ndarray:
    """Rows that add up to 1, except those that add up to nothing."""
    total = matrix.sum(1, keepdims=True)
    return np.where(np.abs(total) >= 1000 * np.finfo(np.float32).tiny, matrix / np.where(total == 0, 1, total), matrix)
