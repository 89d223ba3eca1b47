"""Makes the models of these tests with TensorFlow, in a process of its own: ``python make_models.py FOLDER``.

mlp: 10-16-8-1, as model.keras, model.h5, saved_model/ and model.pb; expected.npz has rows and what
TensorFlow computes for labels of model.pb; labels.json what TensorFlow lists. pair.keras: two inputs, two
outputs. stream: a SavedModel with states. keep.pb: an input of unknown rank, and a probability.
strange.keras and strange.pb: what castiron doesn't compile. lambda.keras: code inside.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from castiron.demo.train import freeze

LABELS = ("Identity", "sequential/hidden/Relu", "sequential/out/MatMul", "sequential/out/Add/ReadVariableOp")


def main(folder: Path) -> None:
    """Leave everything in the folder."""
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    model = keras.Sequential([
        keras.Input((10,), name="x"),
        keras.layers.Dense(16, activation="relu", bias_initializer="random_normal", name="hidden"),
        keras.layers.Dense(8, activation="tanh", bias_initializer="random_normal", name="bend"),
        keras.layers.Dense(1, bias_initializer="random_normal", name="out"),
    ], name="sequential")
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "saved_model", verbose=False)
    definition = freeze(model)
    (folder / "model.pb").write_bytes(definition.SerializeToString())

    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        (folder / "labels.json").write_text(json.dumps([[op.name, op.type] for op in graph.get_operations()]))
        rows = rng.standard_normal((40, 10), np.float32)
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run([f"{label}:0" for label in LABELS], {"x:0": rows})
            activation = rng.random((40, 16), np.float32)
            downstream = session.run("Identity:0", {"sequential/hidden/Relu:0": activation})
    np.savez(folder / "expected.npz", x=rows, activation=activation, downstream=downstream,
             **{label.replace("/", "|"): value for label, value in zip(LABELS, values, strict=True)})

    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    both = keras.layers.Dense(4, activation="gelu", name="mix")(keras.layers.Concatenate(name="join")([a, b]))
    value = keras.layers.Dense(1, name="value")(both)
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(both)
    keras.Model([a, b], [value, kind], name="pair").save(folder / "pair.keras")

    word = keras.Input((1,), dtype="string", name="word")
    numbers = [*(keras.layers.StringLookup(vocabulary=["a"], num_oov_indices=n)(word) for n in (2, 3)),
               keras.layers.TextVectorization(vocabulary=["d"], output_sequence_length=1)(word)]
    keras.Model(word, keras.layers.Concatenate()(numbers)).save(folder / "strange.keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)]).save(folder / "lambda.keras")

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4, 4], name="x")
        root = tf.raw_ops.Cholesky(input=x, name="root")
        tf.raw_ops.Qr(input=tf.raw_ops.Cholesky(input=root, name="again"), name="parts")
        (folder / "strange.pb").write_bytes(graph.as_graph_def().SerializeToString())

    stream = tf.Module()
    stream.total, stream.calls = tf.Variable([1., 2., 3.], name="total"), tf.Variable(5, dtype=tf.int64, name="calls")

    @tf.function(input_signature=[tf.TensorSpec([1, 3], tf.float32, name="x")])
    def step(x):
        return {"sum": 2. * stream.total.assign_add(x[0]), "calls": stream.calls.assign_add(1)}

    tf.saved_model.save(stream, str(folder / "stream"), signatures=step)

    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, None, name="x")
        keep = tf.compat.v1.placeholder(tf.float32, None, name="keep_prob")
        dense = tf.matmul(x, tf.constant(rng.standard_normal((6, 3)), tf.float32), name="dense")
        tf.identity(tf.math.tanh(dense * keep, name="kept"), name="y")
        (folder / "keep.pb").write_bytes(graph.as_graph_def().SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
