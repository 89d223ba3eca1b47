"""The inverse of matrices, which ONNX has no name for."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import part
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant, exact_div
from castiron.ops import F
from castiron.ops.loop import loop


@converts("com.microsoft.Inverse")
def inverse(node: SourceNode, x: Value) -> Value:
    """Of each matrix [n, n], by eliminating its columns one after the other beside a matrix that begins as 1
    (Gauss-Jordan), with the largest element that is left in a column as pivot."""
    size = x.type.shape[-1]
    if not isinstance(size, int) or x.type.shape[-2] != size:
        raise ModelError(f"the inverse of {x.type!r}, whose sizes must be known and equal")
    count = exact_div(x.type.size, size * size) if size else 0
    matrices = F.reshape(x, shape=(count, size, size))
    one = F.broadcast_to(constant(np.eye(size, dtype=x.type.dtype.numpy)), shape=(count, size, size))
    places = F.reshape(count_up(size, DType.I64), shape=(1, size))

    def step(k: Value, carried: tuple[Value, ...]) -> tuple[Value]:
        (rows,) = carried
        column = F.abs(F.gather(rows, k, axis=2))
        _, largest = F.top_k(F.select(F.less(places, k), -1.0, column), k=1)
        pivot = F.cast(largest, dtype=DType.I64)  # [count, 1]
        order = F.select(F.equal(places, k), pivot, F.select(F.equal(places, pivot), k, places))
        rows = F.gather(rows, order, axis=1, batch_dims=1)
        chosen = F.reshape(F.gather(rows, k, axis=1), shape=(count, 1, 2 * size))
        chosen = F.div(chosen, F.reshape(F.gather(chosen, k, axis=2), shape=(count, 1, 1)))
        factor = F.reshape(F.gather(rows, k, axis=2), shape=(count, size, 1))
        own = F.reshape(F.equal(places, k), shape=(1, size, 1))
        return (F.select(own, chosen, F.sub(rows, F.mul(factor, chosen))),)

    (rows,) = loop(size, (F.concat(matrices, one, axis=2),), step)
    return F.reshape(part(rows, 2, size, size), shape=x.type.shape)
