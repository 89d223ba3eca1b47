"""One step of a recurrent layer's cell."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, Instr, TensorType
from castiron.ops.base import Example, Op, same_dtype
from castiron.ops.contract import PANEL, Dense, Pack
from castiron.ops.fused import body_types, body_values

_RNG = np.random.default_rng(29)


def _random(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def _lstm(rows: int, depth: int, units: int) -> Example:
    """Of the sums, a bias and a state: c = sigmoid(f) · c + sigmoid(i) · tanh(g), h = sigmoid(o) · tanh(c)."""
    body = Body((*(Instr("add", (gate, 4 + gate)) for gate in range(4)), Instr("sigmoid", (10,)), Instr("mul", (13, 8)),
                 Instr("sigmoid", (9,)), Instr("tanh", (11,)), Instr("mul", (15, 16)), Instr("add", (14, 17)),
                 Instr("sigmoid", (12,)), Instr("tanh", (18,)), Instr("mul", (19, 20))))
    weights = Pack().eval(_random(depth, 4 * units))
    return Example((_random(rows, depth), weights, _random(4 * units), _random(rows, units)),
                   {"parts": 4, "body": body, "results": (18, 21)}, batched=(0, 3), constants=(1, 2))


def _gated(rows: int, depth: int, units: int, parts: int) -> Example:
    """The product of the sums, each with an operand of its own added, times a factor a row where a mask is set."""
    factor, mask, first = 2 * parts, 2 * parts + 1, 2 * parts + 2
    body, last = [Instr("add", (part, parts + part)) for part in range(parts)], first
    for part in range(1, parts):
        body.append(Instr("mul", (last, first + part)))
        last = first + parts + part - 1
    body += [Instr("mul", (last, factor)), Instr("select", (mask, last + 1, last))]
    weights = Pack().eval(_random(depth, parts * units))
    return Example((_random(rows, depth), weights, _random(rows, parts * units), _random(rows, 1),
                    _random(rows, units) > 0),
                   {"parts": parts, "body": Body(tuple(body)), "results": (last + 2,)}, batched=(0, 2, 3, 4),
                   constants=(1,))


class Cell(Op):
    """Element-wise results of the sums Cₚ[…,j] = Σₖ A[…,k] · Bₚ[k,j], where B = [B₁ B₂ …] is packed and has several
    parts of as many columns, and of further operands, of which one as wide as B stands for as many as there are parts.
    The values of the body named by ``results`` are what comes out"""

    name = "cell"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = (_lstm(1, 5, 16), _lstm(7, 33, 48), _lstm(13, 0, 16), _gated(2, 17, 32, 3),
                          _gated(3, 40, 16, 2), _gated(5, 1, 32, 4))

    def infer(self, a: TensorType, packed: TensorType, *more: TensorType, parts: int, body: Body,
              results: tuple[int, ...]) -> tuple[TensorType, ...]:
        same_dtype(a, packed)
        if a.rank != 2 or packed.rank != 3 or a.shape[-1] != packed.shape[1] or packed.shape[0] % parts:
            raise ShapeError(f"cell of {a!r} and {packed!r}: expects rows, and panels for {parts} parts")
        types = body_types(body, self.operands(a, packed, *more, parts=parts))
        sums = types[0]
        if any(types[i] != sums for i in results):
            raise ShapeError(f"cell of {a!r} and {packed!r}: a result is not {sums!r}")
        return tuple(types[i] for i in results)

    def eval(self, a: np.ndarray, packed: np.ndarray, *more: np.ndarray, parts: int, body: Body,
             results: tuple[int, ...]) -> tuple[np.ndarray, ...]:
        columns = packed.shape[0] * PANEL
        sums = Dense().eval(a, packed, columns=columns, epilogue=None)
        operands = np.split(sums, parts, axis=-1)
        for x in more:
            operands += np.split(x, parts, axis=-1) if self.is_wide(x, columns) else [x]
        values = body_values(body, *operands)
        return tuple(values[i] for i in results)

    @classmethod
    def operands(cls, a: TensorType, packed: TensorType, *more: TensorType, parts: int) -> tuple[TensorType, ...]:
        """The types of the body's operands: the sums, and those of the further operands, part by part if wide."""
        columns = packed.shape[0] * PANEL
        types = [TensorType(a.dtype, (a.shape[0], columns // parts))] * parts
        for operand in more:
            wide = cls.is_wide(operand, columns)
            types += [operand.with_shape((*operand.shape[:-1], columns // parts))] * parts if wide else [operand]
        return tuple(types)

    @staticmethod
    def is_wide(operand: TensorType | np.ndarray, columns: int) -> bool:
        """Whether an operand has the columns of all parts."""
        return operand.shape[-1:] == (columns,)
