"""Stores weights once that a traced graph shows unpacked and uses packed."""

from __future__ import annotations

from castiron.ir import Graph, Node, Value
from castiron.ops import F
from castiron.passes.pack import packed


def share(graph: Graph) -> Graph:
    """In a traced graph a constant that is only packed becomes ``unpack`` of its packed form, so that it
    is worked out when somebody fetches it and takes no room."""
    if not graph.traced:
        return graph

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        value = node.results[0]
        users = graph.users.get(value, ())
        if node.op != "constant" or {user.op for user in users} != {"pack"}:
            return None
        groups = {user.attrs.get("groups", 1) for user in users}
        if len(groups) != 1:
            return None
        return (F.unpack(packed("pack", value, groups=min(groups)), shape=value.type.shape, groups=min(groups)),)

    return graph.rewrite(rule)
