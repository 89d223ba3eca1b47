"""TensorFlow's functions as Keras 2 records them, against TensorFlow."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from layer_cases import LEVEL
from test_keras_versions import functional, input_layer, node, write_h5

import compiled
from agreement import assert_agree
from castiron import interp
from castiron.frontends.keras import load
from castiron.frontends.keras.layers.operations.tensorflow import FUNCTIONS

RNG = np.random.default_rng(3)
INPUTS = {"x": RNG.standard_normal((2, 4, 5)).astype(np.float32),
          "y": RNG.standard_normal((2, 4, 5)).astype(np.float32),
          "p": RNG.uniform(0.1, 0.9, (2, 4, 5)).astype(np.float32), "i": RNG.integers(0, 4, (2, 3)).astype(np.int32),
          "b": RNG.random((2, 4, 5)) < 0.5, "image": RNG.random((2, 6, 8, 3)).astype(np.float32),
          "q": RNG.uniform(0, 40, (2, 4)).astype(np.float32)}

#: Function of TensorFlow, first argument, further ones. A name of an input stands for it.
UNARY = """math.abs abs math.negative sign math.square square math.exp exp math.expm1 math.sin math.cos math.tan
    math.tanh tanh math.sigmoid sigmoid math.softplus nn.softplus nn.softsign nn.relu nn.relu6 nn.elu nn.selu nn.silu
    nn.swish nn.gelu nn.leaky_relu math.erf math.erfc math.floor math.ceil math.round math.sinh math.cosh math.asinh
    math.atan math.log_sigmoid math.is_nan math.is_finite math.is_inf identity stop_gradient nn.softmax nn.log_softmax
    math.reduce_sum math.reduce_mean math.reduce_max math.reduce_min math.reduce_prod math.reduce_logsumexp
    math.reduce_std math.reduce_variance math.reduce_euclidean_norm norm transpose shape size rank zeros_like ones_like
    squeeze sort argsort math.argmax math.argmin""".split()
BINARY = """math.add add math.subtract subtract math.multiply multiply math.divide divide math.maximum maximum
    math.minimum math.floordiv math.floormod math.squared_difference math.divide_no_nan
    math.multiply_no_nan math.equal math.not_equal math.less math.less_equal math.greater
    math.greater_equal""".split()
POSITIVE = "math.log math.log1p math.sqrt math.rsqrt math.reciprocal math.asin math.acos math.atanh".split()
CASES = [
    *((name, "x", {}) for name in UNARY), *((name, "p", {}) for name in POSITIVE),
    *((name, "x", {"y": "y"}) for name in BINARY), *((name, "p", {"y": 2.5}) for name in BINARY),
    *((name, "b", {"y": "b"}) for name in ("math.logical_and", "math.logical_or", "math.logical_xor")),
    ("math.logical_not", "b", {}), ("math.reduce_any", "b", {"axis": 1}), ("math.reduce_all", "b", {"axis": [1, 2]}),
    ("unstack", "x", {"axis": 1}), ("math.atan2", "x", {"x": "y"}), ("math.pow", "p", {"y": 3.0}),
    ("math.pow", "p", {"y": "x"}),
    ("math.truediv", "i", {"y": 2}),
    *((name, "x", {"axis": axis, "keepdims": True}) for axis in (1, [-1, 0]) for name in
      ("math.reduce_sum", "math.reduce_mean", "math.reduce_max", "math.reduce_logsumexp", "norm")),
    ("math.reduce_mean", "i", {"axis": 1}), ("nn.moments", "x", {"axes": [1]}),
    ("cast", "x", {"dtype": "int32"}), ("cast", "i", {"dtype": "float32"}), ("cast", "b", {"dtype": "float32"}),
    ("one_hot", "i", {"depth": 5}), ("one_hot", "i", {"depth": 3, "on_value": 2.0, "off_value": -1.0, "axis": 1}),
    ("reshape", "x", {"shape": [-1, 20]}), ("transpose", "x", {"perm": [0, 2, 1]}), ("expand_dims", "x", {"axis": 1}),
    ("expand_dims", "x", {"axis": -1}), ("concat", ["x", "y"], {"axis": -1}), ("stack", ["x", "y"], {"axis": 1}),
    ("split", "x", {"num_or_size_splits": 2, "axis": 1}), ("split", "x", {"num_or_size_splits": [1, -1, 2], "axis": 2}),
    ("tile", "x", {"multiples": [1, 2, 3]}), ("repeat", "x", {"repeats": 2, "axis": 1}),
    ("reverse", "x", {"axis": [1]}),
    ("roll", "x", {"shift": 2, "axis": 1}), ("pad", "x", {"paddings": [[0, 0], [1, 2], [0, 1]]}),
    ("pad", "x", {"paddings": [[0, 0], [1, 2], [1, 1]], "mode": "REFLECT"}),
    ("gather", "x", {"indices": [2, 0], "axis": 1}), ("gather", "x", {"indices": "i", "batch_dims": 1}),
    ("slice", "x", {"begin": [0, 1, 2], "size": [-1, 2, 2]}), ("where", "b", {"x": "x", "y": "y"}),
    ("clip_by_value", "x", {"clip_value_min": -0.5, "clip_value_max": 0.5}), ("add_n", ["x", "y", "p"], {}),
    ("math.l2_normalize", "x", {"axis": -1}), ("nn.leaky_relu", "x", {"alpha": 0.1}),
    ("nn.gelu", "x", {"approximate": True}),
    ("nn.softmax", "x", {"axis": 1}), ("cumsum", "x", {"axis": 1, "exclusive": True, "reverse": True}),
    ("math.cumprod", "x", {"axis": 2}), ("math.top_k", "x", {"k": 2}),
    ("sort", "x", {"axis": 1, "direction": "DESCENDING"}),
    ("argsort", "x", {"direction": "DESCENDING"}), ("math.argmax", "x", {"axis": 2, "output_type": "int32"}),
    ("matmul", "x", {"b": "y", "transpose_b": True}), ("tensordot", "x", {"b": "y", "axes": [[1, 2], [1, 2]]}),
    ("linalg.matmul", "x", {"b": "y", "transpose_a": True}),
    ("linalg.band_part", "x", {"num_lower": 1, "num_upper": 0}),
    ("image.resize", "image", {"size": [5, 7]}), ("image.resize", "image", {"size": [9, 4], "method": "bicubic"}),
    ("image.resize", "image", {"size": [12, 16], "method": "nearest"}), ("image.flip_left_right", "image", {}),
    ("image.rgb_to_grayscale", "image", {}), ("image.per_image_standardization", "image", {}),
    ("nn.max_pool2d", "image", {"ksize": 2, "strides": 2, "padding": "SAME"}),
    ("nn.avg_pool2d", "image", {"ksize": [1, 2, 3, 1], "strides": [1, 2, 1, 1], "padding": "VALID"}),
    ("nn.conv2d", "image", {"filters": np.ones((2, 3, 3, 2)).tolist(), "strides": [1, 2, 1, 1], "padding": "SAME"}),
    ("nn.depth_to_space", "image_12", {"block_size": 2}), ("nn.space_to_depth", "image", {"block_size": 2}),
    ("nn.bias_add", "x", {"bias": [1.0, 2.0, 3.0, 4.0, 5.0]}),
]
INPUTS["image_12"] = RNG.random((2, 3, 4, 12)).astype(np.float32)


def slice_of(*bounds):
    return dict(zip(("start", "stop", "step"), bounds, strict=True))


#: The keys of x[…], as TensorFlow and as a file has them.
KEYS = [((0,), [0]), ((slice(None), 1), [slice_of(None, None, None), 1]),
        ((..., -1), [{"class_name": "__ellipsis__"}, -1]),
        ((slice(None), slice(1, None, 2)), [slice_of(None, None, None), slice_of(1, None, 2)]),
        ((slice(None), None, slice(None, -1)), [slice_of(None, None, None), None, slice_of(None, -1, None)])]


def recorded(value):
    """An argument as a file has it."""
    if isinstance(value, str) and value in INPUTS:
        return [value, 0, 0]
    return [recorded(v) for v in value] if isinstance(value, list) else value


def given(value):
    """An argument as TensorFlow takes it."""
    if isinstance(value, str) and value in INPUTS:
        return tf.constant(INPUTS[value])
    return [given(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One model of which every function is an output, and what TensorFlow computes."""
    layers = [node(input_layer(name, list(x.shape[1:]))) for name, x in INPUTS.items()]
    for layer, x in zip(layers, INPUTS.values(), strict=True):
        layer["config"]["dtype"] = str(x.dtype)
    expected, outputs = {}, []

    def add(kind, config, first, kwargs, results):
        name = f"case_{len(expected)}"
        firsts = [[f, 0, 0, kwargs] for f in first] if isinstance(first, list) else [first, 0, 0, kwargs]
        layers.append(node({"class_name": kind, "config": {"name": name, "trainable": True, **config}}, firsts))
        results = [np.asarray(r) for r in (results if isinstance(results, (list, tuple)) else [results])]
        expected[name] = (config, kwargs, results)
        outputs.extend([name, 0, i] for i in range(len(results)))

    for function, first, kwargs in CASES:
        compute = tf
        for part in function.split("."):
            compute = getattr(compute, part)
        results = compute(given(first), **{key: given(value) for key, value in kwargs.items()})
        add("TFOpLambda", {"function": function}, first, {**{k: recorded(v) for k, v in kwargs.items()}, "name": None},
            results)
    for key, spec in KEYS:
        add("SlicingOpLambda", {"function": "__operators__.getitem"}, "x", {"slice_spec": spec}, INPUTS["x"][key])
    config = functional(layers, [[name, 0, 0] for name in INPUTS], outputs)
    graph = load(write_h5(tmp_path_factory.mktemp("functions") / "m.h5", config, {}))
    return graph, [(what, result) for *what, results in expected.values() for result in results]


def compare(actual, expected):
    wrong = []
    for a, (what, e) in zip(actual, expected, strict=True):
        try:
            assert_agree(np.asarray(a), e, 1e-5)
        except AssertionError as error:
            wrong.append(f"{what}: {a.dtype}{a.shape} {e.dtype}{e.shape} {error}")
    assert not wrong, "\n".join(wrong)


def test_interpreter(model):
    graph, expected = model
    with np.errstate(all="ignore"):
        actual = interp.run(graph, dict(zip(graph.inputs.values(), INPUTS.values(), strict=True)),
                            list(graph.outputs.values()))
    compare(actual, expected)


def test_compiled(model):
    graph, expected = model
    code = compiled.Compiled({"functions": graph}, levels=[LEVEL])
    actual = code.runner("functions", LEVEL)(INPUTS)
    compare([actual[name] for name in graph.outputs], expected)


def test_functions_are_those_of_tensorflow():
    for name in FUNCTIONS:
        if not name.startswith(("keras.", "__operators__")):
            part = tf
            for step in name.split("."):
                part = getattr(part, step, None) or getattr(tf.compat.v1, step, None)
            assert callable(part), name
