"""How operators go with the axes of their operands and results in other orders.

An order of a value is a permutation: of what is stored, axis i is the value's axis order[i]. Axes of size 1 don't
count: orders that differ in these alone hold the same elements one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from castiron.ir import Dim, Node, TensorType, Value, product
from castiron.ops import F, apply
from castiron.ops.base import normalize_axes
from castiron.ops.fused import SCALAR_OPS

Order = tuple[int, ...]


@dataclass(frozen=True)
class Rule:
    """How one operator moves. Each function gives None where it can't.

    With ``any`` the first operand may come in every order that gives that of the result, not only in the one that
    ``pull`` names: a result has fewer axes to be ordered than its operand where some are reduced to nothing or one.
    ``make`` gives a result in an equal order then, which has its axes of size 1 elsewhere.
    """

    #: (node, order of the result) -> orders of the operands from which it is computed.
    pull: Callable[[Node, Order], tuple[Order, ...] | None]
    #: (node, which operand, its order) -> the order in which the result comes, if that operand tells.
    push: Callable[[Node, int, Order], Order | None]
    #: (node, order of the result, operands, their orders) -> the node's result in that order.
    make: Callable[[Node, Order, Sequence[Value], Sequence[Order]], Value]
    any: bool = False


def rule_of(node: Node) -> Rule | None:
    """The rule of a node; None for one that takes and gives its axes in no other order."""
    rule = RULES.get(node.op)
    return rule if rule and rule.pull(node, identity(node.types[0].rank)) is not None else None


def identity(rank: int) -> Order:
    """The axes as they are."""
    return tuple(range(rank))


def same(a: Order, b: Order, type: TensorType) -> bool:
    """Whether two orders hold a value's elements one after the other alike."""
    return _moving(a, type) == _moving(b, type)


def _moving(order: Order, type: TensorType) -> list[int]:
    return [axis for axis in order if type.shape[axis] != 1]


def converted(stored: Value, have: Order, want: Order, type: TensorType) -> Value:
    """What is stored in one order in another."""
    if have == want:
        return stored
    shape = tuple(type.shape[axis] for axis in want)
    if same(have, want, type):
        return F.reshape(stored, shape=shape)
    return F.transpose(stored, perm=tuple(have.index(axis) for axis in want))


# Rules for operators whose axes stay what they are.

def _keep_pull(node: Node, order: Order) -> tuple[Order, ...]:
    """Operands of lower rank, which broadcast, have the last of the axes."""
    return tuple(_last(order, v.type.rank) for v in node.inputs)


def _last(order: Order, rank: int) -> Order:
    first = len(order) - rank
    return tuple(axis - first for axis in order if axis >= first)


def _keep_push(node: Node, operand: int, order: Order) -> Order | None:
    whole = node.inputs[operand].type.shape == node.types[0].shape
    return order if whole else None


def _spread(x: Value, type: TensorType, order: Order) -> Value:
    """An operand of lower rank, stored in its own part of an order, with axes of size 1 for those it lacks."""
    first = len(order) - type.rank
    if not first or not type.rank:
        return x
    return F.reshape(x, shape=tuple(type.shape[axis - first] if axis >= first else 1 for axis in order))


def _elementwise(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    spread = (_spread(x, v.type, order) for x, v in zip(operands, node.inputs, strict=True))
    return apply(node.op, *spread, **node.attrs)


def _broadcast_to(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    return F.broadcast_to(_spread(operands[0], node.inputs[0].type, order),
                          shape=tuple(node.types[0].shape[axis] for axis in order))


def _along_axis(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    axis = node.attrs["axis"] % len(order)
    return apply(node.op, *operands, **{**node.attrs, "axis": orders[0].index(axis)})


def _permuted_attributes(*names: str) -> Callable[[Node, Order, Sequence[Value], Sequence[Order]], Value]:
    """The operator with attributes that have an entry for each axis."""
    def make(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
        moved = {name: tuple(node.attrs[name][axis] for axis in orders[0]) for name in names}
        return apply(node.op, *operands, **{**node.attrs, **moved})
    return make


def _first_push(node: Node, operand: int, order: Order) -> Order | None:
    return order if operand == 0 else None


def _first_pull(node: Node, order: Order) -> tuple[Order, ...]:
    return (order, *(identity(v.type.rank) for v in node.inputs[1:]))


def _all_push(node: Node, operand: int, order: Order) -> Order:
    return order


# Rules for operators whose result has other axes.

def _transpose_pull(node: Node, order: Order) -> tuple[Order]:
    return (tuple(node.attrs["perm"][axis] for axis in order),)


def _transpose_push(node: Node, operand: int, order: Order) -> Order:
    return tuple(node.attrs["perm"].index(axis) for axis in order)


def _as_it_is(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    return operands[0]


def _reduced(node: Node) -> tuple[list[int], list[int]]:
    """The axes that are left, and those that are gone."""
    rank = node.inputs[0].type.rank
    gone = () if node.attrs["keepdims"] else normalize_axes(node.attrs["axes"], rank)
    return [axis for axis in range(rank) if axis not in gone], list(gone)


def _reduce_pull(node: Node, order: Order) -> tuple[Order]:
    left, gone = _reduced(node)
    moved = [left[axis] for axis in order]
    return ((*moved[:1], *gone, *moved[1:]),)


def _reduce_push(node: Node, operand: int, order: Order) -> Order:
    left, _ = _reduced(node)
    return tuple(left.index(axis) for axis in order if axis in left)


def _reduce(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    axes = normalize_axes(node.attrs["axes"], node.inputs[0].type.rank)
    moved = tuple(i for i, axis in enumerate(orders[0]) if axis in axes)
    return apply(node.op, *operands, **{**node.attrs, "axes": moved})


def _gather_axes(node: Node) -> tuple[int, int] | None:
    """The axis along which slices are taken, and how many axes the indices put in its place."""
    if node.attrs["batch_dims"]:
        return None
    return node.attrs["axis"] % node.inputs[0].type.rank, node.inputs[1].type.rank


def _gather_pull(node: Node, order: Order) -> tuple[Order, Order] | None:
    if (found := _gather_axes(node)) is None:
        return None
    axis, count = found
    placed = tuple(range(axis, axis + count))
    moved: list[int] = []
    while order:
        if order[0] in placed:
            if order[:count] != placed:
                return None
            moved, order = [*moved, axis], order[count:]
        else:
            moved, order = [*moved, order[0] if order[0] < axis else order[0] - count + 1], order[1:]
    if not count:
        moved.insert(1, axis)
    return tuple(moved), identity(count)


def _gather_push(node: Node, operand: int, order: Order) -> Order | None:
    found = _gather_axes(node)
    if operand or found is None:
        return None
    axis, count = found
    moved: list[int] = []
    for a in order:
        moved += range(axis, axis + count) if a == axis else [a if a < axis else a + count - 1]
    return tuple(moved)


def _gather(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    axis = node.attrs["axis"] % len(orders[0])
    return F.gather(*operands, axis=orders[0].index(axis))


def _matmul_pull(node: Node, order: Order) -> tuple[Order, ...] | None:
    """The axes in front move, those of the matrices don't; of one matrix for all the rows move too."""
    rank, fixed = len(order), 1 if node.inputs[1].type.rank == 2 and not node.attrs["transpose_a"] else 2
    if order[rank - fixed:] != tuple(range(rank - fixed, rank)):
        return None
    return tuple(_last(order, v.type.rank) for v in node.inputs) if fixed == 2 else (order, (0, 1))


def _matmul_push(node: Node, operand: int, order: Order) -> Order | None:
    whole = len(order) == node.types[0].rank and node.inputs[operand].type.shape[:-2] == node.types[0].shape[:-2]
    movable = whole and (node.inputs[1].type.rank != 2 or operand == 0)
    return order if movable and _matmul_pull(node, order) else None


def _matmul(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    if node.inputs[1].type.rank == 2:
        return apply("matmul", *operands, **node.attrs)
    return apply("matmul", *(_spread(x, v.type, order) for x, v in zip(operands, node.inputs, strict=True)),
                 **node.attrs)


@lru_cache(maxsize=1 << 12)
def blocks(old: tuple[Dim, ...], new: tuple[Dim, ...]) -> tuple[tuple[Order, Order], ...] | None:
    """The fewest axes of either shape that are one another's under a reshape, axes of size 1 left out."""
    a, b = ([i for i, dim in enumerate(shape) if dim != 1] for shape in (old, new))
    found = []
    while a or b:
        fits = [(p, q) for n in range(2, len(a) + len(b) + 1) for p in range(1, n) if p <= len(a)
                and 1 <= (q := n - p) <= len(b)
                and product([old[i] for i in a[:p]]) == product([new[i] for i in b[:q]])]
        if not fits:
            return None
        p, q = fits[0]
        found.append((tuple(a[:p]), tuple(b[:q])))
        a, b = a[p:], b[q:]
    return tuple(found)


def _regrouped(order: Order, shape: tuple[Dim, ...], pairs: Sequence[tuple[Order, Order]],
               target: tuple[Dim, ...]) -> Order | None:
    """The order of the target's axes if those of ``shape`` are in an order that parts no block."""
    left, moved = [axis for axis in order if shape[axis] != 1], []
    partner = {block[0]: (block, other) for block, other in pairs}
    while left:
        block, other = partner.get(left[0], (None, ()))
        if block is None or tuple(left[:len(block)]) != block:
            return None
        left = left[len(block):]
        moved += other
    ones = [axis for axis, dim in enumerate(target) if dim == 1]
    return tuple(_with_ones(moved, ones))


def _with_ones(order: Sequence[int], ones: Sequence[int]) -> list[int]:
    """Axes of size 1 put behind the axis that they follow."""
    result = list(order)
    for axis in ones:
        result.insert(result.index(axis - 1) + 1 if axis else 0, axis)
    return result


def _reshape_pull(node: Node, order: Order) -> tuple[Order] | None:
    old, new = node.inputs[0].type.shape, node.types[0].shape
    pairs = blocks(old, new)
    moved = None if pairs is None else _regrouped(order, new, [(b, a) for a, b in pairs], old)
    return None if moved is None else (moved,)


def _reshape_push(node: Node, operand: int, order: Order) -> Order | None:
    old, new = node.inputs[0].type.shape, node.types[0].shape
    pairs = blocks(old, new)
    return None if pairs is None else _regrouped(order, old, pairs, new)


def _reshape(node: Node, order: Order, operands: Sequence[Value], orders: Sequence[Order]) -> Value:
    return F.reshape(operands[0], shape=tuple(node.types[0].shape[axis] for axis in order))


_ALONG = Rule(_first_pull, _first_push, _along_axis, any=True)
_REDUCE = Rule(_reduce_pull, _reduce_push, _reduce, any=True)

RULES: dict[str, Rule] = {
    **{op: Rule(_keep_pull, _keep_push, _elementwise) for op in SCALAR_OPS},
    "broadcast_to": Rule(_keep_pull, _keep_push, _broadcast_to),
    "concat": Rule(lambda node, order: (order,) * len(node.inputs), _all_push, _along_axis),
    "slice": Rule(_first_pull, _first_push, _permuted_attributes("starts", "sizes", "steps"), any=True),
    "pad": Rule(_first_pull, _first_push, _permuted_attributes("before", "after"), any=True),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "argsort", "resample"), _ALONG),
    **dict.fromkeys(("reduce_sum", "reduce_prod", "reduce_max", "reduce_min"), _REDUCE),
    "transpose": Rule(_transpose_pull, _transpose_push, _as_it_is),
    "reshape": Rule(_reshape_pull, _reshape_push, _reshape, any=True),
    "gather": Rule(_gather_pull, _gather_push, _gather, any=True),
    "matmul": Rule(_matmul_pull, _matmul_push, _matmul),
}
