"""Which products are computed from halves, by Strassen's algorithm."""

from __future__ import annotations

from math import prod

import numpy as np

from castiron import interp
from castiron.ir import TensorType, Value
from castiron.ops.strassen import combinations, fits, product
from castiron.passes.tiling import MAX_ERROR

#: A product from halves must take at most this share of the time of a direct one.
GAIN = 0.935

#: Products of 16 lanes in the time in which sums are made of 16 elements of a row, and 16 results are put together.
SUMS, RESULTS = 7, 8

#: Products of 16 lanes that a byte of weights must save in an example, since they are twice as large.
SAVED_BY_BYTE = 0.125

#: Bytes of weights from which a product is computed in parts, by columns, which takes few rows at a time.
MAX_BYTES = 8 << 20


def halves(a: TensorType, b: Value) -> bool:
    """Whether to multiply rows a [N,…,S,K] with weights b [K,N] that are known from halves: pairs of rows belong to one
    example, it is estimated to be faster, and the error is small with these very weights."""
    if b.type.rank != 2 or not b.type.is_static or not fits(a, b.type.shape[1]):
        return False
    k, n = b.type.shape
    rows = prod(d for d in a.shape[1:-1] if isinstance(d, int))
    saved = rows * k * n / 16 / 8
    cost = 7 / 8 + SUMS / n + RESULTS / k
    worth = SAVED_BY_BYTE * 4 * k * n
    if cost > GAIN or saved < worth or 4 * k * n > MAX_BYTES:
        return False
    array = interp.elements(b)
    return array is not None and _error(array) <= MAX_ERROR


def _error(b: np.ndarray) -> float:
    """The largest error in 32-bit floats as a part of the largest result of its column, for a few rows of what
    activations are like: normally distributed."""
    a = np.random.default_rng(0).standard_normal((16, b.shape[0])).astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    largest, errors = np.abs(exact).max(0), np.abs(product(a, combinations(b)) - exact).max(0)
    errors = errors / np.where(largest > 0, largest, 1)
    return float(errors.max()) if np.isfinite(errors).all() else np.inf
