"""The tensor IR: types, graphs and their text form."""

from castiron.ir.graph import Graph, Label, Node, Value, constant, placeholder, toposort, verify
from castiron.ir.types import Dim, DType, Expr, TensorType, evaluate, exact_div, parse_dim, product, symbol

__all__ = ["DType", "Dim", "Expr", "Graph", "Label", "Node", "TensorType", "Value", "constant", "evaluate",
           "exact_div", "parse_dim", "placeholder", "product", "symbol", "toposort", "verify"]
