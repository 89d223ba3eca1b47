"""The engines that are compared, one module for each product."""

from bench.engines import castiron, litert, lleaves, onnxruntime, openvino, tensorflow, tl2cgen, xla
from bench.engines.base import Engine, PythonEngine, Session

__all__ = ["ENGINES", "Engine", "PythonEngine", "Session"]

#: By name, castiron first.
ENGINES: dict[str, Engine] = {engine.name: engine for engine in (
    castiron.GoModule(),
    castiron.InProcess(),
    litert.Interpreter(),
    litert.InvokeAlone(),
    onnxruntime.Session(),
    openvino.Compiled(),
    tensorflow.CProgram(),
    xla.AheadOfTime(),
    lleaves.Compiled(),
    tl2cgen.Compiled(),
)}
