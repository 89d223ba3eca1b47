"""Sums of products."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Value, product
from castiron.ops import F
from castiron.ops.einsum import einsum as sum_of_products


@converts("MatMul")
def matmul(node: SourceNode, a: Value, b: Value) -> Value:
    return matrix_product(a, b)


def matrix_product(a: Value, b: Value) -> Value:
    """As numpy's: a vector is a row on the left, a column on the right."""
    left, right = a.type.rank == 1, b.type.rank == 1
    a = F.reshape(a, shape=(1, *a.type.shape)) if left else a
    b = F.reshape(b, shape=(*b.type.shape, 1)) if right else b
    y = F.matmul(a, b)
    shape = y.type.shape[:-1] if right else y.type.shape
    shape = (*shape[:len(shape) - (1 if right else 2)], *shape[len(shape) - (0 if right else 1):]) if left else shape
    return F.reshape(y, shape=shape) if left or right else y


@converts("Gemm")
def gemm(node: SourceNode, a: Value, b: Value, c: Value | None = None) -> Value:
    """α·A·B + β·C, A and B perhaps transposed."""
    y = F.matmul(a, b, transpose_a=node.flag("transA"), transpose_b=node.flag("transB"))
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    y = y if alpha == 1 else F.mul(y, alpha if y.type.dtype.is_float else int(alpha))
    if c is None or not beta:
        return y
    return F.add(y, c if beta == 1 else F.mul(c, beta if c.type.dtype.is_float else int(beta)))


@converts("Einsum")
def einsum(node: SourceNode, *operands: Value) -> Value:
    return sum_of_products(node.text("equation", ""), *operands)


@converts("Det")
def determinant(node: SourceNode, x: Value) -> Value:
    """Of small matrices, by expansion along the first row."""
    rank, size = x.type.rank, x.type.shape[-1]
    if not isinstance(size, int) or size > 4 or x.type.shape[-2] != size:
        raise ModelError(f"the determinant of {x.type!r}: matrices of at most 4 rows and columns are supported")
    flat = F.reshape(x, shape=(product(x.type.shape[:-2]), size, size))

    def element(i: int, j: int) -> Value:
        part = F.slice(flat, starts=(0, i, j), sizes=(-1, 1, 1), steps=(1, 1, 1))
        return F.reshape(part, shape=(flat.type.shape[0],))

    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Value:
        if len(rows) == 1:
            return element(rows[0], columns[0])
        total = None
        for k, column in enumerate(columns):
            term = F.mul(element(rows[0], column), minor(rows[1:], columns[:k] + columns[k + 1:]))
            total = term if total is None else (F.sub if k % 2 else F.add)(total, term)
        return total

    return F.reshape(minor(tuple(range(size)), tuple(range(size))), shape=x.type.shape[:rank - 2])
