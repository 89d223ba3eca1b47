"""Attention of several heads as one operator: what a pass makes of its products and the softmax between them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, DType, Instr, TensorType
from castiron.ops.base import OPS, Example, Op, same_dtype
from castiron.ops.fused import Map, body_eval

_RNG = np.random.default_rng(23)


def _random(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def _example(batch: int, queries: int, keys: int, heads: int, width: int, depth: int, *more: np.ndarray,
             **attrs: object) -> Example:
    shapes = (batch, queries, heads, width), (batch, keys, heads, width), (batch, keys, heads, depth)
    return Example((*(_random(*shape) for shape in shapes), *more), attrs,
                   batched=(0, 1, 2, *(3 + i for i, x in enumerate(more) if x.ndim and len(x) == batch)))


#: A bias added; and where a mask is zero, a large negative number.
_BIASED = Body((Instr("add", (0, 1)),))
_MASKED = Body((Instr("cast", (1,), (("dtype", DType.BOOL),)), Instr("select", (3, 0, 2))))
_FAR = np.float32(-1e9)


def _mask(*shape: int) -> np.ndarray:
    return (_RNG.random(shape) < 0.7).astype(np.float32)


class Attention(Op):
    """softmax(f(q·kᵀ, …))·v for each head h: q [B,S,H,D], k [B,T,H,D] and v [B,T,H,E] give [B,S,H,E]. The body f is of
    element-wise operators over the scores [B,H,S,T] and further operands, of one element or of four dimensions, which
    broadcast to them (none: the scores themselves)"""

    name = "attention"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = (_example(2, 5, 7, 3, 4, 6), _example(3, 1, 1, 1, 1, 1), _example(2, 37, 16, 2, 16, 16),
                          _example(1, 73, 65, 2, 17, 33), _example(2, 3, 130, 1, 32, 8),
                          _example(3, 5, 17, 2, 4, 6, _random(3, 1, 1, 17), epilogue=_BIASED),
                          _example(2, 37, 37, 3, 8, 8, _mask(1, 1, 37, 37), _FAR, epilogue=_MASKED),
                          _example(3, 1, 16, 2, 5, 1, _mask(3, 2, 1, 16), _FAR, epilogue=_MASKED),
                          _example(3, 41, 1, 2, 3, 4, _random(1, 2, 41, 1), epilogue=_BIASED))

    def infer(self, q: TensorType, k: TensorType, v: TensorType, *more: TensorType,
              epilogue: Body | None = None) -> TensorType:
        shapes = q.shape, k.shape, v.shape
        fits = all(len(shape) == 4 for shape in shapes) and (
            q.shape[::2] == k.shape[::2] == v.shape[::2] and q.shape[3] == k.shape[3] and k.shape[1] == v.shape[1])
        if not fits:
            raise ShapeError(f"attention of {q!r}, {k!r} and {v!r}: expects [B,S,H,D], [B,T,H,D] and [B,T,H,E]")
        if epilogue:
            scores = q.with_shape((q.shape[0], q.shape[2], q.shape[1], k.shape[1]))
            if any(x.rank not in (0, 4) for x in more) or Map().infer(scores, *more, body=epilogue) != scores:
                raise ShapeError(f"attention of {q!r} and {k!r}: the epilogue changes scores {scores!r}")
        return TensorType(same_dtype(q, k, v), (*q.shape[:3], v.shape[3]))

    def eval(self, q: np.ndarray, k: np.ndarray, v: np.ndarray, *more: np.ndarray, epilogue: Body | None) -> np.ndarray:
        with np.errstate(all="ignore"):
            scores = np.einsum("bshd,bthd->bhst", q.astype(np.float64), k.astype(np.float64))
            if epilogue:
                scores = body_eval(epilogue, scores.astype(q.dtype), *more).astype(np.float64)
            weights = OPS["softmax"].eval(scores, axis=-1)
            return np.einsum("bhst,bthe->bshe", weights, v.astype(np.float64)).astype(q.dtype)
