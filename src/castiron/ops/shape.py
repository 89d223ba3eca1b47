"""Core operators that move elements without changing them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, DType, Expr, TensorType, exact_div, least, product
from castiron.ops.base import Example, Op, broadcast, normalize_axis, same_dtype

_X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
_LARGE = np.arange(3 * 17 * 44, dtype=np.float32).reshape(3, 17, 44)


class Shape(Op):
    """The dimensions of x, as integers"""

    name = "shape"
    examples: ClassVar = (Example((_X,), {"dtype": DType.I64}, batched=(0,)),)

    def infer(self, x: TensorType, *, dtype: DType = DType.I32) -> TensorType:
        return TensorType(dtype, (x.rank,))

    def eval(self, x: np.ndarray, *, dtype: DType) -> np.ndarray:
        return np.array(x.shape, dtype.numpy)


class Dims(Op):
    """Dimension expressions as a tensor: what shape arithmetic folds into. It has the inputs of the
    model as operands only through the symbols that they bind."""

    name = "dims"

    def infer(self, *, values: tuple[Dim, ...], shape: tuple[int, ...], dtype: DType) -> TensorType:
        return TensorType(dtype, shape)

    def eval(self, *, values: tuple[Dim, ...], shape: tuple[int, ...], dtype: DType) -> np.ndarray:
        if free := [v for v in values if isinstance(v, Expr)]:
            raise ShapeError(f"the dimension {free[0]} is free: replace it before evaluating")
        return np.array(values, dtype.numpy).reshape(shape)


class Reshape(Op):
    """The same elements in row-major order under another shape"""

    name = "reshape"
    examples: ClassVar = (Example((_X,), {"shape": (6, 4)}),
                          Example((_X,), {"shape": (-1, 12)}, batched=(0,)),
                          Example((_X,), {"shape": (2, 3, 2, 2)}))

    def infer(self, x: TensorType, *, shape: tuple[Dim, ...]) -> TensorType:
        return x.with_shape(self.resolve(x.shape, shape))

    @staticmethod
    def resolve(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """``new`` with its one -1, if any, replaced."""
        described = f"reshape of [{','.join(map(str, old))}] to [{','.join(map(str, new))}]"
        if sum(d == -1 for d in new) > 1:
            raise ShapeError(f"{described}: only one dimension may be -1")
        if -1 in new:
            known = product([d for d in new if d != -1])
            try:
                missing = exact_div(product(old), known)
            except ShapeError as error:
                raise ShapeError(f"{described}: {error}") from None
            new = tuple(missing if d == -1 else d for d in new)
        if product(old) != product(new):
            raise ShapeError(f"{described}: {product(old)} elements become {product(new)}")
        return tuple(new)

    def eval(self, x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        return x.reshape(shape)


class Transpose(Op):
    """The axes in another order: axis i of the result is axis perm[i] of x"""

    name = "transpose"
    examples: ClassVar = (Example((_X,), {"perm": (2, 0, 1)}),
                          Example((_X,), {"perm": (0, 2, 1)}, batched=(0,)),
                          Example((_X,), {"perm": (1, 0, 2)}, batched=(0,)),
                          Example((_LARGE,), {"perm": (0, 2, 1)}, batched=(0,)),
                          Example((_LARGE > 700,), {"perm": (2, 0, 1)}),
                          Example((_LARGE.reshape(33, 17, 4),), {"perm": (1, 2, 0)}, batched=(0,)))

    def infer(self, x: TensorType, *, perm: tuple[int, ...]) -> TensorType:
        if sorted(perm) != list(range(x.rank)):
            raise ShapeError(f"transpose of {x!r}: {perm} is no order of its axes")
        return x.with_shape([x.shape[axis] for axis in perm])

    def eval(self, x: np.ndarray, *, perm: tuple[int, ...]) -> np.ndarray:
        return x.transpose(perm).copy()


class BroadcastTo(Op):
    """x repeated along new axes and axes of size 1"""

    name = "broadcast_to"
    examples: ClassVar = (Example((_X[:, :1],), {"shape": (2, 5, 4)}), Example((_X[0],), {"shape": (2, 3, 4)}))

    def infer(self, x: TensorType, *, shape: tuple[Dim, ...]) -> TensorType:
        if broadcast(x.shape, shape) != tuple(shape):
            raise ShapeError(f"{x!r} can't be broadcast to [{','.join(map(str, shape))}]")
        return x.with_shape(shape)

    def eval(self, x: np.ndarray, *, shape: tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(x, shape).copy()


class Concat(Op):
    """The operands one after the other along an axis"""

    name = "concat"
    examples: ClassVar = (Example((_X, _X[:, :1]), {"axis": 1}, batched=(0, 1)),
                          Example((_X, _X[:1]), {"axis": 0}),
                          Example((_X, _X, _X), {"axis": -1}, batched=(0, 1, 2)))

    def infer(self, *xs: TensorType, axis: int) -> TensorType:
        if not xs:
            raise ShapeError("concat needs an operand")
        axis = normalize_axis(axis, xs[0].rank)
        rest = {(x.rank, x.shape[:axis], x.shape[axis + 1:]) for x in xs}
        if len(rest) != 1:
            raise ShapeError(f"concat along axis {axis}: other dimensions differ: {', '.join(map(repr, xs))}")
        total: Dim = 0
        for x in xs:
            total = total + x.shape[axis]
        return TensorType(same_dtype(*xs), (*xs[0].shape[:axis], total, *xs[0].shape[axis + 1:]))

    def eval(self, *xs: np.ndarray, axis: int) -> np.ndarray:
        return np.concatenate(xs, axis)


class Slice(Op):
    """Along each axis the elements start, start+step, … of which there are ``sizes``. Starts are
    counted from the front; a step may be negative. Where free dimensions lead outside x, the nearest
    element stands, or zero if there is none."""

    name = "slice"
    examples: ClassVar = (
        Example((_X,), {"starts": (0, 1, 0), "sizes": (-1, 2, 2), "steps": (1, 1, 2)}, batched=(0,)),
        Example((_X,), {"starts": (1, 2, 3), "sizes": (1, 3, 4), "steps": (1, -1, -1)}),
    )

    def infer(self, x: TensorType, *, starts: tuple[Dim, ...], sizes: tuple[Dim, ...],
              steps: tuple[int, ...]) -> TensorType:
        if not len(starts) == len(sizes) == len(steps) == x.rank:
            raise ShapeError(f"slice of {x!r}: starts {starts}, sizes {sizes} and steps {steps} must have "
                             f"{x.rank} entries each")
        sizes = tuple(dim if size == -1 else size for dim, size in zip(x.shape, sizes, strict=True))
        for dim, start, size, step in zip(x.shape, starts, sizes, steps, strict=True):
            if isinstance(dim, int) and isinstance(start, int) and isinstance(size, int) and size > 0:
                last = start + (size - 1) * step
                if not (0 <= start < dim and 0 <= last < dim):
                    raise ShapeError(f"slice of {x!r}: elements {start} to {last} of a dimension of {dim}")
        return x.with_shape(sizes)

    def eval(self, x: np.ndarray, *, starts: tuple[int, ...], sizes: tuple[int, ...],
             steps: tuple[int, ...]) -> np.ndarray:
        index = [start + step * np.arange(dim if size == -1 else size)
                 for dim, start, size, step in zip(x.shape, starts, sizes, steps, strict=True)]
        if any(i.size and not dim for i, dim in zip(index, x.shape, strict=True)):
            return np.zeros([i.size for i in index], x.dtype)
        index = [np.clip(i, 0, dim - 1) for i, dim in zip(index, x.shape, strict=True)]
        return x[np.ix_(*index)] if index else x


class Pad(Op):
    """x with ``before`` and ``after`` elements of the scalar ``value`` added along each axis"""

    name = "pad"
    examples: ClassVar = (
        Example((_X, np.float32(1.5)), {"before": (0, 1, 2), "after": (0, 0, 1)},
                batched=(0,), constants=(1,)),
    )

    def infer(self, x: TensorType, value: TensorType, *, before: tuple[Dim, ...],
              after: tuple[Dim, ...]) -> TensorType:
        negative = any((least(amount) or 0) < 0 or least(amount) is None for amount in (*before, *after))
        if value.rank or not len(before) == len(after) == x.rank or negative:
            raise ShapeError(f"pad of {x!r} by {before} and {after} with {value!r}")
        return TensorType(same_dtype(x, value),
                          tuple(b + d + a for b, d, a in zip(before, x.shape, after, strict=True)))

    def eval(self, x: np.ndarray, value: np.ndarray, *, before: tuple[int, ...],
             after: tuple[int, ...]) -> np.ndarray:
        return np.pad(x, tuple(zip(before, after, strict=True)), constant_values=value) if x.ndim else x
