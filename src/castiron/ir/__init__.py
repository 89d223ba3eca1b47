"""The tensor IR: types, graphs and their text form."""

from castiron.ir.body import Body, Instr
from castiron.ir.cut import cut, resized
from castiron.ir.dim_text import parse_dim
from castiron.ir.dims import (
    Atom,
    Dim,
    Expr,
    ceil_div,
    evaluate,
    exact_div,
    floor_div,
    greatest,
    least,
    maximum,
    minimum,
    product,
    substitute,
    symbol,
)
from castiron.ir.graph import Graph, Label, Node, State, Value, constant, in_bodies, placeholder, toposort, verify
from castiron.ir.measured import ancestors, counting, is_measured, measured, sources, with_measured
from castiron.ir.text import parse_graph, parse_type, print_graph
from castiron.ir.types import DType, TensorType

__all__ = ["Atom", "Body", "DType", "Dim", "Expr", "Graph", "Instr", "Label", "Node", "State", "TensorType", "Value",
           "ancestors", "ceil_div", "constant", "counting", "cut", "evaluate", "exact_div", "floor_div", "greatest",
           "in_bodies", "is_measured", "least", "maximum", "measured", "minimum", "parse_dim", "parse_graph",
           "parse_type", "placeholder", "print_graph", "product", "resized", "sources", "substitute", "symbol",
           "toposort", "verify", "with_measured"]
