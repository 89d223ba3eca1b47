"""The table of operators and how they enter it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from castiron.ir import Value
from castiron.ops import apply

#: What a function of the table returns: the results, None for one that castiron doesn't compute.
Results = Value | tuple[Value | None, ...]

#: By TensorFlow's name: the function from a node and its operands to its results.
TABLE: dict[str, Callable[..., Results]] = {}


def converts(*names: str) -> Callable[[Any], Any]:
    """Enter the function as that of the operators ``names``."""
    def register(function: Callable[..., Results]) -> Callable[..., Results]:
        for name in names:
            if name in TABLE:
                raise TypeError(f"operator {name} is in the table twice")
            TABLE[name] = function
        return function
    return register


def same_as(**operators: str) -> None:
    """Enter operators that have the operands and the meaning of castiron's and no attributes."""
    for name, own in operators.items():
        converts(name)(lambda node, *operands, own=own: apply(own, *operands))
