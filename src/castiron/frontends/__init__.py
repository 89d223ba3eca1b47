"""One door per file format. Content decides which door opens, not the file's ending."""

from __future__ import annotations

from pathlib import Path

from castiron.errors import ModelError
from castiron.frontends import graphdef, keras, savedmodel
from castiron.ir import Graph, verify

#: The formats, in the order in which they are tried. Each has ``FORMAT`` (its name), ``DESCRIPTION``,
#: ``matches(path) -> bool`` (cheap, never raises for readable files) and ``load(path) -> Graph``.
FRONTENDS = (keras, savedmodel, graphdef)


def detect(path: Path):
    """The frontend that reads the file or directory; ModelError if there is none."""
    if not path.exists():
        raise ModelError(f"{path}: no such file or directory")
    for frontend in FRONTENDS:
        if frontend.matches(path):
            return frontend
    known = "; ".join(frontend.DESCRIPTION for frontend in FRONTENDS)
    raise ModelError(f"{path}: not a model that castiron reads. It reads {known}.")


def load(path: Path) -> Graph:
    """The model in a file or directory, checked; ModelError or UnsupportedOp if it can't be had."""
    graph = detect(path).load(path)
    verify(graph)
    return graph
