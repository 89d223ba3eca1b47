"""The part of a graph between given values: cut at labels, with values and sizes fixed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from castiron.errors import ModelError
from castiron.ir.dims import Dim, Expr, substitute, symbol
from castiron.ir.graph import Graph, Node, Value, constant, placeholder
from castiron.ir.types import TensorType

#: Values that are tried for a free dimension.
MAX_SIZE = 1 << 16


def cut(graph: Graph, inputs: Mapping[str, TensorType | None] | None = None, outputs: Sequence[str] | None = None,
        fixed: Mapping[str, np.ndarray] | None = None) -> Graph:
    """The graph from ``inputs`` to ``outputs``, both labels or names of the graph's own inputs and outputs.

    Whatever the outputs still need of the graph's own inputs stays an input. A type given for an input says
    what the free dimensions of the value are. ``fixed`` are values that stand in the place of others. ModelError
    for a label that isn't there or has no value, and for a type or a value that doesn't fit.
    """
    inputs, fixed = inputs or {}, fixed or {}
    sizes: dict[str, Dim] = {}
    for label, type in inputs.items():
        _unify(label, _find(graph, label).type, type, sizes)
    graph = resized(graph, sizes)

    starts = {label: placeholder(label, _find(graph, label).type) for label in inputs}
    new = {_find(graph, label): value for label, value in starts.items()}
    new |= {_find(graph, label): _constant(label, _find(graph, label).type, array) for label, array in fixed.items()}
    ends = {label: _find(graph, label) for label in outputs or graph.outputs}
    cut = replace(graph, outputs=ends).rewrite(lambda node, operands: _replaced(node, operands, new))

    needed = set(replace(cut, inputs=starts, traced=False).nodes)
    kept = needed - {value.node for value in starts.values()}
    own = {name: value for name, value in cut.inputs.items() if value.node.op == "input" and value.node in kept}
    states = tuple(s for s in graph.states if s.input in own and s.output in cut.outputs)
    for node in needed:
        if node.op == "extent" and isinstance(node.attrs["size"], int):
            raise ModelError(f"{graph.name}: data decide a dimension of {node.types[0]!r}; it can't be said to be "
                             f"{node.attrs['size']}")
    kept = {*starts, *own, *ends, *graph.labels}
    return replace(cut, inputs={**starts, **own}, states=states, vocabularies=_renamed(graph.vocabularies, kept),
                   columns=_renamed(graph.columns, ends))


def _renamed(named: Mapping[str, tuple[str, ...]], labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What is said of some names; TensorFlow's suffix ``:0`` may follow these."""
    found = {label: named.get(label, named.get(label.removesuffix(":0"))) for label in labels}
    return {label: said for label, said in found.items() if said is not None}


def _find(graph: Graph, label: str) -> Value:
    """The value of a label, of an input or of an output; TensorFlow's suffix ``:0`` may follow."""
    names = {**{name: entry.value for name, entry in graph.labels.items()}, **graph.outputs, **graph.inputs}
    name = label if label in names else label.removesuffix(":0")
    if name not in names:
        near = difflib.get_close_matches(label, names, 3)
        listed = f"; there are {', '.join(map(repr, near))}" if near else ""
        raise ModelError(f"nothing is labelled {label!r}{listed}")
    if names[name] is None:
        raise ModelError(f"the label {label!r} has no value: {graph.labels[name].why or 'it computes nothing'}")
    return names[name]


def _unify(label: str, has: TensorType, wanted: TensorType | None, sizes: dict[str, Dim]) -> None:
    """Enter into ``sizes`` what a type says of the free dimensions of another."""
    if wanted is None or wanted == has:
        return
    fits = wanted.dtype == has.dtype and wanted.rank == has.rank
    for dim, size in zip(has.shape, wanted.shape, strict=False):
        if isinstance(dim, Expr) and str(dim) in dim.symbols:
            fits = fits and sizes.setdefault(str(dim), size) == size
        else:
            fits = fits and _solved(dim, size, sizes) == size
    if not fits:
        raise ModelError(f"{label!r} is {has!r} in the model, which can't be {wanted!r}")


def _solved(dim: Dim, size: Dim, sizes: dict[str, Dim]) -> Dim:
    """A dimension that ``sizes`` settle. A single symbol for which they have nothing gets the least value that
    makes the dimension ``size``: what is behind the cut depends on it through that size alone."""
    free = sorted(getattr(dim, "symbols", set()) - sizes.keys())
    if len(free) == 1 and isinstance(size, int):
        values = (n for n in range(MAX_SIZE) if substitute(dim, {**sizes, free[0]: n}) == size)
        sizes[free[0]] = next(values, symbol(free[0]))
    return substitute(dim, sizes)


def _constant(label: str, type: TensorType, array: np.ndarray) -> Value:
    if array.ndim and array.shape != type.shape:
        raise ModelError(f"{label!r} is {type!r} in the model, which can't be {list(array.shape)}")
    if not type.is_static:
        raise ModelError(f"{label!r} has free dimensions, {type!r}: say what they are before its value is fixed")
    return constant(np.broadcast_to(array, type.shape).astype(type.dtype.numpy))


def _replaced(node: Node, operands: tuple[Value, ...], new: Mapping[Value, Value]) -> tuple[Value, ...] | None:
    if not any(value in new for value in node.results):
        return None
    kept = replace(node, inputs=operands).results
    return tuple(new.get(old, value) for old, value in zip(node.results, kept, strict=True))


def resized(graph: Graph, sizes: Mapping[str, Dim]) -> Graph:
    """The graph with free dimensions replaced; measured ones by others that are measured, or by what they are."""
    def resize(item: Any) -> Any:
        match item:
            case Expr():
                return substitute(item, sizes)
            case tuple():
                return tuple(map(resize, item))
            case TensorType():
                return item.with_shape(resize(item.shape))
            case Graph():
                return resized(item, sizes)
        return item

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        attrs = {key: resize(attr) for key, attr in node.attrs.items()}
        return replace(node, inputs=operands, attrs=attrs, types=resize(node.types)).results

    if not sizes:
        return graph
    graph = graph.rewrite(rule)
    names = {name: str(sizes.get(name, name)) for name in graph.measured}
    return replace(graph, measured={names[name]: count for name, count in graph.measured.items()
                                    if not isinstance(sizes.get(name), int)})
