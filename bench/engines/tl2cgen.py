"""TL2cgen: trees as C, compiled by gcc."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


class Compiled(PythonEngine):
    name, title = "tl2cgen", "TL2cgen"
    packages = ("tl2cgen", "treelite")

    def reads(self, model: Model, batch: int) -> Path:
        return model.lightgbm

    def unable(self, model: Model) -> str | None:
        return super().unable(model) or (None if shutil.which("gcc") else "there is no gcc")

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import tl2cgen
        import treelite

        library = model.folder / "tl2cgen.so"
        with _messages_aside():
            if not library.exists():
                trees = treelite.frontend.load_lightgbm_model(model.lightgbm)
                tl2cgen.export_lib(trees, toolchain="gcc", libpath=library, params={"parallel_comp": 16})
            predictor = tl2cgen.Predictor(library, nthread=threads)
        # Its own kind of matrix is made once, not at every call.
        matrix = tl2cgen.DMatrix(model.rows(batch))
        return lambda rows: predictor.predict(matrix)


@contextlib.contextmanager
def _messages_aside() -> Iterator[None]:
    """What its native code writes to standard output, where answers go, is an error's message inside."""
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)
