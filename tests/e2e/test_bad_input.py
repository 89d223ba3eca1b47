"""What a user may get wrong at the executable: one line that says what and where, and exit code 1; 2 for the
command line."""

import json

import numpy as np
import pytest
from program import refusal

GOOD = "1,2,3,4,5,6,7,8,9,10\n"


@pytest.mark.parametrize("text, words", [
    (GOOD * 4 + "1,2,3,4,5,6,7,8,9\n" + GOOD, ["row 5", "9 columns", "10"]),
    (GOOD * 4 + "1,2,3,4,5,6,7,8,9,10,11\n", ["row 5", "11 columns", "10"]),
    (GOOD + "1,2,3,four,5,6,7,8,9,10\n", ["row 2", "column 4", '"four"', "not a number"]),
    (GOOD + "1,2,3,,5,6,7,8,9,10\n", ["row 2", "column 4"]),
    ("a,b\n1,2\n", ["2", "10"]),
    (GOOD * 5000 + "1,2,3,4,5,6,7,8,9,x\n", ["row 5001"]),
    (json.dumps([[1] * 10, [1] * 9]), ["byte", "10 and 9"]),
    (json.dumps([[1] * 10, ["1"] * 10]), ["byte", "float32"]),
    (json.dumps([{"y": [1] * 10}]), ["y"]),
    ('[[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2', []),
    ("[" * 100_000, []),
    (b"\x93NUMPY", []),
    (b"\x93NUMPY\x01\x00\xff\xff{'descr'", []),
    (b"\xff\xfe\x00\x01" * 1000, []),
], ids=lambda value: repr(value)[:30])
def test_rows(predictor, tmp_path, text, words):
    out = tmp_path / "out.csv"
    said = refusal(predictor, "predict", "-o", out, stdin=text)
    assert said.startswith("predictor: standard input")
    assert all(word in said for word in words), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array, words", [
    (np.zeros((3, 9), np.float32), ["[3,9]", "10"]),
    (np.zeros(10, np.float32), ["[10]"]),
    (np.zeros((2, 10), np.complex64), ["c8"]),
    (np.array([["a"] * 10]), ["string", "float32"]),
])
def test_arrays(predictor, tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    said = refusal(predictor, "predict", tmp_path / "x.npy")
    assert "x.npy" in said
    assert all(word in said for word in words), said


def test_a_truncated_array(predictor, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((100, 10), np.float32))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data[:-100])
    assert "x.npy" in refusal(predictor, "predict", tmp_path / "x.npy", "-o", tmp_path / "out.npy")
    assert not (tmp_path / "out.npy").exists()


def test_objects_in_an_array_are_not_loaded(predictor, tmp_path):
    np.save(tmp_path / "x.npy", np.array([print] * 10, object))
    assert "object" in refusal(predictor, "predict", tmp_path / "x.npy").lower()


@pytest.mark.parametrize("asked, nearest", [
    ("sequential/aut/MatMul", "sequential/out/MatMul"),
    ("out/MatMul", "sequential/out/MatMul"),
    ("out/matmul", "sequential/out/MatMul"),
    ("identity", "Identity"),
])
def test_an_unknown_label_names_the_nearest(predictor, asked, nearest):
    assert nearest in refusal(predictor, "predict", "--fetch", asked, stdin=GOOD).split("nearest: ")[1]
    assert nearest in refusal(predictor, "predict", "--feed", f"{asked}=x.csv").split("nearest: ")[1]


def test_a_label_without_value(predictor):
    assert "NoOp" in refusal(predictor, "predict", "--fetch", "NoOp", stdin=GOOD)


def test_inputs_that_are_missing(predictor, tmp_path):
    (tmp_path / "bias.csv").write_text("1\n")
    said = refusal(predictor, "predict", "--feed", f"sequential/out/Add/ReadVariableOp={tmp_path}/bias.csv")
    assert "x" in said


def test_feeds_that_differ_in_rows(predictor, pair, tmp_path):
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n")
    (tmp_path / "b.csv").write_text("1,2\n")
    said = refusal(pair, "predict", "--feed", f"a={tmp_path}/a.csv", "--feed", f"b={tmp_path}/b.csv")
    assert "a.csv" in said and "b.csv" in said


@pytest.mark.parametrize("words", [
    [], ["guess"], ["predict", "--frobnicate"], ["predict", "a.csv", "b.csv"], ["predict", "--feed", "x"],
    ["predict", "--format", "xml"], ["predict", "--threads", "-1"], ["bench", "--batch", "0"], ["inspect", "x"],
])
def test_a_wrong_command_line(predictor, words):
    refusal(predictor, *words, code=2)


def test_files_that_cannot_be_opened(predictor, tmp_path):
    assert "absent.csv: no such file" in refusal(predictor, "predict", "absent.csv")
    assert "folder" in refusal(predictor, "predict", tmp_path)
    (tmp_path / "x.csv").write_text(GOOD)
    assert "folder" in refusal(predictor, "predict", tmp_path / "x.csv", "-o", tmp_path)
    assert "no such file" in refusal(predictor, "predict", tmp_path / "x.csv", "-o", tmp_path / "absent" / "out.csv")
