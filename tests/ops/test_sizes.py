"""Sizes that data decide: what numpy finds, and compiled code that agrees on every instruction-set level and stays in
its memory."""

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
    ancestors,
    constant,
    parse_graph,
    placeholder,
    print_graph,
    symbol,
    verify,
    with_measured,
)
from castiron.ops import F
from castiron.ops.loop import conditional, loop
from castiron.ops.sizes import (
    compress,
    cut_out,
    extent,
    non_max_suppression,
    nonzero,
    places,
    range_of,
    size_of,
    unique,
)
from castiron.targets import LEVELS
from compiled import NATIVE, Compiled, missing
from guarded import GuardedLibrary, survives

BATCH = symbol("batch")
_RNG = np.random.default_rng(43)
WEIGHTS = _RNG.standard_normal((3, 17)).astype(np.float32)

X = placeholder("x", TensorType(DType.F32, (BATCH, 3)))
INTEGERS = placeholder("i", TensorType(DType.I32, (BATCH,)))
COUNT = placeholder("n", TensorType(DType.I64))
START = placeholder("s", TensorType(DType.F32))
BOXES = placeholder("boxes", TensorType(DType.F32, (BATCH, 30, 4)))
SCORES = placeholder("scores", TensorType(DType.F32, (BATCH, 2, 30)))
POSITIVE = F.greater(F.gather(X, np.int64(0), axis=1), 0.0)


def number(value):
    return constant(np.int64(value))


def kept():
    return compress(X, POSITIVE, 0)


def elements():
    found = nonzero(F.relu(X))
    chosen = F.gather_nd(X, found)
    return found, F.mul(chosen, 2.0), F.reduce_sum(F.tanh(chosen), axes=None)


def rows():
    """Products of as many rows as are kept, and what belongs to each."""
    y = F.tanh(F.matmul(F.mul(kept(), 0.5), WEIGHTS))
    return F.softmax(y), F.add(y, F.reduce_sum(y, axes=(1,), keepdims=True)), F.reduce_max(F.concat(
        y, constant(np.zeros((1, 17), np.float32)), axis=0), axes=(0,))


def the_same_size_twice():
    """What is computed alike has the same size."""
    return F.add(kept(), compress(F.neg(X), F.greater(F.gather(X, np.int64(0), axis=1), 0.0), 0)), kept()


def only_the_size():
    """Nothing but the size of what is chosen is needed."""
    n = kept().type.shape[0]
    return F.broadcast_to(constant(np.float32([2, 3])), shape=(n, 2)), F.dims(values=(n + 1, BATCH - n), shape=(2,),
                                                                              dtype=DType.I64)


def twice():
    """What is chosen of what was chosen, with sizes computed from both."""
    once = F.tanh(kept())
    again = compress(once, F.less(F.gather(once, np.int64(1), axis=1), 0.3), 0)
    n, m = once.type.shape[0], again.type.shape[0]
    return again, F.reshape(F.concat(once, F.exp(again), axis=0), shape=(3 * (n + m),)), F.slice(
        X, starts=(n, 0), sizes=(BATCH - n, 3), steps=(1, 1))


def derived():
    """Halves of a size, rounded down and up."""
    n = kept().type.shape[0]
    return (F.slice(kept(), starts=(0, 0), sizes=(n // 2, 3), steps=(2, 1)),
            F.reshape(F.broadcast_to(F.neg(START), shape=((n + 1) // 2 * 2, 3)), shape=((n + 1) // 2, 6)))


def an_output_is_the_beginning():
    """The padded values are read elsewhere, and their beginning is an output, reshaped too."""
    padded = F.exp(X)
    front = extent(padded, F.reduce_sum(F.cast(POSITIVE, dtype=DType.I64), axes=None), "front")
    return front, F.reshape(front, shape=(front.type.size,)), F.neg(padded)


def distinct():
    return *unique(INTEGERS), *unique(INTEGERS, ordered=False)


def distinct_rows():
    return unique(F.floor(X))[:3]


def ranges():
    return (range_of(number(0), COUNT, number(2)), range_of(COUNT, number(-3), number(-1)),
            range_of(START, constant(np.float32(3)), constant(np.float32(0.5))))


def slices():
    return (cut_out(X, 0, None, COUNT), cut_out(X, 1, COUNT, None, -1), F.tanh(cut_out(X, 0, COUNT, None)),
            cut_out(X, 0, F.neg(COUNT), number(-1), 2), cut_out(X, 0, COUNT, F.add(COUNT, 2)))


def filled():
    n = size_of(F.abs(COUNT), "filled")
    return F.broadcast_to(START, shape=(n, 2, n)), F.cumsum(F.broadcast_to(START, shape=(n,)), axis=0)


def detections():
    chosen = non_max_suppression(BOXES, SCORES, number(5), constant(np.float32(0.2)), constant(np.float32(0.1)))
    found = F.gather_nd(BOXES, F.gather(chosen, constant(np.array([0, 2])), axis=1))
    large = nonzero(F.greater(found, 0.3))
    return chosen, F.gather_nd(SCORES, chosen), found, F.gather_nd(found, large)


def limited_detections():
    return non_max_suppression(BOXES, SCORES, COUNT, constant(np.float32(0.2)), constant(np.float32(0.1)))


def loops():
    """Loops over what was chosen, as often as there is of it."""
    y = kept()
    n = y.type.shape[0]
    total, = loop(n, [F.reduce_sum(X, axes=(0,))], lambda i, v: [F.add(F.mul(v[0], 0.5), F.gather(y, i, axis=0))])
    each, = loop(2, [y], lambda i, v: [F.tanh(F.add(v[0], 0.5))])
    either, = conditional(F.greater(START, 0.0), lambda: [F.neg(y)], lambda: [F.exp(y)])
    return total, each, either


CHOICES = (elements, rows, the_same_size_twice, only_the_size, twice, derived, an_output_is_the_beginning, distinct,
           distinct_rows, ranges, slices, filled, detections, limited_detections, loops)


def graph(values, labels=()):
    """A graph of values; traced if there are labels."""
    outputs = {f"y{i}": v for i, v in enumerate(values if isinstance(values, tuple) else (values,))}
    nodes = ancestors(v.node for v in outputs.values())
    inputs = {node.attrs["name"]: node.results[0] for node in nodes if node.op == "input"}
    labels = {name: Label(v.node.op, v) for name, v in dict(labels).items()}
    found = with_measured(Graph("g", inputs, outputs, labels, bool(labels)))
    verify(found)
    return found


def traced():
    y = kept()
    labels = {"mask": POSITIVE, "kept": y, "double": F.mul(y, 2.0), "rows": F.tanh(F.matmul(y, WEIGHTS))}
    return graph((labels["double"], labels["rows"]), labels)


GRAPHS = {make.__name__: graph(make()) for make in CHOICES} | {"traced": traced()}


def feeds_of(key):
    """Inputs of several sizes, among them such of which nothing is chosen."""
    rng = np.random.default_rng(5)
    for size, shift in ((1, 0), (0, 0), (6, 0), (70, 0), (5, -9), (5, 9)):
        given = {"x": rng.standard_normal((size, 3)) + shift, "i": rng.integers(0, 7, size), "n": size + shift,
                 "s": size - 2.0, "boxes": rng.random((size, 30, 4)), "scores": rng.random((size, 2, 30)) + shift / 9}
        yield {name: np.asarray(given[name], v.type.dtype.numpy) for name, v in GRAPHS[key].inputs.items()}


@pytest.fixture(scope="module")
def compiled():
    return Compiled(GRAPHS, units=4)


def interpreted(graph, feeds):
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        return interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()}, list(graph.outputs.values()))


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("key", GRAPHS)
def test_agrees_with_specification(compiled, key, level):
    if reason := missing(level):
        pytest.skip(reason)
    runner = compiled.runner(key, level)
    for feeds in feeds_of(key):
        expected = interpreted(GRAPHS[key], feeds)
        first, second = runner(feeds, poison=0xFF), runner(feeds, poison=0x00)
        for name, value in zip(GRAPHS[key].outputs, expected, strict=True):
            assert_same_bits(first[name], second[name])
            assert_agree(first[name], value.astype(first[name].dtype, copy=False), 2e-5)


@pytest.mark.parametrize("key", GRAPHS)
def test_touches_no_memory_but_its_own(compiled, key):
    def work():
        for low in (False, True):
            run = compiled.runner(key, NATIVE[-1], partial(GuardedLibrary, low=low))
            for feeds in feeds_of(key):
                run(feeds)
    assert survives(work)


@pytest.mark.parametrize("key", GRAPHS)
def test_every_pass_keeps_results(key):
    passes.run(GRAPHS[key], verify=True)


@pytest.mark.parametrize("key", GRAPHS)
def test_text(key):
    text = print_graph(GRAPHS[key])
    assert "measured" in text and print_graph(parse_graph(text)) == text
    verify(parse_graph(text))


def test_numpy_finds_the_same():
    feeds = {"x": _RNG.standard_normal((9, 3)).astype(np.float32)}
    found, chosen, _ = interpreted(GRAPHS["elements"], feeds)
    np.testing.assert_array_equal(found, np.argwhere(feeds["x"] > 0))
    np.testing.assert_array_equal(chosen, 2 * feeds["x"][feeds["x"] > 0])
    numbers = _RNG.integers(0, 4, 20).astype(np.int32)
    values, first, inverse, counts, *_ = interpreted(GRAPHS["distinct"], {"i": numbers})
    for ours, theirs in zip((values, first, inverse, counts), np.unique(numbers, True, True, True), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    rows = np.floor(_RNG.standard_normal((20, 3)))
    values, first, inverse = interpreted(GRAPHS["distinct_rows"], {"x": rows.astype(np.float32)})
    expected = np.unique(rows, True, True, axis=0)
    for ours, theirs in zip((values, first, inverse), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs.reshape(ours.shape))


def test_what_is_known_is_no_measured_size():
    x = constant(np.float32([[0, 2], [3, 0]]))
    assert nonzero(x).type.shape == (2, 2)
    assert places(constant(np.array([True, False])), "n").type.shape == (1,)
    assert range_of(number(1), number(8), number(3)).type.shape == (3,)
    assert cut_out(X, 0, None, number(2)).type.shape[0] == size_of(F.minimum(F.dims(
        values=(BATCH,), shape=(), dtype=DType.I64), 2), "n")


def test_names():
    found = GRAPHS["twice"]
    assert list(found.measured) == ["kept", "kept_2"] and str(found.outputs["y0"].type) == "f32[kept_2,3]"
    assert graph(nonzero(placeholder("x", TensorType(DType.F32, (symbol("nonzero"),))))).outputs[
        "y0"].type.shape[0] == symbol("nonzero_2")


def test_stages(compiled):
    program = compiled.programs["twice"]
    assert len(program.pauses) == 2 and not program.row_wise
    assert {b.stage for b in program.buffers} == {0, 1, 2}
    stages = {}
    for buffer in program.buffers:
        if buffer.slot is not None:
            stages.setdefault(buffer.slot, set()).add(buffer.stage)
    assert all(len(found) == 1 for found in stages.values()), "a slot's buffers are laid out at the same time"
    assert len(compiled.programs["detections"].pauses) == 2 and len(compiled.programs["distinct"].pauses) == 1


def test_sizes_that_cannot_be(compiled):
    run = compiled.runner("filled", NATIVE[-1])
    for count in (1 << 40, -(1 << 63)):
        with pytest.raises(ShapeError, match="these inputs make the dimension filled"):
            run({"n": count, "s": 1})
        with pytest.raises(ShapeError, match="these inputs make the dimension filled"):
            interpreted(GRAPHS["filled"], {"n": np.int64(count), "s": np.float32(1)})


def test_feeds_tell_a_size_or_disagree():
    found = GRAPHS["traced"]
    value = {name: label.value for name, label in found.labels.items()}
    fed = np.ones((4, 3), np.float32)
    double, = interp.run(found, {value["kept"]: fed}, [value["double"]])
    assert (double == 2).all() and double.shape == (4, 3)
    x = np.float32([[1, 0, 0], [-1, 0, 0]])
    double, = interp.run(found, {found.inputs["x"]: x, value["mask"]: np.array([True, True])}, [value["double"]])
    assert double.shape == (2, 3)
    with pytest.raises(ShapeError, match="kept is 4 in what is fed, but comes out as 1"):
        interp.run(found, {found.inputs["x"]: x, value["double"]: fed}, [value["double"], value["kept"]])


def test_not_inside_of_bodies():
    def step(i, carried):
        return [F.add(carried[0], F.reduce_sum(compress(X, F.greater(
            F.gather(X, np.int64(0), axis=1), F.gather(carried[0], np.int64(0), axis=0)), 0), axes=(0,)))]

    with pytest.raises(ShapeError, match="anew each time"):
        loop(3, [constant(np.zeros(3, np.float32))], step)
    with pytest.raises(ShapeError, match="anew each time"):
        conditional(F.greater(START, 0.0), lambda: [F.reduce_sum(compress(X, F.less(
            F.gather(X, np.int64(0), axis=1), START), 0), axes=None)], lambda: [START])
