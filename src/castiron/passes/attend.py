"""Makes two products with a softmax between them one operator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile

from castiron.ir import Body, DType, Graph, Instr, Node, Value
from castiron.ops import F, apply

#: The most elements that keys and values of a head may have: the second-level cache holds them beside scores.
MAX_ELEMENTS = 1 << 16

#: What may be done to scores before the softmax, and how many further operands that may have.
_STEPS = ("mul", "div", "add", "sub", "select")
MAX_OPERANDS = 8

#: From queries or values [B,H,S,D], and back; and from keys [B,H,D,T] to [B,T,H,D].
_HEADS_FIRST, _KEYS_FIRST = (0, 2, 1, 3), (0, 3, 1, 2)


def attend(graph: Graph) -> Graph:
    """``matmul(softmax(f(matmul(q, k))), v)`` for several heads, where f scales, adds biases and masks, becomes
    ``attention``, if nothing else reads what is between. Its operands have heads behind positions, as products give
    them, which were transposed in most models. A traced graph stays: its values are shown."""
    if graph.traced:
        return graph
    new: dict[Value, Value] = {}

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        new.update(zip(node.inputs, operands, strict=True))
        found = _Attention.of(graph, node)
        return (found.replaced(new),) if found else None

    return graph.rewrite(rule)


@dataclass(frozen=True)
class _Attention:
    """The operands, and what is done to the scores: nodes, and which operand of each the scores are."""

    q: Value
    k: Value
    v: Value
    steps: list[tuple[Node, int]]

    @classmethod
    def of(cls, graph: Graph, node: Node) -> _Attention | None:
        """The attention whose last product is the node."""
        if node.op != "matmul" or node.types[0].rank != 4 or node.types[0].dtype != DType.F32 or _turns(node):
            return None
        weights, v = node.inputs
        scores = _softmax(graph, weights, node)
        path = scores and _path(graph, scores)
        if not path:
            return None
        product, steps = path
        q, k = product.inputs
        if not q.type.shape[:2] == k.type.shape[:2] == v.type.shape[:2]:
            return None
        keys, width, depth = k.type.shape[3], k.type.shape[2], v.type.shape[3]
        known = all(isinstance(size, int) and size > 0 for size in (keys, width, depth))
        return cls(q, k, v, steps) if known and keys * (width + depth) <= MAX_ELEMENTS else None

    def replaced(self, new: dict[Value, Value]) -> Value:
        """The attention, of the operands' new values; q is scaled rather than the scores."""
        q, k, v = (F.transpose(new[_unscaled(x)], perm=perm) for x, perm in (
            (self.q, _HEADS_FIRST), (self.k, _KEYS_FIRST), (self.v, _HEADS_FIRST)))
        scales = list(takewhile(_is_scale, (node for node, _ in self.steps)))
        for node in (*_scales(self.q), *_scales(self.k), *scales):
            q = apply(node.op, q, new[node.inputs[1]])
        for node in _scales(self.v):
            v = apply(node.op, v, new[node.inputs[1]])
        steps = self.steps[len(scales):]
        more = [_operand(new[x]) for node, at in steps for x in _others(node, at)]
        return F.transpose(F.attention(q, k, v, *more, epilogue=_body(steps)), perm=_HEADS_FIRST)


def _path(graph: Graph, scores: Value) -> tuple[Node, list[tuple[Node, int]]] | None:
    """The product that scores come from, and in order what is done to its result on the way, which nothing else
    reads."""
    steps: list[tuple[Node, int]] = []
    while scores.node.op != "matmul":
        node = scores.node
        whole = [i for i, x in enumerate(node.inputs) if x.type == scores.type and x.node.op in ("matmul", *_STEPS)]
        if node.op not in _STEPS or len(whole) != 1 or not _only(graph, node.inputs[whole[0]], node):
            return None
        if any(x.type.dtype not in (DType.F32, DType.BOOL) for x in node.inputs):
            return None
        steps.insert(0, (node, whole[0]))
        scores = node.inputs[whole[0]]
    more = sum(len(node.inputs) - 1 for node, _ in steps)
    return (scores.node, steps) if more <= MAX_OPERANDS and not _turns(scores.node) else None


def _unscaled(x: Value) -> Value:
    """What a value is a known multiple of."""
    return _unscaled(x.node.inputs[0]) if _is_scale(x.node) else x


def _scales(x: Value) -> list[Node]:
    """The nodes that make it that multiple, in order."""
    return [*_scales(x.node.inputs[0]), x.node] if _is_scale(x.node) else []


def _is_scale(node: Node) -> bool:
    """Whether all elements are multiplied or divided by the same known number."""
    return node.op in ("mul", "div") and node.inputs[1].constant is not None and not node.inputs[1].type.rank


def _others(node: Node, at: int) -> tuple[Value, ...]:
    return node.inputs[:at] + node.inputs[at + 1:]


def _operand(x: Value) -> Value:
    """What an epilogue reads: a number, or four dimensions of numbers, which for a mask are 0 and 1."""
    if x.type.dtype == DType.BOOL:
        x = F.cast(x, dtype=DType.F32)
    return F.reshape(x, shape=(1,) * (4 - x.type.rank) + x.type.shape) if 0 < x.type.rank < 4 else x


def _body(steps: list[tuple[Node, int]]) -> Body | None:
    """What the steps do to scores, number 0, with the other operands, numbered from 1 on."""
    instrs: list[Instr] = []
    operands = count(1)
    first, score = 1 + sum(len(node.inputs) - 1 for node, _ in steps), 0
    for node, at in steps:
        numbers = []
        for i, x in enumerate(node.inputs):
            numbers.append(score if i == at else next(operands))
            if x.type.dtype == DType.BOOL:
                instrs.append(Instr("cast", (numbers[-1],), (("dtype", DType.BOOL),)))
                numbers[-1] = first + len(instrs) - 1
        instrs.append(Instr(node.op, tuple(numbers)))
        score = first + len(instrs) - 1
    return Body(tuple(instrs)) if instrs else None


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
