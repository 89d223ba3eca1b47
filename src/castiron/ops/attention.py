"""Attention of several heads as one operator: what a pass makes of its products and the softmax between them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import TensorType
from castiron.ops.base import OPS, Example, Op, same_dtype

_RNG = np.random.default_rng(23)


def _example(batch: int, queries: int, keys: int, heads: int, width: int, depth: int) -> Example:
    shapes = (batch, queries, heads, width), (batch, keys, heads, width), (batch, keys, heads, depth)
    return Example(tuple(_RNG.standard_normal(shape).astype(np.float32) for shape in shapes), batched=(0, 1, 2))


class Attention(Op):
    """softmax(q·kᵀ)·v for each head h: q [B,S,H,D], k [B,T,H,D] and v [B,T,H,E] give [B,S,H,E]"""

    name = "attention"
    tolerance: ClassVar[float] = 2e-5
    examples: ClassVar = (_example(2, 5, 7, 3, 4, 6), _example(3, 1, 1, 1, 1, 1), _example(2, 37, 16, 2, 16, 16),
                          _example(1, 73, 65, 2, 17, 33), _example(2, 3, 130, 1, 32, 8))

    def infer(self, q: TensorType, k: TensorType, v: TensorType) -> TensorType:
        shapes = q.shape, k.shape, v.shape
        fits = all(len(shape) == 4 for shape in shapes) and (
            q.shape[::2] == k.shape[::2] == v.shape[::2] and q.shape[3] == k.shape[3] and k.shape[1] == v.shape[1])
        if not fits:
            raise ShapeError(f"attention of {q!r}, {k!r} and {v!r}: expects [B,S,H,D], [B,T,H,D] and [B,T,H,E]")
        return TensorType(same_dtype(q, k, v), (*q.shape[:3], v.shape[3]))

    def eval(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            scores = np.einsum("bshd,bthd->bhst", q.astype(np.float64), k.astype(np.float64))
            weights = OPS["softmax"].eval(scores, axis=-1)
            return np.einsum("bhst,bthe->bshe", weights, v.astype(np.float64)).astype(q.dtype)
