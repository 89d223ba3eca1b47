"""Every operator of the table, in small graphs, against TensorFlow: the interpreter and the compiled code."""

import re
from functools import cache

import numpy as np
import pytest
from operator_cases import CASES, Case
from operator_cases.case import X, tf

from castiron import interp
from castiron.errors import ModelError
from castiron.frontends import graphdef
from castiron.frontends.tensorflow.operators import REASONS, TABLE, why_not
from castiron.frontends.tensorflow.operators.table import COMPOUND
from compiled import NATIVE, Compiled

#: Each operator's first case.
FIRST = {name.partition("-")[0]: name for name in reversed(CASES)}.values()

#: Each case with a free batch, if it can, and each operator's first also with a fixed one.
FREE = {name: "free" if case.free else "fixed" for name, case in CASES.items()}
BATCHES = list(dict.fromkeys([*FREE.items(), *((name, "fixed") for name in FIRST)]))

#: What is compiled too: of the operators that act on each element alone only the first case, since tests/ops
#: compiles them for every type.
COMPILED = [(name, batch) for name, batch in FREE.items()
            if name in FIRST or not CASES[name].build.__module__.endswith(".elementwise")]


@cache
def run_both(name, batch, folder):
    """TensorFlow's results, and the imported graph with its feeds by name."""
    return import_and_run(CASES[name], batch == "free", folder)


def import_and_run(case, free, folder):
    shapes = [(None if free else a.shape[0], *a.shape[1:]) if a.ndim else () for a in case.feeds]
    with tf.Graph().as_default() as source:
        inputs = [tf.compat.v1.placeholder(feed.dtype, shape, f"x{i}")
                  for i, (feed, shape) in enumerate(zip(case.feeds, shapes, strict=True))]
        built = case.build(*inputs)
        outputs = [tf.identity(y, name=f"out{i}") for i, y in enumerate(built if isinstance(built, list) else [built])]
        with tf.compat.v1.Session() as session:
            expected = session.run(outputs, dict(zip(inputs, case.feeds, strict=True)))
    path = folder / "graph.pb"
    path.write_bytes(source.as_graph_def().SerializeToString())
    graph = graphdef.load(path, outputs=[y.op.name for y in outputs])
    feeds = {f"x{i}": a for i, a in enumerate(case.feeds) if f"x{i}" in graph.inputs}
    return expected, graph, feeds, source


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


def assert_is(actual, expected, tolerance):
    assert actual.dtype == (np.float32 if expected.dtype == np.float16 else expected.dtype)
    assert actual.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance / 10)
    else:
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name, batch", BATCHES)
def test_operator(name, batch, folder):
    expected, graph, feeds, source = run_both(name, batch, folder)
    results = interp.run(graph, {graph.inputs[k]: a for k, a in feeds.items()}, list(graph.outputs.values()))
    for actual, value in zip(results, expected, strict=True):
        assert_is(actual, value, CASES[name].tolerance)
    assert [label for label in graph.labels if ":" not in label] == [op.name for op in source.get_operations()]


@pytest.fixture(scope="module")
def compiled(request, folder):
    """The graphs of the selected tests, compiled."""
    names = {item.callspec.params["name"]: item.callspec.params["batch"] for item in request.session.items
             if item.module is request.module and item.name.startswith("test_compiled")}
    graphs = {identifier(name): run_both(name, batch, folder)[1] for name, batch in names.items()}
    return Compiled(graphs, units=4, levels=NATIVE[-1:])


def identifier(name):
    return re.sub(r"\W", lambda match: f"_{ord(match[0]):x}_", name)


@pytest.mark.parametrize("name, batch", COMPILED)
def test_compiled(name, batch, folder, compiled):
    expected, graph, feeds, _ = run_both(name, batch, folder)
    results = compiled.runner(identifier(name), NATIVE[-1])(feeds)
    for key, value in zip(graph.outputs, expected, strict=True):
        value = value.astype(np.float32) if value.dtype == np.float64 else value
        assert_is(results[key].astype(value.dtype) if value.dtype == np.float32 else results[key], value,
                  CASES[name].tolerance)


def test_every_operator_is_tested():
    used, of_compounds = set(), set()
    for case in CASES.values():
        with tf.Graph().as_default() as graph:
            case.build(*(tf.compat.v1.placeholder(a.dtype, (None if case.free else a.shape[0], *a.shape[1:])
                                                  if a.ndim else ()) for a in case.feeds))
        for op in graph.get_operations():
            compound = any(x.dtype.is_complex or x.dtype == tf.string for x in op.inputs)
            (of_compounds if compound else used).add(op.type)
    # Variables are what test_savedmodel is about.
    assert set(TABLE) - used == {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
    assert set(COMPOUND) <= of_compounds


def test_reasons_are_of_unsupported_operators():
    assert not set(REASONS) & (set(TABLE) | set(COMPOUND))
    assert why_not("SetSize").startswith("SetSize is not supported: it gives sets")
    assert why_not("MapDatasetV9").startswith("MapDatasetV9 is not supported: it reads files")
    assert why_not("Magic") == "Magic is not supported"


@pytest.mark.parametrize("build, feeds, message", [
    (lambda x, y: tf.reshape(x, y), (X, np.array([12, 5], np.int32)), "the shape depends on what is fed"),
    (lambda x: tf.math.real(tf.math.sqrt(tf.cast(x, tf.complex64))), (X,), "Sqrt of complex numbers is not supported"),
    (lambda x: tf.strings.length(tf.as_string(tf.cast(x, tf.int32))), (X,), "StringLength"),
    (lambda x: tf.while_loop(lambda i, s: s < 99.0, lambda i, s: (i + 1, s + tf.reduce_sum(tf.boolean_mask(
        x, x > s)) + 1.0), [0, 0.0])[1], (X,), "data decide the size"),
])
def test_what_cannot_be_compiled_is_said(build, feeds, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        import_and_run(Case(build, feeds), True, tmp_path)
