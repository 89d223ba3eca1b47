"""Fourier transforms, and the windows that frames of sound are weighted with."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count, countable
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import part
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axis
from castiron.ops.fourier import fitted

#: The cosines' weights of each window: Σ (-1)ᵏ aₖ cos(2πki/n).
_WINDOWS = {"HannWindow": (0.5, 0.5), "HammingWindow": (25 / 46, 21 / 46), "BlackmanWindow": (0.42, 0.5, 0.08)}


@converts(*_WINDOWS)
def window_(node: SourceNode, size: Value) -> Value:
    """One of ``size`` elements, symmetric unless it is ``periodic``."""
    length = node.ints(size, "the size")[0]
    places = count(length, DType.F64)
    turns = 2 * np.pi * places / max(length if node.flag("periodic", True) else length - 1, 1)
    found = sum((-1) ** k * weight * np.cos(k * turns) for k, weight in enumerate(_WINDOWS[node.op]))
    return constant(np.asarray(found).astype(node.dtype("output_datatype", DType.F32).numpy))


def _pair(x: Value) -> tuple[Value, Value]:
    """The real and imaginary parts [..., 1 or 2], the latter zero if there is none."""
    if x.type.rank < 2 or x.type.shape[-1] not in (1, 2):
        raise ModelError(f"the transform of {x.type!r}: expects one or two numbers along the last axis")
    re = F.gather(x, constant(np.int64(0)), axis=-1)
    return re, F.gather(x, constant(np.int64(1)), axis=-1) if x.type.shape[-1] == 2 else F.mul(re, 0.0)


def _transform(re: Value, im: Value, length: int, onesided: bool) -> Value:
    """Along the last axis, the parts side by side on a new one."""
    re, im = F.dft(fitted(re, length), fitted(im, length))
    y = F.stack(re, im, axis=-1)
    return part(y, y.type.rank - 2, 0, length // 2 + 1) if onesided else y


@converts("DFT")
def dft(node: SourceNode, x: Value, length: Value | None = None, axis: Value | None = None) -> Value:
    """Along an axis of real or complex numbers. ``onesided`` gives the half that decides on the other, or with
    ``inverse`` takes it and gives real numbers."""
    rank, inverse, onesided = x.type.rank, node.flag("inverse"), node.flag("onesided")
    along = node.integer("axis", 1) if node.version < 20 else -2 if axis is None else node.ints(axis, "the axis")[0]
    along = normalize_axis(along, rank)
    if along == rank - 1:
        raise ModelError("transforms along the axis of real and imaginary parts")
    size = x.type.shape[along]
    if length is not None:
        size = node.ints(length, "the length")[0]
    elif isinstance(size, int) and inverse and onesided:
        size = 2 * (size - 1)
    if not isinstance(size, int) or size < 1:
        raise ModelError(f"transforms {size} elements, which must be known; give free dimensions sizes (--dim)")
    perm = (*(a for a in range(rank) if a not in (along, rank - 1)), along, rank - 1)
    re, im = _pair(F.transpose(x, perm=perm))
    if inverse and onesided:
        y = F.irfft(re, im, length=size)
        y = F.reshape(y, shape=(*y.type.shape, 1))
    elif inverse:
        y = F.stack(*F.dft(fitted(re, size), fitted(im, size), inverse=True), axis=-1)
    else:
        y = _transform(re, im, size, onesided)
    return F.transpose(y, perm=tuple(np.argsort(perm).tolist()))


@converts("STFT")
def stft(node: SourceNode, x: Value, step: Value, window: Value | None = None, length: Value | None = None) -> Value:
    """The transforms of frames of the signal [batch, steps, 1 or 2], each weighted by the window."""
    hop, (_, steps, _) = node.ints(step, "the step")[0], x.type.shape
    size = node.ints(length, "the length")[0] if length is not None else (
        steps if window is None else window.type.shape[0])
    if not isinstance(size, int) or not isinstance(steps, int) or hop < 1 or not 0 < size <= steps:
        raise ModelError(f"frames of {size} elements every {hop} of {steps}; give free dimensions sizes (--dim)")
    frames = (steps - size) // hop + 1
    countable(frames * size)
    places = np.arange(frames)[:, None] * hop + np.arange(size)
    parts = [F.gather(v, constant(places), axis=1) for v in _pair(x)]
    if window is not None:
        parts = [F.mul(v, window) for v in parts]
    return _transform(*parts, size, node.flag("onesided", True))


@converts("MelWeightMatrix")
def mel_weight_matrix(node: SourceNode, bands: Value, length: Value, sampling: Value, low: Value, high: Value) -> Value:
    """Triangles at equal distances on the mel scale over the bins of a transform."""
    number, size, rate = (node.ints(v, "the size of the matrix")[0] for v in (bands, length, sampling))
    countable(max(number, 0) * max(size, 0))
    edges = [2595 * np.log10(1 + node.known(v, "an edge").item() / 700) for v in (low, high)]
    mels = edges[0] + np.arange(number + 2) * (edges[1] - edges[0]) / (number + 2)
    bins = ((size + 1) * 700 * (10 ** (mels / 2595) - 1) // rate).astype(np.int64)
    if number < 1 or size < 1 or rate < 1 or bins.min() < 0 or bins.max() > size // 2:
        raise ModelError(f"{number} bands over {size // 2 + 1} bins")
    j = np.arange(size // 2 + 1)[:, None]
    first, middle, last = bins[:-2], bins[1:-1], bins[2:]
    rising = np.where((j >= first) & (j <= middle), (j - first) / np.maximum(middle - first, 1), 0)
    rising = np.where((middle == first) & (j == middle), 1, rising)
    falling = np.where((j >= middle) & (j < last), (last - j) / np.maximum(last - middle, 1), rising)
    return constant(falling.astype(node.dtype("output_datatype", DType.F32).numpy))
