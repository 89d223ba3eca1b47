"""TensorFlow's own names of operators, which tf2onnx, and with it Keras' export, leaves in a file where it knows none
of ONNX's. Those are here whose meaning a name alone makes certain."""

from __future__ import annotations

from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts, same_as
from castiron.ir import Value
from castiron.ops import F

same_as(Expm1="expm1", Log1p="log1p", Erfc="erfc", Erfinv="erfinv", Ndtri="ndtri", Lgamma="lgamma", Digamma="digamma",
        BesselI0="i0", BesselI0e="i0e", BesselI1="i1", BesselI1e="i1e")


@converts("Xlogy", "Xlog1py", "Xdivy")
def but_at_zero(node: SourceNode, x: Value, y: Value) -> Value:
    """x · log(y), x · log(1 + y) or x / y, and 0 where x is, whatever y is."""
    result = {"Xlogy": lambda: F.mul(x, F.log(y)), "Xlog1py": lambda: F.mul(x, F.log1p(y)),
              "Xdivy": lambda: F.div(x, y)}[node.op]()
    return F.select(F.equal(x, 0.0), 0.0, result)
