"""Keras' dtype policies: doubles, and floats of 16 bits, against Keras."""

import os

import numpy as np
import pytest

from castiron import interp, passes
from castiron.frontends import keras as frontend
from castiron.ir import DType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras", reason="Keras is the oracle of these tests")
L = keras.layers

#: By policy: the type of inputs, the distance between 1 and the next number of what is computed, and how many of these
#: results may be off, relative to the largest.
POLICIES = {"float64": ("float64", 2.0**-52, 16), "mixed_float16": ("float32", 2.0**-10, 1.25),
            "float16": ("float16", 2.0**-10, 1.25), "mixed_bfloat16": ("float32", 2.0**-7, 1.25)}

MODELS = {
    "perceptron": ((12,), lambda x: L.Dense(3, activation="softmax")(L.Dense(16, activation="tanh")(x))),
    "convolutions": ((12, 12, 3), lambda x: L.Dense(5)(L.Flatten()(L.AveragePooling2D(2)(L.Conv2DTranspose(4, 3)(
        L.DepthwiseConv2D(3)(L.MaxPooling2D(2)(L.BatchNormalization()(L.Conv2D(8, 3, activation="relu")(x))))))))),
    "lstm": ((7, 5), lambda x: L.LSTM(6, return_sequences=True)(x)),
    "gru": ((7, 5), lambda x: L.GRU(6)(x)),
    "normalizations": ((7, 8), lambda x: L.GroupNormalization(4)(L.LayerNormalization()(x))),
    "attention": ((7, 8), lambda x: L.MultiHeadAttention(2, 4)(x, x)),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_policy_agrees_with_keras(policy, tmp_path):
    floatx, unit, allowed = POLICIES[policy]
    rng, before = np.random.default_rng(1), (keras.config.dtype_policy(), keras.config.floatx())
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx(floatx)
    try:
        for name, (shape, build) in MODELS.items():
            x = keras.Input(shape, name="x")
            model = keras.Model(x, build(x))
            for weight in model.weights:
                value = rng.standard_normal(weight.shape) * 0.4
                weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
            model.save(tmp_path / "model.keras")
            feed = rng.standard_normal((5, *shape)).astype(floatx)
            expected = np.asarray(model(feed)).astype(np.float64)
            graph = frontend.load(tmp_path / "model.keras")
            (port,), outputs = graph.inputs.values(), list(graph.outputs.values())
            [actual] = interp.run(graph, {port: feed.astype(port.type.dtype.numpy)}, outputs)
            assert actual.dtype == (np.float64 if policy == "float64" else np.float32)
            error = np.abs(actual - expected).max() / np.abs(expected).max()
            assert error <= allowed * unit, f"{name}: {error / unit:.2f} units"
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def test_models_of_floats_have_no_doubles(tmp_path):
    x = keras.Input((7, 5), name="x", dtype="float32")
    h = L.Rescaling(1 / 255, offset=-0.3)(L.Normalization(mean=[1.0] * 5, variance=[2.0] * 5)(x))
    h = L.Dropout(0.5)(L.LSTM(6, return_sequences=True)(L.Conv1D(4, 3, activation="gelu", padding="same")(h)))
    h = keras.ops.softmax(keras.ops.mean(L.LayerNormalization()(h) * 0.9 + np.float64(0.1), axis=1))
    keras.Model(x, h).save(tmp_path / "model.keras")
    program = passes.run(frontend.load(tmp_path / "model.keras"))
    assert not [node for node in program.nodes if any(type.dtype == DType.F64 for type in node.types)]
