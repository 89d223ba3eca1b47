"""Which operators compute a block of rows from the same block of their operands' rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from castiron.errors import ShapeError
from castiron.ir import Dim, Graph, Node, TensorType, Value, exact_div, product
from castiron.ops.loop import body_inputs


def row_axes(type: TensorType, rows: Dim) -> tuple[int, Dim] | None:
    """(k, c) such that the k leading dimensions are c·rows together, else None. More than one are exactly the rows."""
    for k in range(1, type.rank + 1):
        lead = product(type.shape[:k])
        if lead == rows:
            return k, 1
        if k == 1:
            try:
                return 1, exact_div(lead, rows)
            except ShapeError:
                pass
    return None


def row_factor(type: TensorType, rows: Dim) -> Dim | None:
    """c where the leading dimensions are c·rows, else None."""
    found = row_axes(type, rows)
    return found and found[1]


def row_shape(type: TensorType, rows: Dim) -> tuple[Dim, ...]:
    """The dimensions of what belongs to one of c·rows."""
    return type.shape[row_axes(type, rows)[0]:]


def row_bytes(type: TensorType, rows: Dim) -> int:
    """Bytes of one row; a large number where free dimensions make it unknown."""
    k, factor = row_axes(type, rows) or (1, 1)
    elements = product([factor, *type.shape[k:]])
    return elements * type.dtype.itemsize if isinstance(elements, int) else 1 << 40


def row_operands(node: Node, rows: Dim) -> list[bool] | None:
    """For each operand whether the node reads it row by row (else whole); None if the node's rows
    depend on one another."""
    if node.bodies:
        flow = row_flow(node, rows)
        return flow and flow.operands
    out = node.types[0]
    types = [v.type for v in node.inputs]
    if not out.rank:
        return None

    axes, _ = row_axes(out, rows) or (1, 1)

    def aligned(type: TensorType) -> bool | None:
        """How a broadcasting operand is read; None if its rows can't be told."""
        if type.rank == out.rank and type.shape[:axes] == out.shape[:axes]:
            return True
        return False if set(type.shape[:max(type.rank - out.rank + axes, 0)]) <= {1} else None

    if axes > 1 and not _keeps_axes(node, axes):
        return None
    match node.op:
        case "integer_conv":
            kinds = [axes == 1, False, False, *(aligned(t) for t in types[3:])]
        case "integer_dense":
            if out.rank < 2:
                return None
            kinds = [row_factor(types[0], rows) is not None, False, False, *(aligned(t) for t in types[3:])]
        case op if op in WINDOW_OPS:
            whole = [False] * (len(types) - 1)
            kinds = [axes == 1, *(whole if op not in CONVOLUTIONS else [False, *(aligned(t) for t in types[2:])])]
        case "map":
            kinds = [aligned(t) for t in types]
        case "dense" | "strassen_dense" | "cell":
            if out.rank < 2:
                return None
            kinds = [row_factor(types[0], rows) is not None, False, *(aligned(t) for t in types[2:])]
        case "standardize":
            kinds = [row_factor(types[0], rows) is not None, *(aligned(t) for t in types[1:])]
        case "reshape":
            kinds = [row_factor(types[0], rows) is not None]
        case "update":
            kinds = [node.attrs["axis"] % out.rank != 0, False, True]
        case "transpose":
            kinds = [node.attrs["perm"][0] == 0]
        case "broadcast_to":
            kinds = [aligned(types[0])]
        case "concat":
            kinds = [node.attrs["axis"] % out.rank != 0] * len(types)
        case "slice":
            whole = node.attrs["starts"][0] == 0 and node.attrs["steps"][0] == 1 and out.shape[0] == types[0].shape[0]
            kinds = [whole]
        case "pad":
            kinds = [not (node.attrs["before"][0] or node.attrs["after"][0]), False]
        case "gather":
            axis = node.attrs["axis"] % types[0].rank
            if axis == 0 and types[1].rank == 0:
                return None
            kinds = [axis != 0, axis == 0 or node.attrs["batch_dims"] > 0]
        case "cumsum" | "cumprod" | "cummax" | "cummin" | "argsort":
            kinds = [node.attrs["axis"] % out.rank != 0]
        case "sort":
            kinds = [out.rank > 1]
        case "searchsorted":
            kinds = [types[0].rank > 1, True]
        case "resample":
            kinds = [node.attrs["axis"] % out.rank != 0, False, False]
        case "hash_bucket":
            kinds = [True]
        case "tree_walk" | "tree_bits":
            kinds = [True, *[False] * (len(types) - 1)]
        case "matmul":
            a, b = types
            if axes > 1:
                kinds = [aligned(a), aligned(b)]
            elif a.rank == out.rank and out.rank > 2 and a.shape[0] == out.shape[0]:
                kinds = [True, b.rank == out.rank and b.shape[0] == out.shape[0]]
            elif out.rank == 2:
                kinds = [True, False]
            else:
                return None
        case "attention":  # any queries, but of a batch all keys
            kinds = [aligned(types[0]), axes == 1, axes == 1,
                     *(axes == 1 and x.rank > 0 and x.shape[0] == out.shape[0] for x in types[3:])]
        case op if op.startswith("reduce_"):
            axes = node.attrs["axes"]
            kinds = [axes is not None and 0 not in {a % types[0].rank for a in axes}]
        case _:
            return None
    if None in kinds or (node.op in _ROWS_FIRST and not kinds[0]):
        return None
    for type, by_rows in zip(types, kinds, strict=True):
        if by_rows and row_factor(type, rows) is None:
            return None
    return kinds


#: Operators whose first operand must be read by rows for them to be row by row at all.
_ROWS_FIRST = frozenset({"dense", "strassen_dense", "standardize", "cell", "integer_dense", "reshape", "transpose",
                         "concat", "slice", "pad", "update", "cumsum", "cumprod", "cummax", "cummin", "sort",
                         "argsort", "resample", "reduce_sum", "reduce_prod", "reduce_max", "reduce_min"})


#: Elements of the largest value that each block of rows computes for itself although all have the same.
SHARED_ELEMENTS = 1024


@dataclass(frozen=True)
class Flow:
    """How a node with bodies computes a block of rows: which operands it reads and which results it gives by rows,
    and which nodes in its bodies, and the bodies in these, compute rows rather than the same for all rows."""

    operands: list[bool]
    results: list[bool]
    inside: Mapping[Node, bool]


def row_results(node: Node, rows: Dim) -> list[bool]:
    """For each result whether a block of rows is computed of it, rather than all of it."""
    flow = row_flow(node, rows) if node.bodies else None
    return flow.results if flow else [row_factor(type, rows) is not None for type in node.types]


def whole_nodes(node: Node, rows: Dim) -> list[Node]:
    """The nodes in the bodies of one that computes rows which are the same for all rows."""
    flow = row_flow(node, rows) if node.bodies else None
    return [inner for inner, by_rows in flow.inside.items() if not by_rows] if flow else []


def row_flow(node: Node, rows: Dim) -> Flow | None:
    """How a loop or a conditional computes a block of rows, if it can. Carried values go by rows unless something
    needs them whole."""
    results = [row_factor(type, rows) is not None for type in node.types]
    while True:
        demands: dict[Value, set[bool]] = {}
        inside: dict[Node, bool] = {}
        if not all(_demand(body, results, rows, demands, inside) for body in node.bodies.values()):
            return None
        parts = [body_inputs(node, body) for body in node.bodies.values()]
        carried = [demands.get(v, set()) for v in parts[0][0]]
        whole = [k for k, demand in enumerate(carried) if False in demand and results[k]]
        if not whole:
            break
        for k in whole:
            results[k] = False
    if any(True in demand and not by_rows for demand, by_rows in zip(carried, results, strict=False)):
        return None
    if not all(by_rows or is_small(type) for type, by_rows in zip(node.types, results, strict=True)):
        return None
    first = 1 + len(carried)
    operands = [False, *results[:len(carried)]]
    for position, operand in enumerate(node.inputs[first:]):
        wanted = set().union(*(demands.get(captured[position], ()) for _, captured in parts))
        by_rows = row_factor(operand.type, rows) is not None
        if True in wanted and not by_rows:
            return None
        operands.append(by_rows and False not in wanted)
    return Flow(operands, results, inside)


def _demand(body: Graph, outputs: Sequence[bool], rows: Dim, demands: dict[Value, set[bool]],
            inside: dict[Node, bool]) -> bool:
    """Enters how each value of a body is read (by rows: True), and how each node is computed; False if that can't
    be."""
    def ask(value: Value, by_rows: bool) -> None:
        demands.setdefault(value, set()).add(by_rows)

    for value, by_rows in zip(body.outputs.values(), outputs, strict=True):
        ask(value, by_rows)
    for node in reversed(body.nodes):
        if node.op in ("input", "constant"):
            inside[node] = False
            continue
        wanted = [demands.get(v, set()) for v in node.results]
        by_rows = any(True in demand for demand in wanted)
        if not by_rows:
            if not all(map(is_small, node.types)):
                return False
            kinds = [False] * len(node.inputs)
            inside.update(dict.fromkeys(_all_nodes(node), False))
        else:
            flow = row_flow(node, rows) if node.bodies else None
            kinds = flow.operands if flow else None if node.bodies else row_operands(node, rows)
            given = flow.results if flow else [row_factor(type, rows) is not None for type in node.types]
            if kinds is None or any(not demand <= {result} for demand, result in zip(wanted, given, strict=True)):
                return False
            inside.update({node: True, **(flow.inside if flow else {})})
        for value, kind in zip(node.inputs, kinds, strict=True):
            ask(value, kind)
    return True


def _all_nodes(node: Node) -> Iterator[Node]:
    yield node
    for body in node.bodies.values():
        for inner in body.nodes:
            yield from _all_nodes(inner)


def is_small(type: TensorType) -> bool:
    """Whether a block of rows may compute a value for itself although all blocks have the same."""
    return type.is_static and type.size <= SHARED_ELEMENTS


#: Operators whose results at a place depend on the first operand around it.
WINDOW_OPS = frozenset({"conv", "packed_conv", "integer_conv", "winograd_conv", "window_max", "window_sum",
                        "overlap_add"})

#: Those with an epilogue.
CONVOLUTIONS = frozenset({"packed_conv", "winograd_conv"})


def _keeps_axes(node: Node, count: int) -> bool:
    """Whether an operator moves and combines nothing along the leading axes of its result, of which there are several
    (or, a window operator, reads its operand whole)."""
    rank = node.types[0].rank
    match node.op:
        case "map" | "reshape" | "broadcast_to":
            return True
        case "dense" | "strassen_dense" | "integer_dense" | "standardize":
            return rank > count
        case "matmul":
            return rank >= count + 2
        case "attention":
            return count <= 2
        case "concat":
            return node.attrs["axis"] % rank >= count
        case "winograd_conv":
            return count <= 2  # whole lines
        case op if op in WINDOW_OPS:
            return rank > count
        case op if op.startswith("reduce_"):
            axes, rank = node.attrs["axes"], node.inputs[0].type.rank
            return axes is not None and all(a % rank >= count for a in axes)
    return False
