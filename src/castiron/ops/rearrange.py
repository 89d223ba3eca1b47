"""Rearrangements of elements, made of core operators."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, TensorType, Value
from castiron.ops.base import Example, F, Op, normalize_axes, normalize_axis, same_dtype

_X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)


class Stack(Op):
    """The operands, all of one type, side by side along a new axis"""

    name = "stack"
    examples: ClassVar = (Example((_X, _X + 50), {"axis": 0}),
                          Example((_X, _X + 50, _X), {"axis": -1}, batched=(0, 1, 2)),
                          Example((_X, _X + 50), {"axis": 1}, batched=(0, 1)),
                          Example((np.array(1, np.float32), np.array(2, np.float32))))

    def infer(self, *xs: TensorType, axis: int = 0) -> TensorType:
        if not xs:
            raise ShapeError("stack needs an operand")
        if len({x.shape for x in xs}) != 1:
            raise ShapeError(f"stack: shapes differ: {', '.join(map(repr, xs))}")
        axis = normalize_axis(axis, xs[0].rank + 1)
        return TensorType(same_dtype(*xs), (*xs[0].shape[:axis], len(xs), *xs[0].shape[axis:]))

    def eval(self, *xs: np.ndarray, axis: int) -> np.ndarray:
        return np.stack(xs, axis)

    def lower(self, *xs: Value, axis: int) -> Value:
        shape = xs[0].type.shape
        axis = normalize_axis(axis, len(shape) + 1)
        return F.concat(*(F.reshape(x, shape=(*shape[:axis], 1, *shape[axis:])) for x in xs), axis=axis)


class Tile(Op):
    """x repeated ``multiples[i]`` times along each axis i"""

    name = "tile"
    examples: ClassVar = (Example((_X,), {"multiples": (1, 2, 3)}, batched=(0,)),
                          Example((_X,), {"multiples": (2, 1, 1)}),
                          Example((_X,), {"multiples": (1, 0, 1)}),
                          Example((_X,), {"multiples": (1, 1, 1)}))

    def infer(self, x: TensorType, *, multiples: tuple[Dim, ...]) -> TensorType:
        if len(multiples) != x.rank or any(isinstance(m, int) and m < 0 for m in multiples):
            raise ShapeError(f"tile of {x!r} by {multiples}: expects one count for each axis")
        return x.with_shape([d * m for d, m in zip(x.shape, multiples, strict=True)])

    def eval(self, x: np.ndarray, *, multiples: tuple[int, ...]) -> np.ndarray:
        return np.tile(x, multiples)

    def lower(self, x: Value, *, multiples: tuple[Dim, ...]) -> Value:
        split, spread = [], []
        for dim, multiple in zip(x.type.shape, multiples, strict=True):
            split += [dim] if multiple == 1 else [1, dim]
            spread += [dim] if multiple == 1 else [multiple, dim]
        wide = F.broadcast_to(F.reshape(x, shape=tuple(split)), shape=tuple(spread))
        return F.reshape(wide, shape=self.infer(x.type, multiples=multiples).shape)


class Flip(Op):
    """The elements in reverse order along axes"""

    name = "flip"
    examples: ClassVar = (Example((_X,), {"axes": (1,)}, batched=(0,)),
                          Example((_X,), {"axes": (0, -1)}, batched=(0,)),
                          Example((_X,), {"axes": ()}))

    def infer(self, x: TensorType, *, axes: tuple[int, ...]) -> TensorType:
        normalize_axes(axes, x.rank)
        return x

    def eval(self, x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
        return np.flip(x, axes).copy()

    def lower(self, x: Value, *, axes: tuple[int, ...]) -> Value:
        reversed_ = normalize_axes(axes, x.type.rank)
        return F.slice(x, starts=tuple(d - 1 if i in reversed_ else 0 for i, d in enumerate(x.type.shape)),
                       sizes=(-1,) * x.type.rank,
                       steps=tuple(-1 if i in reversed_ else 1 for i in range(x.type.rank)))
