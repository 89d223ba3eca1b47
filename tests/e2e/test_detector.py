"""A detector, of which data decide how many boxes it finds: its executable against onnxruntime."""

import json

import numpy as np
import pytest
from program import build, output, refusal, serving

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def model():
    """x [batch,3,h,w] → convolution → boxes and scores → non-maximum suppression → what is found, and the places of
    large sides among it."""
    rng = np.random.default_rng(0)

    def weights(*shape, scale):
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    constants = {
        "w": weights(8, 3, 3, 3, scale=0.3), "to_boxes": weights(4, 8, 1, 1, scale=0.5),
        "to_scores": weights(2, 8, 1, 1, scale=0.8), "most": np.int64(10), "overlap": np.float32(0.4),
        "least": np.float32(0.6), "flat_boxes": np.int64([0, 4, -1]), "flat_scores": np.int64([0, 2, -1]),
        "item_and_box": np.int64([0, 2]), "large": np.float32(0.3)}
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", ["c"], ["f"]),
        node("Conv", ["f", "to_boxes"], ["b0"]), node("Sigmoid", ["b0"], ["b1"]),
        node("Reshape", ["b1", "flat_boxes"], ["b2"]), node("Transpose", ["b2"], ["boxes"], perm=[0, 2, 1]),
        node("Conv", ["f", "to_scores"], ["s0"]), node("Sigmoid", ["s0"], ["s1"]),
        node("Reshape", ["s1", "flat_scores"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["selected"]),
        node("Gather", ["selected", "item_and_box"], ["where"], axis=1),
        node("GatherND", ["boxes", "where"], ["found"]),
        node("GatherND", ["scores", "selected"], ["score"]), node("Greater", ["found", "large"], ["is_large"]),
        node("NonZero", ["is_large"], ["sides"]),
    ]
    value, float32, int64 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    graph = onnx.helper.make_graph(
        nodes, "detector", [value("x", float32, ["batch", 3, "height", "width"])],
        [value("found", float32, ["n", 4]), value("score", float32, ["n"]), value("sides", int64, [2, "k"])],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    (folder / "detector.onnx").write_bytes(model().SerializeToString())
    rng = np.random.default_rng(1)
    np.save(folder / "x.npy", rng.standard_normal((2, 3, 12, 10)).astype(np.float32))
    np.save(folder / "none.npy", np.zeros((1, 3, 4, 4), np.float32))
    np.save(folder / "boxes.npy", rng.random((5, 4)).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def detector(folder):
    return build(folder / "detector.onnx", folder / "detector")


@pytest.fixture(scope="module")
def expected(folder):
    session = runtime.InferenceSession((folder / "detector.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    return dict(zip(("found", "score", "sides"), session.run(None, {"x": np.load(folder / "x.npy")}), strict=True))


def test_predict(detector, folder, expected):
    assert 0 < len(expected["found"]) < 40
    for name, value in expected.items():
        output(detector, "predict", folder / "x.npy", "--fetch", name, "-o", folder / "y.npy")
        np.testing.assert_allclose(np.load(folder / "y.npy"), value, rtol=1e-5, atol=1e-6)
    table = output(detector, "predict", folder / "x.npy", "--fetch", "found", "--fetch", "score", "--format", "csv")
    assert len(table.splitlines()) == len(expected["found"])
    whole = json.loads(output(detector, "predict", folder / "x.npy", "--format", "json"))
    assert {name: np.shape(v) for name, v in whole.items()} == {name: v.shape for name, v in expected.items()}


def test_nothing_is_found(detector, folder):
    assert json.loads(output(detector, "predict", folder / "none.npy", "--fetch", "found", "--format", "json")) == []
    output(detector, "predict", folder / "none.npy", "--fetch", "sides", "-o", folder / "y.npy")
    assert np.load(folder / "y.npy").shape == (2, 0)


def test_what_is_behind_can_be_fed(detector, folder):
    fed = np.load(folder / "boxes.npy")
    found = output(detector, "predict", "--feed", f"found={folder / 'boxes.npy'}", "--fetch", "sides", "--format",
                   "json")
    np.testing.assert_array_equal(json.loads(found), np.nonzero(fed > 0.3))
    said = refusal(detector, "predict", folder / "x.npy", "--feed", f"found={folder / 'boxes.npy'}", "--fetch", "score",
                   "--fetch", "found")
    assert "selected" in said and "5" in said


def test_inspect(detector):
    shapes = {line.split()[0]: line.split()[3] for line in output(detector, "inspect").splitlines()
              if len(line.split()) > 3}
    assert shapes["selected"] == "[selected,3]" and shapes["sides"] == "[2,nonzero]"
    assert "ok" in output(detector, "selftest")


def test_serve(detector, folder, expected):
    with serving(detector) as server:
        status, answer = server.ask("/v1/models/detector:predict", {"inputs": np.load(folder / "x.npy").tolist()})
    assert status == 200
    np.testing.assert_allclose(answer["outputs"]["found"], expected["found"], rtol=1e-5, atol=1e-6)
