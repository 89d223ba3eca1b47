"""Evaluates what no input decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from castiron.ir import Expr, Graph, Node, Value, constant, resized
from castiron.ops import OPS, F
from castiron.ops.symbolic import dims_of
from castiron.passes.pack import PACKS, packed

#: A folded constant may be this much larger than its operands, so that a broadcast stays one.
GROWTH_BYTES = 1 << 16


def fold(graph: Graph) -> Graph:
    """Operators over constants become constants, and integer tensors that depend on shapes only
    become ``dims``. In a traced graph what depends on a labelled value stays, since that value can be
    fed."""
    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        return None if graph.feedable.intersection(node.inputs) else _folded(node, operands)

    graph = graph.rewrite(rule)
    return resized(graph, {name: int(count.constant) for name, count in graph.measured.items()
                           if count.constant is not None and count not in graph.feedable})


def _folded(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
    if node.op == "dims" and not any(isinstance(d, Expr) for d in node.attrs["values"]):
        return (constant(OPS["dims"].eval(**node.attrs)),)
    if not operands or node.op not in OPS or node.bodies:
        return None
    if dims := _dims(node, operands):
        return (dims,)
    arrays = [v.constant for v in operands]
    if any(array is None for array in arrays) or not all(type.is_static for type in node.types):
        return None
    if node.op in PACKS:
        return (packed(node.op, *operands, **node.attrs),)
    if sum(t.size * t.dtype.itemsize for t in node.types) > 2 * sum(a.nbytes for a in arrays) + GROWTH_BYTES:
        return None
    with np.errstate(all="ignore"):
        results = OPS[node.op].eval(*arrays, **node.attrs)
    return tuple(constant(r) for r in (results if isinstance(results, tuple) else (results,)))


def _dims(node: Node, operands: tuple[Value, ...]) -> Value | None:
    """The node's result if dimensions, and nothing else, decide it."""
    type = node.types[0]
    if len(node.types) != 1 or not type.dtype.is_integer or all(v.constant is not None for v in operands):
        return None
    elements = dims_of(Value(replace(node, inputs=operands)))
    if elements is None:
        return None
    if not any(isinstance(e, Expr) for e in elements.flat):
        return constant(elements.astype(type.dtype.numpy))
    return F.dims(values=tuple(elements.flat), shape=type.shape, dtype=type.dtype)
