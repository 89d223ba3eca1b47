"""Steps, timed: what they are called, what they compute, and that a run's time is taken. No test asserts a time."""

import json
import subprocess
import sys

import numpy as np
import pytest

import castiron
from castiron import profile
from castiron.ir import DType, Graph, Label, TensorType, constant, placeholder, symbol
from castiron.limits import Limits, measure
from castiron.ops import F
from castiron.samples import sized
from compiled import NATIVE, TOOLS

RNG = np.random.default_rng(5)
BATCH = symbol("batch")


def weights(*shape):
    return constant(RNG.standard_normal(shape).astype(np.float32))


def network():
    """A convolution, and two products behind a mean."""
    x = placeholder("x", TensorType(DType.F32, (BATCH, 9, 9, 3)))
    y = F.relu(F.conv(x, weights(3, 3, 3, 16), strides=(2, 2), dilations=(1, 1), before=(1, 1), after=(1, 1)))
    z = F.matmul(F.reshape(y, shape=(BATCH, 25 * 16)), weights(400, 8))
    return Graph("network", {"x": x}, {"z": z}, {"first": Label("Relu", y), "last": Label("MatMul", z)})


@pytest.fixture(scope="module")
def profiled():
    graph = network()
    compiled = castiron.compile(graph, tools=TOOLS)
    return profile.profile(compiled.programs["fast"], compiled.weights, sized(graph, 4), TOOLS, NATIVE[-1], 0.01)


def test_steps_say_what_they_compute(profiled):
    text = "; ".join(operator for step in profiled.steps for operator in step.operators)
    assert "conv 3×3/2 3→16" in text and "400→8" in text and profiled.sizes == {"batch": 4}
    assert {step.label for step in profiled.steps} >= {"last"} and profiled.steps[-1].result == "f32[4,8]"


def test_operations_are_counted(profiled):
    convolution, product = 2 * 4 * 25 * 16 * 27, 2 * 4 * 400 * 8
    assert convolution + product <= profiled.flops <= convolution + product + 2 * 4 * 400
    program = castiron.compile(network(), tools=TOOLS).programs["fast"]
    assert profile.count(program, {"batch": 4}) == profiled.flops == 4 * profile.count(program, {"batch": 1})


def test_time_is_taken(profiled):
    assert all(0 <= step.best <= step.seconds for step in profiled.steps) and profiled.seconds > 0
    assert all(profiled.share(step) >= 0 for step in profiled.steps)


def test_a_loop_counts_its_body_as_often_as_it_runs():
    body_state = placeholder("state", TensorType(DType.F32, (BATCH, 8)))
    trip = placeholder("trip", TensorType(DType.I64, ()))
    body = Graph("body", {"trip": trip, "state": body_state}, {"state": F.matmul(body_state, weights(8, 8))})
    x = placeholder("x", TensorType(DType.F32, (BATCH, 8)))
    results = F.loop(constant(np.int64(7)), x, body=body, carried=1)
    node = (results[0] if isinstance(results, tuple) else results).node
    assert profile.flops(node).evaluate({"batch": 2}) == 7 * 2 * 2 * 8 * 8


def test_limits():
    limits = measure(TOOLS, pieces=3)
    assert isinstance(limits, Limits) and limits.gflops > 0 and min(limits.read_gbs.values()) > 0


def command(*arguments):
    return subprocess.run([sys.executable, "-m", "castiron", "bench", *map(str, arguments)], capture_output=True,
                          text=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    onnx = pytest.importorskip("onnx")
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["m"], name="product"),
             onnx.helper.make_node("Relu", ["m"], ["y"], name="relu")]
    ends = [onnx.helper.make_tensor_value_info(name, 1, ["N", size]) for name, size in (("x", 4), ("y", 5))]
    kernel = onnx.numpy_helper.from_array(np.ones((4, 5), np.float32), "w")
    path = tmp_path_factory.mktemp("bench") / "model.onnx"
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [kernel])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_command(model):
    shown = command(model, "--per-step", "--time", "0.01", "--batch", "3")
    assert shown.returncode == 0, shown.stderr
    assert "N 3" in shown.stdout and "f32[3,5]" in shown.stdout and "4→5" in shown.stdout
    data = json.loads(command(model, "--json", "--time", "0.01").stdout)
    assert data["sizes"] == {"N": 1} and data["steps"][0]["flops"] >= 40 and data["limits"]["gflops"] > 0


def test_command_refuses(model):
    assert command(model, "--batch", "0").returncode == 2
    assert "no_model" in command("no_model.onnx").stderr
