"""The table of operators and how they enter it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.results import Compound
from castiron.ir import Value
from castiron.ops import apply

#: What a function of the table returns: the results, None for one that castiron doesn't compute.
Results = Value | Compound | tuple[Value | Compound | None, ...]

#: By name, behind the domain unless that is ONNX's own: the function from a node and its operands, None for omitted
#: ones, to its results.
TABLE: dict[str, Callable[..., Results]] = {}

#: Operators that take operands which are no tensors.
COMPOUND: set[str] = set()


def converts(*names: str, compound: bool = False) -> Callable[[Any], Any]:
    """Enter the function as that of the operators ``names``."""
    def register(function: Callable[..., Results]) -> Callable[..., Results]:
        for name in names:
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
    function = TABLE[node.op]
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
    if node.op not in COMPOUND and (found := next((v for v in operands if isinstance(v, Compound)), None)):
        raise ModelError(f"{node.op} of {found.kind} is not supported")
    return function(node, *operands)
