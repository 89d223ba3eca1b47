"""Stores weights once that a traced graph shows unpacked and uses packed."""

from __future__ import annotations

from castiron.ir import Graph, Node, Value, constant
from castiron.ops import OPS, F, apply
from castiron.passes.pack import packed

#: How weights are unpacked, by how they are packed.
UNPACKS = {"pack": "unpack", "strassen_pack": "strassen_unpack"}

#: What can be undone.
MOVES = frozenset({"transpose", "reshape"})


def share(graph: Graph) -> Graph:
    """In a traced graph a constant that is only packed, perhaps with its axes moved first, becomes ``unpack`` of its
    packed form, moved back: so it is worked out when somebody fetches it and takes no room."""
    if not graph.traced:
        return graph

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op != "constant":
            return None
        moves, users = _moves(graph, node.results[0])
        ops = {user.op for user in users}
        if len(ops) != 1 or not ops <= UNPACKS.keys() or len({tuple(user.attrs.items()) for user in users}) != 1:
            return None
        op, attrs = users[0].op, users[0].attrs
        moved = node.results[0]
        for move in moves:
            moved = constant(OPS[move.op].eval(moved.constant, **move.attrs))
        value = apply(UNPACKS[op], packed(op, moved, **attrs), shape=moved.type.shape, **attrs)
        for move in reversed(moves):
            value = _undone(move, value)
        return (value,)

    return graph.rewrite(rule)


def _moves(graph: Graph, value: Value) -> tuple[list[Node], tuple[Node, ...]]:
    """The nodes, one after the other, that alone move a value's elements, and what reads these then."""
    moves: list[Node] = []
    users = graph.users.get(value, ())
    while len(users) == 1 and users[0].op in MOVES:
        moves.append(users[0])
        users = graph.users.get(users[0].results[0], ())
    return moves, users


def _undone(move: Node, value: Value) -> Value:
    if move.op == "reshape":
        return F.reshape(value, shape=move.inputs[0].type.shape)
    order = move.attrs["perm"]
    return F.transpose(value, perm=tuple(order.index(axis) for axis in range(len(order))))
