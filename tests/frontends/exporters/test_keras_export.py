"""What Keras' own ``model.export(format="onnx")`` writes, against Keras."""

import contextlib
import io
import warnings
from functools import cache
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from castiron import frontends
from castiron.frontends.onnx.operators import TABLE
from compiled import NATIVE, Compiled

RNG = np.random.default_rng(4)


def convolutions():
    x = keras.Input((12, 12, 3))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x)))
    y = layers.Activation("gelu")(layers.DepthwiseConv2D(3, strides=2, padding="same")(y))
    y = layers.GlobalAveragePooling2D()(layers.SeparableConv2D(5, 3)(y))
    return keras.Model(x, layers.Dense(3, activation="softmax")(y))


def down_and_up():
    x = keras.Input((8, 8, 1))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.Conv2D(4, 3, padding="same", activation="elu")(layers.MaxPooling2D()(a))
    up = [layers.Conv2DTranspose(4, 2, strides=2)(b), layers.UpSampling2D(interpolation="bilinear")(b)]
    return keras.Model(x, layers.Conv2D(1, 1, activation="sigmoid")(layers.Concatenate()([a, *up])))


def recurrent():
    x = keras.Input((6, 3))
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    return keras.Model(x, layers.Dense(2)(layers.GRU(3)(y)))


def transformer():
    x = keras.Input((5, 8))
    y = layers.LayerNormalization()(x)
    y = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    z = layers.Dense(16, activation="gelu")(layers.LayerNormalization()(y))
    return keras.Model(x, layers.Add()([y, layers.Dense(8)(z)]))


def words():
    x = keras.Input((5,), dtype="int32")
    y = layers.Conv1D(4, 3, padding="causal", activation="swish")(layers.Embedding(10, 4)(x))
    return keras.Model(x, layers.Dense(1, activation="sigmoid")(layers.GlobalMaxPooling1D()(y)))


def activations():
    x = keras.Input((7,))
    names = ("gelu", "selu", "softplus", "softsign", "mish", "hard_sigmoid", "leaky_relu", "tanh", "hard_silu",
             "log_softmax", "celu", "relu6")
    return keras.Model(x, [*(layers.Activation(name)(x) for name in names), keras.ops.erf(x)])


MODELS = {make.__name__: make for make in (convolutions, down_and_up, recurrent, transformer, words, activations)}


@cache
def exported(name: str, folder: str) -> tuple[keras.Model, np.ndarray, str]:
    """The model, what it is fed, and the file."""
    keras.utils.set_random_seed(3)
    model, path = MODELS[name](), f"{folder}/{name}.onnx"
    shape = (3, *model.input_shape[1:])
    x = RNG.integers(0, 10, shape).astype(np.int32) if model.inputs[0].dtype == "int32" else (
        RNG.standard_normal(shape).astype(np.float32))
    model(x)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        model.export(path, format="onnx", verbose=False)
    return model, x, path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="module")
def compiled(folder):
    return Compiled({name: frontends.load(Path(exported(name, folder)[2])) for name in MODELS}, units=2,
                    levels=(NATIVE[-1],))


@pytest.mark.parametrize("name", MODELS)
def test_agrees_with_keras(name, folder, compiled):
    model, x, _ = exported(name, folder)
    (given,) = compiled.graphs[name].inputs
    results = list(compiled.runner(name, NATIVE[-1])({given: x}).values())
    wanted = [np.asarray(y) for y in keras.tree.flatten(model(x))]
    assert len(results) == len(wanted)
    for own, theirs in zip(results, wanted, strict=True):
        assert own.shape == theirs.shape
        assert np.abs(own - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_names_that_are_no_onnx(folder):
    found = {node.op_type for node in onnx.load(exported("activations", folder)[2]).graph.node}
    assert {"Erfc", "Expm1"} <= found
    assert {"Erfc", "Expm1"} <= set(TABLE)
