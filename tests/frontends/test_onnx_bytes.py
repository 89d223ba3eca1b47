"""Quantized ONNX models: products of bytes give what the specification says, to the last unit."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from castiron import interp, passes
from castiron.frontends import onnx as frontend
from compiled import NATIVE, Compiled

RNG = np.random.default_rng(7)


class Network:
    """An ONNX graph of nodes with one result each, grown from the image ``x``."""

    def __init__(self) -> None:
        self.nodes, self.weights, self.outputs = [], [], {}

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, op: str, *operands, **attributes) -> str:
        """A node; operands that are arrays become constants."""
        names = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        self.nodes.append(helper.make_node(op, names, [f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def gives(self, name: str, shape: list, dtype: int) -> None:
        self.outputs[name] = helper.make_tensor_value_info(name, dtype, shape)

    def bytes(self) -> bytes:
        x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4, 7, 9])
        graph = helper.make_graph(self.nodes, "bytes", [x], list(self.outputs.values()), self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def integers(*shape: int, dtype: type = np.int8) -> np.ndarray:
    bounds = np.iinfo(dtype)
    return RNG.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def scales(*shape: int) -> np.ndarray:
    return (RNG.random(shape) / 50 + 0.005).astype(np.float32)


def q_linear() -> Network:
    """QLinearConv in its forms, QLinearMatMul, and the integer operators, in a chain of branches."""
    n, u8, i32 = Network(), onnx.TensorProto.UINT8, onnx.TensorProto.INT32
    s, z = np.float32(0.03), np.uint8(120)
    x = n.add("QuantizeLinear", "x", s, z)

    def conv(x: str, channels: int, outputs: int, size: int, zero: np.ndarray, scale: np.ndarray, **attributes) -> str:
        w = integers(outputs, channels // attributes.get("group", 1), size, size, dtype=zero.dtype.type)
        bias = RNG.integers(-999, 999, outputs, np.int32)
        return n.add("QLinearConv", x, s, z, w, scale, zero, np.float32(0.7), np.uint8(99), bias, **attributes)

    wide = conv(x, 4, 20, 3, np.int8(0), scales(20), pads=[1, 1, 1, 1])
    deep = conv(wide, 20, 20, 3, np.zeros(20, np.int8), scales(20), pads=[1, 1, 1, 1], group=20)
    grouped = conv(deep, 20, 12, 3, np.uint8(100), scales(1)[0], strides=[2, 2], dilations=[2, 1], group=4)
    narrow = conv(deep, 20, 17, 1, np.int8(0), scales(17))
    rows = n.add("Transpose", narrow, perm=[0, 2, 3, 1])
    product = n.add("QLinearMatMul", rows, s, z, integers(17, 5), np.float32(0.02), np.int8(1), np.float32(0.9), z)
    n.gives(grouped, ["n", 12, 2, 4], u8)
    n.gives(product, ["n", 7, 9, 5], u8)
    n.gives(n.add("ConvInteger", x, integers(6, 4, 2, 2), z), ["n", 6, 6, 8], i32)
    flat = n.add("Flatten", "x")
    for name in ("bytes", "scale", "zero"):
        n.weights.append(numpy_helper.from_array(np.zeros(0, np.float32), f"unused_{name}"))
    n.nodes.append(helper.make_node("DynamicQuantizeLinear", [flat], ["bytes", "scale", "zero"]))
    n.gives(n.add("MatMulInteger", "bytes", integers(4 * 7 * 9, 3, dtype=np.uint8), "zero", np.uint8(7)), ["n", 3], i32)
    return n


def q_dq() -> Network:
    """A convolution, a depthwise one and a product between DequantizeLinear and QuantizeLinear."""
    n = Network()
    s, z = np.float32(0.03125), np.uint8(120)

    def numbers(x: str) -> str:
        return n.add("DequantizeLinear", n.add("QuantizeLinear", x, s, z), s, z)

    def weights(*shape: int) -> str:
        scale = np.exp2(RNG.integers(-7, -4, shape[0])).astype(np.float32)
        return n.add("DequantizeLinear", integers(*shape), scale, np.zeros(shape[0], np.int8), axis=0)

    y = n.add("Relu", n.add("Conv", numbers("x"), weights(20, 4, 3, 3), scales(20), pads=[1, 1, 1, 1]))
    y = n.add("Conv", numbers(y), weights(20, 1, 3, 3), group=20)
    y = n.add("Add", numbers(y), np.float32(0.25))
    y = n.add("Gemm", n.add("Flatten", numbers(y)), weights(10, 20 * 5 * 7), scales(10), transB=1)
    n.gives(y, ["n", 10], onnx.TensorProto.FLOAT)
    return n


GRAPHS = {name: frontend.convert(name, frontend.read(network().bytes()))
          for name, network in (("q_linear", q_linear), ("q_dq", q_dq))}


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    return Compiled(GRAPHS, levels=NATIVE[-1:])


@pytest.mark.parametrize("name", GRAPHS)
def test_bytes_are_multiplied_exactly(compiled, name):
    graph = GRAPHS[name]
    for batch in (1, 3):
        x = (RNG.standard_normal((batch, 4, 7, 9)) * 2).astype(np.float32)
        found = compiled.runner(name, NATIVE[-1])({"x": x})
        wanted = interp.run(graph, {graph.inputs["x"]: x}, list(graph.outputs.values()))
        for key, array in zip(graph.outputs, wanted, strict=True):
            np.testing.assert_array_equal(found[key], array)
            assert len(np.unique(array)) > 2, "the comparison sees something"


@pytest.mark.parametrize("name, products, traced", [("q_linear", 7, False), ("q_linear", 7, True), ("q_dq", 3, False)])
def test_all_products_are_of_bytes(name, products, traced):
    operators = [node.op for node in passes.run(replace(GRAPHS[name], traced=traced)).nodes]
    assert sum(op.startswith("integer_") for op in operators) == products
    assert not {"conv", "matmul", "packed_conv", "dense"} & set(operators)
