"""Fourier transforms."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.complex import Complex
from castiron.frontends.tensorflow.operators.table import COMPOUND, converts
from castiron.ir import Value
from castiron.ops import F

#: Over how many of the last axes each operator goes.
_AXES = {"": 1, "2D": 2, "3D": 3}


@converts(*(f"{name}{suffix}" for name in ("FFT", "IFFT") for suffix in _AXES), table=COMPOUND)
def fft(node: SourceNode, x: Complex) -> Complex:
    name = node.op.lstrip("I")
    return _along(x, range(-_AXES[name[len("FFT"):]], 0), node.op.startswith("I"))


@converts(*(f"RFFT{suffix}" for suffix in _AXES))
def rfft(node: SourceNode, x: Value, length: Value) -> Complex:
    lengths = _lengths(node, length)
    x = _fitted(x, lengths[:-1])
    return _along(Complex(*F.rfft(x, length=lengths[-1])), range(-len(lengths), -1), False)


@converts(*(f"IRFFT{suffix}" for suffix in _AXES), table=COMPOUND)
def irfft(node: SourceNode, x: Complex, length: Value) -> Value:
    lengths = _lengths(node, length)
    x = Complex(_fitted(x.re, lengths[:-1]), _fitted(x.im, lengths[:-1]))
    x = _along(x, range(-len(lengths), -1), True)
    return F.irfft(x.re, x.im, length=lengths[-1])


def _along(x: Complex, axes: range, inverse: bool) -> Complex:
    for axis in axes:
        x = Complex(*F.dft(x.re, x.im, inverse=inverse, axis=axis))
    return x


def _lengths(node: SourceNode, length: Value) -> tuple[int, ...]:
    lengths = node.ints(length, "the length of the transform")
    if len(lengths) != _AXES[node.op.partition("FFT")[2]] or min(lengths) < 1:
        raise ModelError(f"transforms of the lengths {lengths} are not supported")
    return lengths


def _fitted(x: Value, sizes: tuple[int, ...]) -> Value:
    """x with the axes before the last cut or filled up with zeros."""
    rank = x.type.rank
    for axis, size in enumerate(sizes, rank - 1 - len(sizes)):
        old = x.type.shape[axis]
        if not isinstance(old, int):
            raise ModelError(f"axis {axis} of {x.type!r} is free; give free dimensions sizes (--dim)")
        if old < size:
            x = F.pad(x, 0.0, before=(0,) * rank, after=tuple(size - old if i == axis else 0 for i in range(rank)))
        elif old > size:
            dims = tuple(size if i == axis else dim for i, dim in enumerate(x.type.shape))
            x = F.slice(x, starts=(0,) * rank, sizes=dims, steps=(1,) * rank)
    return x
