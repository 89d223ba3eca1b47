"""Conditions: If and Case, and TensorFlow 1's Switch and Merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.results import DEAD, Compound, Missing, Result, Results, parts, remade
from castiron.frontends.tensorflow.handlers import Context, Gates, Scope, handles
from castiron.frontends.tensorflow.lists import TensorList
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import DType, Value, constant
from castiron.ops import F, apply
from castiron.ops.loop import conditional
from castiron.ops.symbolic import known

#: A Case may have so many branches.
BRANCH_LIMIT = 256


@handles("If", "StatelessIf", partial=True)
def _if(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    predicate, *arguments = operands
    if isinstance(predicate, Missing):
        return Missing(node, causes=(predicate,))
    predicate = context.value_of(predicate)
    branches = [node.attrs["then_branch"].func, node.attrs["else_branch"].func]
    taken = known(predicate)
    if taken is not None:
        # What isn't a scalar is true if it has elements.
        holds = taken.item() if not predicate.type.rank else taken.size
        return context.call(node, branches[0 if holds else 1], arguments, (*scope.path, node.name))
    return _chosen(context, node, _truth(predicate), branches, arguments, scope)


@handles("Case", "StatelessCase", partial=True)
def _case(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    index, *arguments = operands
    if isinstance(index, Missing):
        return Missing(node, causes=(index,))
    index = context.value_of(index)
    branches = list(node.attrs["branches"].list.func)
    if not 0 < len(branches) <= BRANCH_LIMIT:
        raise ModelError(f"{len(branches)} branches; from 1 to {BRANCH_LIMIT} are supported")
    number = known(index)
    if number is not None:
        # What is out of range takes the last branch.
        taken = number.item() if 0 <= number.item() < len(branches) else -1
        return context.call(node, branches[taken], arguments, (*scope.path, node.name))
    return _chosen(context, node, index, branches, arguments, scope)


def _truth(predicate: Value) -> Value:
    if predicate.type.rank:
        raise ModelError(f"a condition that is {predicate.type!r}: expects a scalar")
    return predicate if predicate.type.dtype is DType.BOOL else F.not_equal(predicate, 0)


def _chosen(context: Context, node: SourceNode, choice: Value, branches: Sequence[pb.NameAttrList],
            arguments: list[Result], scope: Scope) -> Results:
    """The results of one of several functions; ``choice`` is the truth of a condition, whose first function
    stands for true, or the function's number."""
    path = (*scope.path, node.name)
    before = dict(context.current)
    outcomes, assigned = [], []
    for branch in branches:
        with context.aside():
            outcomes.append([context.settled(r) for r in context.call(node, branch, arguments, path)])
            assigned += [name for name, value in context.current.items() if value is not before.get(name)]
        context.current = dict(before)
    variables = list(dict.fromkeys(assigned))
    shapes = [_common(node, results) for results in zip(*outcomes, strict=True)]

    def side(branch: pb.NameAttrList) -> tuple[Value, ...]:
        with context.inside():
            results = [context.settled(r) for r in context.call(node, branch, arguments, path)]
            results = [_fitted(r, shape) for r, shape in zip(results, shapes, strict=True)]
            found = tuple(part for r, shape in zip(results, shapes, strict=True) for part in parts(shape) and parts(r))
            found += tuple(context.value_of_name(name) for name in variables)
        context.current = dict(before)
        return found

    def among(first: int) -> tuple[Value, ...]:
        if first == len(branches) - 1:
            return side(branches[first])
        return conditional(F.equal(choice, first), lambda: side(branches[first]), lambda: among(first + 1))

    if not variables and not any(parts(shape) for shape in shapes):
        values: tuple[Value, ...] = ()
    elif choice.type.dtype is DType.BOOL:
        values = conditional(choice, lambda: side(branches[0]), lambda: side(branches[1]))
    else:
        # A number that is out of range takes the last branch, as one does that no test finds.
        values = among(0)
    left = list(values)
    found = []
    for shape in shapes:
        size = len(parts(shape))
        found.append(remade(shape, tuple(left[:size])))
        del left[:size]
    context.current.update(zip(variables, left, strict=True))
    return tuple(found)


def _common(node: SourceNode, results: Sequence[Result]) -> Result:
    """A result of the kind that all branches give, with memory for a list that only some of them fill."""
    causes = tuple(r for r in results if isinstance(r, Missing))
    if causes:
        return Missing(node, causes=causes)
    first = results[0]
    if isinstance(first, TensorList):
        filled = next((r for r in results if isinstance(r, TensorList) and r.data is not None), first)
        return filled
    if any(type(r) is not type(first) for r in results) or (
            not isinstance(first, (Value, Compound)) and any(r != first for r in results)):
        return Missing(node, "the branches give results of different kinds")
    shapes = {tuple(part.type for part in parts(r)) for r in results}
    if len(shapes) > 1:
        return Missing(node, f"the branches give results of different types: "
                             f"{', '.join(sorted({repr(parts(r)[0].type) for r in results}))}")
    return first


def _fitted(result: Result, like: Result) -> Result:
    """A list with memory if the other has it."""
    if isinstance(result, TensorList) and isinstance(like, TensorList) and result.data is None is not like.data:
        return replace(result.holding(like.item.shape), grows=like.grows)
    return result


@handles("Switch", "RefSwitch", partial=True)
def _switch(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    data, predicate = operands
    if isinstance(predicate, Missing):
        return Missing(node, causes=tuple(v for v in operands if isinstance(v, Missing)))
    predicate = context.value_of(predicate)
    taken = known(predicate)
    if taken is not None:
        return (DEAD, data) if taken.item() else (data, DEAD)
    predicate = _truth(predicate)
    around = scope.gate(node.name)
    if (predicate, True) in around or (predicate, False) in around:
        return (DEAD, data) if (predicate, True) in around else (data, DEAD)
    scope.gates[node.name, 0] = around | {(predicate, False)}
    scope.gates[node.name, 1] = around | {(predicate, True)}
    return (data, data)


def merge(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    """The branch that is alive, and its number: known, or chosen by the condition on which they differ."""
    alive = [(i, operand, scope.gate(*node.reads[i])) for i, operand in enumerate(operands) if operand is not DEAD]
    if not alive:
        return DEAD
    index, result, gates = alive[0]
    number = constant(np.int32(index))
    for i, other, condition in alive[1:]:
        decided = next(((p, holds) for p, holds in condition if (p, not holds) in gates), None)
        if decided is None:
            return Missing(node, "branches that are not two sides of one condition")
        predicate, holds = decided
        sides = (other, result) if holds else (result, other)
        result = _selected(context, node, predicate, *sides)
        other_number = constant(np.int32(i))
        number = F.select(predicate, *((other_number, number) if holds else (number, other_number)))
        gates = (gates & condition) | frozenset(g for g in gates ^ condition if g[0] != predicate)
    scope.gates[node.name] = gates
    return result, number


def _selected(context: Context, node: SourceNode, predicate: Value, yes: Result, no: Result) -> Result:
    shape = _common(node, [context.settled(yes), context.settled(no)])
    if isinstance(shape, Missing):
        return shape
    yes, no = (_fitted(context.settled(r), shape) for r in (yes, no))
    return remade(shape, tuple(F.select(predicate, a, b) for a, b in zip(parts(yes), parts(no), strict=True)))


def all_hold(gates: Gates) -> Value:
    """Whether all conditions hold."""
    total = None
    for predicate, holds in sorted(gates, key=lambda gate: id(gate[0].node)):
        term = predicate if holds else apply("not", predicate)
        total = term if total is None else apply("and", total, term)
    return total
