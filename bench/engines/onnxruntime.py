"""onnxruntime on one model file, sequential, f32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


class Session(PythonEngine):
    name = "onnxruntime"
    packages = ("onnxruntime",)

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(model.onnx), options, providers=["CPUExecutionProvider"])
        source, run = session.get_inputs()[0].name, session.run
        return lambda rows: run(None, {source: rows})[0]
