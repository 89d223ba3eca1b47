"""Variables that a graph assigns to, as states, and tables, against TensorFlow over several calls."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from castiron import interp
from castiron.errors import ModelError
from castiron.frontends import savedmodel
from castiron.ir import DType, TensorType, verify
from compiled import NATIVE, Compiled

tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")
v1 = tf.compat.v1

X = np.arange(6, dtype=np.float32).reshape(2, 3)
ROWS = tf.TensorSpec([None, 3], tf.float32, "x")


class Streaming(tf.Module):
    def __init__(self):
        self.count = tf.Variable(3, dtype=tf.int64, name="count")
        self.buffer = tf.Variable(np.zeros((4, 3), np.float32), name="buffer")
        self.calls = tf.Variable(1.0, name="calls")
        self.level = tf.Variable([1.0, 2.0, 3.0], name="level")
        self.table = table(np.array([5, 1, -3], np.int64), np.array([10, 20, 30], np.int64), -1)
        self.numbers = table(np.array([7, 2], np.int32), np.array([0.5, -2], np.float32), 9.0)
        self.texts = table(["a"], np.array([1], np.int64), -1)

    @tf.function
    def push(self, x):
        self.buffer.assign(tf.concat([self.buffer[1:], x[:1]], 0))
        return self.count.assign_add(1)

    @tf.function(input_signature=[ROWS])
    def stream(self, x):
        """Reads before and after assignments, in a called function too; ``calls`` is written only."""
        before = tf.identity(self.count)
        n = self.push(x)
        self.calls.assign_add(1.0)
        return {"mean": tf.reduce_mean(self.buffer, 0) + x, "n": n, "before": before, "after": self.count}

    @tf.function(input_signature=[ROWS])
    def branch(self, x):
        if tf.reduce_sum(x) > 10.0:
            self.level.assign(x[0])
        else:
            self.level.assign_sub([1.0, 1.0, 1.0])
        return x * self.level

    @tf.function(input_signature=[ROWS])
    def loop(self, x):
        for _ in tf.range(3):
            self.level.assign(self.level * 0.5 + x[0])
        return x + self.level

    @tf.function(input_signature=[ROWS])
    def scatter(self, x):
        self.buffer.scatter_nd_update([[1]], x[:1])
        self.buffer.scatter_update(tf.IndexedSlices(x[:1] * 2, tf.constant([2])))
        self.buffer.scatter_add(tf.IndexedSlices(x[:1], tf.constant([2])))
        return x[:1] + self.buffer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "keys")])
    def lookup(self, keys):
        return {"whole": self.table.lookup(keys), "float": self.numbers.lookup(tf.cast(keys, tf.int32))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "keys")])
    def text(self, keys):
        return self.texts.lookup(tf.strings.as_string(keys))


def table(keys, values, default):
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


STATES = {"stream": ["buffer", "count"], "branch": ["level"], "loop": ["level"], "scatter": ["buffer"]}
FIXED = {"x": TensorType(DType.F32, (2, 3))}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path, module = tmp_path_factory.mktemp("states") / "m", Streaming()
    tf.saved_model.save(module, str(path), signatures={
        name: getattr(module, name) for name in (*STATES, "lookup", "text")})
    return path


@pytest.fixture(scope="module")
def graphs(exported):
    found = {name: savedmodel.load(exported, signature=name, inputs=FIXED) for name in STATES}
    found["lookup"] = savedmodel.load(exported, signature="lookup")
    for graph in found.values():
        verify(graph)
    return found


@pytest.fixture(scope="module")
def compiled(graphs):
    return Compiled(graphs, levels=NATIVE[-1:])


@pytest.mark.parametrize("name", STATES)
def test_states_are_carried_from_call_to_call(name, exported, graphs, compiled):
    graph, function = graphs[name], tf.saved_model.load(str(exported)).signatures[name]
    assert [(s.input, s.output) for s in graph.states] == [(key, key) for key in STATES[name]]
    held = {state.input: state.initial for state in graph.states}
    runner = compiled.runner(name, NATIVE[-1])
    for x in (X, X - 3, X * 0.1):
        expected = function(x=tf.constant(x))
        feeds = {"x": x, **held}
        arrays = interp.run(graph, {graph.inputs[k]: a for k, a in feeds.items()}, list(graph.outputs.values()))
        interpreted, results = dict(zip(graph.outputs, arrays, strict=True)), runner(feeds)
        for key, array in expected.items():
            np.testing.assert_allclose(interpreted[key], array, rtol=1e-6)
            np.testing.assert_allclose(results[key], array, rtol=1e-6)
        held = {state.input: interpreted[state.output] for state in graph.states}


def test_tables_of_integers(exported, graphs, compiled):
    keys = np.array([1, 5, 9, -3, 7, 2], np.int64)
    expected = tf.saved_model.load(str(exported)).signatures["lookup"](keys=tf.constant(keys))
    for key, array in compiled.runner("lookup", NATIVE[-1])({"keys": keys}).items():
        np.testing.assert_array_equal(array, expected[key])


def test_what_is_refused(exported):
    with pytest.raises(ModelError, match="looking up strings that are made of numbers is not supported"):
        savedmodel.load(exported, signature="text")
    with pytest.raises(ModelError, match=r"'buffer', f32\[4,3\], is assigned .*must keep its shape.*--input"):
        savedmodel.load(exported, signature="stream")


def save(path, build):
    """A TensorFlow 1 model whose graph ``build`` makes of its input and one variable."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2, 3], "x")
        variable = v1.get_variable("v", initializer=np.ones((2, 3), np.float32), use_resource=build.resource)
        y = build(x, variable)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})
        expected = [session.run(y, {x: X}) for _ in range(2)]
    return expected


@pytest.mark.parametrize("resource", [False, True])
def test_tensorflow_1_in_the_order_of_control_dependencies(resource, tmp_path):
    def build(x, variable):
        old = variable.read_value() * 2
        with tf.control_dependencies([old]):
            assigned = v1.assign(variable, variable.read_value() + x)
        with tf.control_dependencies([assigned]):
            return old + variable.read_value()

    build.resource = resource
    expected = save(tmp_path / "m", build)
    graph = savedmodel.load(tmp_path / "m")
    held = {state.input: state.initial for state in graph.states}
    for wanted in expected:
        arrays = interp.run(graph, {graph.inputs[k]: a for k, a in ({"x": X} | held).items()},
                            list(graph.outputs.values()))
        results = dict(zip(graph.outputs, arrays, strict=True))
        np.testing.assert_allclose(results["y"], wanted)
        held = {state.input: results[state.output] for state in graph.states}


@pytest.mark.parametrize("limit", [5.0, 50.0])
def test_tensorflow_1_assigns_under_a_condition(limit, tmp_path):
    def build(x, variable):
        def more():
            with tf.control_dependencies([v1.assign(variable, variable.read_value() + x)]):
                return variable.read_value() * 2

        v1.disable_control_flow_v2()
        try:
            return v1.cond(tf.reduce_sum(x) + tf.reduce_sum(x[:1]) > limit, more, lambda: x)
        finally:
            v1.enable_control_flow_v2()

    build.resource = True
    expected = save(tmp_path / "m", build)
    graph = savedmodel.load(tmp_path / "m")
    (state,), held = graph.states, graph.states[0].initial
    for wanted in expected:
        y, held = (interp.run(graph, {graph.inputs["x"]: X, graph.inputs[state.input]: held},
                              [graph.outputs["y"], graph.outputs[state.output]]))
        np.testing.assert_allclose(y, wanted)


def test_an_unclear_order_is_refused(tmp_path):
    def build(x, variable):
        return v1.assign_add(variable, x) + variable.read_value()

    build.resource = False
    save(tmp_path / "m", build)
    with pytest.raises(ModelError, match=r"order in which the variable 'v' is read and assigned to is not clear"):
        savedmodel.load(tmp_path / "m")
