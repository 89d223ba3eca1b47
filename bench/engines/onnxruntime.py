"""onnxruntime on one model file, sequential, f32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


class Session(PythonEngine):
    name, title = "onnxruntime", "onnxruntime"
    packages = ("onnxruntime",)

    def reads(self, model: Model, batch: int) -> Path:
        return model.onnx

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(str(model.onnx), options, providers=["CPUExecutionProvider"])
        source, run = session.get_inputs()[0].name, session.run
        return lambda rows: run(None, {source: rows})[0]
