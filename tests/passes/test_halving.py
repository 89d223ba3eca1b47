"""Which products are computed from halves."""

import numpy as np
import pytest

from castiron import interp, passes
from castiron.ir import DType, Graph, Label, TensorType, constant, placeholder, symbol
from castiron.ops import F
from castiron.ops.loop import loop
from castiron.passes import halving
from castiron.passes.pack import pack

N = symbol("n")


def product(rows, k, n, w=None):
    w = np.random.default_rng(3).standard_normal((k, n)).astype(np.float32) if w is None else w
    return F.matmul(placeholder("x", TensorType(DType.F32, (*rows, k))), constant(w))


def op_of(y):
    return pack(Graph("g", {"x": y.node.inputs[0]}, {"y": y})).outputs["y"].node.op


@pytest.mark.parametrize("case, halved", [
    (((N, 128), 256, 1024), True), (((N, 128), 1024, 256), True), (((N, 64), 384, 384), True),
    (((N, 5, 64), 256, 256), True),
    (((N,), 1024, 1024), False), (((128 * N,), 1024, 1024), False), (((N, symbol("time")), 1024, 1024), False),
    (((N, 127), 1024, 1024), False), (((N, 16), 1024, 1024), False),
    (((N, 128), 1024, 1000), False), (((N, 128), 1000, 1024), False), (((N, 128), 64, 1024), False),
    (((N, 128), 1024, 128), False), (((N, 128), 2048, 2048), False),
])
def test_shapes_decide(case, halved):
    assert (op_of(product(*case)) == "strassen_dense") == halved


def test_weights_decide_whether_the_error_is_small_enough(monkeypatch):
    y = product((N, 128), 256, 256)
    error = halving._error(y.node.inputs[1].constant)
    assert 0 < error < halving.MAX_ERROR
    monkeypatch.setattr(halving, "MAX_ERROR", error / 2)
    assert op_of(y) == "dense"


def test_columns_of_very_different_size_are_multiplied_directly():
    w = np.array(product((N, 128), 256, 256).node.inputs[1].constant)
    w[:, 7] *= 1e-4
    assert op_of(product((N, 128), 256, 256, w)) == "dense"


def test_weights_that_are_no_numbers_are_multiplied_directly():
    w = np.ones((256, 256), np.float32)
    w[3, 4] = np.nan
    assert op_of(product((N, 128), 256, 256, w)) == "dense"


@pytest.mark.parametrize("shape, step", [
    ((256, 256), F.matmul),
    ((3, 3, 128, 128), lambda x, w: F.conv(x, w, strides=(1, 1), dilations=(1, 1), before=(1, 1), after=(1, 1)))])
def test_weights_that_are_fed_to_a_loop_are_multiplied_directly(shape, step):
    w = constant(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    x = placeholder("x", TensorType(DType.F32, (N, *((28,) * (len(shape) - 2) or (64,)), shape[-2])))
    y, = loop(3, [x], lambda i, carried: (step(carried[0], w),))
    body = passes.run(Graph("g", {"x": x}, {"y": y}, {"w": Label("Const", w)}, traced=True)).outputs["y"].node.bodies
    assert {node.op for node in body["body"].nodes} & {"dense", "packed_conv"}


def test_a_traced_graph_reads_weights_back_from_what_is_packed():
    y = product((N, 128), 256, 384)
    x, w = y.node.inputs
    traced = passes.run(Graph("g", {"x": x}, {"y": y}, {"w": Label("Const", w)}, traced=True))
    label = traced.labels["w"].value
    assert label.node.op == "strassen_unpack"
    assert np.array_equal(interp.elements(label), w.constant)
    assert sum(v.size for node in traced.nodes if node.op == "constant" for v in node.types) == 2 * w.type.size
