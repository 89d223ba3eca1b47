"""lleaves: LightGBM's trees compiled by LLVM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


class Compiled(PythonEngine):
    name, title = "lleaves", "lleaves"
    packages = ("lleaves",)

    def reads(self, model: Model, batch: int) -> Path:
        return model.lightgbm

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import lleaves

        compiled = lleaves.Model(model_file=str(model.lightgbm))
        compiled.compile(cache=str(model.folder / "lleaves.bin"))
        # It computes in doubles and would convert at every call.
        doubles = model.rows(batch).astype(np.float64)
        return lambda rows: compiled.predict(doubles, n_jobs=threads)
