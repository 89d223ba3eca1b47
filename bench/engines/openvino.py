"""OpenVINO on the ONNX file, for one batch size. It computes in f32: its default on some processors is bf16, which is
less exact and often slower."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


class Compiled(PythonEngine):
    name, title = "openvino", "OpenVINO"
    packages = ("openvino",)

    def reads(self, model: Model, batch: int) -> Path:
        return model.onnx

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        import openvino

        core = openvino.Core()
        network = core.read_model(model.onnx)
        network.reshape([batch, *model.row])
        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                   "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        infer = core.compile_model(network, "CPU", options).create_infer_request().infer
        # Without sharing it would copy both arrays.
        return lambda rows: infer([rows], share_inputs=True, share_outputs=True)[0]
