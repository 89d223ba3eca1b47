"""castiron casts a trained model into one static executable.

``load`` reads a model file into a graph, ``compile`` makes it callable in this process, ``build``
leaves an executable or a Go module, ``inspect`` lists the nodes of a model file.
"""

from castiron.driver import Built, Compiled, build, compile, inspect, load
from castiron.errors import CastironError, ModelError, OutputError, ShapeError, ToolError, UnsupportedOp, VerifyError
from castiron.ir import Graph

__all__ = ["Built", "CastironError", "Compiled", "Graph", "ModelError", "OutputError", "ShapeError", "ToolError",
           "UnsupportedOp", "VerifyError", "build", "compile", "inspect", "load"]
