"""Operators with bodies: If, Loop, Scan, SequenceMap, FlexAttention."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from castiron.errors import ModelError, ShapeError
from castiron.frontends.counting import dim_value
from castiron.frontends.onnx.importer import HANDLERS, Faulty, Importer, Scope
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.attention import for_heads
from castiron.frontends.onnx.operators.sequence import TensorList, elements_of
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.frontends.results import Result
from castiron.ir import Dim, DType, TensorType, Value, constant, placeholder
from castiron.ops import F
from castiron.ops.base import normalize_axis
from castiron.ops.loop import check_sizes, conditional, loop
from castiron.ops.sizes import extent, size_of
from castiron.ops.symbolic import known

#: A loop whose carried values change their shapes is written out, if it has so few iterations.
UNROLLED = 64


#: More iterations than a bound that is meant has.
MANY = 1 << 31


def handles(name: str) -> Callable:
    """Enter the function as what converts nodes of an operator."""
    def register(function: Callable) -> Callable:
        HANDLERS[name] = function
        return function
    return register


@handles("If")
def if_(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> tuple[Result, ...]:
    """The branch itself where the condition is known; else one of both, of which either gives the same types."""
    predicate = F.reshape(operands[0], shape=())
    branches = [_graph(node, name) for name in ("then_branch", "else_branch")]
    held = known(predicate)
    if held is not None:
        return importer.subgraph(branches[0 if held else 1], (), scope)

    def branch(graph: pb.GraphProto) -> tuple[Value, ...]:
        with importer.inside():
            return _tensors(importer.whole(importer.subgraph(graph, (), scope)))

    return conditional(predicate, lambda: branch(branches[0]), lambda: branch(branches[1]))


@handles("Loop")
def loop_(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> tuple[Result, ...]:
    """``trips`` iterations, or until the condition that the body gives doesn't hold."""
    body = _graph(node, "body")
    count, going, *initial = (*operands, None, None)[:max(len(operands), 2)]
    count = None if count is None else F.reshape(count, shape=())
    going = constant(np.True_) if going is None else F.reshape(going, shape=())
    carried = len(initial)

    def step(i: Value, condition: Value, values: Sequence[Result]) -> tuple[Result, ...]:
        results = importer.whole(importer.subgraph(body, (i, condition, *values), scope))
        return (F.reshape(results[0], shape=()), *results[1:])

    trips = None if count is None else known(count)
    trips = None if trips is None else trips.item()
    probe, probes = _probe(), _probes(initial)
    with importer.aside():
        try:
            again, *after = step(*probe, probes)
            stable = all(isinstance(v, Value) and v.type == old.type
                         for v, old in zip(after[:carried], initial, strict=True))
        except (ShapeError, AttributeError):
            stable, again, after = False, None, []
        except Faulty:  # perhaps what the body does must be known for each iteration
            if not isinstance(trips, int) or trips > UNROLLED:
                raise
            stable, again, after = False, None, []
    if stable:
        try:
            check_sizes([*probe, *(v for v in probes if isinstance(v, Value))], [again, *after])
        except ShapeError:
            if not isinstance(trips, int) or trips > UNROLLED:
                raise
            stable = False
    endless = again is not None and _holds(again) and _holds(going)
    if not stable and count is not None and trips is None:
        raise ModelError("the values that the loop carries change their shapes, and how often it runs depends on what "
                         "is fed")
    if not stable:
        return _unrolled(importer, trips, going, initial, step)
    stacked = [v.type for v in _tensors(after[carried:])]
    if stacked and not endless and isinstance(trips, int) and trips <= UNROLLED:
        exact = _iterations(importer, trips, going, initial, step)
        trips, endless = (trips, False) if exact is None else (exact, True)
    if stacked and trips is None and count is not None:
        trips = size_of(F.maximum(F.cast(count, dtype=DType.I64), 0), "trips")
    if stacked and (trips is None or (isinstance(trips, int) and trips > MANY)):
        raise ModelError("nothing bounds how many results the loop stacks; give it a number of iterations")
    buffers = [_zeros((trips, *type.shape), type.dtype) for type in stacked]
    counted = [constant(np.int64(0))] if stacked and not endless else []

    def body_of(i: Value, values: Sequence[Value]) -> tuple[Value, ...]:
        with importer.inside():
            condition, *new = step(i, constant(np.True_) if endless else values[0], values[start:start + carried])
        written = [F.update(buffer, i, part) for buffer, part
                   in zip(values[start + carried:], new[carried:], strict=False)]
        return (*([] if endless else [condition]), *new[:carried], *written, *(F.add(i, 1) for _ in counted))

    start = 0 if endless else 1
    values = (*([] if endless else [going]), *initial, *buffers, *counted)
    if not values:
        return ()
    results = loop(trips if trips is not None else count, values, body_of,
                   None if endless else lambda i, values: values[0])
    if not counted:
        return results[start:]
    *rest, done = results[start:]
    return (*rest[:carried], *(extent(buffer, done, "iterations") for buffer in rest[carried:]))


def _iterations(importer: Importer, trips: int, going: Value, values: Sequence[Result], step: Callable) -> int | None:
    """How many iterations there are, None if that depends on what is fed."""
    held, carried, i = known(going), len(values), 0
    with importer.aside():
        while held is not None and held and i < trips:
            going, *values = step(constant(np.int64(i)), going, values)
            values, held, i = values[:carried], known(going), i + 1
    return None if held is None else i


def _unrolled(importer: Importer, trips: Dim | None, going: Value, values: Sequence[Result],
              step: Callable) -> tuple[Result, ...]:
    """The iterations one after the other, for values whose shapes change; ModelError if they aren't few."""
    held, stacked, carried, i = known(going), [], len(values), 0
    if held is not None and not isinstance(trips, int | None):
        held = None
    while held is not None and held and (trips is None or i < trips):
        if i == UNROLLED:
            raise ModelError(f"the values that the loop carries change their shapes, and it has more than {UNROLLED} "
                             "iterations")
        with importer.inside():
            going, *values = step(constant(np.int64(i)), going, values)
        stacked.append(_tensors(values[carried:]))
        values, held, i = values[:carried], known(going), i + 1
    if held is None:
        raise ModelError("the values that the loop carries change their shapes, and how often it runs depends on what "
                         "is fed")
    columns = list(zip(*stacked, strict=True))
    return (*values, *(F.stack(*column) for column in columns))


@handles("Scan")
def scan(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> tuple[Result, ...]:
    """One iteration for each element of the sequences along their axes; before version 9 for each item of a batch."""
    body, scanned = _graph(node, "body"), node.integer("num_scan_inputs", 0)
    if node.version < 9:
        lengths, *operands = operands
        if lengths is not None:
            raise ModelError("Scan over sequences with lengths of their own is not supported")
    if not 0 < scanned <= len(operands):
        raise ModelError(f"Scan of {scanned} sequences of {len(operands)} operands")
    initial, sequences = operands[:-scanned], _tensors(operands[-scanned:])
    outputs = len(body.output) - len(initial)
    if node.version < 9:
        directions = _listed(node, "directions", scanned)
        return _scanned_items(importer, body, _tensors(initial), sequences, directions, outputs, scope)
    axes, to_axes = _listed(node, "scan_input_axes", scanned), _listed(node, "scan_output_axes", outputs)
    return _scanned(importer, body, initial, sequences, axes, _listed(node, "scan_input_directions", scanned), to_axes,
                    _listed(node, "scan_output_directions", outputs), scope)


def _scanned_items(importer: Importer, body: pb.GraphProto, initial: Sequence[Value], sequences: Sequence[Value],
                   backwards: Sequence[int], outputs: int, scope: Scope) -> tuple[Value, ...]:
    """A scan for each item of the operands' first axis."""
    batch = sequences[0].type.shape[0]

    def item(i: Value) -> tuple[Value, ...]:
        states, parts = ([F.gather(v, i, axis=0) for v in values] for values in (initial, sequences))
        return _scanned(importer, body, states, parts, (0,) * len(parts), backwards, (0,) * outputs, (0,) * outputs,
                        scope)

    with importer.aside():
        types = [v.type for v in item(_probe()[0])]

    def body_of(i: Value, buffers: Sequence[Value]) -> tuple[Value, ...]:
        with importer.inside():
            results = item(i)
        return tuple(F.update(buffer, i, result) for buffer, result in zip(buffers, results, strict=True))

    return loop(batch, tuple(_zeros((batch, *type.shape), type.dtype) for type in types), body_of)


def _scanned(importer: Importer, body: pb.GraphProto, initial: Sequence[Result], sequences: Sequence[Value],
             axes: Sequence[int], backwards: Sequence[int], to_axes: Sequence[int], to_backwards: Sequence[int],
             scope: Scope) -> tuple[Value, ...]:
    carried = len(initial)
    axes = [normalize_axis(axis, v.type.rank) for axis, v in zip(axes, sequences, strict=True)]
    trips = sequences[0].type.shape[axes[0]]
    if any(v.type.shape[axis] != trips for axis, v in zip(axes, sequences, strict=True)):
        raise ModelError("the sequences of Scan have different lengths")

    def place(i: Value, backward: int) -> Value:
        return F.sub(F.sub(dim_value(trips, DType.I64), i), 1) if backward else i

    def step(i: Value, values: Sequence[Value]) -> tuple[Value, ...]:
        parts = [F.gather(v, place(i, backward), axis=axis)
                 for v, backward, axis in zip(sequences, backwards, axes, strict=True)]
        return _tensors(importer.whole(importer.subgraph(body, (*values, *parts), scope)))

    with importer.aside():
        types = [v.type for v in step(_probe()[0], _probes(initial))[carried:]]
    to_axes = [normalize_axis(axis, type.rank + 1) for axis, type in zip(to_axes, types, strict=True)]
    buffers = [_zeros((*type.shape[:axis], trips, *type.shape[axis:]), type.dtype)
               for axis, type in zip(to_axes, types, strict=True)]

    def body_of(i: Value, values: Sequence[Value]) -> tuple[Value, ...]:
        with importer.inside():
            new = step(i, values[:carried])
        written = [F.update(buffer, place(i, backward), part, axis=axis) for buffer, part, axis, backward
                   in zip(values[carried:], new[carried:], to_axes, to_backwards, strict=True)]
        return (*new[:carried], *written)

    return loop(trips, (*initial, *buffers), body_of)


@handles("SequenceMap")
def sequence_map(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> tuple[Result, ...]:
    """The body's results for each element of the lists, beside what are no lists, in lists."""
    body, count = _graph(node, "body"), len(elements_of(operands[0]))
    columns = [elements_of(v) if isinstance(v, TensorList) else (v,) * count for v in operands]
    if any(len(column) != count for column in columns):
        raise ModelError("the lists of SequenceMap have different lengths")
    rows = [_tensors(importer.whole(importer.subgraph(body, row, scope))) for row in zip(*columns, strict=True)]
    return tuple(TensorList(tuple(row[i] for row in rows)) for i in range(len(body.output)))


@handles("ai.onnx.preview.FlexAttention")
def flex_attention(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> Value:
    """softmax(q·kᵀ·scale)·v, where bodies may change the scores before the softmax and the weights behind it."""
    q, k, v = _tensors(operands)
    heads, size = q.type.shape[1], q.type.shape[3]
    if not isinstance(size, int):
        raise ModelError(f"Attention over heads of the free size {size}")

    def changed(x: Value, name: str) -> Value:
        if name not in node.attrs:
            return x
        y, = _tensors(importer.whole(importer.subgraph(_graph(node, name), (x,), scope)))
        if y.type != x.type:
            raise ModelError(f"{name} makes {y.type!r} of {x.type!r}")
        return y

    scale = node.number("scale", 0.0) or size ** -0.5
    scores = F.mul(F.matmul(q, for_heads(k, heads), transpose_b=True), scale)
    weights = F.softmax(changed(scores, "score_mod"), axis=-1)
    return F.matmul(changed(weights, "prob_mod"), for_heads(v, heads))


def _listed(node: SourceNode, name: str, count: int) -> tuple[int, ...]:
    found = node.integers(name) or (0,) * count
    if len(found) != count:
        raise ModelError(f"{name} has {len(found)} entries, not {count}")
    return found


def _graph(node: SourceNode, name: str) -> pb.GraphProto:
    if name not in node.attrs or not node.attrs[name].HasField("g"):
        raise ModelError(f"{node.op} has no {name}")
    return node.attrs[name].g


def _tensors(results: Sequence[Result]) -> tuple[Value, ...]:
    if other := next((v for v in results if not isinstance(v, Value)), None):
        raise ModelError(f"{other.kind} in a loop or branch that depends on what is fed are not supported")
    return tuple(results)


def _probe() -> tuple[Value, Value]:
    """A number and a condition that are not known."""
    return placeholder("i", TensorType(DType.I64)), placeholder("go", TensorType(DType.BOOL))


def _probes(initial: Sequence[Result]) -> list[Result]:
    return [placeholder(f"v{k}", v.type) if isinstance(v, Value) else v for k, v in enumerate(initial)]


def _holds(condition: Value) -> bool:
    """Whether a condition is known to hold, or is the one that the iteration began with."""
    held = known(condition)
    return bool(held) if held is not None else condition.node.op == "input" and condition.node.attrs["name"] == "go"


def _zeros(shape: tuple[Dim, ...], dtype: DType) -> Value:
    return F.broadcast_to(constant(np.zeros((), dtype.numpy)), shape=shape)
