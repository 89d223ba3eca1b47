"""LiteRT (TensorFlow Lite) with XNNPACK, its default on a CPU. The wheel has no C API of the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.engines.base import PythonEngine
from bench.models import Model


def interpreter(model: Model, batch: int, threads: int):
    """An interpreter with memory for a batch, and the indices of its input and output."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(str(model.tflite(batch)), num_threads=threads)
    index = made.get_input_details()[0]["index"]
    made.resize_tensor_input(index, (batch, *model.row))
    made.allocate_tensors()
    return made, index, made.get_output_details()[0]["index"]


class Interpreter(PythonEngine):
    """A whole call: the rows in, the results out."""

    name, title = "litert", "LiteRT"
    packages = ("ai_edge_litert",)

    def reads(self, model: Model, batch: int) -> Path:
        return model.tflite(batch)

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        made, source, target = interpreter(model, batch, threads)

        def predict(rows: np.ndarray) -> np.ndarray:
            made.set_tensor(source, rows)
            made.invoke()
            return made.get_tensor(target)

        return predict


class InvokeAlone(Interpreter):
    """Only the invocation, on rows that are already inside and with results left there: less than a call needs, as a
    bound of what Python's part in one is. Where a call takes long, it is the same."""

    name, through, peer = "litert_invoke", "Python, invoke alone", False

    def unable(self, model: Model) -> str | None:
        return super().unable(model) or (None if model.name == "seed_mlp" else "Python's part is small")

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        made, source, target = interpreter(model, batch, threads)
        made.set_tensor(source, model.rows(batch))
        result, invoke = made.tensor(target), made.invoke

        def predict(rows: np.ndarray):
            invoke()
            return result

        return predict
