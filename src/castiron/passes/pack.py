"""Makes matrix products by known weights ``dense`` operators over packed weights."""

from __future__ import annotations

from dataclasses import replace

from castiron.ir import DType, Graph, Node, Value
from castiron.ops import F


def pack(graph: Graph) -> Graph:
    """``matmul(a, w)`` becomes ``dense(a, pack(w))`` where w is a matrix that no input decides."""
    fixed: set[Value] = set()

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op == "matmul":
            return _packed(*operands, fixed)
        if node.op == "constant":
            fixed.update(node.results)
        elif operands and fixed.issuperset(operands):
            node = replace(node, inputs=operands)
            fixed.update(node.results)
            return node.results
        return None

    return graph.rewrite(rule)


def _packed(a: Value, b: Value, fixed: set[Value]) -> tuple[Value, ...] | None:
    if b not in fixed or a in fixed or b.type.rank != 2 or a.type.dtype != DType.F32:
        return None
    return (F.dense(a, F.pack(b), columns=b.type.shape[1]),)
