"""Quantized models and models of narrow floats and doubles, compiled, against onnxruntime."""

import numpy as np
import pytest

from castiron.frontends import onnx as frontend
from castiron.native import levels
from compiled import TOOLS, Compiled

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RNG = np.random.default_rng(4)
OPSET = 23


def make(nodes, feeds, outputs, **constants):
    """A model of the nodes; ``outputs`` gives ONNX's element types by name."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                     for k, x in feeds.items()],
        [helper.make_tensor_value_info(k, type, None) for k, type in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10).SerializeToString()


def node(op, inputs, outputs="y", **attrs):
    return helper.make_node(op, inputs.split(" "), outputs.split(" "), **attrs)


def floats(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def integers(dtype, *shape):
    bounds = np.iinfo(dtype)
    return RNG.integers(bounds.min, bounds.max, shape, endpoint=True).astype(dtype)


def quantizing(dtype, x, scale, zero, **attrs):
    y = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return ([node("QuantizeLinear", "x s z", "q", **attrs), node("DequantizeLinear", "q s z", "y", **attrs)], {"x": x},
            {"q": y, "y": TensorProto.FLOAT}, {"s": scale, "z": np.asarray(zero, dtype)})


_HALVES = np.concatenate([floats(300, scale=20), np.arange(-80, 80, dtype=np.float32) / 4]).reshape(20, 23)
_A, _B = integers(np.uint8, 3, 5, 70), integers(np.int8, 70, 40)
_X, _W = integers(np.uint8, 2, 4, 9, 8), integers(np.int8, 6, 2, 3, 3)
_LINEAR = {"sa": np.float32(0.013), "sb": np.float32(0.021), "sy": np.float32(0.47), "za": np.uint8(117),
           "zy": np.uint8(121)}

EXACT = {
    **{f"quantize_{np.dtype(t).name}": quantizing(t, _HALVES, np.float32(0.5), 3)
       for t in (np.uint8, np.int8, np.uint16, np.int16)},
    "quantize_axis": quantizing(np.int8, _HALVES, np.linspace(0.1, 2, 23, dtype=np.float32), np.arange(23), axis=1),
    "quantize_blocks": quantizing(np.uint8, _HALVES, np.abs(floats(5, 23)) + 0.1, np.arange(115).reshape(5, 23),
                                  axis=0, block_size=4),
    "dynamic": ([node("DynamicQuantizeLinear", "x", "q s z")], {"x": _HALVES},
                {"q": TensorProto.UINT8, "s": TensorProto.FLOAT, "z": TensorProto.UINT8}, {}),
    "matmul_integer": ([node("MatMulInteger", "a b za zb")], {"a": _A}, {"y": TensorProto.INT32},
                       {"b": _B, "za": np.uint8(117), "zb": np.int8(-3)}),
    "conv_integer": ([node("ConvInteger", "x w zx", group=2, pads=[1, 0, 1, 2], strides=[2, 1])], {"x": _X},
                     {"y": TensorProto.INT32}, {"w": _W.astype(np.int16).clip(0).astype(np.uint8), "zx": np.uint8(99)}),
    "qlinear_matmul": ([node("QLinearMatMul", "a sa za b sb zb sy zy")], {"a": _A}, {"y": TensorProto.UINT8},
                       {**_LINEAR, "b": _B, "zb": np.int8(5)}),
    "qlinear_conv": ([node("QLinearConv", "x sa za w sw zw sy zy bias", group=2, pads=[1, 1, 1, 1])], {"x": _X},
                     {"y": TensorProto.UINT8},
                     {**_LINEAR, "w": _W,
                      "sw": np.linspace(0.01, 0.05, 6, dtype=np.float32), "zw": np.zeros(6, np.int8),
                      "bias": integers(np.int16, 6).astype(np.int32)}),
    "four_bits": ([node("DequantizeLinear", "w s z", "d", axis=0, block_size=5), node("MatMul", "x d", "y")],
                  {"x": np.eye(20, dtype=np.float32)}, {"y": TensorProto.FLOAT},
                  {"w": RNG.integers(-8, 8, (20, 7)).astype(helper.tensor_dtype_to_np_dtype(TensorProto.INT4)),
                   "s": np.abs(floats(4, 7)), "z": RNG.integers(-8, 8, (4, 7)).astype(
                       helper.tensor_dtype_to_np_dtype(TensorProto.INT4))}),
}


def network(dtype):
    """A perceptron with a normalization, in one float type."""
    type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    weights = {"w": floats(24, 16, scale=0.3), "b": floats(16), "v": floats(16, 5, scale=0.5), "g": floats(16)}
    nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "i"), node("Tanh", "i", "j"), node("Sqrt", "k", "l"),
             node("Mul", "j j", "k"), node("LayerNormalization", "l g b", "m"), node("Gemm", "m v", "n"),
             node("Softmax", "n", "y"), node("Exp", "n", "e"), node("ReduceSum", "e", "s", keepdims=0)]
    nodes[3], nodes[4] = nodes[4], nodes[3]
    return (nodes, {"x": floats(6, 24).astype(dtype)}, {"y": type, "n": type, "s": type},
            {k: v.astype(dtype) for k, v in weights.items()})


#: With the distance that is allowed, in units of the last place of the largest element.
NEAR = {"half": (network(np.float16), 2), "double": (network(np.float64), 16)}
CASES = EXACT | {name: case for name, (case, _) in NEAR.items()}


@pytest.fixture(scope="module")
def results():
    """What castiron and onnxruntime compute, by name."""
    models = {name: make(nodes, feeds, outputs, **constants)
              for name, (nodes, feeds, outputs, constants) in CASES.items()}
    graphs = {name: frontend.convert(name, frontend.read(model)) for name, model in models.items()}
    level = levels(TOOLS)[-1]
    compiled, found = Compiled(graphs, levels=(level,)), {}
    for name, model in models.items():
        feeds, outputs = CASES[name][1:3]
        own = {k: x.astype(graphs[name].inputs[k].type.dtype.numpy) for k, x in feeds.items()}
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        theirs = dict(zip(outputs, session.run(list(outputs), feeds), strict=True))
        found[name] = compiled.runner(name, level)(own), theirs
    return found


@pytest.mark.parametrize("name", EXACT)
def test_quantized_numbers_are_equal(results, name):
    own, expected = results[name]
    for output, want in expected.items():
        assert own[output].dtype == want.dtype
        np.testing.assert_array_equal(own[output], want)


@pytest.mark.parametrize("name", NEAR)
def test_narrow_and_wide_floats_agree(results, name):
    own, expected = results[name]
    for output, want in expected.items():
        unit = np.spacing(np.abs(want).max())
        assert np.abs(own[output].astype(np.float64) - want).max() <= NEAR[name][1] * float(unit), output
        if want.dtype == np.float16:
            np.testing.assert_array_equal(own[output].astype(np.float16), own[output])
