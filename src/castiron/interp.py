"""The numpy interpreter: the specification. It runs ``Op.eval`` node by node and never fast code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Expr, Graph, TensorType, Value, evaluate
from castiron.ops import OPS


def run(graph: Graph, feeds: Mapping[Value, np.ndarray], fetches: list[Value]) -> list[np.ndarray]:
    """The fetched values, given arrays for any values that cut them off from what is not fed.

    Raises ShapeError if a feed doesn't fit its type or an input is missing.
    """
    symbols: dict[str, int] = {}
    for value, array in feeds.items():
        bind(value.type, array.shape, symbols)
    known: dict[Value, np.ndarray] = {
        value: np.asarray(array, value.type.dtype.numpy) for value, array in feeds.items()}
    for node in _needed(fetches, set(feeds)):
        if node.op == "input":
            raise ShapeError(f"input {node.attrs['name']!r} is not fed")
        if node.op == "constant":
            results = node.attrs["value"]
        else:
            attrs = {k: substitute(v, symbols) for k, v in node.attrs.items()}
            results = OPS[node.op].eval(*(known[v] for v in node.inputs), **attrs)
        for value, array in zip(node.results, results if isinstance(results, tuple) else (results,), strict=True):
            known.setdefault(value, np.asarray(array))
    return [known[v] for v in fetches]


def bind(type: TensorType, shape: tuple[int, ...], symbols: dict[str, int]) -> None:
    """Enter into ``symbols`` what an array's shape says of a type's free dimensions."""
    if len(shape) != type.rank:
        raise ShapeError(f"shape {list(shape)} for {type!r}: rank {len(shape)} is not {type.rank}")
    for dim, size in zip(type.shape, shape, strict=True):
        if isinstance(dim, Expr) and len(dim.symbols) == 1 and repr(dim) in dim.symbols:
            symbols.setdefault(repr(dim), size)
    for dim, size in zip(type.shape, shape, strict=True):
        try:
            expected = evaluate(dim, symbols)
        except KeyError:
            continue
        if expected != size:
            raise ShapeError(f"shape {list(shape)} for {type!r}: {dim} is {expected}, not {size}")


def substitute(attr: object, symbols: Mapping[str, int]) -> object:
    """An attribute with its dimension expressions evaluated."""
    if isinstance(attr, Expr):
        return attr.evaluate(symbols)
    if isinstance(attr, tuple):
        return tuple(substitute(a, symbols) for a in attr)
    return attr


def _needed(fetches: list[Value], fed: set[Value]) -> list:
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
    return order



