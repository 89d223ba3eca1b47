"""Operators that act on more than values: the table of their handlers and how they enter it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from castiron.frontends.results import Result, Results
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import Dim, TensorType, Value

#: Conditions under which a node runs: run-time predicates and what they must be.
Gates = frozenset[tuple[Value, bool]]


@dataclass
class Scope:
    """The graph or the body that is being converted: the calls that lead to it, the results so far, and
    the conditions under which they are computed, by node or by node and index."""

    path: tuple[str, ...]
    results: dict[str, Results]
    gates: dict[str | tuple[str, int], Gates] = field(default_factory=dict)

    def gate(self, name: str, index: int | None = None) -> Gates:
        return self.gates.get((name, index)) or self.gates.get(name) or frozenset()


class Context(Protocol):
    """What handlers need of the importer, which says what each is."""

    functions: Mapping[str, pb.FunctionDef]
    tables: dict[str, tuple[np.ndarray, np.ndarray]]
    current: dict[str, Result]
    pins: dict[str, TensorType]
    ranges: dict[Value, Dim]
    around: Gates
    true: Value
    trying: bool

    def value_of(self, operand: Result) -> Result: ...
    def value_of_name(self, name: str) -> Result: ...
    def settled(self, result: Result) -> Result: ...
    def assign(self, name: str, value: Result, node: SourceNode) -> None: ...
    def inside(self) -> AbstractContextManager[None]: ...
    def aside(self) -> AbstractContextManager[None]: ...
    def spend(self, nodes: int) -> None: ...
    def body(self, nodes: Iterable[SourceNode], scope: Scope, collapsed: bool = False) -> dict[str, Results]: ...
    def call(self, node: SourceNode, callee: pb.NameAttrList, operands: list[Result],
             path: tuple[str, ...]) -> tuple[Result, ...]: ...


@dataclass(frozen=True)
class Handler:
    """``convert(context, node, operands, scope)`` gives the results. ``partial``: some operands may have
    no value."""

    convert: Callable[[Context, SourceNode, list[Result], Scope], Results]
    partial: bool


#: By TensorFlow's name.
HANDLERS: dict[str, Handler] = {}


def handles(*names: str, partial: bool = False) -> Callable[[Any], Any]:
    """Enter the function as the handler of the operators ``names``."""
    def register(function: Callable[..., Results]) -> Callable[..., Results]:
        for name in names:
            if name in HANDLERS:
                raise TypeError(f"operator {name} has two handlers")
            HANDLERS[name] = Handler(function, partial)
        return function
    return register
