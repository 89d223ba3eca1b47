"""Control flow: loops and branches over bodies that are graphs, the slices that loops write, and the
functions that build them.

A body's inputs are what changes from one run of it to the next and what it captures of the graph around it;
constants are simply used inside. Its outputs are the node's results. In ``eval`` a body is a function from
arrays to a list of arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Dim, DType, Expr, Graph, Node, TensorType, Value, ancestors, constant, placeholder, sources
from castiron.ops.base import Example, F, Op, apply, normalize_axis

#: What stands for the number of iterations where only a condition ends a loop.
ENDLESS = (1 << 63) - 1

INDEX = TensorType(DType.I64)
FLAG = TensorType(DType.BOOL)

_RNG = np.random.default_rng(17)
_X = _RNG.standard_normal((3, 5, 4)).astype(np.float32)


class Loop(Op):
    """The carried values after ``body`` has replaced them ``trips`` times, for i = 0, 1, …; with ``checked``
    the first of them is a bool before which the loop ends as soon as it is false. The operands are trips, the
    carried values' initial ones, and what the body captures; the body's inputs are i, the carried values,
    and the captured ones"""

    name = "loop"

    def infer(self, trips: TensorType, *operands: TensorType, body: Graph, carried: int,
              checked: bool = False) -> tuple[TensorType, ...]:
        if trips.rank or trips.dtype not in (DType.I32, DType.I64):
            raise ShapeError(f"a loop's number of iterations is an i32[] or i64[], not {trips!r}")
        initial, results = operands[:carried], [v.type for v in body.outputs.values()]
        if [v.type for v in body.inputs.values()] != [INDEX, *operands] or len(results) != len(initial):
            raise ShapeError(f"the body of a loop has the inputs {[v.type for v in body.inputs.values()]} and "
                             f"{len(results)} outputs for the operands {[INDEX, *operands]}, {carried} of them carried")
        for position, (before, after) in enumerate(zip(initial, results, strict=True)):
            if before != after:
                raise ShapeError(f"carried value {position} of a loop begins as {before!r} and becomes {after!r}")
        if checked and (not initial or initial[0] != FLAG):
            raise ShapeError("the first value that a checked loop carries is a bool[]")
        return tuple(results)

    def eval(self, trips: np.ndarray, *operands: np.ndarray, body: Callable, carried: int,
             checked: bool) -> tuple[np.ndarray, ...]:
        values, captured = list(operands[:carried]), operands[carried:]
        for i in range(int(trips)):
            if checked and not values[0]:
                break
            values = body(np.int64(i), *values, *captured)
        return tuple(values)


class Conditional(Op):
    """The outputs of the body ``then`` where the predicate is true, else those of ``otherwise``. The operands are
    the predicate and what the bodies capture; either body takes all that both capture"""

    name = "conditional"

    def infer(self, predicate: TensorType, *captured: TensorType, then: Graph,
              otherwise: Graph) -> tuple[TensorType, ...]:
        if predicate != FLAG:
            raise ShapeError(f"the predicate of a conditional is a bool[], not {predicate!r}")
        for body in (then, otherwise):
            if [v.type for v in body.inputs.values()] != list(captured):
                raise ShapeError(f"a branch has the inputs {[v.type for v in body.inputs.values()]} for the operands "
                                 f"{list(captured)}")
        results, others = ([v.type for v in body.outputs.values()] for body in (then, otherwise))
        if results != others:
            raise ShapeError(f"the branches of a conditional give {results} and {others}")
        return tuple(results)

    def eval(self, predicate: np.ndarray, *captured: np.ndarray, then: Callable,
             otherwise: Callable) -> tuple[np.ndarray, ...]:
        return tuple((then if predicate else otherwise)(*captured))


class Update(Op):
    """x with ``part`` in place of its slice ``index`` along an axis. An index is counted from the end if it is
    negative; one outside x means the nearest slice"""

    name = "update"
    examples: ClassVar = (
        Example((_X, np.int64(1), _X[:, 0].copy()), {"axis": 1}, batched=(0, 2)),
        Example((_X, np.int32(-1), _X[:, :, 0].copy()), {"axis": -1}, batched=(0, 2)),
        Example((_X, np.int64(9), _X[0].copy()), {"axis": 0}),
        Example((_X[:0], np.int32(0), _X[0].copy())),
    )

    def infer(self, x: TensorType, index: TensorType, part: TensorType, *, axis: int = 0) -> TensorType:
        axis = normalize_axis(axis, x.rank)
        if index.rank or index.dtype not in (DType.I32, DType.I64):
            raise ShapeError(f"update of {x!r}: the index is an i32[] or i64[], not {index!r}")
        slice = x.with_shape((*x.shape[:axis], *x.shape[axis + 1:]))
        if part != slice:
            raise ShapeError(f"update of {x!r} along axis {axis}: the slice is {slice!r}, not {part!r}")
        return x

    def eval(self, x: np.ndarray, index: np.ndarray, part: np.ndarray, *, axis: int) -> np.ndarray:
        size, index = x.shape[axis], int(index)
        if size:
            x = x.copy()
            np.moveaxis(x, axis, 0)[min(max(index + size if index < 0 else index, 0), size - 1)] = part
        return x


def body_inputs(node: Node, body: Graph) -> tuple[list[Value], list[Value]]:
    """The inputs of a node's body that are carried, and those that are captured. Their operands follow the node's
    first one in this order."""
    inputs, carried = list(body.inputs.values()), node.attrs.get("carried", 0)
    inputs = inputs[1:] if node.op == "loop" else inputs
    return inputs[:carried], inputs[carried:]


def named(inputs: Iterable[Value]) -> dict[str, Value]:
    """The inputs of a body by names of which each is one input's."""
    found: dict[str, Value] = {}
    for value in inputs:
        name = value.node.attrs["name"]
        while name in found:
            name += "_"
        found[name] = value
    return found


def loop(trips: Dim | Value | None, initial: Sequence[Value],
         step: Callable[[Value, tuple[Value, ...]], Iterable[Value]],
         condition: Callable[[Value, tuple[Value, ...]], Value] | None = None) -> tuple[Value, ...]:
    """The values that ``initial`` become when ``step(i, carried)`` replaces them ``trips`` times (None: without
    end), i an i64[] counted from 0, or until ``condition(i, carried)``, a bool[], is false before an iteration.

    ``step`` and ``condition`` may use any values; what depends neither on i nor on carried values is computed
    once. ShapeError names a carried value that changes its type.
    """
    initial = tuple(initial)
    index = placeholder("i", INDEX)
    carried = tuple(placeholder(f"v{k}", v.type) for k, v in enumerate(initial))
    after = tuple(step(index, carried))
    if len(after) != len(initial):
        raise ShapeError(f"a loop carries {len(initial)} values and its body gives {len(after)}")
    for position, (old, new) in enumerate(zip(initial, after, strict=True)):
        if old.type != new.type:
            raise ShapeError(f"carried value {position} of a loop begins as {old.type!r} and becomes {new.type!r}")
    values = [*zip(initial, carried, after, strict=True)]
    if condition:
        first, again = condition(constant(0, np.int64), initial), condition(F.add(index, 1), after)
        if first.type != FLAG:
            raise ShapeError(f"the condition of a loop is a bool[], not {first.type!r}")
        values.insert(0, (first, placeholder("go", FLAG), again))
    results = _loop(_trips(trips), index, values, bool(condition))
    return results[1:] if condition else results


def _trips(trips: Dim | Value | None) -> Value:
    if isinstance(trips, Expr):
        return F.dims(values=(trips,), shape=(), dtype=DType.I64)
    return trips if isinstance(trips, Value) else constant(ENDLESS if trips is None else trips, np.int64)


def _loop(trips: Value, index: Value, values: list[tuple[Value, Value, Value]], checked: bool) -> tuple[Value, ...]:
    """The results for the values that are carried: (initial, in the body, after an iteration). Those that stay as
    they are need not be carried."""
    fixed = {inside: initial for initial, inside, after in values if inside == after}
    if fixed:
        changing = [v for v in values if v[1] not in fixed]
        changed = _replaced([after for *_, after in changing], fixed)
        results = iter(_loop(trips, index, [(*v[:2], new) for v, new in zip(changing, changed, strict=True)], checked))
        return tuple(fixed[inside] if inside in fixed else next(results) for _, inside, _ in values)
    if not values:
        return ()
    initial, carried, after = zip(*values, strict=True)
    own = (index, *carried)
    inside = _dependent(own, after)
    captured: dict[Value, Value] = {}
    body = _body("body", own, after, inside.__contains__, captured)
    return apply("loop", trips, *initial, *captured, body=_closed(body, captured), carried=len(carried),
                 checked=checked)


def _dependent(own: Iterable[Value], values: Iterable[Value]) -> set[Node]:
    """A body's own inputs, and the nodes on which values depend that depend on them."""
    inside = {v.node for v in own}
    for node in ancestors(v.node for v in values):
        if any(source in inside for source in sources(node)):
            inside.add(node)
    return inside


def check_sizes(own: Iterable[Value], values: Iterable[Value]) -> None:
    """Raise ShapeError if a body that gives values decides about sizes by its own inputs."""
    inside = _dependent(own, values)
    for node in inside:
        _check_sizes(node, inside.__contains__)


def _check_sizes(node: Node, is_inside: Callable[[Node], bool]) -> None:
    if any(is_inside(source) for source in sources(node)[len(node.inputs):]):
        raise ShapeError(f"data decide the size of {node.types[0]!r} anew each time that the body of a loop or branch "
                         "runs")


def _replaced(values: Sequence[Value], by: dict[Value, Value]) -> tuple[Value, ...]:
    graph = Graph("values", {}, {str(k): v for k, v in enumerate(values)})
    return tuple(graph.rewrite(lambda node, _: (by[Value(node)],) if Value(node) in by else None).outputs.values())


def conditional(predicate: Value, then: Callable[[], Iterable[Value]],
                otherwise: Callable[[], Iterable[Value]]) -> tuple[Value, ...]:
    """The values that ``then()`` gives where the predicate, a bool[], is true, else those of ``otherwise()``; of
    what they make only one is computed. ShapeError if their types differ."""
    captured: dict[Value, Value] = {}
    bodies = {}
    for name, branch in (("then", then), ("otherwise", otherwise)):
        start = next(Node.serials)
        bodies[name] = _body(name, (), tuple(branch()), lambda node, start=start: node.serial > start, captured)
    closed = {name: _closed(body, captured) for name, body in bodies.items()}
    return apply("conditional", predicate, *captured, **closed)


def _body(name: str, own: Sequence[Value], outputs: Sequence[Value], is_inside: Callable[[Node], bool],
          captured: dict[Value, Value]) -> Graph:
    """A graph of the nodes inside, with its own inputs. Other values that it reads, but for constants, are
    ``captured``: outside value -> input."""
    new: dict[Value, Value] = {}

    def reached(value: Value) -> Value:
        if is_inside(value.node):
            return new[value]
        if value.constant is not None:
            return value
        return captured.setdefault(value, placeholder(f"x{len(captured)}", value.type))

    for node in filter(is_inside, ancestors(v.node for v in outputs)):
        _check_sizes(node, is_inside)
        inner = replace(node, inputs=tuple(map(reached, node.inputs))) if node.inputs else node
        new.update(zip(node.results, inner.results, strict=True))
    return Graph(name, named(own), {str(k): reached(v) for k, v in enumerate(outputs)})


def _closed(body: Graph, captured: dict[Value, Value]) -> Graph:
    return replace(body, inputs=named([*body.inputs.values(), *captured.values()]))
