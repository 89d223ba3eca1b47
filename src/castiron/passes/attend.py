"""Makes two products with a softmax between them one operator."""

from __future__ import annotations

from castiron.ir import DType, Graph, Node, Value
from castiron.ops import F

#: The most elements that keys and values of a head may have: the second-level cache holds them beside scores.
MAX_ELEMENTS = 1 << 16

_HEADS_FIRST, _KEYS_LAST = (0, 2, 1, 3), (0, 2, 3, 1)


def attend(graph: Graph) -> Graph:
    """``matmul(softmax(matmul(q, k)), v)``, where q, k and v are transposed so that heads come first, becomes
    ``attention`` of what was transposed, if nothing else reads what is between. A traced graph stays: its values are
    shown."""
    if graph.traced:
        return graph
    moved: dict[Node, Value] = {}

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op == "transpose":
            moved[node] = operands[0]
        found = _attended(graph, node)
        if found is None:
            return None
        *transposed, scales = found
        q, k, v = (moved[x.node] for x in transposed)
        for op, scale in scales:
            q = F.mul(q, scale) if op == "mul" else F.div(q, scale)
        return (F.transpose(F.attention(q, k, v), perm=_HEADS_FIRST),)

    return graph.rewrite(rule)


def _attended(graph: Graph, node: Node) -> tuple[Value, Value, Value, list[tuple[str, Value]]] | None:
    """The transposed operands and what the scores are scaled by."""
    if node.op != "matmul" or node.types[0].rank != 4 or node.types[0].dtype != DType.F32:
        return None
    weights, v = node.inputs
    scores = _softmax(graph, weights, node)
    scales: list[tuple[str, Value]] = []
    while scores is not None and scores.node.op in ("mul", "div") and _only(graph, scores.node.inputs[0], scores.node):
        x, scale = scores.node.inputs
        if scale.constant is None or scale.constant.size != 1 or scale.type.rank:
            return None
        scales.insert(0, (scores.node.op, scale))
        scores = x
    if scores is None or scores.node.op != "matmul":
        return None
    q, k = scores.node.inputs
    perms = [x.node.attrs["perm"] if x.node.op == "transpose" else None for x in (q, k, v)]
    if perms != [_HEADS_FIRST, _KEYS_LAST, _HEADS_FIRST] or _turns(node) or _turns(scores.node):
        return None
    if not q.type.shape[:2] == k.type.shape[:2] == v.type.shape[:2]:
        return None
    keys, width, depth = k.type.shape[3], k.type.shape[2], v.type.shape[3]
    known = all(isinstance(size, int) and size > 0 for size in (keys, width, depth))
    return (q, k, v, scales) if known and keys * (width + depth) <= MAX_ELEMENTS else None


def _softmax(graph: Graph, weights: Value, user: Node) -> Value | None:
    """What a value is the softmax of, along the last axis, if only the user reads it."""
    if weights.node.op != "mul" or not _only(graph, weights, user):
        return None
    for powers, factor in (weights.node.inputs, weights.node.inputs[::-1]):
        if powers.node.op != "exp" or factor.node.op != "reciprocal" or not _only(graph, factor, weights.node):
            continue
        total = factor.node.inputs[0]
        if not (_reduces(total, "reduce_sum", powers) and _only(graph, total, factor.node)):
            continue
        shifted = powers.node.inputs[0]
        if shifted.node.op != "sub" or not _only(graph, powers, weights.node, total.node):
            continue
        scores, most = shifted.node.inputs
        if (_reduces(most, "reduce_max", scores) and _only(graph, most, shifted.node)
                and _only(graph, shifted, powers.node) and _only(graph, scores, shifted.node, most.node)):
            return scores
    return None


def _reduces(value: Value, op: str, x: Value) -> bool:
    node = value.node
    return node.op == op and node.inputs[0] == x and node.attrs["keepdims"] and tuple(
        axis % x.type.rank for axis in node.attrs["axes"] or ()) == (x.type.rank - 1,)


def _only(graph: Graph, value: Value, *users: Node) -> bool:
    return value not in graph.roots and set(graph.users[value]) == set(users)


def _turns(node: Node) -> bool:
    return node.attrs["transpose_a"] or node.attrs["transpose_b"]
