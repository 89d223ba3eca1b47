"""Sizes of free dimensions that the user gives, in every format."""

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from castiron import Selection, cli, load
from castiron.errors import ModelError
from castiron.frontends.tensorflow.proto import graph_pb2
from castiron.ir import symbol


@pytest.fixture
def written(tmp_path):
    """A doubling of x [batch, …] in each format: the file, and the name of a free dimension other than the batch."""
    def onnx_file():
        graph = helper.make_graph(
            [helper.make_node("Add", ["x", "x"], ["y"])], "doubling",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "steps", 3])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), tmp_path / "x.onnx")
        return tmp_path / "x.onnx", "steps"

    def graphdef_file():
        graph = graph_pb2.GraphDef()
        graph.versions.producer = 100
        x = graph.node.add(name="x", op="Placeholder")
        x.attr["dtype"].type = 1
        for size in (-1, -1, 3):
            x.attr["shape"].shape.dim.add(size=size)
        graph.node.add(name="y", op="Add", input=["x", "x"])
        graph.node[1].attr["T"].type = 1
        (tmp_path / "x.pb").write_bytes(graph.SerializeToString())
        return tmp_path / "x.pb", "x_1"

    def keras_file():
        x = keras.Input((None, 3), name="x")
        keras.Model(x, keras.layers.Add()([x, x])).save(tmp_path / "x.keras")
        return tmp_path / "x.keras", "x_1"

    return {"onnx": onnx_file, "graphdef": graphdef_file, "keras": keras_file}


@pytest.mark.parametrize("format", ["onnx", "graphdef", "keras"])
def test_a_free_dimension_gets_a_size(written, format):
    path, name = written[format]()
    (y,) = load(path, Selection(dims={name: 7})).outputs.values()
    assert y.type.shape == (symbol("batch"), 7, 3)
    (y,) = load(path, Selection(dims={"batch": 2, name: 32 * symbol("n")})).outputs.values()
    assert y.type.shape == (2, 32 * symbol("n"), 3)
    with pytest.raises(ModelError, match=rf"no free dimension .* is called 'heigth'; there are 'batch', '{name}'"):
        load(path, Selection(dims={"heigth": 3}))


def test_a_size_for_an_inputs_given_type(written):
    path, _ = written["onnx"]()
    given = load(path).inputs["x"].type.with_shape([symbol("n"), 4, 3])
    (y,) = load(path, Selection(inputs={"x": given}, dims={"n": 5})).outputs.values()
    assert y.type.shape == (5, 4, 3)
    with pytest.raises(ModelError, match="is called 'n'; there is none"):
        load(path, Selection(inputs={"x": given.with_shape([5, 4, 3])}, dims={"n": 5}))


def test_on_the_command_line(written, capsys):
    path, _ = written["onnx"]()
    cli.main(["check", str(path), "--dim", "steps=4*k", "--dim", "batch=1"])
    assert "f32[1,4*k,3]" in capsys.readouterr().out
    for wrong in ("steps", "steps=", "=3", "steps=0", "steps=-1", "steps=a b"):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["check", str(path), "--dim", wrong])
        assert stopped.value.code == 2
        assert "is not NAME=N" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        cli.main(["check", str(path), "--dim", "stesp=1"])
    assert stopped.value.code == 1


def test_what_was_in_the_way_is_not(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Squeeze", ["x"], ["y"])], "squeezing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), tmp_path / "x.onnx")
    with pytest.raises(ModelError, match=r"give free dimensions sizes \(--dim\)"):
        load(tmp_path / "x.onnx")
    (y,) = load(tmp_path / "x.onnx", Selection(dims={"batch": 2})).outputs.values()
    assert y.type.shape == (2, 3)
    assert y.type.dtype.numpy == np.float32
