"""A straight line of element-wise operators: the attribute of a node that stands for several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Instr:
    """One operator of a body. An operand below the number of the body's inputs is that input, others
    are the results of earlier instructions, counted on from there."""

    op: str
    operands: tuple[int, ...]
    attrs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Body:
    """A straight line of element-wise instructions; the last one is the result."""

    instrs: tuple[Instr, ...]
