"""Convolutions over x[N, S1…Sd, C], d = 1, 2 or 3."""

from __future__ import annotations

from math import prod
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, Dim, Instr, TensorType, Value
from castiron.ops.base import Example, F, Op, same_dtype
from castiron.ops.contract import Pack, Unpack
from castiron.ops.fused import Map, body_eval
from castiron.ops.window import random_floats, taps, window_shape


def _attributes(rank: int, strides=1, dilations=1, before=0, after=0, groups=1) -> dict:
    """Attributes of an example, numbers standing for all spatial dimensions."""
    given = {"strides": strides, "dilations": dilations, "before": before, "after": after}
    return {k: (v,) * rank if isinstance(v, int) else v for k, v in given.items()} | {"groups": groups}


#: (x, w, attributes) of examples.
_CASES = (
    (random_floats(2, 7, 8, 3), random_floats(3, 3, 3, 16), _attributes(2, before=1, after=1)),
    (random_floats(1, 9, 9, 3), random_floats(7, 7, 3, 20), _attributes(2, strides=2, before=(2, 3), after=(3, 3))),
    (random_floats(2, 6, 5, 17), random_floats(1, 1, 17, 33), _attributes(2)),
    (random_floats(2, 6, 5, 17), random_floats(1, 1, 17, 5), _attributes(2, strides=2)),
    (random_floats(2, 9, 20), random_floats(3, 20, 1), _attributes(1, dilations=2, before=4)),
    (random_floats(2, 5, 4, 3, 2), random_floats(2, 3, 2, 2, 7),
     _attributes(3, strides=(2, 1, 1), dilations=(1, 1, 2), before=(0, 2, 1), after=(1, 0, 1))),
    (random_floats(2, 6, 7, 12), random_floats(3, 3, 4, 6), _attributes(2, before=1, after=1, groups=3)),
    (random_floats(2, 6, 8), random_floats(2, 4, 2), _attributes(1, groups=2)),
    (random_floats(2, 7, 9, 35), random_floats(3, 3, 1, 35), _attributes(2, before=1, after=1, groups=35)),
    (random_floats(1, 9, 9, 16), random_floats(5, 5, 1, 16), _attributes(2, strides=2, before=1, after=2, groups=16)),
    (random_floats(2, 7, 6, 3), random_floats(3, 2, 1, 6), _attributes(2, dilations=(2, 1), after=(0, 1), groups=3)),
    (random_floats(1, 7, 1), random_floats(3, 1, 1), _attributes(1)),
    (random_floats(2, 2, 2, 3), random_floats(5, 5, 3, 4), _attributes(2, before=2, after=2)),
    (random_floats(2, 2, 2, 3), random_floats(3, 3, 3, 4), _attributes(2)),
    (random_floats(2, 4, 4, 0), random_floats(3, 3, 0, 4), _attributes(2)),
)


def _check(name: str, x: TensorType, w: TensorType, channels: Dim, out: Dim, groups: int, d: int) -> None:
    if w.rank != d + 2 or not all(isinstance(dim, int) for dim in w.shape[:-2]):
        raise ShapeError(f"{name} of {x!r} with {w!r}: expects weights of {d + 2} dimensions, known sizes first")
    if groups < 1 or channels * groups != x.shape[-1] or (isinstance(out, int) and out % groups):
        raise ShapeError(f"{name} of {x!r} with {w!r}: channels don't fit {groups} groups")


class Conv(Op):
    """y[n,o,m] = Σ_{k,c} x[n, o·stride + k·dilation - before, c] · w[k,c,m], zero outside x, where o and k run over
    the spatial dimensions. In ``groups`` the m-th of w's outputs sees the channels of its own group alone"""

    name = "conv"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = tuple(Example((x, w), attrs, batched=(0,)) for x, w, attrs in _CASES)

    def infer(self, x: TensorType, w: TensorType, *, strides: tuple[int, ...], dilations: tuple[int, ...],
              before: tuple[Dim, ...], after: tuple[Dim, ...], groups: int = 1) -> TensorType:
        if x.rank > 2:
            _check(self.name, x, w, w.shape[-2] if w.rank > 1 else 0, w.shape[-1] if w.rank else 0, groups, x.rank - 2)
        shape = window_shape(self.name, x, w.shape[:-2], strides, dilations, before, after)
        return TensorType(same_dtype(x, w), (x.shape[0], *shape, w.shape[-1]))

    def eval(self, x: np.ndarray, w: np.ndarray, *, strides: tuple[int, ...], dilations: tuple[int, ...],
             before: tuple[int, ...], after: tuple[int, ...], groups: int) -> np.ndarray:
        *sizes, channels, outputs = w.shape
        x_wide, w_wide = (a.astype(np.float64) if a.dtype == np.float32 else a for a in (x, w))
        matrices = w_wide.reshape(*sizes, channels, groups, outputs // groups).swapaxes(-2, -3)
        total = None
        with np.errstate(all="ignore"):
            for position, elements in taps(x_wide, tuple(sizes), strides, dilations, before, after):
                shape = elements.shape[:-1]
                rows = elements.reshape(prod(shape), groups, channels).swapaxes(0, 1)
                # numpy is slow at many products of a row and a column.
                term = rows * matrices[position] if channels == 1 else rows @ matrices[position]
                total = term if total is None else total + term
        return np.ascontiguousarray(total.swapaxes(0, 1)).reshape(*shape, outputs).astype(x.dtype)


#: tanh((sum + column) · element)
SCALED = Body((Instr("add", (0, 1)), Instr("mul", (3, 2)), Instr("tanh", (4,))))


class PackedConv(Op):
    """f(conv(x, w), …) with w packed, a matrix for each group, and a body f of element-wise operators over the sum
    and any further operands (none: the sum itself). Groups of one channel must have one output each; their
    weights are packed as one matrix"""

    name = "packed_conv"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = ()

    @staticmethod
    def matrices(channels: Dim, groups: int) -> int:
        """How many matrices the weights of so many channels are packed as."""
        return 1 if channels == groups else groups

    def infer(self, x: TensorType, packed: TensorType, *more: TensorType, sizes: tuple[int, ...], outputs: int,
              strides: tuple[int, ...], dilations: tuple[int, ...], before: tuple[Dim, ...], after: tuple[Dim, ...],
              groups: int = 1, epilogue: Body | None = None) -> TensorType:
        channels = x.shape[-1] if x.rank else None
        if not isinstance(channels, int) or channels % groups:
            raise ShapeError(f"packed_conv of {x!r}: the number of channels must be a known multiple of {groups}")
        if channels == groups != outputs and groups > 1:
            raise ShapeError(f"packed_conv of {x!r}: {outputs} outputs of {groups} groups of one channel")
        kernel = packed.with_shape((*sizes, channels // groups, outputs))
        Unpack().infer(packed, shape=kernel.shape, groups=self.matrices(channels, groups))
        result = Conv().infer(x, kernel, strides=strides, dilations=dilations, before=before, after=after,
                              groups=groups)
        fused = Map().infer(result, *more, body=epilogue) if epilogue else result
        if fused.shape != result.shape:
            raise ShapeError(f"packed_conv of {x!r}: the epilogue changes {result!r} to {fused!r}")
        return fused

    def eval(self, x: np.ndarray, packed: np.ndarray, *more: np.ndarray, sizes: tuple[int, ...], outputs: int,
             epilogue: Body | None, groups: int, **window: tuple[int, ...]) -> np.ndarray:
        channels = x.shape[-1]
        kernel = Unpack().eval(packed, shape=(*sizes, channels // groups, outputs),
                               groups=self.matrices(channels, groups))
        result = Conv().eval(x, kernel, groups=groups, **window)
        return body_eval(epilogue, result, *more) if epilogue else result


def _packed_examples() -> tuple[Example, ...]:
    examples = []
    for x, w, attrs in _CASES:
        *sizes, channels, outputs = w.shape
        if channels == 1 < attrs["groups"] != outputs:
            continue
        packed = Pack().eval(w, groups=PackedConv.matrices(x.shape[-1], attrs["groups"]))
        more = {"sizes": tuple(sizes), "outputs": outputs}
        plain = Example((x, packed), attrs | more, batched=(0,), constants=(1,))
        result = PackedConv().eval(*plain.inputs, epilogue=None, **plain.attrs)
        examples += [plain, Example((x, packed, random_floats(outputs), random_floats(*result.shape)),
                                    attrs | more | {"epilogue": SCALED}, batched=(0, 3), constants=(1, 2))]
    return tuple(examples)


PackedConv.examples = _packed_examples()


class OverlapAdd(Op):
    """y[n, s·stride + k·dilation - before, m] = Σ x[n,s,k,m] over all s and k that lead there, where s and k run over
    the spatial dimensions and those of a window; ``before`` and ``after`` elements are cut off the ends"""

    name = "overlap_add"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        Example((random_floats(2, 5, 4, 3),), {"strides": (2,), "dilations": (1,), "before": (0,), "after": (0,)},
                batched=(0,)),
        Example((random_floats(2, 4, 3, 3, 2, 17),),
                {"strides": (2, 1), "dilations": (1, 2), "before": (1, 0), "after": (0, -2)}, batched=(0,)),
        Example((random_floats(1, 2, 3, 2, 2, 1, 3, 16),),
                {"strides": (3, 1, 2), "dilations": (1, 1, 1), "before": (0, 0, 1), "after": (-1, 0, 1)}, batched=(0,)),
    )

    def infer(self, x: TensorType, *, strides: tuple[int, ...], dilations: tuple[int, ...], before: tuple[Dim, ...],
              after: tuple[Dim, ...]) -> TensorType:
        d = len(strides)
        if not 1 <= d <= 3 or x.rank != 2 * d + 2 or not len(dilations) == len(before) == len(after) == d:
            raise ShapeError(f"overlap_add of {x!r} by {d} strides")
        shape = transposed_shape(self.name, x, x.shape[1:d + 1], x.shape[d + 1:-1], strides, dilations, before, after)
        return x.with_shape((x.shape[0], *shape, x.shape[-1]))

    def eval(self, x: np.ndarray, *, strides: tuple[int, ...], dilations: tuple[int, ...], before: tuple[int, ...],
             after: tuple[int, ...]) -> np.ndarray:
        d = len(strides)
        sizes, window = x.shape[1:d + 1], x.shape[d + 1:-1]
        full = [max(full_size(*dims), 0) for dims in zip(sizes, window, strides, dilations, strict=True)]
        tails = [max(-a, 0) for a in after]
        result = np.zeros((x.shape[0], *map(sum, zip(full, tails, strict=True)), x.shape[-1]),
                          np.float64 if x.dtype == np.float32 else x.dtype)
        for position in np.ndindex(*window):
            index = (slice(p * dilation, p * dilation + max(size - 1, 0) * stride + min(size, 1), stride)
                     for p, dilation, size, stride in zip(position, dilations, sizes, strides, strict=True))
            result[(slice(None), *index)] += x[(slice(None), *(slice(None),) * d, *position)]
        kept = (slice(b, f - a) for b, f, a in zip(before, full, after, strict=True))
        return result[(slice(None), *kept)].astype(x.dtype)


def full_size(size: Dim, kernel: Dim, stride: int, dilation: int) -> Dim:
    """The size that windows of a kernel's size side by side cover."""
    return (size - 1) * stride + (kernel - 1) * dilation + 1


def transposed_shape(name: str, x: TensorType, sizes: tuple[Dim, ...], kernel: tuple[Dim, ...],
                     strides: tuple[int, ...], dilations: tuple[int, ...], before: tuple[Dim, ...],
                     after: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The spatial dimensions of a transposed convolution."""
    if any(isinstance(v, int) and v < least for values, least in ((strides, 1), (dilations, 1), (before, 0))
           for v in values):
        raise ShapeError(f"{name} of {x!r}: strides {strides}, dilations {dilations}, before {before}: too small")
    full = map(full_size, sizes, kernel, strides, dilations)
    shape = tuple(f - b - a for f, b, a in zip(full, before, after, strict=True))
    if any(isinstance(dim, int) and dim < 0 for dim in shape):
        raise ShapeError(f"{name} of {x!r}: more is cut off, {before} and {after}, than there is")
    return shape


class ConvTranspose(Op):
    """y[n, s·stride + k·dilation - before, m] = Σ_{s,k,c} x[n,s,c] · w[k,m,c], where s and k run over the spatial
    dimensions: conv with its operands' roles changed, as for its gradient. ``before`` and ``after`` elements are cut
    off the ends; where ``after`` is negative, zeros are added"""

    name = "conv_transpose"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = tuple(
        Example((x, w), attrs, batched=(0,), constants=(1,)) for x, w, attrs in (
            (random_floats(2, 5, 4, 6), random_floats(3, 3, 17, 6), _attributes(2, strides=2, after=(1, 0))),
            (random_floats(2, 5, 6), random_floats(4, 3, 6), _attributes(1, strides=2, before=1, after=1)),
            (random_floats(1, 3, 4, 2, 6), random_floats(2, 2, 3, 2, 6), _attributes(3, dilations=(1, 2, 1), after=-1)),
            (random_floats(2, 3, 4, 6), random_floats(2, 2, 2, 6), _attributes(2, strides=3, after=-2, groups=3)),
        ))

    def infer(self, x: TensorType, w: TensorType, *, strides: tuple[int, ...], dilations: tuple[int, ...],
              before: tuple[Dim, ...], after: tuple[Dim, ...], groups: int = 1) -> TensorType:
        d = x.rank - 2
        if d not in (1, 2, 3) or not len(strides) == len(dilations) == len(before) == len(after) == d:
            raise ShapeError(f"conv_transpose of {x!r}: strides {strides}, dilations {dilations}, before {before} and "
                             f"after {after} must have an entry for each dimension between batch and channels")
        channels = w.shape[-1] if w.rank else 0
        if w.rank != d + 2 or channels != x.shape[-1] or not w.is_static or channels % groups:
            raise ShapeError(f"conv_transpose of {x!r} with {w!r} in {groups} groups: expects weights of known shape, "
                             "kernel sizes, outputs of a group, channels")
        shape = transposed_shape(self.name, x, x.shape[1:-1], w.shape[:-2], strides, dilations, before, after)
        return TensorType(same_dtype(x, w), (x.shape[0], *shape, w.shape[-2] * groups))

    def eval(self, x: np.ndarray, w: np.ndarray, *, groups: int, **window: tuple[int, ...]) -> np.ndarray:
        *sizes, outputs, channels = w.shape
        kernels = w.astype(np.float64) if w.dtype == np.float32 else w
        parts = []
        for group in range(groups):
            inside = slice(group * channels // groups, (group + 1) * channels // groups)
            matrix = kernels[..., inside].reshape(-1, channels // groups).T
            terms = (x[..., inside] @ matrix).reshape(*x.shape[:-1], *sizes, outputs)
            parts.append(OverlapAdd().eval(terms, **window))
        return np.concatenate(parts, -1).astype(x.dtype)

    def lower(self, x: Value, w: Value, *, groups: int, **window: tuple[Dim, ...]) -> Value:
        *sizes, outputs, channels = w.type.shape
        d, inside = len(sizes), channels // groups
        matrices = F.reshape(F.transpose(w, perm=(d + 1, *range(d + 1))), shape=(channels, prod(sizes) * outputs))
        parts = []
        for group in range(groups):
            some = x if groups == 1 else _part(x, x.type.rank - 1, group * inside, inside)
            matrix = matrices if groups == 1 else _part(matrices, 0, group * inside, inside)
            terms = F.reshape(F.matmul(some, matrix), shape=(*x.type.shape[:-1], *sizes, outputs))
            parts.append(F.overlap_add(terms, **window))
        return F.concat(*parts, axis=-1) if groups > 1 else parts[0]


def _part(x: Value, axis: int, start: int, size: int) -> Value:
    """``size`` slices along an axis."""
    whole = [0] * x.type.rank
    return F.slice(x, starts=(*whole[:axis], start, *whole[axis + 1:]),
                   sizes=(*x.type.shape[:axis], size, *x.type.shape[axis + 1:]), steps=(1,) * x.type.rank)
