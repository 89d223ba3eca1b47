"""Keras models, Sequential and Functional: `.keras` archives and whole-model HDF5 files (`.h5`) of Keras 2 and
3. Read from configuration and weights, without Keras; no code that a file holds is ever run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.feeds import Sizes
from castiron.frontends.keras.archive import is_keras, open_archive
from castiron.frontends.keras.builder import build
from castiron.frontends.keras.model import parse
from castiron.ir import Dim, Graph, TensorType, cut

FORMAT = "keras"
DESCRIPTION = "Keras models (.keras, .h5)"


def matches(path: Path) -> bool:
    """Whether the file is a Keras archive or HDF5, by its content."""
    return is_keras(path)


def files(path: Path) -> list[Path]:
    """The file itself."""
    return [path]


def load(path: Path, *, signature: str | None = None, inputs: Mapping[str, TensorType | None] | None = None,
         outputs: Sequence[str] | None = None, fixed: Mapping[str, np.ndarray] | None = None,
         dims: Mapping[str, Dim] | None = None) -> Graph:
    """The graph of a Keras file. Inputs and outputs have the names of their layers; labels are TensorFlow's
    in style, such as ``sequential/out/MatMul``; the batch is the symbol ``batch``. ``inputs``, ``outputs``
    and ``fixed`` select a part of it, as ``ir.cut`` does. ``dims`` are sizes of free dimensions by name.

    Raises ModelError if the file is broken, lacks weights or is only part of a model, and UnsupportedOp,
    naming all of them, if it has layers that castiron doesn't compile.
    """
    archive, sizes = open_archive(path), Sizes(dims)
    with archive.weights.file:
        graph = build(archive, parse(archive.config, archive.place), sizes)
    try:
        if signature is not None:
            raise ModelError("a Keras file has no signatures")
        inputs = {name: type and sizes.pinned(type) for name, type in (inputs or {}).items()}
        sizes.check()
        return cut(graph, inputs, outputs, fixed) if inputs or outputs or fixed else graph
    except ModelError as error:
        raise error.at(path) from None


def signatures(path: Path) -> dict[str, Any]:
    """None: a Keras file has no signatures."""
    return {}
