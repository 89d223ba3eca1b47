"""Dimensions that a model measures while it runs: from the symbols that frontends make to names in a graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from weakref import WeakValueDictionary

from castiron.ir.cut import resized
from castiron.ir.dims import Dim, Expr, Measured, symbol
from castiron.ir.graph import Graph, Node, Value, toposort

#: Constants of more elements are not compared.
SMALL = 64

_FIRST: WeakValueDictionary[tuple, Node] = WeakValueDictionary()


def measured(count: Value, stem: str) -> Expr:
    """The dimension that an i64 scalar gives, which is never below 0. Equal for scalars that are computed alike;
    ``stem`` is what it will be called."""
    count = Value(_first(count.node), count.index)
    return Expr({(Measured(f"{stem}_{count.node.serial}_{count.index}", count),): 1})


def is_measured(dim: Dim) -> bool:
    """Whether a dimension of a graph that is being made depends on a measured one."""
    return any(isinstance(name, Measured) for name in getattr(dim, "symbols", ()))


def counting(dim: Expr) -> Value:
    """The scalar that gives a measured dimension."""
    (((name,), _),) = dim.terms
    return name.count


def _first(node: Node) -> Node:
    """The first node that was made of those that compute the same as this one."""
    for inner in toposort([node]):
        if "_first" not in vars(inner):
            vars(inner)["_first"] = _FIRST.setdefault(_key(inner), inner)
    return vars(node)["_first"]


def _key(node: Node) -> tuple:
    """Equal for nodes that compute the same, as far as that is seen."""
    array = node.attrs.get("value") if node.op == "constant" else None
    if node.op == "input" or node.bodies or (array is not None and array.size > SMALL):
        return (node.serial,)
    attrs = array.tobytes() if array is not None else repr(sorted(node.attrs.items()))
    return node.op, node.types, attrs, tuple((vars(v.node)["_first"].serial, v.index) for v in node.inputs)


def sources(node: Node) -> list[Node]:
    """What a node of a graph that is being made depends on: operands, and what gives the dimensions that it
    mentions."""
    return [*(v.node for v in node.inputs), *_counts(node)]


def ancestors(roots: Iterable[Node]) -> list[Node]:
    """The roots and all they depend on, sources before users."""
    return toposort(roots, _counts)


def _counts(node: Node) -> list[Node]:
    return [name.count.node for name in sorted(node.symbols) if isinstance(name, Measured)]


def with_measured(graph: Graph) -> Graph:
    """The graph that knows what measures its dimensions, which have short names of their own."""
    values = [*graph.inputs.values(), *graph.outputs.values(), *(v.value for v in graph.labels.values() if v.value)]
    found = {name: name.count for node in ancestors(v.node for v in values) for name in sorted(node.symbols)
             if isinstance(name, Measured)}
    if not found:
        return graph
    names, taken = {}, set(graph.symbols)
    for name in found:
        stem = name.rsplit("_", 2)[0]
        names[name] = next(n for n in (stem, *(f"{stem}_{i}" for i in range(2, len(found) + 3))) if n not in taken)
        taken.add(names[name])
    named = resized(replace(graph, traced=True, measured=found), {old: symbol(new) for old, new in names.items()})
    return replace(named, traced=graph.traced)
