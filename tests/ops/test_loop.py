"""Loops and branches: the specification is what Python's own loops compute, and compiled code agrees with it on every
instruction-set level."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp, passes
from castiron.errors import ShapeError
from castiron.ir import (
    DType,
    Graph,
    Label,
    TensorType,
    constant,
    evaluate,
    maximum,
    parse_graph,
    placeholder,
    print_graph,
    symbol,
    verify,
)
from castiron.ops import F
from castiron.ops.loop import conditional, loop
from castiron.plan import MAX_BLOCK_ROWS, plan
from castiron.program import Weights
from castiron.targets import LEVELS
from compiled import NATIVE, Compiled, missing
from guarded import GuardedLibrary, survives

BATCH, TIME = symbol("batch"), symbol("time")
_RNG = np.random.default_rng(41)

#: Relative; no loop here makes rounding errors grow.
TOLERANCE = 2e-5


def random(*shape):
    return (_RNG.standard_normal(shape) / 2).astype(np.float32)


def given(*shape, name="x", dtype=DType.F32):
    return placeholder(name, TensorType(dtype, shape))


def zeros(*shape):
    return F.broadcast_to(constant(np.zeros((1,) * len(shape), np.float32)), shape=shape)


def at(x, i):
    return F.gather(x, i, axis=1)


X = given(BATCH, TIME, 3)
FIXED = given(BATCH, 5, 3)
H = given(BATCH, 6, name="h")
VECTOR = given(TIME, name="v")
SCALAR = given(name="s")
COUNT = given(name="n", dtype=DType.I32)
FLAG = given(name="p", dtype=DType.BOOL)
WEIGHTS, KERNEL, LSTM_KERNEL, LSTM_RECURRENT = random(6, 6), random(3, 6), random(3, 24), random(6, 24)


def running_sum():
    def step(i, carried):
        total, out = carried
        total = F.add(total, F.gather(VECTOR, i, axis=0))
        return total, F.update(out, i, total, axis=0)
    return loop(TIME, [constant(np.float32(0)), zeros(TIME)], step)


def simple_rnn():
    def step(i, carried):
        h, out = carried
        h = F.tanh(F.add(F.matmul(at(X, i), KERNEL), F.matmul(h, WEIGHTS)))
        return h, F.update(out, i, h, axis=1)
    return loop(TIME, [H, zeros(BATCH, TIME, 6)], step)


def lstm(x=X, time=TIME):
    def step(i, carried):
        h, c, out = carried
        z = F.add(F.add(F.matmul(at(x, i), LSTM_KERNEL), F.matmul(h, LSTM_RECURRENT)), np.full(24, 0.1, np.float32))
        gate = [F.slice(z, starts=(0, 6 * k), sizes=(-1, 6), steps=(1, 1)) for k in range(4)]
        c = F.add(F.mul(F.sigmoid(gate[1]), c), F.mul(F.sigmoid(gate[0]), F.tanh(gate[2])))
        h = F.mul(F.sigmoid(gate[3]), F.tanh(c))
        return h, c, F.update(out, i, h, axis=1)
    return loop(time, [zeros(BATCH, 6), zeros(BATCH, 6), zeros(BATCH, time, 6)], step)


def gru():
    """Slices of slices, which are read where they stand."""
    def step(i, carried):
        x, h = F.matmul(at(X, i), LSTM_KERNEL), F.matmul(carried[0], LSTM_RECURRENT)
        part = [[F.slice(v, starts=(0, 6 * k), sizes=(-1, 6), steps=(1, 1)) for k in range(3)] for v in (x, h)]
        z, r = (F.sigmoid(F.add(part[0][k], part[1][k])) for k in (0, 1))
        new = F.tanh(F.add(part[0][2], F.mul(r, part[1][2])))
        return [F.add(F.mul(z, carried[0]), F.mul(F.sub(1, z), new))]
    return loop(TIME, [zeros(BATCH, 6)], step)


def cell_of_four_gates():
    """As wide as vectors are. Rows that a mask leaves out keep their states."""
    kernel, recurrent, bias = random(3, 128), random(32, 128), random(128)

    def step(i, carried):
        h, c, out = carried
        x = at(X, i)
        z = F.add(F.add(F.matmul(x, kernel), F.matmul(h, recurrent)), bias)
        gate = [F.slice(z, starts=(0, 32 * k), sizes=(-1, 32), steps=(1, 1)) for k in range(4)]
        new = F.add(F.mul(F.sigmoid(gate[1]), c), F.mul(F.sigmoid(gate[0]), F.tanh(gate[2])))
        y = F.mul(F.sigmoid(gate[3]), F.tanh(new))
        counts = F.greater(F.slice(x, starts=(0, 0), sizes=(-1, 1), steps=(1, 1)), -0.5)
        return F.select(counts, y, h), F.select(counts, new, c), F.update(out, i, y, axis=1)
    return loop(TIME, [zeros(BATCH, 32), zeros(BATCH, 32), zeros(BATCH, TIME, 32)], step)


def cells_over_many_steps():
    """Enough steps for products to be computed beside those before; the second layer's are of the first's outputs."""
    steps, units, x = 37, 64, given(BATCH, 37, 20, name="many")
    for _ in range(2):
        kernel, recurrent = random(x.type.shape[2], 4 * units), random(units, 4 * units)

        def step(i, carried, x=x, kernel=kernel, recurrent=recurrent):
            h, c, out = carried
            z = F.add(F.matmul(at(x, i), kernel), F.matmul(h, recurrent))
            gate = [F.slice(z, starts=(0, units * k), sizes=(-1, units), steps=(1, 1)) for k in range(4)]
            c = F.add(F.mul(F.sigmoid(gate[1]), c), F.mul(F.sigmoid(gate[0]), F.tanh(gate[2])))
            h = F.mul(F.sigmoid(gate[3]), F.tanh(c))
            return h, c, F.update(out, i, h, axis=1)
        h, c, x = loop(steps, [zeros(BATCH, units), zeros(BATCH, units), zeros(BATCH, steps, units)], step)
    return h, c, x


def cell_of_three_gates():
    """As wide as vectors are; the state is an operand of the product and of what follows it."""
    kernel, recurrent, bias = random(3, 48), random(16, 48), random(48)

    def step(i, carried):
        x, h = F.matmul(at(X, i), kernel), F.add(F.matmul(carried[0], recurrent), bias)
        part = [[F.slice(v, starts=(0, 16 * k), sizes=(-1, 16), steps=(1, 1)) for k in range(3)] for v in (x, h)]
        z, r = (F.sigmoid(F.add(part[0][k], part[1][k])) for k in (0, 1))
        new = F.tanh(F.add(part[0][2], F.mul(r, part[1][2])))
        return [F.add(F.mul(z, carried[0]), F.mul(F.sub(1, z), new))]
    return loop(TIME, [zeros(BATCH, 16)], step)


def fibonacci():
    """The next of each value is made of the old ones."""
    return loop(10, [H, F.neg(H)], lambda i, v: (v[1], F.add(v[0], v[1])))


def rotation():
    return loop(COUNT, [H, F.neg(H), F.mul(H, 2.0)], lambda i, v: (v[2], v[0], v[1]))


def twice_the_same():
    return loop(3, [H, F.neg(H)], lambda i, v: [F.add(v[0], v[1])] * 2)


def forgets():
    """Carried values become what is captured, or constant."""
    return loop(2, [H, F.neg(H), F.neg(H)], lambda i, v: (F.tanh(H), H, F.add(v[0], v[1])))


def data_dependent():
    return loop(None, [SCALAR, constant(0, np.int32)], lambda i, v: (F.mul(v[0], 0.5), F.add(v[1], 1)),
                lambda i, v: F.greater(v[0], 1.0))


def condition_and_trips():
    return loop(COUNT, [H], lambda i, v: [F.add(v[0], F.cast(i, dtype=DType.F32))],
                lambda i, v: F.less(F.reduce_sum(v[0], axes=None), 20.0))


def condition_on_the_index():
    return loop(None, [H], lambda i, v: [F.add(v[0], 1.0)], lambda i, v: F.less(i, F.cast(COUNT, dtype=DType.I64)))


def never():
    return loop(0, [H], lambda i, v: [F.add(v[0], 1.0)])


def negative_trips():
    return loop(TIME - 4, [X], lambda i, v: [F.add(v[0], 1.0)])


def nested():
    """Sums over the triangle below the diagonal, by rows."""
    def outer(i, carried):
        def inner(j, inside):
            return [F.update(inside[0], j, F.add(at(inside[0], j), at(X, i)), axis=1)]
        return loop(F.add(i, 1), [carried[0]], inner)
    return loop(TIME, [F.mul(X, 0.25)], outer)


def nested_whole():
    """Matrix powers: everything depends on everything."""
    def outer(i, carried):
        square, = loop(2, [carried[0]], lambda j, inside: [F.mul(F.matmul(inside[0], WEIGHTS), 0.5)])
        return [F.add(square, F.reduce_sum(carried[0], axes=(0,), keepdims=True))]
    return loop(3, [H], outer)


def updates_along_the_first_axis():
    def step(i, carried):
        return [F.update(carried[0], F.sub(-1, i), F.reduce_sum(carried[0], axes=(0,)), axis=0)]
    return loop(4, [H], step)


def update_and_old_value():
    """What is updated is read again afterwards."""
    def step(i, carried):
        x, y = carried
        new = F.update(x, i, F.add(at(x, i), at(y, i)), axis=1)
        return new, F.add(x, F.mul(new, 0.5))
    return loop(3, [FIXED, F.neg(FIXED)], step)


def two_updates():
    def step(i, carried):
        x, = carried
        x = F.update(x, i, F.add(at(x, i), 1.0), axis=1)
        return [F.update(x, np.int64(0), F.mul(at(x, i), 0.5), axis=1)]
    return loop(TIME, [X], step)


def update_outside():
    return F.update(X, COUNT, F.reduce_sum(X, axes=(1,)), axis=1), F.update(VECTOR, COUNT, SCALAR, axis=0)


def update_of_a_result():
    x = F.mul(FIXED, 2.0)
    first, second = np.int32(0), np.int64(-3)
    return F.update(x, first, F.neg(at(FIXED, first)), axis=1), F.update(F.update(
        F.neg(FIXED), second, at(FIXED, first), axis=1), first, at(FIXED, second), axis=1)


def reshapes():
    def step(i, carried):
        h = F.reshape(F.tanh(F.reshape(carried[0], shape=(BATCH, 2, 3))), shape=(BATCH, 6))
        return [F.add(F.reshape(F.transpose(F.reshape(h, shape=(BATCH, 2, 3)), perm=(0, 2, 1)), shape=(BATCH, 6)), h)]
    return loop(3, [H], step)


def types():
    def step(i, carried):
        integers, _, small = carried
        return F.add(integers, i), F.less(F.cast(i, dtype=DType.F32), F.mul(H, 3.0)), F.add(small, 3)
    return loop(5, [constant(np.arange(4)), F.less(H, 0.0), constant(np.int8([1, 125]))], step)


def branch_by_input():
    return conditional(FLAG, lambda: (F.tanh(F.matmul(H, WEIGHTS)), F.neg(H)), lambda: (H, H))


def branch_in_a_loop():
    def step(i, carried):
        even = F.equal(F.floormod(i, 2), 0)
        return conditional(even, lambda: (F.add(carried[0], at(X, i)), carried[1]),
                           lambda: (carried[0], F.update(carried[1], i, carried[0], axis=1)))
    return loop(TIME, [zeros(BATCH, 3), F.neg(X)], step)


def loop_in_a_branch():
    """A loop that would not end runs only where it does."""
    def halve():
        return loop(None, [SCALAR], lambda i, v: [F.mul(v[0], 0.5)], lambda i, v: F.greater(v[0], 1.0))
    return conditional(F.less(F.abs(SCALAR), 1e9), halve, lambda: (constant(np.float32(-1)),))


def choice_of_constants():
    return conditional(FLAG, lambda: (constant(random(2, 3)), constant(np.int8(1))),
                       lambda: (constant(random(2, 3)), constant(np.int8(2))))


def between_rows():
    """A loop over rows among other operators over rows, with captured values of all kinds."""
    x = F.softmax(F.matmul(H, WEIGHTS))
    bias = F.mul(SCALAR, 0.1)
    y, = loop(4, [x], lambda i, v: [F.tanh(F.add(F.add(F.matmul(v[0], WEIGHTS), x), F.mul(bias, F.cast(
        i, dtype=DType.F32))))])
    return F.matmul(y, WEIGHTS), y


def wide():
    """Values in a body that are too large for scratch, in a loop over rows and in one piece."""
    x = given(BATCH, 20000, name="wide")
    rows, = loop(2, [x], lambda i, v: [F.tanh(F.cumsum(F.mul(F.neg(v[0]), 1e-3), axis=1))])
    whole, = loop(2, [x], lambda i, v: [F.mul(F.cumsum(F.mul(v[0], 0.5), axis=0), 0.5)])
    return rows, whole


def uses_dimensions():
    def step(i, carried):
        mean = F.div(F.reduce_sum(carried[0], axes=(1,), keepdims=True),
                     F.cast(F.dims(values=(maximum(TIME, 1),), shape=(), dtype=DType.I64), dtype=DType.F32))
        return [F.sub(carried[0], F.broadcast_to(mean, shape=(BATCH, TIME, 3)))]
    return loop(2, [X], step)


LOOPS = {f.__name__: f for f in (
    running_sum, simple_rnn, lstm, gru, cell_of_four_gates, cells_over_many_steps, cell_of_three_gates, fibonacci,
    rotation,
    twice_the_same, forgets, data_dependent, condition_and_trips, condition_on_the_index, never, negative_trips,
    nested, nested_whole,
    updates_along_the_first_axis, update_and_old_value, two_updates, update_outside, update_of_a_result, reshapes,
    types, branch_by_input, branch_in_a_loop, loop_in_a_branch, choice_of_constants, between_rows, wide,
    uses_dimensions)}


def graph(values):
    every = Graph("g", {}, {f"y{i}": v for i, v in enumerate(values)})
    inputs = {node.attrs["name"]: node.results[0] for node in every.nodes if node.op == "input"}
    return Graph("g", inputs, every.outputs)


GRAPHS = {name: graph(make()) for name, make in LOOPS.items()}


def traced():
    """Everything around a loop in a loop is labelled, its weights too."""
    weights, x = constant(WEIGHTS), F.neg(H)

    def step(i, carried):
        inner, = loop(2, [carried[0]], lambda j, inside: [F.tanh(F.matmul(inside[0], weights))])
        return F.add(inner, x), F.add(carried[1], 1)

    y, count = loop(3, [x, constant(np.int32(0))], step)
    labels = {"weights": weights, "x": x, "y": y, "count": count, "z": F.exp(y)}
    return Graph("traced", {"h": H}, dict(labels), {name: Label(v.node.op, v) for name, v in labels.items()}, True)


GRAPHS["traced"] = traced()


def the_same_body_twice():
    y, = loop(3, [H], lambda i, v: [F.tanh(F.matmul(F.tanh(v[0]), WEIGHTS))])
    again = replace(y.node, inputs=(y.node.inputs[0], F.neg(H)))
    return graph([y, *again.results, *replace(again, inputs=(y.node.inputs[0], y)).results])


GRAPHS["the_same_body_twice"] = the_same_body_twice()

SIZES = ((1, 1), (3, 2), (MAX_BLOCK_ROWS + 1, 6), (0, 3), (2, 0))


def feeds_of(graph):
    rng = np.random.default_rng(3)
    for batch, time in SIZES:
        for flag in (True, False) if "p" in graph.inputs else (True,):
            shapes = {name: [evaluate(d, {"batch": batch, "time": time}) for d in v.type.shape]
                      for name, v in graph.inputs.items()}
            feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
            special = {"s": np.float32(1000 * time), "n": np.int32(time + 1), "p": np.bool_(flag)}
            yield feeds | {name: value for name, value in special.items() if name in feeds}


def specified(graph, feeds):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return dict(zip(graph.outputs, interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()},
                                                  list(graph.outputs.values())), strict=True))


@pytest.fixture(scope="module")
def compiled():
    return Compiled(GRAPHS, units=4)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("key", GRAPHS)
def test_compiled_agrees_with_specification(compiled, key, level):
    if reason := missing(level):
        pytest.skip(reason)
    runner = compiled.runner(key, level)
    for feeds in feeds_of(GRAPHS[key]):
        expected = specified(GRAPHS[key], feeds)
        first, second = runner(feeds, poison=0xFF), runner(feeds, poison=0x00)
        for output, value in expected.items():
            assert_same_bits(first[output], second[output])
            assert_agree(first[output], value, TOLERANCE)


@pytest.mark.parametrize("key", GRAPHS)
def test_touches_no_memory_but_its_own(compiled, key):
    def work():
        for low in (False, True):
            run = compiled.runner(key, NATIVE[-1], partial(GuardedLibrary, low=low))
            for feeds in feeds_of(GRAPHS[key]):
                run(feeds)
    assert survives(work)


@pytest.mark.parametrize("key", GRAPHS)
def test_text_and_passes_keep_it(key):
    verify(GRAPHS[key])
    text = print_graph(GRAPHS[key])
    assert print_graph(parse_graph(text)) == text
    verify(passes.run(parse_graph(text), verify=True))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_lstm_is_an_lstm():
    x = random(4, 7, 3)
    h = c = np.zeros((4, 6))
    hs = []
    for t in range(7):
        i, f, g, o = np.split(x[:, t] @ LSTM_KERNEL + h @ LSTM_RECURRENT + 0.1, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
    results = specified(GRAPHS["lstm"], {"x": x})
    for name, value in (("y0", h), ("y1", c), ("y2", np.stack(hs, axis=1))):
        np.testing.assert_allclose(results[name], value, atol=1e-5)


def test_loops_are_pythons():
    h, v = random(2, 6), random(5)
    a, b = h, -h
    for _ in range(10):
        a, b = b, a + b
    np.testing.assert_allclose(specified(GRAPHS["fibonacci"], {"h": h})["y1"], b, rtol=1e-4)
    np.testing.assert_allclose(specified(GRAPHS["running_sum"], {"v": v})["y1"], np.cumsum(v), rtol=1e-5)
    assert specified(GRAPHS["data_dependent"], {"s": np.float32(100)})["y1"] == 7
    assert specified(GRAPHS["data_dependent"], {"s": np.float32(1)})["y1"] == 0
    np.testing.assert_array_equal(specified(GRAPHS["never"], {"h": h})["y0"], h)
    half = specified(GRAPHS["loop_in_a_branch"], {"s": np.float32(100)})["y0"]
    assert half == 0.78125 and specified(GRAPHS["loop_in_a_branch"], {"s": np.float32(np.inf)})["y0"] == -1
    x = random(1, 2, 3)
    np.testing.assert_allclose(specified(GRAPHS["nested"], {"x": x})["y0"],
                               0.25 * x + np.stack([x[:, 0] + x[:, 1], x[:, 1]], axis=1), rtol=1e-5)


@pytest.mark.parametrize("key, row_wise", [("simple_rnn", True), ("lstm", True), ("fibonacci", True), ("nested", True),
                                           ("branch_in_a_loop", True), ("two_updates", True), ("reshapes", True),
                                           ("cells_over_many_steps", True), ("cell_of_four_gates", True),
                                           ("nested_whole", False), ("updates_along_the_first_axis", False)])
def test_loops_over_rows(compiled, key, row_wise):
    """A row's result has the same bits alone as among others."""
    program = compiled.programs[key]
    assert program.row_wise == row_wise
    if row_wise:
        run = compiled.runner(key, NATIVE[-1])
        feeds = {name: random(5, *(evaluate(d, {"time": 4}) for d in v.type.shape[1:]))
                 for name, v in GRAPHS[key].inputs.items()}
        together = run(feeds)
        alone = [run({name: x[i:i + 1] for name, x in feeds.items()}) for i in range(5)]
        for name, result in together.items():
            assert_same_bits(result, np.concatenate([one[name] for one in alone]))


def test_what_a_loop_writes_is_not_copied(compiled):
    """The input of an LSTM, its products and the sequence that it gives have one buffer each, and the loop's values
    are in scratch."""
    program = compiled.programs["lstm"]
    assert [b.type.shape for b in program.buffers if TIME in b.type.shape] == [(BATCH, TIME, n) for n in (3, 6, 24)]
    [step] = [s for s in program.steps if s.nodes[-1].op == "loop"]
    assert step.rows == BATCH and step.block > 1


def test_recurrent_layers_on_one_another_are_one_step():
    _, _, y = lstm(given(BATCH, 7, 3), 7)
    h, _, _ = lstm(F.slice(y, starts=(0, 0, 1), sizes=(-1, -1, 3), steps=(1, 1, 1)), 7)
    program = plan(passes.run(graph([F.softmax(F.matmul(h, WEIGHTS))])), Weights())
    assert [step.rows for step in program.steps if step.rows] == [BATCH] and program.row_wise


def test_a_traced_loop_reads_the_weights_that_are_shown(compiled):
    """So that others can be fed; what only a block of rows needs is in no buffer that blocks would share."""
    program = compiled.programs["traced"]
    [step] = [s for s in program.steps if s.nodes[0].op == "loop"]
    assert "pack" in {v.node.op for v in step.nodes[0].inputs}
    assert step.rows is None, "all rows have one count, and it is shown"
    [step] = [s for s in compiled_alone(F.neg(H)).steps if s.nodes[0].op == "loop"]
    assert step.rows == BATCH and {v.type.shape for v in step.scratch} >= {()}


def compiled_alone(x):
    y, = loop(3, [x], lambda i, v: [F.tanh(F.add(F.matmul(v[0], WEIGHTS), F.cast(i, dtype=DType.F32)))])
    return plan(passes.run(Graph("g", {"h": H}, {"y": y}, {"y": Label("While", y)}, True)), Weights())


def test_what_does_not_depend_on_the_iteration_is_outside():
    y, = loop(3, [H], lambda i, v: [F.add(v[0], F.tanh(F.matmul(H, WEIGHTS)))])
    assert [v.node.op for v in y.node.inputs] == ["constant", "input", "tanh"]
    kept, y = loop(3, [F.neg(H), H], lambda i, v: (v[0], F.add(v[0], v[1])))
    assert kept.node.op == "neg" and y.node.attrs["carried"] == 1


@pytest.mark.parametrize("build, message", [
    (lambda: loop(3, [H], lambda i, v: [F.cast(v[0], dtype=DType.I32)]),
     "carried value 0 of a loop begins as f32[batch,6] and becomes i32[batch,6]"),
    (lambda: loop(3, [H, H], lambda i, v: [v[0]]), "a loop carries 2 values and its body gives 1"),
    (lambda: loop(3, [H], lambda i, v: [v[0]], lambda i, v: i), "the condition of a loop is a bool[], not i64[]"),
    (lambda: loop(SCALAR, [H], lambda i, v: [F.neg(v[0])]),
     "a loop's number of iterations is an i32[] or i64[], not f32[]"),
    (lambda: conditional(SCALAR, lambda: [H], lambda: [H]), "the predicate of a conditional is a bool[], not f32[]"),
    (lambda: conditional(FLAG, lambda: [H], lambda: [SCALAR]),
     "the branches of a conditional give [f32[batch,6]] and [f32[]]"),
    (lambda: F.update(H, COUNT, H, axis=1), "update of f32[batch,6] along axis 1: the slice is f32[batch], not "
                                            "f32[batch,6]"),
], ids=["type", "count", "condition", "trips", "predicate", "branches", "slice"])
def test_says_what_does_not_fit(build, message):
    with pytest.raises(ShapeError) as error:
        build()
    assert str(error.value) == message
