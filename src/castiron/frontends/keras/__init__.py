"""Keras models, Sequential and Functional: `.keras` archives and whole-model HDF5 files (`.h5`) of Keras 2 and
3. Read from configuration and weights, without Keras; no code that a file holds is ever run."""

from __future__ import annotations

from pathlib import Path

from castiron.frontends.keras.archive import is_keras, open_archive
from castiron.frontends.keras.builder import build
from castiron.frontends.keras.model import parse
from castiron.ir import Graph

FORMAT = "keras"
DESCRIPTION = "Keras models (.keras, .h5)"


def matches(path: Path) -> bool:
    """Whether the file is a Keras archive or HDF5, by its content."""
    return is_keras(path)


def load(path: Path) -> Graph:
    """The graph of a Keras file. Inputs and outputs have the names of their layers; labels are TensorFlow's
    in style, such as ``sequential/out/MatMul``; the batch is the symbol ``batch``.

    Raises ModelError if the file is broken, lacks weights or is only part of a model, and UnsupportedOp,
    naming all of them, if it has layers that castiron doesn't compile.
    """
    archive = open_archive(path)
    with archive.weights.file:
        return build(archive, parse(archive.config, archive.place))
