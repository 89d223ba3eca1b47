"""Trains the walkthrough's model and saves it in four formats: ``python train.py`` in the demo's folder.

Reads training_data.csv and fresh.csv. Leaves model.keras, model.h5, saved_model/, model.pb, and
keras_out.npy, Keras' own predictions for fresh.csv: f32[rows, 1].
"""

import shutil

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

EPOCHS, BATCH = 40, 32


def main() -> None:
    """Train, save, predict."""
    table = np.loadtxt("training_data.csv", delimiter=",", skiprows=1)
    model = train(table[:, :-1], table[:, -1])

    model.save("model.keras")
    model.save("model.h5")
    shutil.rmtree("saved_model", ignore_errors=True)
    model.export("saved_model", verbose=False)
    tf.io.write_graph(freeze(model), ".", "model.pb", as_text=False)

    fresh = np.loadtxt("fresh.csv", delimiter=",", skiprows=1).astype(np.float32)
    np.save("keras_out.npy", model.predict(fresh, verbose=0))


def train(x: np.ndarray, y: np.ndarray) -> keras.Model:
    """A perceptron of three layers for y of x: f64[rows], f64[rows, features]."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([
        keras.Input((x.shape[1],), name="x"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(1, name="out"),
    ], name="sequential")
    decay = keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * len(x) // BATCH)
    model.compile(keras.optimizers.Adam(decay), loss="mse")
    model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    return model


def freeze(model: keras.Sequential) -> tf.compat.v1.GraphDef:
    """The model's graph with its variables as constants, from the placeholder ``x``."""

    @tf.function(input_signature=[tf.TensorSpec(model.input_shape, tf.float32, name="x")])
    def predict(x):
        for layer in model.layers:
            # A closing slash takes the scope as it is. Keras would open each scope twice, and TensorFlow
            # call the second one ``out_1``.
            with tf.name_scope(f"{model.name}/{layer.name}/"):
                x = layer.call(x)
        return x

    return convert_variables_to_constants_v2(predict.get_concrete_function()).graph.as_graph_def()


if __name__ == "__main__":
    main()
