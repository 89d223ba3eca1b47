"""One door per file format. Content decides which door opens, not the file's ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from castiron.errors import ModelError
from castiron.frontends import graphdef, keras, onnx, savedmodel
from castiron.ir import Dim, Graph, TensorType, verify

#: The formats, in the order in which they are tried. Each has ``FORMAT`` (its name), ``DESCRIPTION``,
#: ``matches(path) -> bool`` (cheap, never raises for readable files), ``files(path)``, all files of the model in a
#: fixed order, ``signatures(path)``, what the file declares of inputs and outputs, and ``load(path, ...) -> Graph``,
#: which takes the fields of a Selection.
FRONTENDS = (keras, savedmodel, onnx, graphdef)


@dataclass(frozen=True)
class Selection:
    """Which part of a model is wanted; by default all of it.

    ``signature`` names one of several. ``inputs`` are labels at which the model is cut, each with the type of
    what is fed there, or None if the model says it; ``outputs`` are labels or names of outputs. ``fixed`` gives
    values to inputs, which are none then. ``dims`` gives sizes to free dimensions by name, which may be made
    of other free dimensions, as in 32*h.
    """

    signature: str | None = None
    inputs: Mapping[str, TensorType | None] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)
    dims: Mapping[str, Dim] = field(default_factory=dict)

    @property
    def cuts(self) -> bool:
        """Whether less is wanted than what the model has for inputs and outputs."""
        return bool(self.inputs or self.outputs or self.fixed)


#: All of a model.
WHOLE = Selection()


def detect(path: Path):
    """The frontend that reads the file or directory; ModelError if there is none."""
    if not path.exists():
        raise ModelError(f"{path}: no such file or directory")
    for frontend in FRONTENDS:
        if frontend.matches(path):
            return frontend
    known = "; ".join(frontend.DESCRIPTION for frontend in FRONTENDS)
    raise ModelError(f"{path}: not a model that castiron reads. It reads {known}.")


def load(path: Path, selection: Selection = WHOLE) -> Graph:
    """The model in a file or directory, checked; ModelError or UnsupportedOp if it can't be had."""
    graph = detect(path).load(path, signature=selection.signature, inputs=selection.inputs or None,
                              outputs=selection.outputs or None, fixed=selection.fixed or None,
                              dims=selection.dims or None)
    verify(graph)
    return graph
