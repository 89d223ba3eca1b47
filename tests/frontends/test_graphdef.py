"""Frozen graphs: labels, inputs and outputs, cuts, and what is refused."""

import json
import os
import tracemalloc
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from castiron import frontends, interp
from castiron.errors import ModelError, UnsupportedOp
from castiron.frontends import graphdef, nesting
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import DType, TensorType, symbol, verify

MODELS = Path(__file__).parents[3] / "shared" / "models"
BATCH = symbol("batch")


def run(graph, feeds, *labels):
    """The outputs, or the values with the given labels."""
    fetches = [graph.labels[label].value for label in labels] or list(graph.outputs.values())
    return interp.run(graph, {graph.inputs[k]: v for k, v in feeds.items()}, fetches)


def graph_of(*nodes):
    """A GraphDef of (name, operator, inputs, attributes)."""
    graph = pb.GraphDef(versions=pb.VersionDef(producer=1000))
    for name, op, inputs, *attrs in nodes:
        graph.node.add(name=name, op=op, input=inputs, attr=attrs[0] if attrs else {})
    return graph


def placeholder(*dims):
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=d) for d in dims])
    return {"dtype": pb.AttrValue(type=pb.DT_FLOAT), "shape": pb.AttrValue(shape=shape)}


def const(*dims, **values):
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=d) for d in dims])
    tensor = pb.TensorProto(**{"dtype": pb.DT_FLOAT, "tensor_shape": shape, **values})
    return {"value": pb.AttrValue(tensor=tensor)}


@pytest.fixture
def write(tmp_path):
    def write(graph, name="model.pb"):
        path = tmp_path / name
        path.write_bytes(graph if isinstance(graph, bytes) else graph.SerializeToString())
        return path
    return write


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """A Keras model frozen as the walkthrough does: its file, TensorFlow's list of operations, and its function."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")
    import keras
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dropout(0.5),
                              keras.layers.Dense(64, activation="gelu"), keras.layers.BatchNormalization(),
                              keras.layers.LayerNormalization(), keras.layers.Dense(1, name="out")])
    function = tf.function(lambda x: model(x)).get_concrete_function(tf.TensorSpec((None, 10), tf.float32, name="x"))
    frozen = convert_variables_to_constants_v2(function)
    path = tmp_path_factory.mktemp("frozen") / "model.pb"
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return path, frozen, model


def test_keras_model(frozen):
    tf = pytest.importorskip("tensorflow")
    path, function, _ = frozen
    graph = frontends.load(path)
    assert {k: v.type for k, v in graph.inputs.items()} == {"x": TensorType(DType.F32, (BATCH, 10))}
    assert {k: v.type for k, v in graph.outputs.items()} == {"Identity": TensorType(DType.F32, (BATCH, 1))}
    for rows in (1, 7):
        x = np.random.default_rng(rows).standard_normal((rows, 10)).astype(np.float32)
        np.testing.assert_allclose(run(graph, {"x": x})[0], function(tf.constant(x))[0].numpy(), rtol=1e-5, atol=1e-6)


def test_labels_are_those_that_tensorflow_lists_in_its_order(frozen):
    tf = pytest.importorskip("tensorflow")
    path, _, _ = frozen
    with tf.Graph().as_default() as imported:
        definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        tf.import_graph_def(definition, name="")
    graph = graphdef.load(path)
    listed = [(op.name, op.type) for op in imported.get_operations()]
    assert [(name, label.op) for name, label in graph.labels.items()] == listed
    assert [name for name, label in graph.labels.items() if label.value is None] == ["NoOp"]


def test_every_label_has_tensorflows_value(frozen):
    tf = pytest.importorskip("tensorflow")
    path, _, _ = frozen
    graph = graphdef.load(path)
    x = np.random.default_rng(0).standard_normal((5, 10)).astype(np.float32)
    labels = [name for name, label in graph.labels.items() if label.value]
    with tf.Graph().as_default() as imported, tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(path.read_bytes()), name="")
        expected = session.run([imported.get_tensor_by_name(f"{name}:0") for name in labels], {"x:0": x})
    for name, actual, wanted in zip(labels, run(graph, {"x": x}, *labels), expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_order_where_the_file_is_not_sorted(write):
    tf = pytest.importorskip("tensorflow")
    definition = graph_of(("end", "Add", ["b", "a:0", "^late"], {"T": pb.AttrValue(type=pb.DT_FLOAT)}),
                          ("b", "Identity", ["x"], {"T": pb.AttrValue(type=pb.DT_FLOAT)}),
                          ("late", "NoOp", ["^b"]),
                          ("a", "Neg", ["x"], {"T": pb.AttrValue(type=pb.DT_FLOAT)}),
                          ("unused", "NoOp", []),
                          ("x", "Placeholder", [], placeholder(-1, 2)))
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(definition.SerializeToString()), name="")
    graph = graphdef.load(write(definition))
    assert list(graph.labels) == [op.name for op in imported.get_operations()]
    assert list(graph.outputs) == ["end"]


def test_text_form(frozen, tmp_path):
    tf = pytest.importorskip("tensorflow")
    path, function, _ = frozen
    tf.io.write_graph(function.graph.as_graph_def(), str(tmp_path), "model.txt", as_text=True)
    assert frontends.detect(tmp_path / "model.txt") is graphdef
    graph = graphdef.load(tmp_path / "model.txt")
    assert list(graph.labels) == list(graphdef.load(path).labels)
    x = np.ones((2, 10), np.float32)
    np.testing.assert_allclose(run(graph, {"x": x})[0], function(tf.constant(x))[0].numpy(), rtol=1e-5, atol=1e-6)


def test_secondary_results_have_labels(write):
    graph = graphdef.load(write(graph_of(
        ("x", "Placeholder", [], placeholder(-1, 4)), ("axis", "Const", [], const(dtype=pb.DT_INT32, int_val=[1])),
        ("split", "Split", ["axis", "x"], {"num_split": pb.AttrValue(i=2)}),
        ("y", "Sub", ["split:1", "split"]))))
    assert list(graph.labels) == ["x", "axis", "split", "split:1", "y"]
    x = np.array([[1, 2, 5, 9]], np.float32)
    np.testing.assert_array_equal(run(graph, {"x": x}, "split:1", "y"), [[[5, 9]], [[4, 7]]])


def test_outputs_are_what_nobody_reads_and_inputs_decide(write):
    graph = graphdef.load(write(graph_of(
        ("x", "Placeholder", [], placeholder(-1, 4)), ("lonely", "Const", [], const(float_val=[1])),
        ("copy", "Identity", ["lonely"]), ("a", "Relu", ["x"]), ("b", "Tanh", ["x"]), ("check", "Assert", ["a"]),
        ("done", "NoOp", ["^b"]), ("labels", "Placeholder", [], placeholder(-1)))))
    assert list(graph.outputs) == ["a", "b"] and list(graph.inputs) == ["x"]
    assert graph.labels["check"].value is None and graph.labels["labels"].value is None
    assert "no output needs" in graph.labels["labels"].why
    verify(graph)


def test_names_of_free_dimensions(write):
    graph = graphdef.load(write(graph_of(
        ("in/a", "Placeholder", [], placeholder(-1, -1, 3)), ("b", "Placeholder", [], placeholder(-1, 5, 3)),
        ("sum", "Sum", ["in/a", "axis"]), ("axis", "Const", [], const(dtype=pb.DT_INT32, int_val=[1])),
        ("total", "Sum", ["b", "axis"]), ("y", "Add", ["sum", "total"]))))
    assert repr(graph.inputs["in/a"].type) == "f32[batch,in_a_1,3]" and graph.inputs["b"].type.shape[0] == BATCH


def test_cut_at_labels(frozen):
    path, _, _ = frozen
    inner = next(name for name in graphdef.load(path).labels if name.endswith("/MatMul"))
    graph = graphdef.load(path, inputs={inner: None}, outputs=["Identity:0"])
    verify(graph)
    assert list(graph.inputs) == [inner] and graph.labels["x"].value is None
    whole = graphdef.load(path)
    x = np.random.default_rng(1).standard_normal((3, 10)).astype(np.float32)
    middle, expected = run(whole, {"x": x}, inner, "Identity")
    np.testing.assert_array_equal(run(graph, {inner: middle})[0], expected)
    assert list(graphdef.load(path, outputs=[inner]).outputs) == [inner]
    with pytest.raises(ModelError, match="no node is called 'Identiy'; there are 'Identity'"):
        graphdef.load(path, outputs=["Identiy"])


def test_unknown_rank_is_pinned_by_constant_weights_or_given(write):
    unknown = {"dtype": pb.AttrValue(type=pb.DT_FLOAT),
               "shape": pb.AttrValue(shape=pb.TensorShapeProto(unknown_rank=True))}
    path = write(graph_of(("x", "Placeholder", [], unknown), ("w", "Const", [], const(3, 2)),
                          ("read", "Identity", ["w"]), ("copy", "Identity", ["x"]), ("y", "MatMul", ["copy", "read"])))
    assert graphdef.load(path).inputs["x"].type.shape == (BATCH, 3)
    path = write(graph_of(("x", "Placeholder", [], unknown), ("y", "Relu", ["x"])))
    with pytest.raises(ModelError, match=r"how many dimensions the input 'x' has: .* --input x=f32\[batch,10\]"):
        graphdef.load(path)
    assert graphdef.load(path, inputs={"x": TensorType(DType.F32, ())}).outputs["y"].type == TensorType(DType.F32, ())


def test_unknown_rank_is_pinned_by_convolutions_and_rows(write):
    unknown = {"dtype": pb.AttrValue(type=pb.DT_FLOAT),
               "shape": pb.AttrValue(shape=pb.TensorShapeProto(unknown_rank=True))}

    def integers(*numbers):
        return const(len(numbers), dtype=pb.DT_INT32, int_val=numbers)

    window = {"strides": pb.AttrValue(list=pb.AttrValue.ListValue(i=[1, 1, 1, 1])), "padding": pb.AttrValue(s=b"SAME")}
    axis = ("axis", "Const", [], const(dtype=pb.DT_INT32, int_val=[0]))
    path = write(graph_of(("x", "Placeholder", [], unknown), axis, ("image", "ExpandDims", ["x", "axis"]),
                          ("w", "Const", [], const(3, 3, 2, 4)), ("y", "Conv2D", ["image", "w"], window)))
    assert repr(graphdef.load(path).inputs["x"].type) == "f32[batch,x_1,2]"
    path = write(graph_of(("x", "Placeholder", [], unknown), ("shape", "Const", [], integers(-1, 4, 3)),
                          ("y", "Reshape", ["x", "shape"])))
    assert graphdef.load(path).inputs["x"].type.shape == (BATCH, 12)
    path = write(graph_of(
        ("x", "Placeholder", [], unknown), ("dims", "Shape", ["x"]), ("a", "Const", [], integers(0)),
        ("b", "Const", [], integers(1)), ("rows", "StridedSlice", ["dims", "a", "b", "b"],
                                          {"shrink_axis_mask": pb.AttrValue(i=1)}),
        ("width", "Const", [], const(dtype=pb.DT_INT32, int_val=[6])), ("shape", "Pack", ["rows", "width"]),
        ("y", "Reshape", ["x", "shape"])))
    assert graphdef.load(path).inputs["x"].type.shape == (BATCH, 6)


def test_an_old_producer_writes_unknown_shapes_as_scalars(write):
    graph = graph_of(("x", "Placeholder", [], placeholder()), ("w", "Const", [], const(3, 2)),
                     ("y", "MatMul", ["x", "w"]))
    graph.versions.producer = 21
    assert graphdef.load(write(graph)).inputs["x"].type.shape == (BATCH, 3)


def test_placeholders_may_have_a_fixed_value(write):
    path = write(graph_of(("x", "Placeholder", [], placeholder(-1, 2)), ("k", "Placeholder", [], placeholder()),
                          ("w", "Placeholder", [], placeholder(2)), ("a", "Mul", ["x", "k"]), ("y", "Add", ["a", "w"])))
    graph = graphdef.load(path, fixed={"k": np.float64(3), "w:0": np.float32(1)})
    assert list(graph.inputs) == ["x"]
    np.testing.assert_array_equal(run(graph, {"x": np.array([[1, 2]], np.float32)})[0], [[4, 7]])
    with pytest.raises(ModelError, match="no node is called 'kk'"):
        graphdef.load(path, fixed={"kk": np.float32(1)})
    with pytest.raises(ModelError, match=r"the value of 'w' is f32\[3\], which doesn't fit f32\[2\]"):
        graphdef.load(path, fixed={"w": np.zeros(3, np.float32)})


def test_placeholder_with_default_is_an_input_only_if_there_is_no_other_or_it_is_named(write):
    default = ("p", "PlaceholderWithDefault", ["c"], placeholder(-1))
    two = ("c", "Const", [], const(1, float_val=[2]))
    graph = graphdef.load(write(graph_of(two, default, ("x", "Placeholder", [], placeholder(-1)),
                                         ("y", "Mul", ["x", "p"]))))
    assert list(graph.inputs) == ["x"]
    np.testing.assert_array_equal(run(graph, {"x": np.array([3], np.float32)})[0], [6])
    path = write(graph_of(two, default, ("y", "Neg", ["p"])))
    assert graphdef.load(path).inputs["p"].type == TensorType(DType.F32, (BATCH,))


def test_branches_on_constants_are_decided(write):
    tf = pytest.importorskip("tensorflow")
    v1 = tf.compat.v1
    with tf.Graph().as_default() as source:
        v1.disable_control_flow_v2()
        x = v1.placeholder(tf.float32, [None, 3], "x")
        training = v1.placeholder_with_default(False, [], "keras_learning_phase")
        y = v1.cond(training, lambda: tf.random.uniform(tf.shape(x)) * x, lambda: x * 2)
        tf.identity(y, "y")
    graph = graphdef.load(write(source.as_graph_def()))
    np.testing.assert_array_equal(run(graph, {"x": np.ones((2, 3), np.float32)})[0], np.full((2, 3), 2))
    dead = [name for name, label in graph.labels.items() if label.why == "in a branch that is not taken"]
    assert any("random_uniform" in name for name in dead)


@pytest.mark.parametrize("kind", ["floor", "compare"])
def test_dropout_that_keeps_everything(kind, write):
    """The two forms in which TensorFlow 1 wrote dropout."""
    tf = pytest.importorskip("tensorflow")

    def dropout(x, keep):
        low, high = tf.constant(0.0), tf.constant(1.0)
        uniform = tf.raw_ops.RandomUniform(shape=tf.shape(x), dtype=tf.float32) * (high - low) + low
        if kind == "floor":
            return x / keep * tf.floor(keep + uniform)
        return x / keep * tf.cast(uniform >= 1 - keep, tf.float32)

    for keep, loads in ((1.0, True), (0.9, False)):
        with tf.Graph().as_default() as source:
            x = tf.compat.v1.placeholder(tf.float32, [None, 3], "x")
            dropout(x, tf.compat.v1.placeholder_with_default(np.float32(keep), []))
        path = write(source.as_graph_def())
        if loads:
            rows = np.array([[1, -2, np.inf]], np.float32)
            np.testing.assert_array_equal(run(graphdef.load(path), {"x": rows})[0], rows)
        else:
            with pytest.raises(UnsupportedOp, match="RandomUniform × 1"):
                graphdef.load(path)


def test_function_calls_are_inlined(write):
    tf = pytest.importorskip("tensorflow")
    inner = tf.function(lambda a, b: (a + b, tf.split(a - b, 2, axis=1)[1]), autograph=False)
    with tf.Graph().as_default() as source:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        first, second = inner(x, x * 3)
        third, _ = inner(first, x)
        tf.identity(tf.concat([second, third], 1), "y")
    graph = graphdef.load(write(source.as_graph_def()))
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_array_equal(run(graph, {"x": x}, "y")[0], np.concatenate([-2 * x[:, 2:], 5 * x], 1))
    assert "add" in graph.labels and sum(name.endswith("/add") for name in graph.labels) == 1


def test_all_unsupported_operators_are_reported_at_once(write):
    path = write(graph_of(
        ("x", "Placeholder", [], placeholder(-1, 4)), *((f"magic{i}", "Magic", ["x"]) for i in range(6)),
        ("sum", "AddN", [f"magic{i}" for i in range(6)]), ("y", "Wonder", ["sum"]),
        ("unneeded", "Oddity", ["x"]), ("z", "NoOp", ["^unneeded"])))
    with pytest.raises(UnsupportedOp, match=r"2 operators.* Magic × 6 \('magic0', .*…\); Wonder × 1 \('y'\)"):
        graphdef.load(path, outputs=["y"])
    graph = graphdef.load(path, outputs=["x"])
    assert graph.labels["sum"].value is None and graph.labels["sum"].why == "needs 'magic0': Magic is not supported"


def test_variables_without_values(write):
    path = write(graph_of(("x", "Placeholder", [], placeholder(-1)), ("v", "VariableV2", []), ("y", "Mul", ["x", "v"])))
    with pytest.raises(ModelError, match="variable 'v' has no value in this file: freeze"):
        graphdef.load(path)


def recursive():
    graph = graph_of(("x", "Placeholder", [], placeholder(-1)), ("y", "PartitionedCall", ["x"]))
    call = pb.AttrValue(func=pb.NameAttrList(name="f"))
    graph.node[1].attr["f"].CopyFrom(call)
    function = graph.library.function.add(ret={"out": "again:output:0"})
    function.signature.name = "f"
    function.signature.input_arg.add(name="a")
    function.signature.output_arg.add(name="out")
    function.node_def.add(name="again", op="PartitionedCall", input=["a"], attr={"f": call})
    return graph


def exponential():
    """Each of 40 functions calls the next one twice."""
    graph = graph_of(("x", "Placeholder", [], placeholder(-1)), ("y", "f0", ["x"]))
    for i in range(40):
        function = graph.library.function.add(ret={"out": "sum:z:0"})
        function.signature.name = f"f{i}"
        function.signature.input_arg.add(name="a")
        function.signature.output_arg.add(name="out")
        for name in ("one", "two"):
            function.node_def.add(name=name, op=f"f{i + 1}" if i < 39 else "Neg", input=["a"])
        function.node_def.add(name="sum", op="AddV2", input=["one:o:0", "two:o:0"])
    return graph


X = ("x", "Placeholder", [], placeholder(-1))
BROKEN = {
    "cycle": (graph_of(X, ("a", "Add", ["x", "b"]), ("b", "Neg", ["a"])), "cycle at node 'a'"),
    "self": (graph_of(X, ("a", "Add", ["x", "a"])), "cycle"),
    "nobody": (graph_of(X, ("a", "Neg", ["ghost"])), "node 'a' reads 'ghost', which does not exist"),
    "twice": (graph_of(X, X, ("y", "Neg", ["x"])), "two nodes are called 'x'"),
    "result": (graph_of(X, ("y", "Neg", ["x:7"])), "'x:7' is read"),
    "reference": (graph_of(X, ("y", "Neg", ["x:-1"])), "not a reference"),
    "operands": (graph_of(X, ("y", "MatMul", ["x"])), r"node 'y' \(MatMul\)"),
    "rank": (graph_of(X, ("y", "MatMul", ["x", "x"])), "expects matrices"),
    "huge": (graph_of(X, ("c", "Const", [], const(1 << 40, float_val=[1])), ("y", "Add", ["x", "c"])),
             "declares 1099511627776 elements but holds 1"),
    "huge product": (graph_of(X, ("c", "Const", [], const(*(1 << 40,) * 9)), ("y", "Add", ["x", "c"])), "declares"),
    "short": (graph_of(X, ("c", "Const", [], const(3, tensor_content=b"12345678")), ("y", "Add", ["x", "c"])),
              r"8 bytes where f32\[3\] needs 12"),
    "long": (graph_of(X, ("c", "Const", [], const(2, float_val=[1, 2, 3])), ("y", "Add", ["x", "c"])), "holds 3"),
    "string": (graph_of(X, ("c", "Const", [], const(dtype=pb.DT_STRING)), ("y", "Add", ["x", "c"])), "Add of strings"),
    "unknown type": (graph_of(X, ("c", "Const", [], const(dtype=77)), ("y", "Add", ["x", "c"])), "type #77"),
    "no value": (graph_of(X, ("c", "Const", []), ("y", "Add", ["x", "c"])), "node 'c'"),
    "types": (graph_of(X, ("c", "Const", [], const(dtype=pb.DT_INT32)), ("y", "Add", ["x", "c"])), "types differ"),
    "recursion": (recursive(), "function 'f' calls itself"),
    "exponential": (exponential(), "functions and bodies have more than 2000 nodes"),
    "range": (graph_of(X, ("a", "Const", [], const(dtype=pb.DT_INT64)),
                       ("b", "Const", [], const(dtype=pb.DT_INT64, int64_val=[1 << 60])),
                       ("d", "Const", [], const(dtype=pb.DT_INT64, int64_val=[1])),
                       ("r", "Range", ["a", "b", "d"]), ("s", "Cast", ["r"], {"DstT": pb.AttrValue(type=pb.DT_FLOAT)}),
                       ("y", "Add", ["x", "s"])), "range of"),
    "nothing": (graph_of(X), "computes nothing"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_graphs_give_one_clear_error(name, write, monkeypatch):
    monkeypatch.setattr(nesting, "NODE_LIMIT", 2000)
    graph, message = BROKEN[name]
    path = write(graph)
    with pytest.raises(ModelError, match=message) as error:
        graphdef.load(path)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_declared_size_takes_no_memory(write):
    path = write(BROKEN["huge"][0])
    tracemalloc.start()
    with pytest.raises(ModelError):
        graphdef.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 24


def test_truncated_files(frozen, write):
    data = frozen[0].read_bytes()
    for size in (1, 40, len(data) // 2, len(data) - 1):
        path = write(data[:size])
        with pytest.raises(ModelError, match=r"model\.pb: "):
            frontends.load(path)
    assert graphdef.matches(write(data[: len(data) // 2]))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files(seed, frozen, write):
    """Whatever is flipped: either a model or one ModelError."""
    rng = np.random.default_rng(seed)
    data = bytearray(frozen[0].read_bytes())
    for _ in range(rng.integers(1, 30)):
        data[rng.integers(len(data))] = rng.integers(256)
    try:
        verify(graphdef.load(write(bytes(data))))
    except ModelError:
        pass


@pytest.mark.parametrize("data", [b"", b"\n", b"PK\x03\x04 a zip", b"\x89HDF\r\n\x1a\n", b"x1,x2\n1,2\n", bytes(256),
                                  b"\x08\x08\x12\x07pytorch", b"\n" * 100, b"node_count,5\n"])
def test_other_files_do_not_match(data, write):
    assert not graphdef.matches(write(data, "file"))


REAL = {"g_fc": {}, "g_ae0": {}, "g_kws_dnn": {"Mfcc": TensorType(DType.F32, (BATCH, 25, 10))}}


@pytest.mark.parametrize("id", REAL)
def test_real_models(id):
    if not MODELS.is_dir():
        pytest.skip(f"no folder {MODELS}")
    entry = next(model for model in json.loads((MODELS / "index.json").read_text()) if model["id"] == id)
    output, = entry["outputs"]
    cut = {"inputs": REAL[id], "outputs": [output]} if REAL[id] else {}
    graph = graphdef.load(MODELS / entry["file"], **cut)
    verify(graph)
    reference = np.load(MODELS / entry["reference"])
    feeds = {name.partition(":")[0]: reference[key] for name in entry["inputs"]
             for key in reference.files if key.split("/")[-1] == name or key.endswith(name)}
    expected = next(reference[key] for key in reference.files if key.endswith(output))
    np.testing.assert_allclose(run(graph, feeds)[0], expected, rtol=1e-4, atol=1e-5)
