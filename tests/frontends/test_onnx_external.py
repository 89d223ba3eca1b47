"""ONNX models whose constants are in files of their own."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import castiron
from castiron import driver, frontends
from castiron.errors import ModelError

RNG = np.random.default_rng(6)

#: Large enough to be mapped.
SIZE = 600


@pytest.fixture
def model(tmp_path):
    """tanh(tanh(x·a)·b) + c·c, with a and b in one file, behind one another and out of line, c in another and within
    a branch; and the arrays."""
    held = {"a": RNG.standard_normal((SIZE, SIZE)), "b": RNG.standard_normal((SIZE, 4)), "c": RNG.standard_normal(4)}
    held = {name: (array / 8).astype("<f4") for name, array in held.items()}
    places = {"a": ("weights/ab.bin", 4099), "b": ("weights/ab.bin", 4096 + (4 << 20)), "c": ("c.bin", 0)}
    (tmp_path / "weights").mkdir()
    tensors = {}
    for name, array in held.items():
        file, offset = places[name]
        with open(tmp_path / file, "r+b" if (tmp_path / file).exists() else "wb") as stream:
            stream.seek(offset)
            stream.write(array.tobytes())
        tensors[name] = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape,
                                    data_location=TensorProto.EXTERNAL)
        for key, value in {"location": file, "offset": offset, "length": array.nbytes}.items():
            tensors[name].external_data.add(key=key, value=str(value))
    branches = [helper.make_graph([helper.make_node("Mul", [f"c{i}", f"c{i}"], [f"d{i}"])], f"branch{i}", [],
                                  [helper.make_tensor_value_info(f"d{i}", 1, [4])], []) for i in (0, 1)]
    for i, branch in enumerate(branches):
        constant = helper.make_node("Constant", [], [f"c{i}"])
        constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensors["c"])
        branch.node.insert(0, constant)
    nodes = [helper.make_node("MatMul", ["x", "a"], ["xa"]), helper.make_node("Tanh", ["xa"], ["h"]),
             helper.make_node("MatMul", ["h", "b"], ["hb"]), helper.make_node("Tanh", ["hb"], ["t"]),
             helper.make_node("If", ["which"], ["d"], then_branch=branches[0], else_branch=branches[1]),
             helper.make_node("Add", ["t", "d"], ["y"])]
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info("x", 1, ["batch", SIZE]),
                                               helper.make_tensor_value_info("which", TensorProto.BOOL, [])],
                              [helper.make_tensor_value_info("y", 1, ["batch", 4])], [tensors["a"], tensors["b"]])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString())
    return path, held


def test_constants_in_several_files(model):
    path, held = model
    x = RNG.standard_normal((3, SIZE)).astype(np.float32)
    wanted = np.tanh(np.tanh(x @ held["a"]) @ held["b"]) + held["c"] ** 2
    (y,) = castiron.compile(path)(x=x, which=np.bool_(True)).values()
    np.testing.assert_allclose(y, wanted, atol=2e-5)


def test_the_digest_covers_all_files(model):
    path, _ = model
    assert [file.relative_to(path.parent).as_posix() for file in frontends.detect(path).files(path)] == [
        "model.onnx", "c.bin", "weights/ab.bin"]
    before = driver.digest(path)
    assert driver.digest(path) == before
    with open(path.parent / "c.bin", "r+b") as stream:
        stream.write(b"\1")
    changed = driver.digest(path)
    assert changed != before
    (path.parent / "unrelated.bin").write_bytes(b"1")
    assert driver.digest(path) == changed


def test_a_file_that_is_gone(model):
    path, _ = model
    (path.parent / "c.bin").unlink()
    with pytest.raises(ModelError, match=r"'c.bin' with the data of 'c' is missing: keep it beside the model"):
        frontends.load(path)
