"""SavedModels of both TensorFlows and both Kerases, their signatures, and what is refused."""

import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import castiron
from castiron import frontends, interp
from castiron.errors import ModelError, UnsupportedOp
from castiron.frontends import savedmodel
from castiron.frontends.tensorflow.proto import saved_model_pb2 as pb
from castiron.ir import DType, TensorType, symbol, verify

tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")

MODELS = Path(__file__).parents[3] / "shared" / "models"
BATCH = symbol("batch")
X = np.random.default_rng(8).standard_normal((5, 6)).astype(np.float32)


def run(graph, **feeds):
    arrays = interp.run(graph, {graph.inputs[k]: v for k, v in feeds.items()}, list(graph.outputs.values()))
    return dict(zip(graph.outputs, arrays, strict=True))


def serve(path, signature="serving_default", **feeds):
    """TensorFlow's own answer."""
    results = tf.saved_model.load(str(path)).signatures[signature](**{k: tf.constant(v) for k, v in feeds.items()})
    return {k: v.numpy() for k, v in results.items()}


def check(path, signature=None, **feeds):
    """The graph, after its outputs were compared with TensorFlow's."""
    assert frontends.detect(path) is savedmodel
    graph = savedmodel.load(path, signature=signature)
    verify(graph)
    expected, actual = serve(path, signature or "serving_default", **feeds), run(graph, **feeds)
    assert sorted(actual) == sorted(expected)
    for key, array in expected.items():
        assert actual[key].dtype == array.dtype
        np.testing.assert_allclose(actual[key], array, rtol=2e-5, atol=2e-6)
    return graph


@pytest.fixture(scope="module")
def keras_model():
    import keras

    keras.utils.set_random_seed(5)
    x = keras.Input((6,), name="features")
    y = keras.layers.Dense(8, "silu")(x)
    y = keras.layers.BatchNormalization()(y)
    y = keras.layers.Dropout(0.3)(y)
    z = keras.layers.Reshape((2, 4))(y)
    z = keras.layers.Dense(3, "softmax", name="rank3")(z)
    z = keras.layers.Flatten()(z)
    y = keras.layers.Concatenate()([y, z, keras.layers.Dense(8, "selu")(y)])
    return keras.Model(x, [keras.layers.Dense(2, name="first")(y), keras.layers.Dense(1, "sigmoid", name="second")(y)])


@pytest.fixture(scope="module")
def exported(keras_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model"
    keras_model.export(str(path), verbose=False)
    return path


def test_keras_export(exported):
    graph = check(exported, features=X)
    assert {k: v.type for k, v in graph.inputs.items()} == {"features": TensorType(DType.F32, (BATCH, 6))}
    assert {k: v.type.shape for k, v in graph.outputs.items()} == {"output_0": (BATCH, 2), "output_1": (BATCH, 1)}
    run(graph, features=X[:1])


def test_labels_are_those_of_the_called_functions_in_tensorflows_order(exported):
    graph = savedmodel.load(exported)
    function = tf.saved_model.load(str(exported)).signatures["serving_default"]
    body = next(op for op in function.graph.get_operations() if op.type == "StatefulPartitionedCall")
    inner = function.graph._get_function(body.get_attr("f").name).graph.get_operations()
    expected = [op.name for op in inner if op.type not in ("Placeholder",)]
    labels = [label for label in graph.labels if ":" not in label]
    start = labels.index(expected[0])
    assert labels[start:start + len(expected)] == expected
    assert len(set(labels)) == len(labels)
    assert any(label.endswith("first_1/MatMul") for label in labels)


def test_saved_by_saved_model_save(keras_model, tmp_path):
    """Such a model restores copies of its variables; which they are copies of, only the objects tell."""
    tf.saved_model.save(keras_model, str(tmp_path / "m"))
    name, = savedmodel.load(tmp_path / "m").inputs
    check(tmp_path / "m", **{name: X})


def test_recurrent_layers(tmp_path):
    """As loops, with and without a free length, and with masks."""
    import keras

    keras.utils.set_random_seed(5)
    steps = np.random.default_rng(2).standard_normal((3, 6, 4)).astype(np.float32)
    steps[1, 4:], steps[2, 2:] = 0, 0
    x = keras.Input((6, 4), name="steps")
    free = keras.Input((None, 4), name="free")
    layers = keras.layers
    outputs = [layers.LSTM(5, return_sequences=True)(free), layers.GRU(3, reset_after=False, go_backwards=True)(free),
               layers.Bidirectional(layers.GRU(5))(layers.Masking()(x)),
               layers.ConvLSTM2D(2, 2, padding="same")(layers.Reshape((6, 2, 2, 1))(x))]
    keras.Model([x, free], outputs).export(str(tmp_path / "m"), verbose=False)
    graph = check(tmp_path / "m", steps=steps, free=steps)
    expected, results = run(graph, steps=steps, free=steps), castiron.compile(graph)(steps=steps, free=steps)
    for key, array in expected.items():
        np.testing.assert_allclose(results[key], array, rtol=2e-5, atol=2e-6)
    # A bidirectional layer has two.
    assert sum(node.op == "loop" for node in graph.nodes) == len(outputs) + 1


def test_keras_2(tmp_path):
    keras2 = pytest.importorskip("tf_keras", reason="Keras 2 (tf_keras) is not installed")
    model = keras2.Sequential([keras2.layers.Dense(4, "relu", input_shape=(6,)), keras2.layers.BatchNormalization(),
                               keras2.layers.Dense(1)])
    model.save(str(tmp_path / "m"), save_format="tf")
    check(tmp_path / "m", **{model.input_names[0]: X})


class Module(tf.Module):
    """Two variables of one name, a scalar, a double, and nested functions."""

    def __init__(self):
        self.a = tf.Variable(np.arange(12, dtype=np.float32).reshape(6, 2), name="v")
        self.b = tf.Variable([3.0, -1.0], name="v")
        self.table = tf.Variable(np.arange(10, dtype=np.float32).reshape(5, 2), name="table")
        self.scale = tf.Variable(np.float64(0.5))
        self.list = [tf.Variable(7.0)]

    @tf.function
    def inner(self, x):
        return tf.matmul(x, self.a) + self.b

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x")])
    def __call__(self, x):
        return {"z": self.inner(x) * self.list[0], "a": self.inner(x + 1), "wide": tf.cast(x, tf.float64) * self.scale}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "rows")])
    def lookup(self, rows):
        return tf.gather(self.table, rows)

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x")])
    def count(self, x):
        self.b.assign_add([1.0, 1.0])
        return self.inner(x)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
    def text(self, text):
        return tf.strings.length(text)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, "x")])
    def any_shape(self, x):
        return x * self.list[0]


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    path = tmp_path_factory.mktemp("module") / "m"
    m = Module()
    tf.saved_model.save(m, str(path), signatures={
        "call": m.__call__.get_concrete_function(), "lookup": m.lookup, "count": m.count, "text": m.text,
        "any_shape": m.any_shape})
    return path


def test_module(module):
    graph = check(module, "call", x=X)
    assert list(graph.outputs) == ["a", "wide", "z"]
    assert sum(label.endswith("MatMul") for label in graph.labels) == 2
    check(module, "lookup", rows=np.array([4, 0, 0], np.int32))


def test_signatures(module):
    with pytest.raises(ModelError, match=r"which signature\? There are 'any_shape', 'call', 'count', 'lookup', 'text'"):
        savedmodel.load(module)
    with pytest.raises(ModelError, match="no signature is called 'cal'; there are 'any_shape', 'call'"):
        savedmodel.load(module, signature="cal")
    with pytest.raises(ModelError, match="StringLength × 1"):
        savedmodel.load(module, signature="text")


def test_unknown_rank_is_given(module):
    with pytest.raises(ModelError, match="the file does not say how many dimensions"):
        savedmodel.load(module, signature="any_shape")
    graph = savedmodel.load(module, signature="any_shape", inputs={"x": TensorType(DType.F32, (BATCH, 3))})
    np.testing.assert_array_equal(run(graph, x=X[:, :3])["output_0"], X[:, :3] * 7)


def test_cut_at_labels_of_called_functions(exported):
    whole = savedmodel.load(exported)
    inner = next(label for label in whole.labels if label.endswith("/batch_normalization/batchnorm/add_1")
                 or label.endswith("batchnorm/add_1"))
    middle, expected = interp.run(whole, {whole.inputs["features"]: X},
                                  [whole.labels[inner].value, whole.outputs["output_1"]])
    graph = savedmodel.load(exported, inputs={inner: None}, outputs=["output_1"])
    verify(graph)
    assert list(graph.inputs) == [inner] and list(graph.outputs) == ["output_1"]
    np.testing.assert_array_equal(run(graph, **{inner: middle})["output_1"], expected)
    front = savedmodel.load(exported, outputs=[inner])
    np.testing.assert_array_equal(run(front, features=X)[inner], middle)
    fixed = savedmodel.load(exported, inputs={inner: TensorType(DType.F32, (5, 8))}, outputs=["output_1"])
    assert fixed.outputs["output_1"].type.shape == (5, 1)
    with pytest.raises(ModelError, match="no node is called 'batchnorm'; there are"):
        savedmodel.load(exported, outputs=["batchnorm"])


def test_inputs_may_have_other_types_or_values(exported, module):
    graph = savedmodel.load(exported, inputs={"features": TensorType(DType.F32, (2, 6))})
    assert graph.outputs["output_1"].type.shape == (2, 1)
    graph = savedmodel.load(exported, fixed={"features": X[:1]})
    assert not graph.inputs
    np.testing.assert_allclose(run(graph)["output_0"], serve(exported, features=X[:1])["output_0"], rtol=2e-5)


def test_behind_what_works_on_strings(tmp_path):
    """Nodes before a cut need not be supported."""
    class Parsing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def __call__(self, text):
            return tf.nn.relu(tf.strings.to_number(text) * 2 - 1)

    tf.saved_model.save(Parsing(), str(tmp_path / "m"))
    with pytest.raises(UnsupportedOp, match="StringToNumber × 1"):
        savedmodel.load(tmp_path / "m")
    with pytest.raises(ModelError, match="nothing says the type of 'StringToNumber': give it, such as --input Str"):
        savedmodel.load(tmp_path / "m", inputs={"StringToNumber": None})
    graph = savedmodel.load(tmp_path / "m", inputs={"StringToNumber": TensorType(DType.F32, (BATCH,))})
    np.testing.assert_array_equal(run(graph, StringToNumber=np.array([3, -1], np.float32))["output_0"], [5, 0])


def test_declared_signatures(module):
    found = savedmodel.signatures(module)
    assert sorted(found) == ["any_shape", "call", "count", "lookup", "text"]
    assert found["lookup"].inputs == {"rows": "i32[batch]"} and found["text"].inputs == {"text": "string[batch]"}
    assert found["any_shape"].inputs == {"x": "f32 of any rank"}


def test_the_only_signature_is_the_default(tmp_path):
    m = Module()
    tf.saved_model.save(m, str(tmp_path / "m"), signatures={"mine": m.lookup})
    assert list(savedmodel.load(tmp_path / "m").inputs) == ["rows"]


def test_unsupported_operators_inside_functions(tmp_path):
    class Sorter(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32, "x")])
        def __call__(self, x):
            return tf.math.igamma(x, x) + tf.math.zeta(x, x)

    tf.saved_model.save(Sorter(), str(tmp_path / "m"))
    with pytest.raises(UnsupportedOp, match=r"2 operators that are not supported: Igamma × 1 .*; Zeta × 1"):
        savedmodel.load(tmp_path / "m")


@pytest.mark.parametrize("resource", [False, True])
def test_tensorflow_1(resource, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 6], "x")
        target = v1.placeholder(tf.float32, [None, 2], "target")
        kernel = v1.get_variable("layer/kernel", initializer=np.full((6, 2), 0.5, np.float32), use_resource=resource)
        bias = v1.get_variable("layer/bias", initializer=np.zeros(2, np.float32), use_resource=resource)
        y = tf.nn.sigmoid(v1.nn.xw_plus_b(x, kernel, bias), name="y")
        train = v1.train.AdamOptimizer(0.1).minimize(v1.losses.mean_squared_error(target, y))
        session.run(v1.global_variables_initializer())
        session.run(train, {x: X, target: X[:, :2]})
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"inputs": x}, {"scores": y})
        expected = session.run(y, {x: X})
    graph = check(tmp_path / "m", inputs=X)
    np.testing.assert_allclose(run(graph, inputs=X)["scores"], expected, rtol=1e-5)
    assert "save/RestoreV2" not in graph.labels and "target" not in graph.labels
    assert graph.labels["xw_plus_b/MatMul"].op == "MatMul"


def test_frozen_tensorflow_1_model_without_variables(tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 6], "x")
        v1.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": x * 2 + 1})
    shutil.rmtree(tmp_path / "m" / "variables", ignore_errors=True)
    graph = savedmodel.load(tmp_path / "m")
    np.testing.assert_array_equal(run(graph, x=X)["y"], X * 2 + 1)


def test_the_file_inside_stands_for_the_directory(exported):
    assert list(savedmodel.load(exported / "saved_model.pb").inputs) == ["features"]
    assert not savedmodel.matches(exported / "variables") and not savedmodel.matches(exported.parent)


def edit(path, change):
    model = pb.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(model)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def cut(name, size):
    def change(path):
        file = path / name
        file.write_bytes(file.read_bytes()[:size])
    return change


def flip(name, end):
    """A bit of every 16th byte."""
    def change(path):
        data = bytearray((path / name).read_bytes())
        data[:end:16] = bytes(byte ^ 0x40 for byte in data[:end:16])
        (path / name).write_bytes(data)
    return change


INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"
BROKEN = {
    "graphs cut": (cut("saved_model.pb", 5000), r"saved_model\.pb is damaged or cut off"),
    "graphs empty": (cut("saved_model.pb", 0), "expects one graph with the tag 'serve'; there are none"),
    "no index": (lambda path: (path / INDEX).unlink(), r"variables\.index.*can't be read: No such file"),
    "no data": (lambda path: (path / DATA).unlink(), r"data-00000-of-00001, which holds variable '.*No such file"),
    "index cut": (cut(INDEX, 300), r"variables\.index: it is cut off"),
    "index empty": (cut(INDEX, 0), r"variables\.index: it is cut off"),
    "index flipped": (flip(INDEX, -60), r"variables\.index: a block is damaged: its checksum differs"),
    "data cut": (cut(DATA, 200), r"data-00000-of-00001 is cut off: it has 200 bytes, variable '"),
    "data flipped": (flip(DATA, None), "is damaged: its checksum differs"),
    "no restore": (lambda path: edit(path, lambda m: [
        m.meta_graphs[0].saver_def.Clear(), m.meta_graphs[0].object_graph_def.Clear()]),
                   "is not among those that the model restores"),
    "no function": (lambda path: edit(path, lambda m: m.meta_graphs[0].graph_def.library.Clear()),
                    "function '.*' does not exist"),
    "no output": (lambda path: edit(path, lambda m: m.meta_graphs[0].signature_def["serving_default"].outputs.clear()),
                  "has no outputs"),
    "output": (lambda path: edit(path, lambda m: setattr(
        m.meta_graphs[0].signature_def["serving_default"].outputs["output_0"], "name", "ghost:0")),
        "output 'output_0' is node 'ghost', which does not exist"),
    "two graphs": (lambda path: edit(path, lambda m: m.meta_graphs.append(m.meta_graphs[0])),
                   r"there are \['serve'\], \['serve'\]"),
    "no signature": (lambda path: edit(path, lambda m: m.meta_graphs[0].signature_def.clear()), "There are none"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_give_one_clear_error(name, exported, tmp_path):
    change, message = BROKEN[name]
    path = tmp_path / "model"
    shutil.copytree(exported, path)
    change(path)
    with pytest.raises(ModelError, match=message) as error:
        savedmodel.load(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("file", ["saved_model.pb", INDEX])
def test_damaged_files(file, seed, exported, tmp_path):
    """Whatever is flipped: either a model or one ModelError."""
    path = tmp_path / "model"
    shutil.copytree(exported, path)
    rng = np.random.default_rng(seed)
    data = bytearray((path / file).read_bytes())
    for _ in range(rng.integers(1, 30)):
        data[rng.integers(len(data))] = rng.integers(256)
    (path / file).write_bytes(data)
    try:
        verify(savedmodel.load(path))
    except ModelError:
        pass


REAL = {"s_half_plus_two": None, "s_tf1_regression": {"X": TensorType(DType.F32, ())}}


@pytest.mark.parametrize("id", REAL)
def test_real_models(id):
    if not MODELS.is_dir():
        pytest.skip(f"no folder {MODELS}")
    entry = next(model for model in json.loads((MODELS / "index.json").read_text()) if model["id"] == id)
    graph = savedmodel.load(MODELS / entry["file"], inputs=REAL[id])
    verify(graph)
    reference = np.load(MODELS / entry["reference"])
    results = run(graph, **{name: reference[f"in:{name}"] for name in entry["inputs"]})
    for name in entry["outputs"]:
        np.testing.assert_allclose(results[name], reference[f"out:{name}"], rtol=1e-6)
