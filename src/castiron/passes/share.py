"""Stores weights once that a traced graph shows unpacked and uses packed."""

from __future__ import annotations

from castiron.ir import Graph, Node, Value, constant
from castiron.ops import OPS, F


def share(graph: Graph) -> Graph:
    """In a traced graph a constant that is only packed becomes ``unpack`` of its packed form, so that it
    is worked out when somebody fetches it and takes no room."""
    if not graph.traced:
        return graph

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        value = node.results[0]
        users = graph.users.get(value, ())
        if node.op != "constant" or not users or any(user.op != "pack" for user in users):
            return None
        packed = constant(OPS["pack"].eval(value.constant))
        return (F.unpack(packed, shape=value.type.shape),)

    return graph.rewrite(rule)
