"""Inputs that a model is compared on, the same for the same graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castiron.ir import Graph, TensorType, evaluate

#: Arrays by input or output name.
Arrays = dict[str, np.ndarray]


def samples(graph: Graph) -> list[Arrays]:
    """Random inputs at several sizes of the free dimensions, zeros, ones, large and small values."""
    rng = np.random.default_rng(20)
    return [_inputs(graph, rng, size, scale)
            for size, scale in ((1, 1.0), (3, 1.0), (5, 30.0), (2, 1e-3), (2, 0.0), (1, None))]


def empty(graph: Graph) -> Arrays:
    """Inputs in which every free dimension is 0."""
    return _inputs(graph, np.random.default_rng(), 0, 0.0)


def _inputs(graph: Graph, rng: np.random.Generator, size: int, scale: float | None) -> Arrays:
    symbols = {s: size + i if size else 0 for i, s in enumerate(graph.symbols)}
    return {name: _array(rng, v.type, symbols, scale) for name, v in graph.inputs.items()}


def _array(rng: np.random.Generator, type: TensorType, symbols: Mapping[str, int], scale: float | None) -> np.ndarray:
    shape = tuple(evaluate(dim, symbols) for dim in type.shape)
    dtype = type.dtype.numpy
    if scale is None:
        return np.ones(shape, dtype)
    if dtype.kind == "f":
        return (rng.standard_normal(shape) * scale).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    return rng.integers(0, 10, shape).astype(dtype) * bool(scale)
