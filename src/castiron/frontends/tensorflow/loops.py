"""Loops: While, and TensorFlow 1's frames."""

from __future__ import annotations

from collections.abc import Sequence

from castiron.errors import ModelError
from castiron.frontends.results import DEAD, Missing, Result, Results, pick
from castiron.frontends.tensorflow.carried import Loop
from castiron.frontends.tensorflow.frames import FRAME, Frame
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.nodes import SourceNode, ancestors, resolve


@handles("While", "StatelessWhile", partial=True)
def _while(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    condition, body = node.attrs["cond"].func, node.attrs["body"].func
    path = (*scope.path, node.name)
    operands = [context.settled(operand) for operand in operands]

    def test(arguments: list[Result]) -> list[Result]:
        return list(context.call(node, condition, arguments, (*path, "cond")))[:1]

    def step(arguments: list[Result]) -> list[Result]:
        return list(context.call(node, body, arguments, path))

    return tuple(Loop(context, node, operands, test, step, _unchanged(context, body.name, len(operands))).convert())


def _unchanged(context: Context, name: str, count: int) -> list[int]:
    """The arguments that a function returns as they are in the same places."""
    function = context.functions.get(name)
    if function is None:
        return []
    producers = {definition.name: definition for definition in function.node_def}
    found = []
    pairs = list(zip(function.signature.input_arg, function.signature.output_arg, strict=False))[:count]
    for k, (argument, result) in enumerate(pairs):
        source, _ = resolve(function.ret[result.name], {})
        for _ in range(len(producers)):
            if source not in producers or producers[source].op != "Identity" or not producers[source].input:
                break
            source, _ = resolve(producers[source].input[0], {})
        if source == argument.name:
            found.append(k)
    return found


@handles(FRAME, partial=True)
def _frame(context: Context, node: Frame, operands: list[Result], scope: Scope) -> Results:
    if node.fault:
        raise ModelError(node.fault)
    outer = dict(scope.results)
    initial = [context.settled(pick(outer[name], i, f"{name}:{i}")) for name, i in (c.first for c in node.carried)]
    deciding = ancestors(node.body, [node.condition[0]])
    first = [inner for inner in node.body if inner.name in deciding]

    def run(nodes: Sequence[SourceNode], arguments: list[Result], ends: list[tuple[str, int]]) -> list[Result]:
        context.spend(len(nodes))
        inner = Scope(scope.path, dict(outer))
        for carried, argument in zip(node.carried, arguments, strict=True):
            inner.results[carried.merge] = (argument, Missing(node, "the number of the round's first operand"))
            if carried.switch:
                inner.results[carried.switch] = (DEAD, argument)
        results = context.body(nodes, inner, collapsed=True)
        return [context.settled(pick(results[name], i, f"{name}:{i}")) for name, i in ends]

    def test(arguments: list[Result]) -> list[Result]:
        return run(first, arguments, [node.condition])

    def step(arguments: list[Result]) -> list[Result]:
        return run(node.body, arguments, [c.back for c in node.carried])

    return tuple(Loop(context, node, initial, test, step).convert())
