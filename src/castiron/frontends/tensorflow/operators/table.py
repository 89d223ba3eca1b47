"""The table of operators and how they enter it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from castiron.errors import ModelError
from castiron.frontends.results import Compound
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.text import Text, moved
from castiron.ir import Value
from castiron.ops import apply

#: What a function of the table returns: the results, None for one that castiron doesn't compute.
Results = Value | Compound | tuple[Value | Compound | None, ...]

#: By TensorFlow's name: the function from a node and its operands to its results.
TABLE: dict[str, Callable[..., Results]] = {}

#: The same for operands of which some are made of several values, such as complex numbers.
COMPOUND: dict[str, Callable[..., Results]] = {}


#: The same for operands of which some are strings.
TEXT: dict[str, Callable[..., Results]] = {}

#: Operators that move elements whatever these are: of strings their numbers.
MOVES = frozenset({
    "ConcatV2", "ExpandDims", "Gather", "GatherNd", "GatherV2", "Pack", "Reshape", "Select", "SelectV2", "Slice",
    "Split", "SplitV", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack"})


def converts(*names: str, table: dict[str, Callable[..., Results]] = TABLE) -> Callable[[Any], Any]:
    """Enter the function as that of the operators ``names``."""
    def register(function: Callable[..., Results]) -> Callable[..., Results]:
        for name in names:
            if name in table:
                raise TypeError(f"operator {name} is in the table twice")
            table[name] = function
        return function
    return register


def same_as(**operators: str) -> None:
    """Enter operators that have the operands and the meaning of castiron's and no attributes."""
    for name, own in operators.items():
        converts(name)(lambda node, *operands, own=own: apply(own, *operands))


def is_supported(op: str) -> bool:
    """Whether there is a function for an operator."""
    return op in TABLE or op in COMPOUND


def convert(node: SourceNode, *operands: Value | Compound) -> Results:
    """The results of an operator of the table; ModelError if it doesn't take such operands."""
    if any(isinstance(v, Text) for v in operands):
        if node.op in MOVES:
            return moved(TABLE[node.op], node, *operands)
        if node.op in TEXT:
            return TEXT[node.op](node, *operands)
    compound = next((v for v in operands if isinstance(v, Compound)), None)
    table = TABLE if compound is None else COMPOUND
    if node.op not in table:
        raise ModelError(f"{node.op} of {compound.kind if compound else 'real numbers'} is not supported")
    return table[node.op](node, *operands)
