"""Makes products by known weights operators over packed weights."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from castiron.ir import DType, Graph, Node, Value, constant
from castiron.ops import OPS, F
from castiron.ops.convolution import PackedConv
from castiron.ops.loop import body_inputs
from castiron.passes.halving import halves
from castiron.passes.integer_products import integer_product
from castiron.passes.tiling import winograd_tile


def pack(graph: Graph) -> Graph:
    """``matmul(a, w)`` becomes ``dense(a, pack(w))`` where w is a matrix that no input decides, and ``conv(x, w)``
    likewise ``packed_conv(x, pack(w))``, or ``dense`` where a window is a single element. They become
    ``strassen_dense`` and ``winograd_conv`` where that is less work and exact enough, products of bytes
    ``integer_dense`` and ``integer_conv``."""
    return _pack(graph, set())


def _pack(graph: Graph, fixed: set[Value]) -> Graph:
    """``fixed`` inputs are such that no input of the model decides them."""

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op in _PACKED:
            a, b = operands
            if b not in fixed or a in fixed:
                return None
            if a.type.dtype == DType.I32:
                result = integer_product(node, a, b, graph.feedable)
                return None if result is None else (result,)
            return _PACKED[node.op](node, a, b) if a.type.dtype == DType.F32 else None
        if node.bodies:
            return _in_bodies(node, operands, fixed)
        if node.op == "constant":
            fixed.update(node.results)
        elif operands and fixed.issuperset(operands):
            node = replace(node, inputs=operands)
            fixed.update(node.results)
            return node.results
        return None

    return graph.rewrite(rule)


def _in_bodies(node: Node, operands: tuple[Value, ...], fixed: set[Value]) -> tuple[Value, ...] | None:
    """Packs in bodies what they capture."""
    bodies = {}
    for name, body in node.bodies.items():
        carried, captured = body_inputs(node, body)
        given = zip(captured, operands[1 + len(carried):], strict=True)
        known = {inside for inside, value in given if value in fixed}
        if known:
            bodies[name] = _pack(body, known)
    return replace(node, inputs=operands, attrs={**node.attrs, **bodies}).results if bodies else None


def _matmul(node: Node, a: Value, b: Value) -> tuple[Value, ...] | None:
    if b.type.rank != 2:
        return None
    if halves(a.type, b):
        return (F.strassen_dense(a, F.strassen_pack(b), columns=b.type.shape[1]),)
    return (F.dense(a, F.pack(b), columns=b.type.shape[1]),)


def _conv(node: Node, x: Value, w: Value) -> tuple[Value, ...] | None:
    *sizes, depth, outputs = w.type.shape
    attrs = node.attrs
    groups, channels = attrs["groups"], x.type.shape[-1]
    if not w.type.is_static or not isinstance(channels, int):
        return None
    if groups == 1 and not any((*attrs["before"], *attrs["after"])) and {*sizes, *attrs["strides"]} == {1}:
        return (F.dense(x, F.pack(w), columns=outputs),)
    if depth == 1 and outputs != groups > 1:  # several outputs of each channel: of as many copies of it
        copies = np.repeat(np.arange(channels, dtype=np.int32), outputs // groups)
        x, groups, channels = F.gather(x, copies, axis=-1), outputs, outputs
    if (tile := winograd_tile(x.type, w, attrs)):
        return (F.winograd_conv(x, F.winograd_pack(w, tile=tile), outputs=outputs, tile=tile, before=attrs["before"],
                                after=attrs["after"]),)
    packed = F.pack(w, groups=PackedConv.matrices(channels, groups))
    return (F.packed_conv(x, packed, sizes=tuple(sizes), outputs=outputs, **{**attrs, "groups": groups}),)


_PACKED = {"matmul": _matmul, "conv": _conv}

#: The operators that pack weights.
PACKS = frozenset({"pack", "integer_pack", "winograd_pack", "strassen_pack"})

_CONSTANTS: WeakKeyDictionary[Node, dict[tuple, Value]] = WeakKeyDictionary()


def packed(op: str, weights: Value, **attrs: int) -> Value:
    """The packed form of constant weights. All graphs that have the same constant are given the same value, so that
    it is in memory once."""
    known = _CONSTANTS.setdefault(weights.node, {})
    key = (op, *sorted(attrs.items()))
    if key not in known:
        known[key] = constant(OPS[op].eval(weights.constant, **attrs))
    return known[key]
