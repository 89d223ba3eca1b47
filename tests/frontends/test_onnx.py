"""ONNX models: labels, inputs and outputs, data in files of their own, functions, control flow, and what is refused."""

import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from castiron import frontends, interp
from castiron.errors import CastironError, ModelError, UnsupportedOp
from castiron.ir import DType, TensorType, print_graph

RNG = np.random.default_rng(5)
FLOAT = TensorProto.FLOAT


def info(name, *shape, type=FLOAT):
    return helper.make_tensor_value_info(name, type, list(shape))


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def model(nodes, inputs, outputs, initializers=(), opset=21, **more):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **more)


@pytest.fixture
def write(tmp_path):
    def write(model, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return path
    return write


def load(path, **selection):
    return frontends.load(path, frontends.Selection(**selection))


def run(graph, **feeds):
    values = {graph.inputs[name]: np.asarray(array) for name, array in feeds.items()}
    return interp.run(graph, values, list(graph.outputs.values()))


def perceptron():
    weights = [RNG.standard_normal(shape).astype(np.float32) for shape in ((3, 4), (4,), (4, 2))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["xw"], name="first"),
             helper.make_node("Add", ["xw", "b"], ["sum"]),
             helper.make_node("Relu", ["sum"], ["hidden"], name="second"),
             helper.make_node("MatMul", ["hidden", "v"], ["y"])]
    initializers = [tensor(name, array) for name, array in zip("wbv", weights, strict=True)]
    return model(nodes, [info("x", "batch", 3), info("w", 3, 4)], [info("y", "batch", 2)], initializers), weights


def test_labels_are_values_and_constants_are_no_inputs(write):
    source, (w, b, v) = perceptron()
    graph = load(write(source))
    assert list(graph.labels) == ["x", "xw", "sum", "hidden", "y"]
    assert [label.op for label in graph.labels.values()] == ["Input", "MatMul", "Add", "Relu", "MatMul"]
    assert {name: repr(value.type) for name, value in graph.inputs.items()} == {"x": "f32[batch,3]"}
    x = RNG.standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(run(graph, x=x)[0], np.maximum(x @ w + b, 0) @ v, atol=1e-5)


def test_a_part_of_a_model(write):
    source, (_, _, v) = perceptron()
    path = write(source)
    graph = load(path, inputs={"hidden": None}, outputs=["y"])
    assert list(graph.inputs) == ["hidden"]
    h = RNG.standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_allclose(run(graph, hidden=h)[0], h @ v, atol=1e-5)
    narrow = load(path, inputs={"x": TensorType(DType.F32, (7, 3))}, outputs=["xw", "hidden"])
    assert [repr(value.type) for value in narrow.outputs.values()] == ["f32[7,4]", "f32[7,4]"]
    ones = load(path, fixed={"x": np.ones((2, 3), np.float32)})
    assert not ones.inputs
    assert run(ones)[0].shape == (2, 2)
    with pytest.raises(ModelError, match="no node is called 'hiden'; there are 'hidden'"):
        load(path, outputs=["hiden"])
    with pytest.raises(ModelError, match="has no signatures"):
        load(path, signature="serving_default")


def test_an_initial_value_can_be_an_input(write):
    source, _ = perceptron()
    assert list(load(write(source), inputs={"w": None}).inputs) == ["x", "w"]


def test_half_precision_is_widened(write):
    source = model([helper.make_node("Add", ["x", "c"], ["y"])], [info("x", 2, type=TensorProto.BFLOAT16)],
                   [info("y", 2, type=TensorProto.BFLOAT16)],
                   [helper.make_tensor("c", TensorProto.BFLOAT16, [2], [1.5, -2.0])])
    graph = load(write(source))
    assert repr(graph.inputs["x"].type) == "f32[2]"
    np.testing.assert_array_equal(run(graph, x=np.zeros(2, np.float32))[0], [1.5, -2])


@pytest.mark.parametrize("array", [np.array([[1, -2]]).astype(t) for t in
                                   ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "?")])
@pytest.mark.parametrize("raw", [False, True])
def test_constants_of_all_types(write, array, raw):
    proto = tensor("c", array) if raw else helper.make_tensor(
        "c", helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.ravel().tolist())
    source = model([helper.make_node("Identity", ["c"], ["y"])], [], [info("y", 1, 2, type=proto.data_type)], [proto])
    np.testing.assert_array_equal(run(load(write(source)))[0], array)


def external(location, **more):
    source = model([helper.make_node("Add", ["x", "c"], ["y"])], [info("x", 4)], [info("y", 4)],
                   [tensor("c", np.zeros(4, np.float32))])
    constant = source.graph.initializer[0]
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        constant.external_data.add(key=key, value=str(value))
    return source


def test_data_in_a_file_of_their_own(write, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights.bin").write_bytes(b"\0" * 8 + np.arange(4, dtype="<f4").tobytes())
    graph = load(write(external("data/weights.bin", offset=8, length=16)))
    np.testing.assert_array_equal(run(graph, x=np.ones(4, np.float32))[0], [1, 2, 3, 4])


@pytest.mark.parametrize("location, more, why", [
    ("/etc/passwd", {}, "must be in the model's folder"),
    ("../secret", {}, "must be in the model's folder"),
    ("link", {}, "outside the model's folder"),
    ("missing.bin", {}, "keep it beside the model"),
    ("short.bin", {}, "doesn't hold the data"),
    ("short.bin", {"offset": -4}, "doesn't hold the data"),
    ("short.bin", {"length": 4}, "doesn't hold the data"),
    ("short.bin", {"offset": "x"}, "is no number"),
])
def test_data_files_that_are_refused(write, tmp_path, location, more, why):
    (tmp_path / "short.bin").write_bytes(b"\0" * 12)
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ModelError, match=why):
        load(write(external(location, **more)))


def test_functions_are_read_with_their_attributes(write):
    body = [helper.make_node("LeakyRelu", ["a"], ["t"]), helper.make_node("Add", ["t", "b"], ["c"])]
    body[0].attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    function = helper.make_function("own", "Leaky", ["a", "b"], ["c"], body, [helper.make_opsetid("", 21)], ["slope"])
    nodes = [helper.make_node("Leaky", ["x", "x"], ["y"], domain="own", slope=0.5),
             helper.make_node("Leaky", ["y", "x"], ["z"], domain="own", slope=0.0)]
    source = model(nodes, [info("x", 2)], [info("z", 2)], functions=[function])
    source.opset_import.append(helper.make_opsetid("own", 1))
    graph = load(write(source))
    assert list(graph.labels) == ["x", "y/t", "y/c", "y", "z/t", "z/c", "z"]
    np.testing.assert_array_equal(run(graph, x=np.array([-2, 2], np.float32))[0], [-2, 6])
    function.node.append(helper.make_node("Leaky", ["a", "a"], ["d"], domain="own"))
    function.output[0] = "d"
    source.functions[0].CopyFrom(function)
    with pytest.raises(ModelError, match="calls itself"):
        load(write(source))


def branch(name, op):
    return helper.make_graph([helper.make_node(op, ["x", "x"], [name])], name, [], [info(name, 2)])


def test_branches_that_are_known_and_that_are_not(write):
    node = helper.make_node("If", ["p"], ["y"], then_branch=branch("t", "Add"), else_branch=branch("e", "Mul"))
    source = model([node], [info("x", 2), info("p", type=TensorProto.BOOL)], [info("y", 2)])
    path, x = write(source), np.array([3, 4], np.float32)
    graph = load(path)
    for p, want in ((True, x + x), (False, x * x)):
        np.testing.assert_array_equal(run(graph, x=x, p=np.bool_(p))[0], want)
        fixed = load(path, fixed={"p": np.bool_(p)})
        assert "conditional" not in print_graph(fixed)
        np.testing.assert_array_equal(run(fixed, x=x)[0], want)


def test_a_loop_with_a_condition_and_one_that_stacks_results(write):
    body = helper.make_graph(
        [helper.make_node("Add", ["v", "x"], ["w"]), helper.make_node("ReduceMax", ["w"], ["m"], keepdims=0),
         helper.make_node("Less", ["m", "limit"], ["go"]), helper.make_node("Identity", ["going"], ["same"]),
         helper.make_node("Mul", ["w", "w"], ["s"])],
        "body", [info("i", type=TensorProto.INT64), info("going", type=TensorProto.BOOL), info("v", 2)],
        [info("go", type=TensorProto.BOOL), info("w", 2)])
    until = helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)
    stacking = onnx.GraphProto()
    stacking.CopyFrom(body)
    stacking.output[0].name = "same"
    stacking.output.append(info("s", 2))
    stack = helper.make_node("Loop", ["three", "", "x"], ["z", "all"], body=stacking)
    source = model([until, stack], [info("x", 2)], [info("y", 2), info("z", 2), info("all", 3, 2)],
                   [tensor("yes", np.bool_(True)), tensor("limit", np.float32(10)), tensor("three", np.int64(3))])
    y, z, squares = run(load(write(source)), x=np.array([1, 2], np.float32))
    np.testing.assert_array_equal(y, [5, 10])
    np.testing.assert_array_equal(z, [4, 8])
    np.testing.assert_array_equal(squares, [[4, 16], [9, 36], [16, 64]])


def test_free_dimensions_give_what_fixed_ones_give(write):
    def floats(*shape):
        return RNG.standard_normal(shape).astype(np.float32)

    nodes = [helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
             helper.make_node("Resize", ["c", "", "twice"], ["r"], mode="nearest", nearest_mode="floor",
                              coordinate_transformation_mode="asymmetric"),
             helper.make_node("Pad", ["r", "amounts"], ["p"], mode="reflect"),
             helper.make_node("Resize", ["p", "", "", "size"], ["l"], mode="linear"),
             helper.make_node("ReduceMean", ["p", "space"], ["m"], keepdims=0),
             helper.make_node("Unsqueeze", ["m", "front"], ["steps"]),
             helper.make_node("LSTM", ["steps", "w", "u"], ["", "h"], hidden_size=3, direction="bidirectional")]
    constants = {"k": floats(4, 3, 3, 3), "twice": np.array([1, 1, 2, 2], np.float32),
                 "amounts": np.array([0, 0, 1, 2, 0, 0, 2, 1]), "size": np.array([2, 4, 9, 8]),
                 "space": np.array([2, 3]), "front": np.array([0]), "w": floats(2, 12, 4), "u": floats(2, 12, 3)}
    source = model(nodes, [info("x", 2, 3, "?", "?")], [info("l", 2, 4, 9, 8), info("h", 2, 2, 3)],
                   [tensor(name, array) for name, array in constants.items()])
    path = write(source)
    free = load(path)
    assert repr(free.inputs["x"].type) == "f32[2,3,x_2,x_3]"
    for height, width in ((6, 8), (11, 5)):
        x = floats(2, 3, height, width)
        fixed = load(path, inputs={"x": TensorType(DType.F32, x.shape)})
        for got, want in zip(run(free, x=x), run(fixed, x=x), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("attributes, sizes", [
    ({"mode": mode, "coordinate_transformation_mode": coordinates, **more}, sizes)
    for mode, coordinates, more in (
        ("nearest", "asymmetric", {"nearest_mode": "floor"}), ("nearest", "half_pixel", {}),
        ("nearest", "tf_half_pixel_for_nn", {"nearest_mode": "round_prefer_ceil"}),
        ("nearest", "align_corners", {"nearest_mode": "ceil"}), ("linear", "half_pixel_symmetric", {}),
        ("linear", "half_pixel", {}), ("cubic", "pytorch_half_pixel", {"cubic_coeff_a": -0.5}),
        ("cubic", "asymmetric", {}))
    for sizes in (False, True)])
def test_resizing_free_dimensions_gives_what_fixed_ones_give(write, attributes, sizes):
    """By scales, and to the size of another tensor."""
    opset = 11 if "tf_half" in attributes["coordinate_transformation_mode"] else 19
    nodes = [helper.make_node("Shape", ["like"], ["size"]),
             helper.make_node("Resize", ["x", "nothing", "nothing", "size"] if sizes else ["x", "nothing", "scales"],
                              ["y"], **attributes),
             helper.make_node("Identity", ["like"], ["z"])]
    source = model(nodes, [info("x", 1, 2, "h", "w"), info("like", 1, 2, "a", "b")],
                   [info("y", 1, 2, "c", "d"), info("z", 1, 2, "a", "b")],
                   [tensor("scales", np.array([1, 1, 1.5, 0.75], np.float32)),
                    tensor("nothing", np.zeros(0, np.float32))], opset)
    path = write(source)
    free = load(path)
    for before, after in (((5, 7), (3, 12)), ((8, 4), (13, 3))):
        feeds = {"x": RNG.standard_normal((1, 2, *before)).astype(np.float32), "like": np.zeros((1, 2, *after), "f4")}
        fixed = load(path, inputs={name: TensorType(DType.F32, array.shape) for name, array in feeds.items()})
        np.testing.assert_allclose(run(free, **feeds)[0], run(fixed, **feeds)[0], atol=1e-5)


def test_lists_are_fed_and_fetched_element_by_element(write):
    each = helper.make_graph([helper.make_node("Add", ["e", "x"], ["d"])], "each",
                             [info("e", "n"), info("x", 1)], [info("d", "n")])
    element = helper.make_tensor_type_proto(FLOAT, ["n"])
    listed = helper.make_value_info("list", helper.make_sequence_type_proto(element))
    given = helper.make_value_info("x", helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, [1])))
    nodes = [helper.make_node("OptionalGetElement", ["x"], ["v"]),
             helper.make_node("SequenceMap", ["list", "v"], ["y"], body=each),
             helper.make_node("OptionalHasElement", ["x"], ["has"])]
    output = helper.make_value_info("y", helper.make_sequence_type_proto(element))
    path = write(model(nodes, [listed, given], [output, info("has", type=TensorProto.BOOL)]))
    with pytest.raises(ModelError, match=r"tensors are in the list 'list'.*--input list\.0=f32"):
        load(path)
    graph = load(path, inputs={"list.0": TensorType(DType.F32, (2,)), "list.1": TensorType(DType.F32, (3,))})
    assert list(graph.inputs) == ["list.0", "list.1", "x"]
    assert list(graph.outputs) == ["y.0", "y.1", "has"]
    feeds = {"list.0": np.array([1, 2], "f4"), "list.1": np.array([3, 4, 5], "f4"), "x": np.array([10], "f4")}
    first, second, has = run(graph, **feeds)
    assert (first.tolist(), second.tolist(), has) == ([11, 12], [13, 14, 15], True)


def sparse(indices, dims, values=(5.0, 7.0)):
    source = model([helper.make_node("Add", ["x", "s"], ["y"])], [info("x", 2, 3)], [info("y", 2, 3)])
    source.graph.sparse_initializer.append(helper.make_sparse_tensor(
        tensor("s", np.array(values, np.float32)), tensor("places", np.array(indices, np.int64)), dims))
    return source


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]])
def test_sparse_constants_are_made_dense(write, indices):
    x = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(run(load(write(sparse(indices, [2, 3]))), x=x)[0], [[0, 5, 0], [0, 0, 7]])


@pytest.mark.parametrize("source, why", [
    (sparse([1, 6], [2, 3]), "indices that don't fit"), (sparse([1, -1], [2, 3]), "indices that don't fit"),
    (sparse([1], [2, 3]), "indices that don't fit"), (sparse([[0, 1], [1, 3]], [2, 3]), "outside its shape"),
    (sparse([1, 2], [1 << 40, 1 << 20]), "has the shape"), (sparse([1, 2], [-2, 3]), "has the shape"),
])
def test_sparse_constants_that_are_refused(write, source, why):
    with pytest.raises(ModelError, match=why):
        load(write(source))


def test_everything_unsupported_is_listed(write):
    nodes = [helper.make_node("Foo", ["x"], ["a"], name="one"), helper.make_node("Foo", ["a"], ["b"]),
             helper.make_node("Bar", ["b"], ["y"], domain="com.example"),
             helper.make_node("StringNormalizer", ["x"], ["unused"])]
    with pytest.raises(UnsupportedOp) as error:
        load(write(model(nodes, [info("x", 2)], [info("y", 2)])))
    assert "2 operators that are not supported: Foo × 2 ('b', 'one'); com.example.Bar × 1 ('y')" in str(error.value)
    assert {obstacle.nodes for obstacle in error.value.obstacles} == {("b", "one"), ("y",)}


def add(*inputs):
    return helper.make_node("Add", list(inputs), ["y"])


@pytest.mark.parametrize("source, why", [
    (model([add("x", "nothing")], [info("x", 2)], [info("y", 2)]), "reads 'nothing', which nothing before it gives"),
    (model([add("x", "y")], [info("x", 2)], [info("y", 2)]), "reads 'y', which nothing before it gives"),
    (model([add("x", "x"), add("x", "x")], [info("x", 2)], [info("y", 2)]), "two nodes give the value 'y'"),
    (model([add("x")], [info("x", 2)], [info("y", 2)]), "Add has no operand 'y'"),
    (model([add("x", "x", "x")], [info("x", 2)], [info("y", 2)]), "Add has 3 operands, more than the 2"),
    (model([add("x", "c")], [info("x", 2)], [info("y", 2)], [tensor("c", np.zeros(3, np.float32))]), "don't broadcast"),
    (model([add("x", "x")], [info("x", 2)], [info("z", 2)]), "no node is called 'z'"),
    (model([add("x", "x")], [info("x", 2)], []), "has no outputs"),
    (model([add("x", "x")], [info("x", 2)], [info("y", 2)], opset=99), "version 99 of ONNX's operators"),
    (model([add("x", "x")], [info("x", 2, type=TensorProto.STRING)], [info("y", 2)]), "Add of strings"),
    (model([add("x", "x")], [helper.make_tensor_value_info("x", FLOAT, None)], [info("y", 2)]),
     "--input x=f32\\[batch,10\\]"),
    (model([helper.make_node("Reshape", ["x", "s"], ["y"])], [info("x", 4), info("s", 2, type=TensorProto.INT64)],
           [info("y", 2, 2)]), "the shape depends on what is fed"),
    (model([helper.make_node("If", ["p"], ["y"])], [info("x", 2), info("p", type=TensorProto.BOOL)], [info("y", 2)]),
     "If has no then_branch"),
    (b"\x08\x07\x12\x04test", "it has no graph"),
    (b"\x08\x07\x12\xff\xff", "damaged or cut off"),
])
def test_what_is_refused(write, source, why):
    with pytest.raises(ModelError, match=why):
        load(write(source))


def test_constants_that_lie_about_their_size(write):
    for dims, field in (([1 << 40], "raw_data"), ([-1], "raw_data"), ([2, 2], "float_data"), ([1] * 99, "raw_data")):
        source = model([add("x", "c")], [info("x", 2)], [info("y", 2)], [tensor("c", np.zeros(2, np.float32))])
        constant = source.graph.initializer[0]
        constant.dims[:] = dims
        if field == "float_data":
            constant.ClearField("raw_data")
            constant.float_data[:] = [1.0]
        with pytest.raises(ModelError, match="the constant 'c'"):
            load(write(source))


def test_damaged_files_give_clear_errors(write):
    body = helper.make_graph([helper.make_node("Relu", ["v"], ["w"])], "body",
                             [info("i", type=TensorProto.INT64), info("going", type=TensorProto.BOOL),
                              info("v", 1, 4, 5)],
                             [info("going", type=TensorProto.BOOL), info("w", 1, 4, 5)])
    nodes = [helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1], strides=[1]),
             helper.make_node("Loop", ["n", "", "c"], ["l"], body=body),
             helper.make_node("Slice", ["l", "zero", "end", "axis"], ["s"]),
             helper.make_node("Softmax", ["s"], ["y"], axis=1)]
    source = model(nodes, [info("x", 1, 3, 5)], [info("y", 1, 4, "n")],
                   [tensor("k", RNG.standard_normal((4, 3, 3)).astype(np.float32)), tensor("n", np.int64(2)),
                    *(tensor(n, np.array([v], np.int64)) for n, v in (("zero", 0), ("end", 4), ("axis", 2)))])
    data = source.SerializeToString()
    load(write(data))
    choose = random.Random(3)
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(choose.randint(1, 6)):
            damaged[choose.randrange(len(data))] = choose.choice((0, 1, 127, 128, 255, choose.randrange(256)))
        try:
            load(write(bytes(damaged[:choose.choice((len(data), choose.randrange(len(data)))) or 1])))
        except CastironError as error:
            assert str(error).strip()
