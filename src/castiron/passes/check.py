"""Checks that a pass keeps what a graph computes, by the interpreter."""

from __future__ import annotations

import warnings

import numpy as np

from castiron import interp
from castiron.errors import VerifyError
from castiron.ir import Graph, Value
from castiron.samples import Arrays, empty, samples

#: Largest |after - before| / max(1, |before|).
TOLERANCE = 1e-4


def check(before: Graph, after: Graph, step: str) -> None:
    """Raise VerifyError, naming the pass ``step``, unless both graphs give the same outputs, and traced the
    same labelled values, on random and edge inputs."""
    for feeds in (*samples(before), empty(before)):
        old, new = _run(before, feeds), _run(after, feeds)
        for name, array in old.items():
            if name not in new or not _agree(array, new[name]):
                sizes = ", ".join(f"{k}{list(x.shape)}" for k, x in feeds.items())
                raise VerifyError(f"{before.name}: the pass {step} changes {name!r} for inputs {sizes}")


def _run(graph: Graph, feeds: Arrays) -> Arrays:
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
