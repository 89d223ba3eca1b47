"""How often a loop goes round, as far as integers that count say it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from castiron.frontends.results import Result, parts
from castiron.ir import Dim, DType, Node, Value, ceil_div, maximum, minimum, toposort
from castiron.ops import F
from castiron.ops.symbolic import dims_of, known

#: By operator: whether a counter in its first operand rises towards the second, and may reach it.
_ORDER = {"less": (True, False), "less_equal": (True, True), "greater": (False, False), "greater_equal": (False, True)}


@dataclass(frozen=True)
class Trips:
    """The number of rounds, None if no counter decides it; which terms of the condition are left; and the
    carried integers to which each round adds the same: which, and what."""

    count: Dim | Value | None
    rest: tuple[int, ...]
    counters: dict[int, int]


def trips(test: Result, initial: Sequence[Result], arguments: Sequence[Result], results: Sequence[Result],
          fixed: Collection[int]) -> Trips:
    """The rounds of a loop that carries what is not ``fixed``: ``initial`` before the first, ``arguments`` in a
    round, on which ``test`` and ``results`` depend."""
    counters = _counters(arguments, results, fixed)
    carried = {v.node for k, a in enumerate(arguments) if k not in fixed for v in parts(a)}
    definite: list[Dim] = []
    counted: list[tuple[int, Value]] = []
    rest = []
    for number, term in enumerate(terms(test)):
        if always(term):
            continue
        bound = _bound(term, initial, arguments, counters, carried)
        if bound is None:
            rest.append(number)
        elif isinstance(bound, Value):
            counted.append((number, bound))
        else:
            definite.append(bound)
    count: Dim | Value | None = None
    if definite:
        count = definite[0]
        for dim in definite[1:]:
            count = minimum(count, dim)
    elif counted:
        count = counted.pop(0)[1]
    return Trips(count, tuple(sorted(rest + [number for number, _ in counted])), counters)


def _counters(arguments: Sequence[Result], results: Sequence[Result], fixed: Collection[int]) -> dict[int, int]:
    found = {}
    for k, (argument, result) in enumerate(zip(arguments, results, strict=True)):
        if k in fixed or not isinstance(argument, Value) or not isinstance(result, Value):
            continue
        if argument.type.rank or argument.type.dtype not in (DType.I32, DType.I64):
            continue
        operands = list(result.node.inputs)
        if (result.node.op == "add" and argument in operands) or (
                result.node.op == "sub" and argument == operands[0]):
            operands.remove(argument)
            step = known(operands[0])
            if step is not None and step.dtype != object and step.item():
                found[k] = int(step.item()) * (1 if result.node.op == "add" else -1)
    return found


def _bound(term: Value, initial: Sequence[Result], arguments: Sequence[Result], counters: dict[int, int],
           carried: set[Node]) -> Dim | Value | None:
    """After how many rounds a term of the condition fails, if it compares a counter with what stays."""
    if term.node.op not in _ORDER:
        return None
    for flip in (False, True):
        a, b = term.node.inputs if not flip else term.node.inputs[::-1]
        which = next((k for k in counters if arguments[k] == a), None)
        if which is None or carried & set(toposort([b.node])):
            continue
        rising, inclusive = _ORDER[term.node.op]
        rising ^= flip
        step = counters[which]
        if (step > 0) != rising:
            return None
        start, end = dims_of(initial[which]), dims_of(b)
        if start is not None and end is not None:
            span = (end.item() - start.item()) * (1 if rising else -1) + inclusive
            return maximum(ceil_div(span, abs(step)), 0)
        if step == 1:
            span = F.sub(F.cast(b, dtype=DType.I64), F.cast(initial[which], dtype=DType.I64))
            return F.maximum(F.add(span, int(inclusive)), 0)
    return None


def terms(test: Result) -> list[Value]:
    """What must all be true for the condition to be."""
    stack, found = [test] if isinstance(test, Value) else [], []
    while stack:
        term = stack.pop()
        if term.node.op == "and":
            stack += term.node.inputs[::-1]
        else:
            found.append(term)
    return found


def always(term: Value) -> bool:
    """Whether it is known to be true."""
    array = known(term)
    return array is not None and bool(array.all())


def counted(first: Value, rounds: Value, step: int) -> Value:
    """A counter after so many rounds."""
    dtype = first.type.dtype
    rounds = rounds if rounds.type.dtype is dtype else F.cast(rounds, dtype=dtype)
    rounds = rounds if step == 1 else F.mul(rounds, step)
    start = known(first)
    return rounds if start is not None and start.dtype != object and not start.item() else F.add(first, rounds)
