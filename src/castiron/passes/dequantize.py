"""Computes products of numbers that bytes stand for in integers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from castiron.ir import DType, Graph, Node, Value
from castiron.ops import F, apply
from castiron.ops.integer import BYTES
from castiron.passes.layout import fixed_values


def dequantize(graph: Graph) -> Graph:
    """``conv(cast(i)·s, cast(j)·t)``, where i and j are bytes less their zero points, becomes
    ``cast(conv(i, j))·(s·t)``, and ``matmul`` likewise, if j is known, s is one number and t one for each column at
    most. The sum is exact then and rounded once, so that the result is nearer to the true one than a sum of rounded
    products; onnxruntime computes such models in the same way."""
    fixed = fixed_values(graph)

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op not in ("conv", "matmul") or node.inputs[1] not in fixed or not _is_fast(node):
            return None
        x, w = (_numbers(old, new, graph.feedable) for old, new in zip(node.inputs, operands, strict=True))
        if x is None or w is None or x.scale.type.size != 1:
            return None
        columns = w.scale.type.shape[-2 if node.attrs.get("transpose_b") else -1]
        if w.scale.type.size != columns:
            return None
        total = apply(node.op, x.integers, w.integers, **node.attrs)
        scale = F.mul(F.reshape(x.scale, shape=()), F.reshape(w.scale, shape=(columns,)))
        return (F.mul(F.cast(total, dtype=DType.F32), scale),)

    return graph.rewrite(rule)


def _is_fast(node: Node) -> bool:
    """Whether there is an operator for a product of bytes."""
    x, w = (v.type for v in node.inputs)
    if node.op == "matmul":
        return w.rank == 2 and isinstance(x.shape[-1], int) and not node.attrs["transpose_a"]
    channels, groups = x.shape[-1], node.attrs["groups"]
    return isinstance(channels, int) and w.is_static and (groups == 1 or channels != groups or w.shape[-1] == groups)


@dataclass(frozen=True)
class _Numbers:
    """``integers``, in 32 bits, times ``scale``, which has all axes, many of them of size 1."""

    integers: Value
    scale: Value


def _numbers(old: Value, new: Value, feedable: Collection[Value]) -> _Numbers | None:
    """A value that is bytes less a zero point times a scale, perhaps with its axes moved then. ``old`` is the value
    before rewriting; nothing in between may be fed."""
    if old in feedable or new.type.dtype != DType.F32:
        return None
    if new.node.op in ("transpose", "reshape"):
        found = _numbers(old.node.inputs[0], new.node.inputs[0], feedable)
        return found and _moved(new.node, found)
    if new.node.op != "mul":
        return None
    (cast, scale), of_cast = new.node.inputs, old.node.inputs[0]
    if cast.node.op != "cast" or of_cast in feedable or cast.type.shape != new.type.shape:
        return None
    source, of_source = cast.node.inputs[0], of_cast.node.inputs[0]
    if source.type.dtype == DType.I32 and source.node.op == "sub" and of_source not in feedable:
        wide, of_wide = source.node.inputs[0], of_source.node.inputs[0]
        if wide.node.op != "cast" or wide.node.inputs[0].type.dtype not in BYTES or of_wide in feedable:
            return None
    elif source.type.dtype in BYTES:
        source = F.cast(source, dtype=DType.I32)
    else:
        return None
    rank = new.type.rank
    return _Numbers(source, F.reshape(scale, shape=(1,) * (rank - scale.type.rank) + scale.type.shape))


def _moved(move: Node, numbers: _Numbers) -> _Numbers | None:
    """The numbers with their axes moved as a node does; None for a reshape that would part the scale."""
    integers = apply(move.op, numbers.integers, **move.attrs)
    if move.op == "transpose":
        return _Numbers(integers, F.transpose(numbers.scale, perm=move.attrs["perm"]))
    if numbers.scale.type.size != 1:
        return None
    return _Numbers(integers, F.reshape(numbers.scale, shape=(1,) * move.types[0].rank))
