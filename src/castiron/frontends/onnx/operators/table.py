"""The table of operators and how they enter it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.results import Compound
from castiron.frontends.text import Text, moved
from castiron.ir import Value
from castiron.ops import apply

#: What a function of the table returns: the results, None for one that castiron doesn't compute.
Results = Value | Compound | tuple[Value | Compound | None, ...]

#: By name, behind the domain unless that is ONNX's own: the function from a node and its operands, None for omitted
#: ones, to its results.
TABLE: dict[str, Callable[..., Results]] = {}

#: Operators that take operands which are no tensors.
COMPOUND: set[str] = set()


#: By name: the function for strings among the operands, of operators that treat them in a way of their own.
TEXT: dict[str, Callable[..., Results]] = {}

#: Operators that move elements whatever these are: of strings their numbers.
MOVES = frozenset({
    "Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Reshape",
    "ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Unsqueeze", "Where", "ai.onnx.ml.ArrayFeatureExtractor"})


def converts(*names: str, compound: bool = False, text: bool = False) -> Callable[[Any], Any]:
    """Enter the function as that of the operators ``names``, or with ``text`` as that for strings among their
    operands."""
    def register(function: Callable[..., Results]) -> Callable[..., Results]:
        for name in names:
            if text:
                TEXT[name] = function
                continue
            if name in TABLE:
                raise TypeError(f"operator {name} is in the table twice")
            TABLE[name] = function
            if compound:
                COMPOUND.add(name)
        return function
    return register


def same_as(**operators: str) -> None:
    """Enter operators of one operand that have the meaning of castiron's and no attributes."""
    for name, own in operators.items():
        converts(name)(lambda node, x, own=own: apply(own, x))


def convert(node: SourceNode, *operands: Value | Compound | None) -> Results:
    """The results of an operator of the table; ModelError if it doesn't take such operands."""
    strings = any(isinstance(v, Text) for v in operands)
    function = TEXT.get(node.op, TABLE[node.op]) if strings else TABLE[node.op]
    while operands and operands[-1] is None:
        operands = operands[:-1]
    parameters = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    listed = [p for p in parameters if p.kind is not p.VAR_POSITIONAL and p.name != "own"]
    if len(listed) < len(operands) and len(listed) == len([p for p in parameters if p.name != "own"]):
        raise ModelError(f"{node.op} has {len(operands)} operands, more than the {len(listed)} that it takes")
    for position, parameter in enumerate(listed):
        needed = parameter.default is parameter.empty and not str(parameter.annotation).endswith("None")
        if needed and (position >= len(operands) or operands[position] is None):
            raise ModelError(f"{node.op} has no operand {parameter.name!r}")
    if strings and node.op in MOVES:
        return moved(function, node, *operands)
    takes = node.op in COMPOUND or (strings and node.op in TEXT)
    if not takes and (found := next((v for v in operands if isinstance(v, Compound)), None)):
        raise ModelError(f"{node.op} of {found.kind} is not supported")
    return function(node, *operands)
