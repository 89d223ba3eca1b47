"""Products of 32-bit integers that are bytes less a zero point by known weights, as exact products of bytes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from castiron import interp
from castiron.ir import DType, Graph, Node, Value, constant
from castiron.ops import F, apply
from castiron.ops.integer import BYTES, packing

#: What moves elements or changes only their type.
_PLAIN = frozenset({"reshape", "cast"})


def integer_product(node: Node, a: Value, w: Value, feedable: Collection[Value]) -> Value | None:
    """The matmul or conv ``node`` of new operands as an operator over packed weights, if a is bytes less a zero point
    and w is small; None else, and where something in between can be fed."""
    found = _centred_bytes(node.inputs[0], a, feedable)
    array = None if found is None else _known(node.inputs[1], w, feedable)
    if array is None:
        return None
    (x, zero), low, high = found, int(array.min(initial=0)), int(array.max(initial=0))
    if low < -1 << 15 or high >= 1 << 15:
        return None
    dtype = DType.I8 if low >= -128 and high < 128 else DType.I16

    def packed(groups: int = 1, single: bool = False) -> Value:
        weights = w if w.constant is not None else constant(array)
        return F.integer_pack(weights, dtype=dtype, groups=groups, single=single)

    if node.op == "matmul":
        if w.type.rank != 2 or node.attrs["transpose_a"] or node.attrs["transpose_b"]:
            return None
        return F.integer_dense(x, zero, packed(), columns=w.type.shape[1])
    *sizes, depth, outputs = w.type.shape
    attrs, groups, channels = node.attrs, node.attrs["groups"], x.type.shape[-1]
    if not isinstance(channels, int) or (depth == 1 and outputs != groups > 1):
        return None
    if groups == 1 and not any((*attrs["before"], *attrs["after"])) and {*sizes, *attrs["strides"]} == {1}:
        return F.integer_dense(x, zero, packed(), columns=outputs)
    return F.integer_conv(x, zero, packed(**packing(channels, groups)), sizes=tuple(sizes), outputs=outputs, **attrs)


def _centred_bytes(old: Value, new: Value, feedable: Collection[Value]) -> tuple[Value, Value] | None:
    """(x, zero) where a value is x - zero, computed in 32 bits from bytes and one byte. ``old`` is the value before
    rewriting."""
    moves = []
    while new.node.op in ("reshape", "transpose") and old not in feedable:
        moves.append(new.node)
        old, new = old.node.inputs[0], new.node.inputs[0]
    zero = None
    if new.node.op == "sub" and old not in feedable:
        zero = old.node.inputs[1], new.node.inputs[1]
        old, new = old.node.inputs[0], new.node.inputs[0]
    if new.node.op != "cast" or old in feedable or new.node.inputs[0].type.dtype not in BYTES:
        return None
    x = new.node.inputs[0]
    byte = _byte(*zero, x.type.dtype, feedable) if zero else constant(np.zeros((), x.type.dtype.numpy))
    for move in reversed(moves):
        x = apply(move.op, x, **move.attrs)
    return None if byte is None else (x, byte)


def _byte(old: Value, new: Value, dtype: DType, feedable: Collection[Value]) -> Value | None:
    """A 32-bit integer as the byte that it was."""
    if new.type.size != 1:
        return None
    while new.type.dtype != dtype and new.node.op in _PLAIN and old not in feedable:
        old, new = old.node.inputs[0], new.node.inputs[0]
    if new.type.dtype == dtype:
        return new if not new.type.rank else F.reshape(new, shape=())
    known, bounds = new.constant, np.iinfo(dtype.numpy)
    if known is None or old in feedable or not bounds.min <= known.item() <= bounds.max:
        return None
    return constant(known.astype(dtype.numpy).reshape(()))


def _known(old: Value, new: Value, feedable: Collection[Value]) -> np.ndarray | None:
    """The elements of weights that nothing can feed."""
    nodes = Graph("weights", {}, {"w": old}).nodes
    if any(node.op == "input" for node in nodes) or any(v in feedable for node in nodes for v in node.results):
        return None
    return interp.elements(new)
