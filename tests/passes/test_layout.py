"""The layout pass on random graphs full of transposes, and on networks as exporters write them."""

from dataclasses import replace

import numpy as np
import pytest

from castiron import passes
from castiron.frontends.onnx.operators.window import channels_first, channels_last
from castiron.ir import DType, Graph, Label, TensorType, Value, constant, evaluate, placeholder, symbol, verify
from castiron.ops import F
from castiron.passes.check import check
from castiron.passes.layout import TYPICAL, layout
from random_graphs import RandomGraph

BATCH = symbol("batch")


class Transposed(RandomGraph):
    """Random graphs of which every other operator is a transpose."""

    KINDS = ("unary", "binary", "reduce", "reshape", "concat", "slice", "pad", "gather", "broadcast_to", "along",
             "matmul", "select", "loop")

    def grow(self) -> None:
        kind = self.random.choice(self.KINDS) if self.random.random() < 0.6 else "transpose"
        self.grow_by(kind)


def moved_bytes(graph: Graph) -> int:
    """What the transposes of values that inputs decide move."""
    total, fixed = 0, set()
    for node in graph.nodes:
        total += sum(moved_bytes(body) for body in node.bodies.values())
        if node.op == "constant" or (node.inputs and fixed.issuperset(node.inputs)):
            fixed.update(node.results)
        elif node.op == "transpose":
            type = node.types[0]
            order = [axis for axis in node.attrs["perm"] if node.inputs[0].type.shape[axis] != 1]
            if order != sorted(order):
                total += evaluate(type.size, dict.fromkeys(type.symbols, TYPICAL)) * type.dtype.itemsize
    return total


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_compute_the_same(seed):
    graph = Transposed(f"layout {seed}", exact=False).graph(25)
    for step in (passes.lower, passes.fold, passes.simplify):
        graph = step(graph)
    result = layout(graph)
    verify(result)
    check(graph, result, "layout")
    assert moved_bytes(result) <= moved_bytes(graph)


def weights(*shape: int) -> Value:
    return constant(np.random.default_rng(3).standard_normal(shape).astype(np.float32) / 4)


def convolved(x: Value, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> Value:
    """A convolution of channels that come first, as the ONNX frontend converts one."""
    kernel = F.transpose(weights(outputs, x.type.shape[1] // groups, size, size), perm=(2, 3, 1, 0))
    y = F.conv(channels_last(x), kernel, strides=(stride,) * 2, dilations=(1, 1), before=(size // 2,) * 2,
               after=(size // 2,) * 2, groups=groups)
    return channels_first(F.add(y, weights(outputs)))


def pooled(x: Value) -> Value:
    return channels_first(F.window_max(channels_last(x), sizes=(2, 2), strides=(2, 2), dilations=(1, 1),
                                       before=(0, 0), after=(0, 0)))


def normalized(x: Value) -> Value:
    """Batch normalization in parts."""
    parts = (weights(x.type.shape[1], 1, 1) for _ in range(2))
    return F.add(F.mul(x, next(parts)), next(parts))


def excited(x: Value) -> Value:
    """A squeeze-and-excitation branch."""
    n, c = x.type.shape[:2]
    mean = F.reshape(F.reduce_mean(x, axes=(2, 3), keepdims=True), shape=(n, c))
    gate = F.sigmoid(F.matmul(F.relu(F.matmul(mean, weights(c, 4))), weights(4, c)))
    return F.mul(x, F.reshape(gate, shape=(n, c, 1, 1)))


def residual(x: Value) -> Value:
    return F.relu(F.add(x, normalized(convolved(F.relu(normalized(convolved(x, x.type.shape[1]))), x.type.shape[1]))))


def classifier(x: Value) -> Value:
    n, *rest = x.type.shape
    flat = F.reshape(x, shape=(n, int(np.prod(rest))))
    return F.softmax(F.matmul(flat, weights(flat.type.shape[1], 10)), axis=1)


def classifying_network(x: Value) -> Value:
    return classifier(pooled(excited(residual(F.relu(convolved(x, 8))))))


def branching_network(x: Value) -> Value:
    """Branches side by side, shuffled channels, and pads in front of a convolution."""
    x = convolved(x, 8)
    sides = F.concat(convolved(x, 8, size=1), pooled(convolved(F.pad(x, 0.0, before=(0, 0, 4, 4), after=(0, 0, 4, 4)),
                                                               8)), convolved(x, 4), axis=1)
    half = F.slice(sides, starts=(0, 10, 0, 0), sizes=(-1, 10, -1, -1), steps=(1, 1, 1, 1))
    return F.reduce_mean(convolved(half, 3), axes=(2, 3), keepdims=False)


def detecting_network(x: Value) -> Value:
    """Features enlarged and added, as detectors do, with channels that end up last."""
    fine = F.relu(convolved(x, 8))
    large = F.gather(pooled(fine), np.repeat(np.arange(4), 2), axis=2)
    large = F.gather(large, np.repeat(np.arange(4), 2), axis=3)
    boxes = convolved(F.add(fine, convolved(large, 8)), 6)
    return F.reshape(F.transpose(boxes, perm=(0, 2, 3, 1)), shape=(x.type.shape[0], 128, 3))


def line_network(x: Value) -> Value:
    """A convolution along a line, with an axis put in and taken out again, and layer normalization over channels."""
    n, c, h, w = x.type.shape
    line = F.reshape(x, shape=(n, c, h * w))
    y = convolved(F.reshape(line, shape=(n, c, 1, h * w)), 8)
    y = F.transpose(F.reshape(y, shape=(n, 8, h * w)), perm=(0, 2, 1))
    y = F.layer_norm(y, weights(8), weights(8))
    return F.transpose(F.matmul(y, weights(8, 5)), perm=(0, 2, 1))


@pytest.mark.parametrize("network, transposes", [
    (classifying_network, 1), (branching_network, 1), (detecting_network, 1), (line_network, 2)])
@pytest.mark.parametrize("batch", [BATCH, 2], ids=["any", "two"])
def test_transposes_remain_at_the_ends_only(network, transposes, batch):
    x = placeholder("x", TensorType(DType.F32, (batch, 3, 8, 8)))
    graph = Graph("network", {"x": x}, {"y": network(x)})
    result = passes.run(graph)
    verify(result)
    check(graph, result, "layout")
    assert sum(node.op == "transpose" for node in result.nodes) == transposes


def test_what_a_traced_graph_shows_stays():
    x = placeholder("x", TensorType(DType.F32, (2, 3, 8, 8)))
    graph = Graph("network", {"x": x}, {"y": convolved(F.relu(convolved(x, 4)), 3)}, traced=True)
    assert layout(graph) is graph


def test_both_programs_have_the_matrix_behind_a_flattened_image_in_one_order():
    x = placeholder("x", TensorType(DType.F32, (BATCH, 3, 4, 4)))
    y = classifier(convolved(x, 8))
    flat = y
    while flat.node.op != "reshape":
        flat = flat.node.inputs[0]
    graph = Graph("network", {"x": x}, {"y": y}, {"flat": Label("Flatten", flat)})
    matrices = []
    for traced in (False, True):
        before = replace(graph, traced=traced)
        after = passes.run(before)
        check(before, after, "layout")
        assert after.labels["flat"].value is None or after.labels["flat"].value.type == flat.type
        [packed] = [node.inputs[1].constant for node in after.nodes if node.op == "dense"]
        matrices.append(packed)
    np.testing.assert_array_equal(*matrices)
