"""What a source node gives: a value, something made of values, a variable, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from castiron.errors import ModelError, Obstacle, UnsupportedOp
from castiron.frontends.operands import Operands
from castiron.ir import DType, Value

#: So many nodes of each unsupported operator are named.
NAMED = 4


@dataclass(frozen=True, eq=False)
class Missing:
    """Why a node has no value: its own fault, ``why``, and the faults of its operands."""

    node: Operands
    why: str = ""
    unsupported: bool = False
    causes: tuple[Missing, ...] = ()

    @cached_property
    def first(self) -> Missing:
        """The first fault: this one, or that of the first cause."""
        fault = self
        while not fault.why:
            fault = fault.causes[0]
        return fault


@dataclass(frozen=True, eq=False)
class Unranked(Missing):
    """An input whose rank the file doesn't say, unless what is done with it does. ``axes`` are those that were
    inserted since, one after the other."""

    key: str = ""
    dtype: DType = DType.F32
    axes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Variable:
    """A variable: TensorFlow 2 passes handles on, TensorFlow 1 passes references, which read as values."""

    name: str
    is_handle: bool


@dataclass(frozen=True)
class Table:
    """The handle of a table from keys to values."""

    name: str


class Compound:
    """A result that is made of several values and passes through calls, branches and loops as one. ``kind`` is
    what messages call it."""

    kind: ClassVar[str] = "lists"

    def parts(self) -> tuple[Value, ...]:
        """The values, in an order that depends on nothing but the kind of the result."""
        raise NotImplementedError

    def remade(self, parts: tuple[Value, ...]) -> Compound:
        """The same of other values."""
        raise NotImplementedError


class _Dead:
    """The result of a branch that is not taken."""


DEAD = _Dead()

Result = Value | Compound | Missing | Variable | Table | _Dead

#: All results of a node; a single Missing or DEAD stands for every one.
Results = tuple[Result, ...] | Missing | _Dead


def pick(results: Results, index: int, reference: str) -> Result:
    """One result; ModelError if the node doesn't have so many."""
    if not isinstance(results, tuple):
        return results
    if index >= len(results):
        raise ModelError(f"{reference!r} is read, but the node has {len(results)} results")
    return results[index]


def parts(result: Result) -> tuple[Value, ...]:
    """The values that a result is made of."""
    if isinstance(result, Value):
        return (result,)
    return result.parts() if isinstance(result, Compound) else ()


def remade(result: Result, values: tuple[Value, ...]) -> Result:
    """A result of the same kind, made of other values."""
    if isinstance(result, Value):
        return values[0]
    return result.remade(values) if isinstance(result, Compound) else result


def reason(result: Result | None) -> str:
    """Why there is no value."""
    if result is None:
        return "computes nothing"
    if result is DEAD:
        return "in a branch that is not taken"
    if isinstance(result, Variable):
        return "the handle of a variable"
    if isinstance(result, Table):
        return "the handle of a table"
    if isinstance(result, Compound):
        return "no single tensor"
    if result.why:
        return result.why
    return f"needs {result.first.node.name!r}: {result.first.why}"


def faults(missing: Iterable[Missing]) -> list[Missing]:
    """Those among them and their causes that have a reason of their own, each once."""
    stack, seen, found = list(missing)[::-1], set(), []
    while stack:
        item = stack.pop()
        if id(item) not in seen:
            seen.add(id(item))
            stack += item.causes[::-1]
            if item.why:
                found.append(item)
    return found


def values(outputs: Mapping[str, Result]) -> dict[str, Value]:
    """The outputs' values. Raises UnsupportedOp that lists all unsupported operators they need, else
    ModelError with the first other reason for which one has no value; their ``obstacles`` are all."""
    found = faults(result for result in outputs.values() if isinstance(result, Missing))
    if unsupported := [fault.node for fault in found if fault.unsupported]:
        others = [f"; besides, {_told(fault)}" for fault in found if not fault.unsupported]
        raise UnsupportedOp("".join([_listed(unsupported), *others[:NAMED]]), _obstacles(found))
    for fault in found:
        raise ModelError(_told(fault), _obstacles(found))
    for key, result in outputs.items():
        if not isinstance(result, Value):
            raise ModelError(f"output {key!r} has no value: {reason(result)}")
    return dict(outputs)


def _told(fault: Missing) -> str:
    return f"node {fault.node.name!r} ({fault.node.op}): {fault.why}"


def _obstacles(found: list[Missing]) -> list[Obstacle]:
    """All faults, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for fault in found:
        what = fault.why if fault.why.startswith(fault.node.op) else f"{fault.node.op}: {fault.why}"
        what = what.replace(" is not supported", "", 1)
        kinds.setdefault(what, []).append(fault.node.name)
    return [Obstacle(what, tuple(names)) for what, names in kinds.items()]


def _listed(nodes: list[Operands]) -> str:
    by_op: dict[str, list[str]] = {}
    for node in nodes:
        by_op.setdefault(node.op, []).append(node.name)
    kinds = [f"{op} × {len(names)} ({', '.join(map(repr, names[:NAMED]))}{', …' if len(names) > NAMED else ''})"
             for op, names in sorted(by_op.items())]
    what = "an operator that is" if len(kinds) == 1 else f"{len(kinds)} operators that are"
    return f"the model needs {what} not supported: {'; '.join(kinds)}"
