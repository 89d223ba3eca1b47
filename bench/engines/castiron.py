"""castiron: the emitted Go module, and the Python call."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model
from bench.setting import build

_SOURCE = Path(__file__).parent / "go"


class GoModule:
    """A Go program that imports the emitted module: ``Predict`` for a model of floats, else ``Run``."""

    name, title, through, peer = "castiron", "castiron", "Go", False

    def unable(self, model: Model) -> str | None:
        return None

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        dims = ",".join(map(str, (batch, *model.row)))
        return _program(model, work / "castiron" / model.name), model.dtype, model.rows_file(batch), dims


def _program(model: Model, folder: Path) -> Path:
    """The Go program with the model inside, built once."""
    from castiron.targets import host
    from castiron.toolchain import Tools, go

    program = folder / "program"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(_SOURCE, folder / "main")
        build(model, folder / "model", "--emit", "go")
        go.build(folder / "main", ".", host(), Tools(), program)
    return program


class InProcess(PythonEngine):
    """``castiron.compile``, called from Python, on one thread."""

    name, title, peer = "castiron_python", "castiron", False
    packages = ("castiron",)

    def reads(self, model: Model, batch: int) -> Path:
        return model.source

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import castiron

        compiled = castiron.compile(model.source)
        (output,) = compiled.source.outputs
        return lambda rows: compiled(rows)[output]
