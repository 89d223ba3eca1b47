"""Parts of graphs."""

import numpy as np
import pytest

from castiron import interp
from castiron.errors import ModelError
from castiron.ir import (
    DType,
    Graph,
    Label,
    State,
    TensorType,
    cut,
    parse_type,
    placeholder,
    symbol,
    verify,
    with_measured,
)
from castiron.ops import F
from castiron.ops.sizes import compress

BATCH, SEQ = symbol("batch"), symbol("seq")


@pytest.fixture
def graph():
    x = placeholder("x", TensorType(DType.F32, (BATCH, SEQ, 4)))
    scale = placeholder("scale", TensorType(DType.F32, (1,)))
    count = placeholder("count", TensorType(DType.I32, ()))
    half = F.slice(F.exp(x), starts=(0, 0, 0), sizes=(BATCH, SEQ // 2, 4), steps=(1, 2, 1))
    flat = F.reshape(half, shape=(BATCH * (SEQ // 2), 4))
    y = F.mul(flat, scale)
    labels = {"exp": Label("Exp", half.node.inputs[0]), "half": Label("Slice", half), "flat": Label("Reshape", flat),
              "none": Label("NoOp", None, "computes nothing")}
    graph = Graph("g", {"x": x, "scale": scale, "count": count}, {"y": y, "next": F.add(count, 1)}, labels,
                  states=(State("count", "next", np.array(0, np.int32)),))
    verify(graph)
    return graph


def evaluate(graph, **feeds):
    verify(graph)
    return interp.run(graph, {graph.inputs[k]: np.asarray(v, graph.inputs[k].type.dtype.numpy)
                              for k, v in feeds.items()}, list(graph.outputs.values()))


def test_nothing_asked_nothing_changed(graph):
    assert cut(graph).outputs == graph.outputs and cut(graph).states == graph.states


def test_outputs(graph):
    part = cut(graph, outputs=["half", "exp:0"])
    assert list(part.inputs) == ["x"] and list(part.outputs) == ["half", "exp:0"] and not part.states
    half, exp = evaluate(part, x=np.zeros((2, 4, 4)))
    assert half.shape == (2, 2, 4) and (exp == 1).all()
    assert part.labels["flat"].value is None


def test_inputs(graph):
    part = cut(graph, {"exp": None}, ["y"])
    assert list(part.inputs) == ["exp", "scale"] and part.inputs["exp"].type == graph.inputs["x"].type
    y, = evaluate(part, exp=np.ones((1, 2, 4)), scale=[3])
    assert y.tolist() == [[3, 3, 3, 3]]


def test_sizes(graph):
    part = cut(graph, {"x": parse_type("f32[1,n,4]")}, ["y"])
    assert str(part.inputs["x"].type) == "f32[1,n,4]" and str(part.outputs["y"].type) == "f32[n//2,4]"
    assert evaluate(part, x=np.zeros((1, 5, 4)), scale=[2])[0].tolist() == [[2] * 4] * 2
    assert str(cut(graph, {"x": parse_type("f32[2,7,4]")}, ["y"]).outputs["y"].type) == "f32[6,4]"


def test_sizes_behind_a_division(graph):
    with pytest.raises(ModelError, match=r"an input f32\[batch,seq//2,4\] doesn't tell what seq is"):
        verify(cut(graph, {"half": None}, ["y"]))
    part = cut(graph, {"half": parse_type("f32[n,3,4]")}, ["y"])
    assert str(part.inputs["half"].type) == "f32[n,3,4]" and str(part.outputs["y"].type) == "f32[3*n,4]"
    assert evaluate(part, half=np.ones((2, 3, 4)), scale=[2])[0].tolist() == [[2] * 4] * 6
    with pytest.raises(ModelError, match="can't be f32"):
        cut(graph, {"half": parse_type("f32[2,99999,4]")}, ["y"])


def test_fixed(graph):
    part = cut(graph, outputs=["y"], fixed={"scale": np.array(2)})
    assert list(part.inputs) == ["x"] and part.states == ()
    assert evaluate(part, x=np.zeros((1, 2, 4)))[0].tolist() == [[2] * 4]
    assert [s.input for s in cut(graph, fixed={"scale": np.array(2)}).states] == ["count"]


@pytest.mark.parametrize("arguments, message", [
    ({"outputs": ["hlaf"]}, "nothing is labelled 'hlaf'; there are 'half'"),
    ({"outputs": ["none"]}, "the label 'none' has no value: computes nothing"),
    ({"inputs": {"x": parse_type("f32[batch,4]")}}, r"'x' is f32\[batch,seq,4\] in the model, which can't be f32\[b"),
    ({"inputs": {"x": parse_type("f64[batch,1,4]")}}, "can't be f64"),
    ({"inputs": {"x": parse_type("f32[batch,1,5]")}}, "can't be f32"),
    ({"inputs": {"x": parse_type("f32[2,1,4]"), "exp": parse_type("f32[3,1,4]")}}, "can't be f32"),
    ({"fixed": {"x": np.array(1)}}, "'x' has free dimensions"),
    ({"fixed": {"scale": np.zeros(3)}}, r"can't be \[3\]"),
])
def test_errors(graph, arguments, message):
    with pytest.raises(ModelError, match=message):
        cut(graph, **arguments)


@pytest.mark.parametrize("text", ["", "f32[", "float[3]", "f32[3]x", "f32[-1]", "f32[a b]"])
def test_what_is_no_type(text):
    with pytest.raises(ModelError, match="is not a type such as"):
        parse_type(text)


def test_measured_dimensions():
    x = placeholder("x", TensorType(DType.F32, (BATCH, 2)))
    kept = compress(x, F.greater(F.gather(x, np.int64(0), axis=1), 0.0), 0)
    y = F.exp(kept)
    graph = with_measured(Graph("g", {"x": x}, {"y": y, "sum": F.reduce_sum(x, axes=(0,))}, {
        "kept": Label("BooleanMask", kept)}))
    part = cut(graph, {"kept": None}, ["y"])
    assert list(part.inputs) == ["kept"] and str(part.outputs["y"].type) == "f32[kept,2]"
    assert evaluate(part, kept=np.zeros((3, 2)))[0].shape == (3, 2)
    assert str(cut(graph, {"kept": parse_type("f32[5,2]")}, ["y"]).outputs["y"].type) == "f32[5,2]"
    whole = cut(graph, outputs=["y"])
    assert evaluate(whole, x=[[1, 2], [-1, 2]])[0].shape == (1, 2)
    with pytest.raises(ModelError, match=r"such as --input y=f32\[kept_fed,2\]"):
        verify(cut(graph, {"y": None}, ["y", "kept"]))
    verify(cut(graph, {"y": parse_type("f32[n,2]")}, ["y", "sum"]))
    with pytest.raises(ModelError, match="can't be said to be 5"):
        cut(graph, {"y": parse_type("f32[5,2]")}, ["y", "kept"])
