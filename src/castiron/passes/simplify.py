"""Removes what computes nothing, and brings operators into the form that has a kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from castiron.ir import Dim, Graph, Node, Value, constant, product
from castiron.ops import F, apply
from castiron.ops.base import normalize_axes
from castiron.ops.fused import SCALAR_OPS

Rule = Callable[..., Value | None]


def simplify(graph: Graph) -> Graph:
    """The rules below, applied until none fits."""

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        for candidate in RULES.get(node.op, ()):
            if candidate in CURIOUS and graph.feedable.intersection(node.inputs):
                continue
            result = candidate(node, *operands)
            if result is not None:
                nonlocal changed
                changed = True
                return (result,)
        return None

    changed = True
    while changed:
        changed = False
        graph = graph.rewrite(rule)
    return graph


def _same_type(node: Node, x: Value, *rest: Value) -> Value | None:
    return x if x.type == node.types[0] else None


def _same_shape(node: Node, *xs: Value) -> Value | None:
    return xs[0] if xs[0].type == node.types[0] and _moves_nothing(node) else None


def _moves_nothing(node: Node) -> bool:
    if node.op == "transpose":
        return list(node.attrs["perm"]) == sorted(node.attrs["perm"])
    if node.op == "slice":
        return all(step == 1 for step in node.attrs["steps"])
    return True


def _reshape_of_reshape(node: Node, x: Value) -> Value | None:
    return F.reshape(x.node.inputs[0], shape=node.types[0].shape) if x.node.op == "reshape" else None


def _transpose_of_transpose(node: Node, x: Value) -> Value | None:
    if x.node.op != "transpose":
        return None
    inner = x.node.attrs["perm"]
    return F.transpose(x.node.inputs[0], perm=tuple(inner[axis] for axis in node.attrs["perm"]))


def _transpose_of_ones(node: Node, x: Value) -> Value | None:
    """Moving axes of size 1 about only renames the elements' positions."""
    order = [axis for axis in node.attrs["perm"] if x.type.shape[axis] != 1]
    return F.reshape(x, shape=node.types[0].shape) if order == sorted(order) else None


def _by_one(node: Node, x: Value, y: Value) -> Value | None:
    one = y.constant
    return x if one is not None and x.type == node.types[0] and one.size and np.all(one == 1) else None


def _one_times(node: Node, x: Value, y: Value) -> Value | None:
    return _by_one(node, y, x)


def _by_power_of_two(node: Node, x: Value, y: Value) -> Value | None:
    """A product that is as exact as the quotient, and faster."""
    known = y.constant
    if known is None or known.dtype.kind != "f" or not known.size:
        return None
    with np.errstate(all="ignore"):
        inverse = (1 / known).astype(known.dtype)
    exact = (np.abs(np.frexp(known)[0]) == 0.5) & np.isfinite(inverse) & (np.abs(inverse) > np.finfo(known.dtype).tiny)
    return F.mul(x, inverse) if np.all(exact) else None


def _saturated_anyway(node: Node, x: Value) -> Value | None:
    """A bound that the cast of floats to integers has too."""
    dtype = node.types[0].dtype
    if x.node.op not in ("maximum", "minimum") or not x.type.dtype.is_float or not dtype.is_integer:
        return None
    inner, bound = x.node.inputs
    if bound.constant is None or bound.constant.size != 1 or inner.type != x.type:
        return None
    info, number = np.iinfo(dtype.numpy), float(bound.constant.item())
    beyond = number <= info.min if x.node.op == "maximum" else number >= info.max
    return F.cast(inner, dtype=dtype) if beyond else None


def _known_power(node: Node, x: Value, y: Value) -> Value | None:
    """A power that exporters write where others have an operator."""
    power = y.constant
    if power is None or power.dtype.kind != "f" or power.size != 1 or x.type != node.types[0]:
        return None
    match power.item():
        case 2.0:
            return F.mul(x, x)
        case 3.0:
            return F.mul(F.mul(x, x), x)
        case 0.5:  # of -∞ too
            return F.select(F.equal(x, -np.inf), np.inf, F.sqrt(x))
        case -1.0:
            return F.div(1.0, x)
    return None


def _nothing_to_reduce(node: Node, x: Value) -> Value | None:
    axes = normalize_axes(node.attrs["axes"], x.type.rank)
    return F.reshape(x, shape=node.types[0].shape) if product([x.type.shape[a] for a in axes]) == 1 else None


def _untransposed(node: Node, a: Value, b: Value) -> Value | None:
    if not (node.attrs["transpose_a"] or node.attrs["transpose_b"]):
        return None
    return F.matmul(_swapped(a) if node.attrs["transpose_a"] else a,
                    _swapped(b) if node.attrs["transpose_b"] else b)


def _swapped(x: Value) -> Value:
    axes = list(range(x.type.rank))
    return F.transpose(x, perm=(*axes[:-2], axes[-1], axes[-2]))


def _only_slice(node: Node, x: Value, index: Value) -> Value | None:
    """Whatever the index is: it means the nearest slice."""
    one = not index.type.rank and not node.attrs["batch_dims"] and x.type.shape[node.attrs["axis"]] == 1
    return F.reshape(x, shape=node.types[0].shape) if one else None


def _only_part(node: Node, x: Value, index: Value, part: Value) -> Value | None:
    return F.reshape(part, shape=x.type.shape) if x.type.shape[node.attrs["axis"]] == 1 else None


def _padded_with_zeros(node: Node, x: Value, *rest: Value) -> Value | None:
    """Windows count what they cover outside x as zeros."""
    known = x.node.inputs[1].constant if x.node.op == "pad" else None
    return _padding(node, x, *rest) if known is not None and known == 0 else None


def _padded_maximum(node: Node, x: Value) -> Value | None:
    """Windows count what they cover outside x as a number."""
    known = x.node.inputs[1].constant if x.node.op == "pad" else None
    if known is None or np.isnan(known) or any((*node.attrs["before"], *node.attrs["after"])):
        return None
    return _padding(node, x, padding=known.item())


def _padding(node: Node, x: Value, *rest: Value, **attrs: object) -> Value | None:
    """The node on what x pads, with wider padding of its own."""
    before, after = x.node.attrs["before"], x.node.attrs["after"]
    if any((before[0], after[0], before[-1], after[-1])):
        return None
    pads = {side: tuple(a + b for a, b in zip(node.attrs[side], outer[1:-1], strict=True))
            for side, outer in (("before", before), ("after", after))}
    result = apply(node.op, x.node.inputs[0], *rest, **{**node.attrs, **pads, **attrs})
    return result if result.type == node.types[0] else None


def _before_reshape(node: Node, *operands: Value) -> Value | None:
    """What follows a product with constants, element by element, comes before the product's reshape: so it can go into
    the product's epilogue."""
    changing = [x for x in operands if x.node.op != "constant"]
    if len(changing) != 1 or changing[0].node.op != "reshape" or changing[0].type.shape != node.types[0].shape:
        return None
    x = changing[0].node.inputs[0]
    moved = [x if y is changing[0] else _under_reshape(y, changing[0].type.shape, x.type.shape) for y in operands]
    if None in moved or not _follows_product(x):
        return None
    return F.reshape(apply(node.op, *moved, **node.attrs), shape=node.types[0].shape)


def _under_reshape(y: Value, shape: tuple[Dim, ...], before: tuple[Dim, ...]) -> Value | None:
    """A constant that goes with the last axes of a shape, for a tensor that had another shape before."""
    own = y.type.shape[next((i for i, dim in enumerate(y.type.shape) if dim != 1), y.type.rank):]
    if own != shape[len(shape) - len(own):]:
        return None
    suffix = next((before[i:] for i in range(len(before), -1, -1) if product(before[i:]) == y.type.size), None)
    return None if suffix is None else constant(y.constant.reshape(suffix))


def _follows_product(x: Value) -> bool:
    """Whether a value is a product, or computed from one and constants element by element."""
    while x.node.op in SCALAR_OPS:
        changing = [y for y in x.node.inputs if y.node.op != "constant"]
        if len(changing) != 1:
            return False
        x = changing[0]
    return x.node.op in ("matmul", "conv")


#: Rules that look at how an operand is computed, which a feed may replace.
CURIOUS = frozenset({_before_reshape, _padded_with_zeros, _padded_maximum, _reshape_of_reshape, _transpose_of_transpose,
                     _by_one, _one_times, _by_power_of_two, _known_power, _saturated_anyway})

_OWN: dict[str, tuple[Rule, ...]] = {
    "gather": (_only_slice,),
    "update": (_only_part,),
    "reshape": (_same_type, _reshape_of_reshape),
    "broadcast_to": (_same_type,),
    "cast": (_same_type, _saturated_anyway),
    "pad": (_same_type,),
    "slice": (_same_shape,),
    "transpose": (_same_shape, _transpose_of_transpose, _transpose_of_ones),
    "concat": (_same_type,),
    "mul": (_by_one, _one_times),
    "div": (_by_one, _by_power_of_two),
    "pow": (_by_one, _known_power),
    "matmul": (_untransposed,),
    "conv": (_padded_with_zeros,),
    "window_max": (_padded_maximum,),
    "window_sum": (_padded_with_zeros,),
    **{f"reduce_{kind}": (_nothing_to_reduce,) for kind in ("sum", "prod", "max", "min")},
}

RULES = {**_OWN, **{op: (*_OWN.get(op, ()), _before_reshape) for op in SCALAR_OPS}}
