"""Sums of products."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, Value, product
from castiron.ops import F


@converts("MatMul")
def matmul(node: SourceNode, a: Value, b: Value) -> Value:
    if a.type.rank != 2 or b.type.rank != 2:
        raise ModelError(f"expects matrices, not {a.type!r} and {b.type!r}")
    return F.matmul(a, b, transpose_a=node.flag("transpose_a"), transpose_b=node.flag("transpose_b"))


@converts("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_matmul(node: SourceNode, a: Value, b: Value) -> Value:
    return F.matmul(a, b, transpose_a=node.flag("adj_x"), transpose_b=node.flag("adj_y"))


@converts("BiasAdd", "BiasAddV1")
def bias_add(node: SourceNode, x: Value, bias: Value) -> Value:
    if bias.type.rank != 1 or x.type.rank < 2:
        raise ModelError(f"expects a matrix at least and a vector, not {x.type!r} and {bias.type!r}")
    if node.text("data_format", "NHWC") == "NCHW":
        bias = F.reshape(bias, shape=(*bias.type.shape, *(1,) * (x.type.rank - 2)))
    return F.add(x, bias)


@converts("Einsum")
def einsum(node: SourceNode, *operands: Value) -> Value:
    """Each operand is brought to [batch…, own…, summed…] and two of them are multiplied as matrices."""
    equation = node.text("equation", "").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    terms = terms.split(",")
    if not arrow or len(terms) != len(operands) or len(operands) > 2:
        raise ModelError(f"equation {equation!r} with {len(operands)} operands is not supported")
    labelled = [_labels(term, x.type.rank, equation) for term, x in zip(terms, operands, strict=True)]
    dots = max((sum(label.isdigit() for label in labels) for labels in labelled), default=0)
    out = _labels(result, len(result.replace("...", "")) + (dots if "..." in result else 0), equation)
    dims: dict[str, Dim] = {}
    for labels, x in zip(labelled, operands, strict=True):
        for label, dim in zip(labels, x.type.shape, strict=True):
            if dims.setdefault(label, dim) in (1, dim):
                dims[label] = dim
            elif dim != 1:
                raise ModelError(f"equation {equation!r}: {label} is {dims[label]} and {dim}")
    if any(len(set(labels)) != len(labels) for labels in (*labelled, out)) or not set(out) <= set(dims):
        raise ModelError(f"equation {equation!r} is not supported: a repeated or unknown letter")
    elsewhere = [set(out).union(*(o for j, o in enumerate(labelled) if j != i)) for i in range(len(operands))]
    for i, labels in enumerate(labelled):
        if alone := tuple(j for j, label in enumerate(labels) if label not in elsewhere[i]):
            operands = (*operands[:i], F.reduce_sum(operands[i], axes=alone), *operands[i + 1:])
            labelled[i] = [label for label in labels if label in elsewhere[i]]
    if len(operands) == 1:
        return _arrange(operands[0], labelled[0], out)
    a, b = labelled
    batch = [label for label in out if label in a and label in b]
    summed = [label for label in a if label in b and label not in out]
    rows, columns = ([label for label in labels if label not in batch and label not in summed] for labels in (a, b))
    left = _matrix(_arrange(operands[0], a, [*batch, *rows, *summed], dims, batch + summed), len(batch), len(rows))
    right = _matrix(_arrange(operands[1], b, [*batch, *summed, *columns], dims, summed), len(batch), len(summed))
    shape = tuple(dims[label] for label in (*batch, *rows, *columns))
    return _arrange(F.reshape(F.matmul(left, right), shape=shape), [*batch, *rows, *columns], out)


def _labels(term: str, rank: int, equation: str) -> list[str]:
    """One label for each axis; an ellipsis becomes numbers, counted from its end."""
    head, dots, tail = term.partition("...")
    hidden = rank - len(head) - len(tail)
    if hidden < 0 or (hidden and not dots) or (not (head + tail).isalpha() and head + tail):
        raise ModelError(f"equation {equation!r} doesn't fit an operand of rank {rank}")
    return [*head, *(str(i) for i in reversed(range(hidden))), *tail]


def _arrange(x: Value, labels: list[str], order: list[str], dims: dict[str, Dim] | None = None,
             broadcast: list[str] = ()) -> Value:
    """The axes in another order; those in ``broadcast`` that are 1 but shouldn't be are repeated."""
    present = [label for label in order if label in labels]
    perm = tuple(labels.index(label) for label in present)
    if perm != tuple(range(len(perm))):
        x = F.transpose(x, perm=perm)
    if dims is not None:
        shape = tuple(dims[label] if label in broadcast else dim
                      for label, dim in zip(present, x.type.shape, strict=True))
        if shape != x.type.shape:
            x = F.broadcast_to(x, shape=shape)
    return x


def _matrix(x: Value, batch: int, rows: int) -> Value:
    """The axes after the first ``batch`` as two: ``rows`` of them, and the rest."""
    shape = x.type.shape
    parts = (product(shape[batch:batch + rows]), product(shape[batch + rows:]))
    return F.reshape(x, shape=(*shape[:batch], *parts))
