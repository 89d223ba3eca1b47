"""The tensor IR: types, graphs and their text form."""

from castiron.ir.body import Body, Instr
from castiron.ir.graph import Graph, Label, Node, Value, constant, placeholder, toposort, verify
from castiron.ir.text import parse_graph, print_graph
from castiron.ir.types import Dim, DType, Expr, TensorType, evaluate, exact_div, parse_dim, product, symbol

__all__ = ["Body", "DType", "Dim", "Expr", "Graph", "Instr", "Label", "Node", "TensorType", "Value", "constant",
           "evaluate", "exact_div", "parse_dim", "parse_graph", "placeholder", "print_graph", "product", "symbol",
           "toposort", "verify"]
