"""A classifier whose inputs and classes are strings, as a user has it: from the files that it reads to the server."""

import csv
import io
import json

import numpy as np
import pytest
from onnx import TensorProto, helper
from program import CASTIRON, build, output, refusal, run, serving

from castiron.toolchain import Tools, cache
from castiron.toolchain.tools import environment

WORDS = ["red", "sky blue", "Grün, \"hell\""]
CLASSES = ["stop", "go, slowly", "go"]
WEIGHTS = np.array([[2., -1., 0., .5], [-1., 2., 0., 0.], [0., 0., 3., -.5]], np.float32)
ROWS = [("red", .5), ("sky blue", 0.), (WORDS[2], -2.), ("pink", 1.)]
#: What they are classified as: the words' columns and the number times the weights.
EXPECTED = np.array([[float(word == w) for w in WORDS] + [number] for word, number in ROWS], np.float32) @ WEIGHTS.T


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    def node(op, inputs, outputs, domain="ai.onnx.ml", **attributes):
        return helper.make_node(op, inputs.split(), outputs.split(), domain=domain, **attributes)

    nodes = [node("OneHotEncoder", "colour", "columns", cats_strings=WORDS, zeros=1),
             node("Flatten", "columns", "flat", ""), node("Concat", "flat size", "features", "", axis=1),
             node("LinearClassifier", "features", "label scores", coefficients=WEIGHTS.ravel().tolist(),
                  intercepts=[0.] * 3, classlabels_strings=CLASSES),
             node("ZipMap", "scores", "chances", classlabels_strings=CLASSES)]
    graph = helper.make_graph(
        nodes, "colours", [helper.make_tensor_value_info("colour", TensorProto.STRING, ["batch", 1]),
                           helper.make_tensor_value_info("size", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, ["batch"]),
         helper.make_value_info("chances", helper.make_sequence_type_proto(helper.make_map_type_proto(
             TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))))])
    path = tmp_path_factory.mktemp("strings") / "colours.onnx"
    path.write_bytes(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]).SerializeToString())
    return path


@pytest.fixture(scope="module")
def executable(model):
    return build(model, model.with_suffix(""), framework=True)


def rows_of(text):
    head, *rows = csv.reader(io.StringIO(text))
    return head, [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)


def test_csv(executable, tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("size", "colour"), *((number, word) for word, number in ROWS)])
    head, labels, chances = rows_of(output(executable, "predict", path))
    assert head == ["label", *(f"chances.{name}" for name in CLASSES)]
    assert labels == [CLASSES[i] for i in EXPECTED.argmax(axis=1)]
    np.testing.assert_allclose(chances, EXPECTED, atol=1e-6)


def test_json_and_npy(executable, tmp_path):
    rows = json.dumps([{"colour": [word], "size": [number]} for word, number in ROWS])
    answer = json.loads(output(executable, "predict", "--format", "json", stdin=rows))
    assert answer["label"] == [CLASSES[i] for i in EXPECTED.argmax(axis=1)]
    assert [list(row) for row in answer["chances"]] == [CLASSES] * len(ROWS)
    for dtype in (str, bytes):
        colours = np.array([[word.encode() if dtype is bytes else word] for word, _ in ROWS])
        np.save(tmp_path / "colour.npy", colours)
        np.save(tmp_path / "size.npy", np.array([[number] for _, number in ROWS], np.float32))
        out = tmp_path / "label.npy"
        output(executable, "predict", "--feed", f"colour={tmp_path / 'colour.npy'}", "--feed",
               f"size={tmp_path / 'size.npy'}", "--fetch", "label", "-o", out)
        assert np.load(out).tolist() == answer["label"]


def test_inner_labels_are_strings_too(executable):
    rows = "red,1\npink,2\n"
    assert output(executable, "predict", "--fetch", "colour", "--fetch", "label", stdin=rows) == "red,stop\n,stop\n"


def test_served(executable):
    body = {"instances": [{"colour": [word], "size": [number]} for word, number in ROWS]}
    with serving(executable) as server:
        status, answer = server.ask("/v1/models/colours:predict", body)
        assert status == 200
        assert [row["label"] for row in answer["predictions"]] == [CLASSES[i] for i in EXPECTED.argmax(axis=1)]
        np.testing.assert_allclose([[row["chances"][name] for name in CLASSES] for row in answer["predictions"]],
                                   EXPECTED, atol=1e-6)
        status, answer = server.ask("/v1/models/colours:predict", {"inputs": {"colour": [["red"]], "size": [[0]]}})
        assert answer["outputs"]["label"] == ["stop"]
        assert "string" in server.error(400, "/v1/models/colours:predict", {"inputs": {"colour": [[5]], "size": [[0]]}})


def test_described(executable, model):
    listed = json.loads(output(executable, "inspect", "--json"))
    assert listed["inputs"][0] | {"label": ""} == {"name": "colour", "label": "", "dtype": "string",
                                                   "shape": ["batch", 1], "words": WORDS}
    assert listed["outputs"][1]["columns"] == CLASSES
    assert "string[batch,1] of 3 words" in output(*CASTIRON, "check", model)
    nodes = {node["label"]: node for node in json.loads(output(*CASTIRON, "inspect", "--json", model))["labels"]}
    assert nodes["label"]["dtype"] == "string" and nodes["label"]["words"] == CLASSES
    assert output(executable, "selftest").count("ok") >= 1


def test_numbers_where_strings_belong(executable, tmp_path):
    np.save(tmp_path / "colour.npy", np.zeros((1, 1)))
    assert "string" in refusal(executable, "predict", "--feed", f"colour={tmp_path / 'colour.npy'}", "--fetch", "label")


def test_in_a_go_program(model, tmp_path):
    module = build(model, tmp_path / "colours", "--emit", "go", "--module", "example.com/colours")
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/program\n\ngo 1.22\n\nrequire example.com/colours v0.0.0\n\n"
                                   f"replace example.com/colours => {module}\n")
    (folder / "main.go").write_text("""package main

import (
	"fmt"

	model "example.com/colours"
)

func main() {
	colour, _ := model.NewTensor([][]string{{"red"}, {"sky blue"}, {"pink"}})
	size, _ := model.NewTensor([][]float32{{0}, {0}, {-9}})
	results, err := model.Run(map[string]*model.Tensor{"colour": colour, "size": size}, []string{"label", "chances"})
	if err != nil {
		panic(err)
	}
	labels, err := model.Strings(results[0])
	fmt.Println(labels, err, results[0].DType(), model.Outputs()[1].Columns)
}
""")
    env = environment(GOCACHE=cache.directory() / "go", GOPROXY="off", GOTOOLCHAIN="local", CGO_ENABLED="0",
                      GOFLAGS="-mod=mod")
    done = run(Tools().go_path(), "run", ".", cwd=folder, env=env)
    assert done.stdout.decode() == "[stop go, slowly go] <nil> string [stop go, slowly go]\n", done.stderr.decode()
