"""Gathers chains of element-wise operators into one, and into the product they follow."""

from __future__ import annotations

import numpy as np

from castiron.ir import Body, Dim, DType, Graph, Instr, Node, Value
from castiron.ops import F, apply
from castiron.ops.fused import SCALAR_OPS, body_types

#: Operators with an epilogue.
PRODUCTS = frozenset({"dense", "strassen_dense", "standardize", "packed_conv", "winograd_conv", "integer_dense",
                      "integer_conv"})

#: The types that may occur in epilogues of products of floats, and of integers; and those of the latter's operands.
FLOATS = frozenset({DType.F32, DType.BOOL})
INTEGERS = FLOATS | {DType.I32, DType.U8, DType.I8}
WORDS = frozenset({DType.F32, DType.I32})

#: Operands that an epilogue may have beside the sum.
MAX_OPERANDS = 8


def fuse(graph: Graph) -> Graph:
    """A chain is a tree or diamond of element-wise operators of one shape with a single result, which
    becomes a ``map``; or the epilogue of a product that nothing else reads."""
    return _into_products(_into_maps(_scaled_once(graph)))


def _scaled_once(graph: Graph) -> Graph:
    """(p + b) · s + t becomes p · s + (b · s + t) for constants and a product p, whose rounding is worth more than what
    cancels: a bias and a batch normalization."""
    roots = set(graph.roots)

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        constants: list[Value] = []
        for op in ("add", "mul", "add"):
            known = [i for i, value in enumerate(node.inputs) if value.constant is not None]
            if node.op != op or node.types[0].dtype != DType.F32 or len(known) != 1:
                return None
            constants.append(operands[known[0]])
            value, p = node.inputs[1 - known[0]], operands[1 - known[0]]
            if value in roots or len(graph.users[value]) > 1:
                return None
            node, operands = value.node, p.node.inputs
        if node.op not in PRODUCTS or node.attrs["epilogue"]:
            return None
        shift, scale, bias = (v.constant.astype(np.float64) for v in constants)
        total = (bias * scale + shift).astype(np.float32)
        return (F.add(F.mul(p, constants[1]), total),) if np.isfinite(total).all() else None

    return graph if graph.traced else graph.rewrite(rule)


def _into_maps(graph: Graph) -> Graph:
    members = _clusters(graph)
    clustered = {node for cluster in members.values() for node in cluster}
    operands_of: dict[Node, tuple[Value, ...]] = {}

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node in clustered:
            operands_of[node] = operands
        return (_map(members[node], operands_of),) if node in members else None

    return graph.rewrite(rule)


def _clusters(graph: Graph) -> dict[Node, list[Node]]:
    """Last node of each cluster -> all its nodes in order. A node joins the cluster of its users if
    they are all in one and of its shape, so that nothing is computed twice or read from outside."""
    cluster_of: dict[Node, Node] = {}
    members: dict[Node, list[Node]] = {}
    roots = set(graph.roots)
    for node in reversed(graph.nodes):
        if node.op not in SCALAR_OPS:
            continue
        value = node.results[0]
        users = graph.users.get(value, ())
        homes = {cluster_of.get(user) for user in users}
        last = next(iter(homes)) if len(homes) == 1 and value not in roots else None
        if last is None or last.types[0].shape != value.type.shape:
            last = node
        cluster_of[node] = last
        members.setdefault(last, []).insert(0, node)
    return members


def _map(nodes: list[Node], operands_of: dict[Node, tuple[Value, ...]]) -> Value:
    """One node for a cluster. Its own results are known by the old values, what it reads by the new."""
    inside = {value for node in nodes for value in node.results}
    reads = {node: [old if old in inside else new for old, new in zip(node.inputs, operands_of[node], strict=True)]
             for node in nodes}
    inputs = list(dict.fromkeys(v for node in nodes for v in reads[node] if v not in inside))
    index = {v: i for i, v in enumerate(inputs)}
    instrs = []
    for node in nodes:
        instrs.append(Instr(node.op, tuple(index[v] for v in reads[node]), tuple(node.attrs.items())))
        index[node.results[0]] = len(index)
    return F.map(*inputs, body=Body(tuple(instrs)))


def _into_products(graph: Graph) -> Graph:
    roots = set(graph.roots)
    absorbed: dict[Node, Node] = {}
    for node in graph.nodes:
        if node.op == "map":
            candidates = [v.node for v in node.inputs if v.node.op in PRODUCTS and v not in roots
                          and v.type.shape == node.types[0].shape
                          and not v.node.attrs["epilogue"] and set(graph.users[v]) == {node}]
            fits = candidates and all(_follows(v, node, candidates[-1]) for v in node.inputs)
            if fits and len(node.inputs) <= 1 + MAX_OPERANDS:
                absorbed[node] = candidates[-1]

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node not in absorbed:
            return None
        position = next(i for i, v in enumerate(node.inputs) if v.node is absorbed[node])
        product = operands[position].node
        body = _renumbered(node.attrs["body"], position, len(operands))
        more = (v for i, v in enumerate(operands) if i != position)
        return (apply(product.op, *product.inputs, *more, **{**product.attrs, "epilogue": body}),)

    return graph.rewrite(rule)


def _follows(operand: Value, node: Node, product: Node) -> bool:
    """Whether the epilogue of a product can read the operand: a value for each element, each column, each
    row, or one for all; 32-bit floats throughout, or what goes with 32-bit integers."""
    full: tuple[Dim, ...] = node.types[0].shape
    shape = operand.type.shape
    per_column = len([d for d in shape if d != 1]) == (1 if shape and shape[-1] != 1 else 0)
    per_row = len(shape) == len(full) and shape == (*full[:-1], 1)
    body: Body = node.attrs["body"]
    of_integers = product.types[0].dtype == DType.I32
    types = {t.dtype for t in body_types(body, tuple(v.type for v in node.inputs))}
    if of_integers:
        fits = types <= INTEGERS and operand.type.dtype in WORDS and node.types[0].dtype != DType.BOOL
    else:
        fits = types <= FLOATS and operand.type.dtype == DType.F32 and node.types[0].dtype == DType.F32
    return fits and (shape == full or per_column or per_row)


def _renumbered(body: Body, first: int, count: int) -> Body:
    """The body with input ``first`` moved to the front."""
    order = [first, *(i for i in range(count) if i != first)]
    place = {old: new for new, old in enumerate(order)}
    return Body(tuple(Instr(i.op, tuple(place.get(o, o) for o in i.operands), i.attrs) for i in body.instrs))
