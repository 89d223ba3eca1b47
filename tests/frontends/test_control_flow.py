"""Loops, branches and lists in the forms of both TensorFlows, against TensorFlow: interpreted and compiled."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from agreement import assert_agree
from castiron import interp
from castiron.errors import ModelError
from castiron.frontends import graphdef
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import verify
from compiled import NATIVE, Compiled

tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")
v1 = tf.compat.v1

RNG = np.random.default_rng(5)
X = RNG.standard_normal((3, 4)).astype(np.float32)
STEPS = RNG.standard_normal((3, 6, 4)).astype(np.float32)
SCALAR, COUNT = np.float32(0.7), np.int32(5)
WEIGHTS = RNG.standard_normal((9, 5)).astype(np.float32)

#: By name: what builds the graph, its feeds, and the versions of control flow it is built in.
CASES = {}


def case(*feeds, versions=(1, 2)):
    def register(build):
        CASES[build.__name__] = (build, feeds, versions)
        return build
    return register


@case(X)
def counter(x):
    return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, y * 0.5 + tf.cast(i, tf.float32)), (0, x))


@case(X)
def counter_downwards_by_two(x):
    return tf.while_loop(lambda i, y: i > 1, lambda i, y: (i - 2, y + tf.cast(i, tf.float32)), (9, x))


@case(X)
def counter_up_to_and_with(x):
    return tf.while_loop(lambda i, y: i <= 9, lambda i, y: (i + 2, y + tf.cast(i, tf.float32)), (0, x))


@case(X)
def no_round(x):
    return tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * 2), (0, x))


@case(X)
def until_a_value_is_reached(x):
    return tf.while_loop(lambda y: tf.reduce_sum(y) < 100., lambda y: [y * y + 1.], [x])


@case(X)
def counter_and_value(x):
    return tf.while_loop(lambda i, y: tf.logical_and(i < 50, tf.reduce_max(y) < 20),
                         lambda i, y: (i + 1, y * 1.5 + 1), (0, x))


@case(X, COUNT)
def count_that_is_fed(x, n):
    return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 0.5 + 1), (0, x))


@case(STEPS)
def count_that_is_a_free_dimension(x):
    x = tf.transpose(x, [1, 0, 2])
    return tf.while_loop(lambda i, y: i < tf.shape(x)[1], lambda i, y: (i + 1, y * 0.9 + x[:, i]),
                         (0, tf.zeros([6, 4])))


@case(X)
def what_stays_the_same(x):
    return tf.while_loop(lambda i, y, w: i < 3, lambda i, y, w: (i + 1, tf.matmul(y, w), w), (0, x, tf.ones([4, 4])))


@case(X)
def shapes_that_grow_are_unrolled(x):
    free = tf.TensorShape([None, None])
    return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.concat([y, x], 1)), (0, x),
                         shape_invariants=(tf.TensorShape([]), free))


@case(X, SCALAR)
def loops_in_loops(x, s):
    def body(i, y):
        _, z = tf.while_loop(lambda j, z: j < i, lambda j, z: (
            j + 1, tf.cond(s > 0.5, lambda: z * 1.1 + 1, lambda: z)), (0, y))
        return i + 1, z + tf.reduce_mean(y)
    return tf.while_loop(lambda i, y: i < 4, body, (0, x))


@case(X, SCALAR)
def branches_in_loops(x, s):
    return tf.while_loop(lambda i, y: i < 4, lambda i, y: (
        i + 1, tf.cond(tf.reduce_sum(y) > 2, lambda: y - s, lambda: y + 2 * s)), (0, x))


@case(X, SCALAR)
def branches(x, s):
    return (tf.cond(s > 0.5, lambda: x * 2, lambda: x - 1),
            tf.cond(s > 0.9, lambda: x * 2 * s, lambda: tf.zeros_like(x)),
            tf.cond(s > 0.5, lambda: tf.cond(tf.reduce_sum(x) > 100, lambda: x, lambda: x * 2), lambda: -x))


@case(X, COUNT)
def one_of_several(x, n):
    functions = [lambda: x, lambda: x + 1, lambda: x * 3, lambda: -x]
    return tf.switch_case(n - 3, functions), tf.switch_case(n + 9, functions), tf.switch_case(n - 9, functions)


@case(STEPS)
def maps_and_scans(x):
    by_step = tf.transpose(x, [1, 0, 2])
    return (tf.map_fn(lambda row: tf.reduce_sum(row, 0) * 2, x), tf.map_fn(tf.tanh, by_step),
            tf.scan(lambda a, row: a * 0.5 + row, by_step, initializer=tf.zeros([tf.shape(x)[0], 4])),
            tf.foldl(lambda a, row: a * 0.5 + row, by_step), tf.foldr(lambda a, row: a * 0.5 + row, by_step))


@case(X)
def lists_written_in_loops(x):
    def body(i, y, ta):
        return i + 1, y * 0.5, ta.write(i, y)
    fixed, growing, joined = (tf.TensorArray(tf.float32, clear_after_read=False, **options) for options in (
        {"size": 5}, {"size": 0, "dynamic_size": True}, {"size": 5, "infer_shape": False}))
    loops = [tf.while_loop(lambda i, *_: i < 5, body, (0, x, ta))[2] for ta in (fixed, growing, joined)]
    return loops[0].stack(), loops[1].stack(), loops[2].concat(), loops[0].gather([4, 0])


@case(X)
def lists_outside_loops(x):
    written = tf.TensorArray(tf.float32, size=3)
    for i in range(3):
        written = written.write(i, x[i] * i)
    unstacked = tf.TensorArray(tf.float32, size=4).unstack(tf.transpose(x))
    split = tf.TensorArray(tf.float32, size=2, clear_after_read=False).split(tf.transpose(x), [2, 2])
    return (written.gather([2, 0]), unstacked.read(1), tf.cast(unstacked.size(), tf.float32) * x, split.concat(),
            split.read(1))


@case(X, SCALAR)
def lists_in_branches(x, s):
    ta = tf.TensorArray(tf.float32, size=2, element_shape=[4])
    return tf.cond(s > 0.5, lambda: ta.write(0, x[0]), lambda: ta.write(1, x[1])).stack()


@case(X, COUNT)
def lists_whose_lengths_are_fed(x, n):
    def body(i, y, ta):
        return i + 1, y * 0.5, ta.write(i, y)
    fixed, growing, ended = (tf.TensorArray(tf.float32, **options) for options in (
        {"size": n}, {"size": 0, "dynamic_size": True}, {"size": 0, "dynamic_size": True}))
    loops = [tf.while_loop(test, body, (0, x, ta))[2] for test, ta in (
        (lambda i, *_: i < n, fixed), (lambda i, *_: i < n, growing),
        (lambda i, y, _: tf.logical_and(i < n, tf.reduce_max(y) > 0.5), ended))]
    return loops[0].stack(), loops[1].stack() * 2, loops[2].stack()


@case(X, SCALAR)
def loops_over_what_is_chosen(x, s):
    chosen = tf.boolean_mask(x, x[:, 0] < s)
    return (tf.map_fn(lambda row: tf.reduce_sum(row) * row, chosen),
            tf.foldl(lambda a, row: a * 0.5 + row, chosen, tf.zeros([tf.shape(x)[1]])),
            tf.cond(s > 0.5, lambda: chosen * 2, lambda: -chosen))


@case(X)
def choices_in_few_rounds(x):
    """Each round has another size: rounds are written out."""
    return (tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y + tf.reduce_sum(tf.boolean_mask(
        x, x > y[0, 0]))), (0, x)), tf.map_fn(lambda i: tf.reduce_sum(tf.boolean_mask(x, x > tf.cast(i, tf.float32))),
                                              tf.range(3), tf.float32))


@case(X, versions=(2,))
def lists_that_are_pushed(x):
    raw = tf.raw_ops
    items = raw.EmptyTensorList(element_shape=[-1, 4], max_num_elements=-1, element_dtype=tf.float32)
    for factor in (1., 2., 3.):
        items = raw.TensorListPushBack(input_handle=items, tensor=x * factor)
    items, last = raw.TensorListPopBack(input_handle=items, element_shape=[-1, 4], element_dtype=tf.float32)
    _, pushed = tf.while_loop(lambda i, _: i < 4, lambda i, items: (i + 1, raw.TensorListPushBack(
        input_handle=items, tensor=x + tf.cast(i, tf.float32))), (0, items))
    resized = raw.TensorListResize(input_handle=items, size=3)
    return (last, raw.TensorListStack(input_handle=items, element_shape=[-1, 4], element_dtype=tf.float32),
            raw.TensorListStack(input_handle=pushed, element_shape=[-1, 4], element_dtype=tf.float32),
            raw.TensorListStack(input_handle=resized, element_shape=[-1, 4], element_dtype=tf.float32),
            raw.TensorListLength(input_handle=pushed))


@case(X, versions=(2,))
def lists_that_are_scattered(x):
    raw = tf.raw_ops
    rows = tf.transpose(x)
    options = {"element_shape": tf.constant([-1]), "tensor": rows, "indices": [3, 0, 1, 5]}
    items = raw.TensorListScatterV2(num_elements=7, **options)
    more = raw.TensorListScatterIntoExistingList(input_handle=items, tensor=rows[:1], indices=[2])
    stack = {"element_shape": tf.constant([-1]), "element_dtype": tf.float32}
    return (raw.TensorListGather(input_handle=items, indices=[5, 3], **stack),
            raw.TensorListGetItem(input_handle=more, index=2, **stack))


@case(STEPS, np.array([6, 2, 4], np.int32))
def recurrence_with_lengths(x, lengths):
    """As TensorFlow 1's dynamic_rnn does it."""
    by_step = tf.transpose(x, [1, 0, 2])
    inputs = tf.TensorArray(tf.float32, size=tf.shape(by_step)[0]).unstack(by_step)
    longest = tf.reduce_max(lengths)

    def body(time, state, outputs):
        new = tf.tanh(tf.matmul(tf.concat([inputs.read(time), state], 1), WEIGHTS))
        done = (time >= lengths)[:, None]
        new = tf.where(done, state, new)
        return time + 1, new, outputs.write(time, tf.where(done, tf.zeros_like(new), new))

    start = (0, tf.zeros([tf.shape(x)[0], 5]), tf.TensorArray(tf.float32, size=6, element_shape=[None, 5]))
    _, state, outputs = tf.while_loop(lambda time, *_: tf.logical_and(time < 6, time < longest), body, start)
    return tf.transpose(outputs.stack(), [1, 0, 2]), state


@case(STEPS, COUNT)
def slices_whose_place_is_fed(x, n):
    return x[:, n - 3], x[:, n - 2:n + 1], tf.slice(x, [0, n - 4, 1], [-1, 2, -1]), x[1, ..., n - 3], x[:, n - 8]


KEYS = [f"{name}_{version}" for name, (_, _, versions) in CASES.items() for version in versions]


def source(build, feeds, version):
    """The graph as TensorFlow writes it, its outputs' names, and what TensorFlow gives."""
    (v1.enable_control_flow_v2 if version == 2 else v1.disable_control_flow_v2)()
    try:
        with tf.Graph().as_default() as graph:
            inputs = [v1.placeholder(a.dtype, (None, *a.shape[1:]) if a.ndim else (), f"x{i}")
                      for i, a in enumerate(map(np.asarray, feeds))]
            names = [tf.identity(y, f"y{i}").op.name for i, y in enumerate(tf.nest.flatten(build(*inputs)))]
            with v1.Session() as session:
                expected = session.run([f"{name}:0" for name in names], dict(zip(inputs, feeds, strict=True)))
    finally:
        v1.enable_control_flow_v2()
    return graph.as_graph_def(), names, expected


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """By key: the graph, its feeds, and what TensorFlow gives."""
    folder, found = tmp_path_factory.mktemp("graphs"), {}
    for name, (build, feeds, versions) in CASES.items():
        for version in versions:
            definition, names, expected = source(build, feeds, version)
            path = folder / f"{name}_{version}.pb"
            path.write_bytes(definition.SerializeToString())
            graph = graphdef.load(path, outputs=names)
            verify(graph)
            given = {f"x{i}": a for i, a in enumerate(feeds) if f"x{i}" in graph.inputs}
            found[f"{name}_{version}"] = graph, given, expected
            if not definition.library.function:  # whose nodes are listed too
                listed = [label for label in graph.labels if ":" not in label]
                assert listed == [node.name for node in graphdef.in_order(definition.node)]
    return found


@pytest.fixture(scope="module")
def compiled(loaded):
    return Compiled({key: graph for key, (graph, *_) in loaded.items()}, units=2, levels=NATIVE[-1:])


@pytest.mark.parametrize("key", KEYS)
def test_control_flow(key, loaded, compiled):
    graph, feeds, expected = loaded[key]
    interpreted = interp.run(graph, {graph.inputs[k]: a for k, a in feeds.items()}, list(graph.outputs.values()))
    results = compiled.runner(key, NATIVE[-1])(feeds)
    for name, a, b in zip(graph.outputs, interpreted, expected, strict=True):
        assert_agree(np.asarray(a), np.asarray(b), 2e-5)
        assert_agree(results[name], np.asarray(b), 2e-5)


def loops(graph):
    return [node for node in graph.nodes if node.op == "loop"]


def test_counters_are_known_to_the_planner(loaded):
    for key in ("counter_1", "counter_2", "counter_downwards_by_two_2", "count_that_is_a_free_dimension_2"):
        loop, = loops(loaded[key][0])
        assert not loop.attrs["checked"] and loop.attrs["carried"] == 1, key
    loop, = loops(loaded["counter_and_value_2"][0])
    assert loop.attrs["checked"] and loop.inputs[0].constant == 50


def test_recurrent_layers_of_both_versions_are_one_loop(loaded):
    for key in ("recurrence_with_lengths_1", "recurrence_with_lengths_2"):
        loop, = loops(loaded[key][0])
        assert len(loop.types) <= 5


def test_nodes_inside_loops_are_listed_without_a_value(loaded):
    labels = loaded["counter_2"][0].labels
    inside = [label for label in labels.values() if "inside a loop" in label.why]
    assert {label.op for label in inside} >= {"Mul", "AddV2", "Less"}
    for key in ("counter_and_value_2", "shapes_that_grow_are_unrolled_2", "loops_in_loops_2"):
        assert not any(label.endswith("_") for label in loaded[key][0].labels), key


def refused(build, feeds, tmp_path, version=2):
    definition, names, _ = source(build, feeds, version)
    path = tmp_path / "graph.pb"
    path.write_bytes(definition.SerializeToString())
    with pytest.raises(ModelError) as error:
        graphdef.load(path, outputs=names)
    return str(error.value)


def test_what_cannot_be_compiled_is_said(tmp_path):
    def growing(x, n):
        free = tf.TensorShape([None, None])
        return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.concat([y, x], 1)), (0, x),
                             shape_invariants=(tf.TensorShape([]), free))[1]

    def listed(x, n):
        ta = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
        return tf.while_loop(lambda i, y, _: tf.reduce_sum(y) < 99.0, lambda i, y, ta: (i + 1, y * 2, ta.write(i, y)), (
            0, x, ta))[2].stack()

    def sized(x, n):
        return tf.cond(n > 3, lambda: x[:, :2], lambda: x)

    for version in (1, 2):
        assert "keep the shapes of what they carry" in refused(growing, (X, COUNT), tmp_path, version)
        assert "nothing bounds the number of rounds" in refused(listed, (X, COUNT), tmp_path, version)
        assert "branches give results of different types" in refused(sized, (X, COUNT), tmp_path, version)


def test_an_inner_node_of_a_loop_is_neither_input_nor_output(tmp_path):
    definition, _, _ = source(counter, (X,), 2)
    path = tmp_path / "graph.pb"
    path.write_bytes(definition.SerializeToString())
    with pytest.raises(ModelError, match="inside a loop or a branch"):
        graphdef.load(path, outputs=["mul"])
    with pytest.raises(ModelError, match="'mul' can't be an input: it is inside a loop"):
        graphdef.load(path, inputs={"mul": None})


def frame(**changes):
    """A loop of TensorFlow 1 by hand: x is doubled until a counter reaches 3."""
    number = pb.AttrValue(type=pb.DT_INT32)
    around = {"T": number, "frame_name": pb.AttrValue(s=b"f")}
    graph = pb.GraphDef(versions=pb.VersionDef(producer=1000))

    def const(name, value):
        tensor = pb.TensorProto(dtype=pb.DT_INT32, int_val=[value], tensor_shape=pb.TensorShapeProto())
        graph.node.add(name=name, op="Const", attr={"dtype": number, "value": pb.AttrValue(tensor=tensor)})

    const("zero", 0)
    const("three", 3)
    const("one", 1)
    nodes = {"enter": ("Enter", ["zero"]), "limit": ("Enter", ["three"]), "by": ("Enter", ["one"]),
             "merge": ("Merge", ["enter", "next"]), "less": ("Less", ["merge", "limit"]), "go": ("LoopCond", ["less"]),
             "switch": ("Switch", ["merge", "go"]), "add": ("Add", ["switch:1", "by"]),
             "next": ("NextIteration", ["add"]), "exit": ("Exit", ["switch"])} | changes
    for name, (op, inputs) in nodes.items():
        graph.node.add(name=name, op=op, input=inputs, attr=around if op == "Enter" else {"T": number})
    return graph


def test_a_loop_by_hand(tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(frame().SerializeToString())
    graph = graphdef.load(path, outputs=["exit"])
    assert interp.run(graph, {}, list(graph.outputs.values())) == [3]


@pytest.mark.parametrize("changes, message", [
    ({"go": ("Identity", ["less"])}, "without one LoopCond"),
    ({"again": ("LoopCond", ["less"])}, "without one LoopCond"),
    ({"next": ("Identity", ["add"])}, "cycle"),
    ({"merge": ("Merge", ["enter", "enter"])}, "doesn't join an Enter and a NextIteration"),
    ({"exit": ("Exit", ["add"])}, "doesn't read a value that the loop carries"),
    ({"merge": ("Merge", ["enter"])}, "doesn't read a value that the loop carries"),
    ({"less": ("Less", ["merge", "merge"])}, None),
    ({"less": ("LessEqual", ["merge", "merge"])}, None),
    ({"less": ("Equal", ["limit", "limit"])}, "a loop without an end"),
    ({"enter": ("Enter", ["add"])}, "cycle"),
    ({"less": ("Less", ["merge", "ghost"])}, "'ghost', which does not exist"),
])
def test_broken_loops_give_one_clear_error(changes, message, tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(frame(**changes).SerializeToString())
    if message is None:
        verify(graphdef.load(path, outputs=["exit"]))
        return
    with pytest.raises(ModelError, match=message) as error:
        graphdef.load(path, outputs=["exit"])
    assert "\n" not in str(error.value)


def nested(depth, op="StatelessIf"):
    """Functions that call the next one in both branches, or as condition and body."""
    graph = pb.GraphDef(versions=pb.VersionDef(producer=1000))
    flag = pb.AttrValue(type=pb.DT_BOOL)
    shape = pb.TensorShapeProto()
    graph.node.add(name="x", op="Placeholder", attr={"dtype": flag, "shape": pb.AttrValue(shape=shape)})

    def call(target, name, i, inputs):
        keys = ("then_branch", "else_branch") if op == "StatelessIf" else ("cond", "body")
        target.add(name=name, op=op, input=inputs, attr={
            key: pb.AttrValue(func=pb.NameAttrList(name=f"f{i}")) for key in keys})

    call(graph.node, "y", 0, ["x", "x"] if op == "StatelessIf" else ["x"])
    for i in range(depth):
        function = graph.library.function.add(ret={"out": "inner:output:0"})
        function.signature.name = f"f{i}"
        function.signature.input_arg.add(name="a")
        function.signature.output_arg.add(name="out")
        if i < depth - 1:
            call(function.node_def, "inner", i + 1, ["a", "a"] if op == "StatelessIf" else ["a"])
        else:
            function.node_def.add(name="inner", op="LogicalNot", input=["a"])
    return graph


@pytest.mark.parametrize("op", ["StatelessIf", "StatelessWhile"])
def test_deep_nesting_is_refused(op, tmp_path):
    path = tmp_path / "graph.pb"
    path.write_bytes(nested(60, op).SerializeToString())
    with pytest.raises(ModelError, match=r"more than 6 deep|nodes in all"):
        graphdef.load(path, outputs=["y"])
    path.write_bytes(nested(3, op).SerializeToString())
    verify(graphdef.load(path, outputs=["y"]))
