"""Inputs that a model is compared on, the same for the same graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castiron.ir import Expr, Graph, TensorType, evaluate, least

#: How many elements are added to a free dimension at most, so that shapes made from it are possible.
MAX_SIZE = 4096

#: Arrays by input or output name.
Arrays = dict[str, np.ndarray]


#: Inputs of more elements are images, sounds and texts, on which a model computes long.
MANY_ELEMENTS = 1 << 14

#: Sizes of the free dimensions, and the scale of random values; None for ones.
KINDS = ((1, 1.0), (3, 1.0), (5, 30.0), (2, 1e-3), (2, 0.0), (1, None))
FEW_KINDS = ((1, 1.0), (2, 1.0), (1, 30.0), (1, None))

#: The same where data decide what is chosen: among equal elements, and such as a rounding makes equal, another choice
#: is no error.
CHOOSING_KINDS = ((1, 1.0), (3, 1.0), (5, 1.0), (2, 1.0))


def samples(graph: Graph) -> list[Arrays]:
    """Random inputs at several sizes of the free dimensions, zeros, ones, large and small values; fewer where
    they are large. States have their initial values. Strings are any of the words; where numbers are large or ones
    also others, which not every framework takes."""
    rng = np.random.default_rng(20)
    large = sum(array.size for array in _inputs(graph, rng, 1, 0.0).values()) > MANY_ELEMENTS
    kinds = CHOOSING_KINDS if graph.measured else FEW_KINDS if large else KINDS
    return [_inputs(graph, rng, size, scale) for size, scale in kinds]


def sized(graph: Graph, size: int) -> Arrays:
    """Standard normal inputs whose first free dimension has this size; the others are as small as they may be."""
    return _inputs(graph, np.random.default_rng(20), 1, 1.0, size)


def empty(graph: Graph) -> Arrays:
    """Inputs in which every free dimension is 0, or as little as the graph's shapes allow."""
    return _inputs(graph, np.random.default_rng(), 0, 0.0)


def _inputs(graph: Graph, rng: np.random.Generator, size: int, scale: float | None, first: int | None = None) -> Arrays:
    symbols = {s: size + i if size else 0 for i, s in enumerate(graph.symbols)}
    if first is not None:
        symbols |= dict.fromkeys(graph.symbols[:1], first)
    _enlarge(symbols, graph, min(size, 1))
    initial = {state.input: state.initial for state in graph.states}
    words = {name: len(words) for name, words in graph.vocabularies.items()}
    return {name: initial.get(name, _array(rng, v.type, symbols, scale, words.get(name)))
            for name, v in graph.inputs.items()}


def _enlarge(symbols: dict[str, int], graph: Graph, least_size: int) -> None:
    """Make free dimensions larger until none that the graph computes from them is below ``least_size``."""
    dims = {dim for node in graph.nodes for type in node.types for dim in type.shape
            if isinstance(dim, Expr) and dim.symbols <= symbols.keys()
            and ((low := least(dim)) is None or low < least_size)}
    for dim in sorted(dims, key=str):
        for _ in range(MAX_SIZE):
            if evaluate(dim, symbols) >= least_size:
                break
            symbols.update((s, symbols[s] + 1) for s in dim.symbols)


def _array(rng: np.random.Generator, type: TensorType, symbols: Mapping[str, int], scale: float | None,
           words: int | None) -> np.ndarray:
    shape = tuple(evaluate(dim, symbols) for dim in type.shape)
    dtype = type.dtype.numpy
    if words is not None:
        return _words(rng, shape, words, scale)
    if scale is None:
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * scale).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    return rng.integers(0, 10, shape).astype(dtype) * bool(scale)


def _words(rng: np.random.Generator, shape: tuple[int, ...], words: int, scale: float | None) -> np.ndarray:
    """The numbers of words, -1 for other strings."""
    if scale is None or not words:
        return np.full(shape, -1)
    return rng.integers(-1 if scale > 1 else 0, words, shape) * bool(scale)
