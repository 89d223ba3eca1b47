"""Plans: where values live and what is computed together, on graphs that could go wrong."""

import functools
import itertools
import warnings
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
    ceil_div,
    constant,
    evaluate,
    exact_div,
    maximum,
    minimum,
    placeholder,
    symbol,
)
from castiron.kernels import contraction
from castiron.ops import F
from castiron.plan import MAX_BLOCK_ROWS, PIECE_BYTES, SCRATCH_BYTES, plan
from castiron.program import Weights
from compiled import NATIVE, Compiled
from guarded import GuardedLibrary, survives

BATCH, SEQ = symbol("batch"), symbol("seq")
_RNG = np.random.default_rng(31)


def random(*shape):
    return _RNG.standard_normal(shape).astype(np.float32)


def given(*shape, name="x", dtype=DType.F32):
    return placeholder(name, TensorType(dtype, shape))


def graph(outputs, *inputs, labels=None, traced=False):
    """A graph with named or numbered outputs."""
    outputs = outputs if isinstance(outputs, dict) else {f"y{i}": v for i, v in enumerate(outputs)}
    return Graph("g", {v.node.attrs["name"]: v for v in inputs}, outputs,
                 {name: Label(v.node.op, v) for name, v in (labels or {}).items()}, traced)


def normalized(x):
    return F.layer_norm(x, random(x.type.shape[-1]), random(x.type.shape[-1]))


def attention(x):
    scores = F.matmul(F.matmul(x, random(8, 8)), F.matmul(x, random(8, 8)), transpose_b=True)
    return F.matmul(F.softmax(F.mul(scores, 0.002)), x)


def chain(x, count):
    rows = x.type.shape[0]
    for _ in range(count):
        weights = random(x.type.shape[-1], 12) / 3  # small enough that errors don't grow from layer to layer
        x = F.tanh(F.add(F.matmul(x, weights), random(12)))
        x = F.transpose(F.reshape(x, shape=(rows, 3, 4)), perm=(0, 2, 1))
        x = F.reshape(x, shape=(rows, 12))
    return x


def residuals(x, count):
    for _ in range(count):
        x = F.add(F.matmul(F.flip(x, axes=(0,)), random(x.type.shape[1], x.type.shape[1]) / 4), x)
    return x


def total(*values):
    return functools.reduce(F.add, values)


X, WIDE, SCALAR, STATIC = given(BATCH, 6), given(BATCH, 40000), given(), given(70, 6)
INTEGERS = given(BATCH, 5, dtype=DType.I32)
MANY = [given(BATCH, 5, name=f"z{i}") for i in range(12)]
ONE, TOKENS, EMPTY = given(1, 6), given(BATCH, SEQ, 8), given(BATCH, 0)
TANH = F.tanh(X)
FLAT = F.reshape(X, shape=(BATCH, 2, 3))
GRAPHS = {
    "an_input_is_an_output": graph([X, X], X),
    "a_reshaped_input_is_an_output": graph([FLAT, F.neg(FLAT)], X),
    "a_constant_is_an_output": graph([constant(random(3, 5)), F.neg(X), constant(np.int8(3))], X),
    "a_computed_constant_is_an_output": graph([F.broadcast_to(constant(random(1, 1)), shape=(300, 300))], X),
    "two_outputs_are_one_value": graph([TANH, TANH], X),
    "two_outputs_are_reshapes_of_one_value": graph([F.reshape(TANH, shape=(BATCH, 3, 2)),
                                                    F.reshape(TANH, shape=(6 * BATCH,))], X),
    "an_output_and_its_reshape": graph([TANH, F.reshape(TANH, shape=(BATCH, 3, 2))], X),
    "an_output_is_read_again": graph([TANH, normalized(TANH), F.reduce_sum(TANH, axes=(0,))], X),
    "no_output_reads_the_input": graph([F.neg(SCALAR)], SCALAR, given(BATCH, 2, name="unused")),
    "rank_0": graph([F.add(F.sqrt(F.abs(SCALAR)), 1.0), F.reshape(SCALAR, shape=(1, 1))], SCALAR),
    "a_fixed_batch": graph([F.softmax(chain(STATIC, 2))], STATIC),
    "a_batch_of_one": graph([normalized(chain(ONE, 2))], ONE),
    "no_columns": graph([F.reduce_max(EMPTY, axes=(1,)), F.matmul(EMPTY, random(0, 3)), F.neg(EMPTY)], EMPTY),
    "rows_wider_than_scratch": graph([F.reduce_sum(F.exp(F.softmax(WIDE)), axes=(1,)), F.flip(WIDE, axes=(1,))], WIDE),
    "many_steps": graph([F.reduce_sum(chain(X, 12), axes=(0,))], X),
    "two_symbols": graph([attention(TOKENS), F.reduce_mean(TOKENS, axes=(1,))], TOKENS),
    "two_symbols_merged": graph([normalized(F.reshape(TOKENS, shape=(BATCH * SEQ, 8))),
                                 F.reshape(F.reduce_max(TOKENS, axes=(2,)), shape=(1, BATCH * SEQ))], TOKENS),
    "rows_and_whole": graph([F.matmul(TANH, F.tanh(TANH), transpose_b=True),
                             F.sub(TANH, F.reduce_mean(TANH, axes=(0,), keepdims=True))], X),
    "rows_backwards": graph([F.add(TANH, F.flip(F.exp(TANH), axes=(0,)))], X),
    "residuals": graph([F.flip(residuals(TANH, 3), axes=(0,))], X),
    "residuals_that_are_read_again": graph([F.flip(F.add(residuals(TANH, 1), TANH), axes=(0,)),
                                            F.flip(F.add(F.matmul(F.exp(TANH), random(6, 6)), TANH), axes=(0,))], X),
    "branches": graph([F.concat(normalized(TANH), F.reshape(F.exp(FLAT), shape=(BATCH, 6)), F.softmax(X), axis=1)], X),
    "twice_the_rows": graph([F.softmax(F.reshape(F.exp(TANH), shape=(BATCH * 2, 3))),
                             F.reshape(F.neg(F.reshape(F.abs(TANH), shape=(BATCH * 3, 2))), shape=(BATCH, 6))], X),
    "more_operands_than_an_epilogue_takes": graph([total(F.matmul(X, random(6, 5)), *MANY)], X, *MANY),
    "a_product_that_broadcasts": graph([F.add(F.matmul(ONE, random(6, 5)), MANY[0])], ONE, MANY[0]),
    "wide_elements": graph([F.add(F.cast(INTEGERS, dtype=DType.I64), np.arange(5, dtype=np.int64)),
                            F.reduce_sum(F.abs(F.mul(INTEGERS, INTEGERS)), axes=(1,))], INTEGERS),
    "halves": graph([F.slice(TOKENS, starts=(0, 0, 0), sizes=(BATCH, ceil_div(SEQ, 2), 8), steps=(1, 2, 1)),
                     normalized(F.slice(TOKENS, starts=(0, SEQ // 2, 0), sizes=(BATCH, ceil_div(SEQ, 2) - 1, 8),
                                        steps=(1, 1, 1))),
                     F.reshape(F.slice(TOKENS, starts=(0, 0, 0), sizes=(BATCH, 2 * (SEQ // 2), 8), steps=(1, 1, 1)),
                               shape=(BATCH, SEQ // 2, 16)),
                     F.dims(values=(minimum(SEQ, 3), SEQ % 4), shape=(2,), dtype=DType.I64)], TOKENS),
    "sizes_that_look_different": graph([F.add(
        F.matmul(F.slice(TOKENS, starts=(0, 0, 0), sizes=(BATCH, (SEQ + 1) // 2, 8), steps=(1, 2, 1)), random(8, 8)),
        F.slice(TOKENS, starts=(0, SEQ // 2, 0), sizes=(BATCH, SEQ - SEQ // 2, 8), steps=(1, 1, 1)))], TOKENS),
}
#: Values that a plan keeps apart and code may mix up, each a label of a traced graph.
GRAPHS["traced"] = graph([normalized(TANH)], X, traced=True, labels={
    "x": X, "tanh": TANH, "flat": FLAT, "weights": constant(random(6, 4))})
SIZES = (0, 1, 2, MAX_BLOCK_ROWS, 3 * MAX_BLOCK_ROWS + 5)


@pytest.fixture(scope="module")
def compiled():
    return Compiled(GRAPHS, units=2, levels=NATIVE[-1:])


def feeds_of(graph):
    """Inputs at several sizes, small ones where rows are wide."""
    rng = np.random.default_rng(5)
    sizes = SIZES if graph.symbols and "x" in graph.inputs and graph.inputs["x"] is not WIDE else (1, 3)
    for size in sizes:
        shapes = {k: [d if isinstance(d, int) else d.evaluate({"batch": size, "seq": 5}) for d in v.type.shape]
                  for k, v in graph.inputs.items()}
        yield {k: (rng.standard_normal(shape) * 4).astype(graph.inputs[k].type.dtype.numpy)
               for k, shape in shapes.items()}


@pytest.mark.parametrize("key", GRAPHS)
def test_agrees_with_the_interpreter(compiled, key):
    graph, run = compiled.graphs[key], compiled.runner(key, NATIVE[-1])
    for feeds in feeds_of(graph):
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            values = interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()}, list(graph.outputs.values()))
        first, second = run(feeds, poison=0xFF), run(feeds, poison=0x00)
        for name, value in zip(graph.outputs, values, strict=True):
            assert_agree(first[name], value, 1e-5)
            assert_same_bits(first[name], second[name])


@pytest.mark.parametrize("key", GRAPHS)
def test_touches_no_memory_but_its_own(compiled, key):
    def work():
        for low in (False, True):
            run = compiled.runner(key, NATIVE[-1], partial(GuardedLibrary, low=low))
            for feeds in feeds_of(GRAPHS[key]):
                run(feeds)
    assert survives(work)


def planned(graph):
    return plan(passes.run(graph), Weights())


def test_a_network_of_dense_layers_is_one_step():
    y = X
    for columns in (64, 64, 3):
        y = F.relu(F.add(F.matmul(y, random(y.type.shape[1], columns)), random(columns)))
    program = planned(graph([F.softmax(normalized(y))], X))
    assert len(program.steps) == 1 and program.steps[0].rows == BATCH and program.row_wise
    assert len([b for b in program.buffers if b.slot is not None]) == 0


@pytest.mark.parametrize("x", [STATIC, ONE], ids=["70 rows", "one row"])
def test_a_fixed_batch_is_one_step_too(x):
    program = planned(graph([F.softmax(F.relu(F.matmul(normalized(x), random(6, 3))))], x))
    assert len(program.steps) == 1 and not program.row_wise


@pytest.mark.parametrize("key, expected", [
    ("many_steps", False), ("rows_and_whole", False), ("rows_backwards", False), ("branches", True),
    ("an_output_is_read_again", False), ("two_symbols", True), ("two_symbols_merged", False),
    ("an_input_is_an_output", True), ("a_fixed_batch", False), ("traced", True)])
def test_row_wise(compiled, key, expected):
    assert compiled.programs[key].row_wise == expected


def test_the_number_of_rows_makes_rows_depend_on_one_another():
    count = F.cast(F.dims(values=(BATCH,), shape=(), dtype=DType.I64), dtype=DType.F32)
    places = F.cumsum(F.broadcast_to(constant(np.ones(1, np.float32)), shape=(BATCH,)), axis=0)
    assert not planned(graph([F.div(X, count)], X)).row_wise
    assert not planned(graph([F.add(X, F.reshape(places, shape=(BATCH, 1)))], X)).row_wise
    assert not planned(graph([F.broadcast_to(F.slice(X, starts=(0, 0), sizes=(BATCH, 1), steps=(1, 1)),
                                             shape=(BATCH, BATCH))], X)).row_wise
    assert planned(graph([F.add(X, F.broadcast_to(constant(random(6)), shape=(BATCH, 6)))], X)).row_wise


def test_long_runs_go_in_pieces_that_stay_in_the_cache():
    def pieces(pixels, columns=4):
        x = placeholder("x", TensorType(DType.F32, (BATCH, pixels, 8)))
        means = F.reduce_mean(F.cumsum(F.cumsum(x, axis=1), axis=1), axes=(1,))
        return planned(graph([F.matmul(means, np.ones((8, columns), np.float32))], x)).piece

    few, many = pieces(1 << 15), pieces(1 << 18)
    assert 1 <= many < few <= PIECE_BYTES // (4 * 8 << 15)
    assert pieces(1 << 15, 1 << 20) > few  # reading the weights would take long
    assert planned(graph([F.relu(X)], X)).piece is None  # nothing is handed on


def test_scratch_is_bounded(compiled):
    for key, program in compiled.programs.items():
        assert program.scratch_bytes <= 2 * SCRATCH_BYTES, key


@pytest.mark.parametrize("key", GRAPHS)
def test_values_that_are_alive_together_do_not_share_memory(compiled, key):
    program = compiled.programs[key]
    for step in program.steps:
        stored = [[program.aliases.get(v, v) for v in (*node.inputs, *node.results)] for node in step.nodes]
        lives = {v: [i for i, values in enumerate(stored) if v in values] for v in step.scratch}
        for a, b in itertools.combinations(step.scratch, 2):
            apart = max(lives[a]) < min(lives[b]) or max(lives[b]) < min(lives[a])
            low, high = sorted((a, b), key=step.scratch.get)
            size = evaluate(exact_div(low.type.size, step.rows), {}) * step.block * low.type.dtype.itemsize
            assert apart or step.scratch[low] + size <= step.scratch[high]
    uses = {b: [i for i, step in enumerate(program.steps) if b in (*step.reads, *step.writes)]
            for b, buffer in enumerate(program.buffers) if buffer.slot is not None}
    for a, b in itertools.combinations([b for b in uses if uses[b]], 2):
        if program.buffers[a].slot == program.buffers[b].slot:
            first, then = sorted((a, b), key=lambda buffer: min(uses[buffer]))
            assert max(uses[first]) < min(uses[then]) or (max(uses[first]), first, then) in replaced(program)


def replaced(program):
    """(step, operand, result) of products that have an operand of their epilogue for themselves."""
    for i, step in enumerate(program.steps):
        reads = [program.index.get(v) for node in step.nodes for v in node.inputs]
        for node in step.nodes:
            operands = [program.index.get(v) for v in node.inputs[2:] if v.type == node.types[0]]
            yield from ((i, o, program.index.get(node.results[0])) for o in operands if reads.count(o) == 1)


def test_a_product_replaces_what_is_added_to_it():
    program = planned(GRAPHS["residuals"])
    pairs = [(operand, result) for _, operand, result in replaced(program)]
    assert len(pairs) == 3 and all(program.buffers[o].slot == program.buffers[r].slot for o, r in pairs)


def test_slots_are_used_again():
    y = X
    for i in range(8):
        y = F.flip(F.tanh(F.matmul(y, random(y.type.shape[1], 10 + i))), axes=(0,))
    program = planned(graph([y], X))
    slots = [b.slot for b in program.buffers if b.slot is not None]
    assert len(slots) > 10 and len(set(slots)) <= 3


def test_derived_dimensions_are_behind_the_free_ones():
    even = F.slice(TOKENS, starts=(0, 0, 0), sizes=(BATCH, ceil_div(SEQ, 2), 8), steps=(1, 2, 1))
    rest = F.slice(even, starts=(0, 1, 0), sizes=(BATCH, maximum(ceil_div(SEQ, 2) - 2, 0), 8), steps=(1, 1, 1))
    program = planned(graph([rest], TOKENS))
    assert program.symbols == ("batch", "seq")
    assert program.derived == ("(seq+1)//2", "max((seq+1)//2-2,0)")


def test_sizes_below_zero_are_an_error(compiled):
    run = compiled.runner("halves", NATIVE[-1])
    with pytest.raises(ShapeError, match=r"tensor f32\[batch,\(seq\+1\)//2-1,8\] of shape \[2, -1, 8\]"):
        run({"x": np.zeros((2, 0, 8), np.float32)})


def test_a_product_by_large_weights_is_computed_in_parts(monkeypatch):
    monkeypatch.setattr(contraction, "SLAB_BYTES", 1 << 14)
    x = placeholder("x", TensorType(DType.F32, (BATCH, 20)))
    hidden = F.tanh(F.add(F.matmul(x, random(20, 500)), random(500)))
    graph = Graph("parts", {"x": x}, {"y": F.mul(F.matmul(hidden, random(500, 70)), random(70))})
    compiled = Compiled({"parts": graph})
    assert [step.slabs for step in compiled.programs["parts"].steps] == [3, 5]
    for level in NATIVE:
        run = compiled.runner("parts", level)
        for rows in (0, 1, MAX_BLOCK_ROWS + 1):
            data = random(rows, 20)
            expected, = interp.run(graph, {x: data}, list(graph.outputs.values()))
            assert_agree(run({"x": data})["y"], expected, 2e-5)
            assert_same_bits(run({"x": data[:1]})["y"], run({"x": data})["y"][:1])


def test_what_is_scaled_is_scaled_where_it_stands():
    """But not where something else than the same rows is read of it afterwards or at the same time."""
    x = given(BATCH, 5, 4, 6)
    y = F.matmul(x, random(6, 7))
    scaled = F.mul(y, F.sigmoid(F.reduce_sum(y, axes=(1, 2), keepdims=True)))
    for outputs, expected in (((F.matmul(scaled, random(7, 3)),), 1), ((scaled, y), 0),
                              ((F.matmul(scaled, random(7, 3)), F.flip(y, axes=(0,))), 0)):
        program = planned(graph(outputs, x))
        assert sum(v.type.shape == y.type.shape for v in program.aliases) == expected
