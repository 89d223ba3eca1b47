"""Rows brought to mean 0 and variance 1 as one operator: what a pass makes of the steps of layer normalization."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, DType, Instr, TensorType
from castiron.ops.base import Example, Op
from castiron.ops.fused import Map, body_eval

_RNG = np.random.default_rng(29)
_SCALED = Body((Instr("mul", (0, 1)), Instr("add", (3, 2))))


def _random(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


class Standardize(Op):
    """f((x - mean x) / √(variance x + epsilon), …) with mean and variance along the last axis, and a body f of
    element-wise operators over the quotient and any further operands (none: the quotient itself)"""

    name = "standardize"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        *(Example((_random(m, n) + 3,), batched=(0,)) for m, n in ((1, 1), (9, 16), (3, 37), (17, 64), (8, 131))),
        Example((_random(2, 5, 70), _random(70), _random(70)), {"epilogue": _SCALED, "epsilon": 1e-5}, batched=(0,),
                constants=(1, 2)),
        Example((np.array([[1, np.inf, 2], [np.nan, 1, 2], [3, 3, 3]], np.float32),)),
    )

    def infer(self, x: TensorType, *more: TensorType, epsilon: float = 1e-3,
              epilogue: Body | None = None) -> TensorType:
        if x.rank < 2 or x.dtype != DType.F32 or not isinstance(x.shape[-1], int):
            raise ShapeError(f"standardize of {x!r}: expects rows of a known number of 32-bit floats")
        result = Map().infer(x, *more, body=epilogue) if epilogue else x
        if result.shape != x.shape:
            raise ShapeError(f"standardize of {x!r}: the epilogue changes it to {result!r}")
        return result

    def eval(self, x: np.ndarray, *more: np.ndarray, epsilon: float, epilogue: Body | None) -> np.ndarray:
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64)
            centred = wide - wide.mean(-1, keepdims=True)
            variance = np.square(centred).mean(-1, keepdims=True)
            y = (centred / np.sqrt(variance + epsilon)).astype(x.dtype)
            return body_eval(epilogue, y, *more) if epilogue else y
