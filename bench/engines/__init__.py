"""The engines that are compared, one module for each product."""

from bench.engines import castiron, litert, onnxruntime, tensorflow
from bench.engines.base import Engine, PythonEngine, Session

__all__ = ["ENGINES", "Engine", "PythonEngine", "Session"]

#: By name, castiron first.
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (
    castiron.GoModule("castiron", "predict", "Go, Predict"),
    castiron.GoModule("castiron_into", "into", "Go, PredictInto"),
    castiron.GoModule("castiron_run", "run", "Go, Run by label"),
    castiron.InProcess(),
    litert.Interpreter(),
    litert.InvokeAlone(),
    onnxruntime.Session(),
    tensorflow.CProgram(),
)}
