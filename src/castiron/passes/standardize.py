"""Makes the steps of layer normalization one operator."""

from __future__ import annotations

from castiron.ir import DType, Graph, Node, Value
from castiron.ops import F


def standardize(graph: Graph) -> Graph:
    """``(x - m) * rsqrt(v + epsilon)``, m and v being the mean and variance of each row, becomes ``standardize``, if
    nothing else reads what is between. A traced graph stays: its values are shown."""
    if graph.traced:
        return graph
    operands_of: dict[Node, tuple[Value, ...]] = {}

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op == "sub":
            operands_of[node] = operands
        found = _standardized(graph, node) if node.op == "mul" else None
        if found is None:
            return None
        centred, epsilon = found
        return (F.standardize(operands_of[centred][0], epsilon=epsilon),)

    return graph.rewrite(rule)


def _standardized(graph: Graph, node: Node) -> tuple[Node, float] | None:
    """The difference from the mean, and epsilon."""
    for centred, factor in (node.inputs, node.inputs[::-1]):
        difference = centred.node
        if difference.op != "sub" or factor.node.op != "rsqrt" or not _only(graph, factor, node):
            continue
        x, mean = difference.inputs
        if x.type != centred.type or x.type.rank < 2 or x.type.dtype != DType.F32:
            continue
        raised = factor.node.inputs[0]
        if raised.node.op != "add" or not _only(graph, raised, factor.node):
            continue
        variance, epsilon = raised.node.inputs
        squares = _averaged(graph, variance, raised.node)
        if squares is None or _averaged(graph, mean, difference) != x or epsilon.constant is None:
            continue
        square = squares.node
        squared = (square.op == "square" and square.inputs == (centred,)) or (
            square.op == "mul" and square.inputs == (centred, centred))
        fits = squared and _only(graph, squares, variance.node.inputs[0].node) and _only(graph, centred, square, node)
        if fits and epsilon.constant.size == 1:
            return difference, epsilon.constant.item()
    return None


def _averaged(graph: Graph, mean: Value, user: Node) -> Value | None:
    """What a value is the mean of, along the last axis, if only the user reads it."""
    if mean.node.op not in ("mul", "div") or not _only(graph, mean, user):
        return None
    total, number = mean.node.inputs
    node = total.node
    if node.op != "reduce_sum" or number.constant is None or number.constant.size != 1:
        return None
    x, axes = node.inputs[0], node.attrs["axes"]
    size = x.type.shape[-1]
    whole = node.attrs["keepdims"] and axes is not None and [axis % x.type.rank for axis in axes] == [x.type.rank - 1]
    if not whole or not isinstance(size, int) or not size or not _only(graph, total, mean.node):
        return None
    return x if number.constant == x.type.dtype.numpy.type(1 / size if mean.node.op == "mul" else size) else None


def _only(graph: Graph, value: Value, *users: Node) -> bool:
    return value not in graph.roots and set(graph.users[value]) == set(users)
