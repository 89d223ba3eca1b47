"""Checks that a pass keeps what a graph computes, by the interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from castiron import interp
from castiron.errors import VerifyError
from castiron.ir import Graph, Value, evaluate

#: Largest |after - before| / max(1, |before|).
TOLERANCE = 1e-4


def check(before: Graph, after: Graph, step: str) -> None:
    """Raise VerifyError, naming the pass ``step``, unless both graphs give the same outputs, and traced the
    same labelled values, on random and edge inputs."""
    for feeds in _samples(before):
        old, new = _run(before, feeds), _run(after, feeds)
        for name, array in old.items():
            if name not in new or not _agree(array, new[name]):
                sizes = ", ".join(f"{k}{list(x.shape)}" for k, x in feeds.items())
                raise VerifyError(f"{before.name}: the pass {step} changes {name!r} for inputs {sizes}")


def _samples(graph: Graph) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(29)
    for size, scale in ((1, 1), (3, 3), (2, 0), (2, 100), (0, 1)):
        symbols = {s: size + i if size else 0 for i, s in enumerate(graph.symbols)}
        yield {name: (rng.standard_normal([evaluate(d, symbols) for d in v.type.shape]) * scale)
               .astype(v.type.dtype.numpy) for name, v in graph.inputs.items()}


def _run(graph: Graph, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wanted: dict[str, Value] = dict(graph.outputs)
    if graph.traced:
        wanted |= {name: label.value for name, label in graph.labels.items() if label.value}
    inputs = {graph.inputs[name]: array for name, array in feeds.items()}
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return dict(zip(wanted, interp.run(graph, inputs, list(wanted.values())), strict=True))


def _agree(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape:
        return False
    a, b = (x.astype(np.float64) for x in (a, b))
    with np.errstate(all="ignore"):
        close = np.abs(a - b) <= TOLERANCE * np.maximum(1, np.abs(a))
    return bool(np.all(close | (a == b) | (np.isnan(a) & np.isnan(b))))
