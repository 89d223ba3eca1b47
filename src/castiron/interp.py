"""The numpy interpreter: the specification. It runs ``Op.eval`` node by node and never fast code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, Expr, Graph, Node, TensorType, Value, evaluate
from castiron.ops import OPS

#: A dimension that is measured is never larger: a number in a small input must not make the process ask for all
#: memory.
MOST_MEASURED = 1 << 33


def run(graph: Graph, feeds: Mapping[Value, np.ndarray], fetches: list[Value]) -> list[np.ndarray]:
    """The fetched values, given arrays for any values that cut them off from what is not fed.

    Raises ShapeError if a feed doesn't fit its type or an input is missing.
    """
    symbols: dict[str, int] = {}
    for value, array in feeds.items():
        bind(value.type, array.shape, symbols)
    told = frozenset(symbols)

    def counts(node: Node) -> list[Value]:
        return [graph.measured[s] for s in graph.waits(node) if s not in told]

    for name, count in graph.measured.items():
        if count in feeds:
            measure(symbols, name, feeds[count])
    return _run(_needed(fetches, set(feeds), counts), feeds, fetches, symbols, graph.measured)


def elements(value: Value) -> np.ndarray | None:
    """The elements of a value that constants alone decide; None if it depends on an input."""
    if value.constant is not None:
        return value.constant
    graph = Graph(value.node.op, {}, {"y": value})
    return None if any(node.op == "input" for node in graph.nodes) else run(graph, {}, [value])[0]


def function(body: Graph, symbols: Mapping[str, int]) -> Callable[..., list[np.ndarray]]:
    """A body as the function that ``Op.eval`` takes: from arrays for its inputs to those of its outputs."""
    inputs, outputs = list(body.inputs.values()), list(body.outputs.values())
    nodes = _needed(outputs, set(inputs))
    return lambda *arrays: _run(nodes, dict(zip(inputs, arrays, strict=True)), outputs, symbols)


def _run(nodes: list[Node], feeds: Mapping[Value, np.ndarray], fetches: list[Value],
         symbols: dict[str, int], measured: Mapping[str, Value] | None = None) -> list[np.ndarray]:
    given = {count: [name for name, other in measured.items() if other == count] for count in measured.values()} if (
        measured) else {}
    known: dict[Value, np.ndarray] = {
        value: np.asarray(array, value.type.dtype.numpy) for value, array in feeds.items()}
    for node in nodes:
        if node.op == "input":
            raise ShapeError(f"input {node.attrs['name']!r} is not fed")
        if node.op == "constant":
            results = node.attrs["value"]
        else:
            attrs = {k: substitute(v, symbols) for k, v in node.attrs.items()}
            results = OPS[node.op].eval(*(known[v] for v in node.inputs), **attrs)
        for value, array in zip(node.results, results if isinstance(results, tuple) else (results,), strict=True):
            known.setdefault(value, np.asarray(array))
            for name in given.get(value, ()):
                measure(symbols, name, known[value])
    return [known[v] for v in fetches]


def measure(symbols: dict[str, int], name: str, count: np.ndarray | int) -> None:
    """Enter into ``symbols`` a dimension that was computed. ShapeError if it is none, or what is fed tells another."""
    if not 0 <= count <= MOST_MEASURED:
        raise ShapeError(f"these inputs make the dimension {name} {count}")
    if symbols.setdefault(name, int(count)) != count:
        raise ShapeError(f"the dimension {name} is {symbols[name]} in what is fed, but comes out as {count}")


def bind(type: TensorType, shape: tuple[int, ...], symbols: dict[str, int]) -> None:
    """Enter into ``symbols`` what an array's shape says of a type's free dimensions. ShapeError if it doesn't fit."""
    if len(shape) != type.rank:
        raise ShapeError(f"shape {list(shape)} for {type!r}: rank {len(shape)} is not {type.rank}")
    for dim, size in zip(type.shape, shape, strict=True):
        if isinstance(dim, Expr) and len(dim.symbols) == 1 and repr(dim) in dim.symbols:
            symbols.setdefault(repr(dim), size)
    while any(_solve(dim, size, symbols) for dim, size in zip(type.shape, shape, strict=True)):
        pass
    for dim, size in zip(type.shape, shape, strict=True):
        if isinstance(dim, Expr) and not symbols.keys() >= dim.symbols:
            continue
        expected = evaluate(dim, symbols)
        if expected != size:
            raise ShapeError(f"shape {list(shape)} for {type!r}: {dim} is {expected}, not {size}")


def _solve(dim: Dim, size: int, symbols: dict[str, int]) -> bool:
    """Whether the one symbol that ``dim`` lacks, if ``dim`` is linear in it, is found from its size.

    ShapeError if no value of it gives that size.
    """
    missing = dim.symbols - symbols.keys() if isinstance(dim, Expr) else set()
    if len(missing) != 1:
        return False
    name, = missing
    if not dim.tells(name):
        return False
    offset = dim.evaluate({**symbols, name: 0})
    scale = dim.evaluate({**symbols, name: 1}) - offset
    if scale == 0:
        return False
    if (size - offset) % scale or (size - offset) // scale < 0:
        raise ShapeError(f"{dim} can't be {size}")
    symbols[name] = (size - offset) // scale
    return True


def substitute(attr: object, symbols: Mapping[str, int]) -> object:
    """An attribute with its dimension expressions evaluated; a body becomes a function."""
    if isinstance(attr, Expr):
        return attr.evaluate(symbols)
    if isinstance(attr, Graph):
        return function(attr, symbols)
    if isinstance(attr, tuple):
        return tuple(substitute(a, symbols) for a in attr)
    return attr


def _needed(fetches: list[Value], fed: set[Value], counts: Callable[[Node], list[Value]] = lambda node: []
            ) -> list[Node]:
    order, done = [], set()
    for fetch in fetches:
        stack = [(fetch, False)]
        while stack:
            value, expanded = stack.pop()
            if expanded:
                if value.node not in done:
                    done.add(value.node)
                    order.append(value.node)
            elif value not in fed and value.node not in done:
                stack.append((value, True))
                stack.extend((v, False) for v in reversed(value.node.inputs))
                stack.extend((v, False) for v in counts(value.node))
    return order



