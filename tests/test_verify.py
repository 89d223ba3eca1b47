"""The comparison of a compiled model with its source."""

import gc
import json
import os
import sys
import zipfile

import numpy as np
import pytest

from castiron import driver, frontends, oracle, verify
from castiron.errors import VerifyError
from castiron.ir import DType, Graph, TensorType, placeholder, symbol
from castiron.ops import F
from castiron.samples import samples


@pytest.fixture
def graph():
    x = placeholder("x", TensorType(DType.F32, (symbol("batch"), 3)))
    return Graph("g", {"x": x}, {"y": F.add(F.exp(x), 1.0)})


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    keras = pytest.importorskip("keras", reason="Keras is asked for its own results")
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)])
    path = tmp_path_factory.mktemp("verify") / "model.keras"
    model.save(path)
    return path


def reference(path, graph, digest="0" * 64, framework=True):
    return verify.Reference(path, "keras", digest, graph, framework)


@pytest.mark.parametrize("format, tolerance", [("f16", 8 / 1024), ("bf16", 8 / 128), ("f8e4m3fn", verify.TOLERANCE)])
def test_what_is_rounded_to_sixteen_bits_is_compared_in_their_units(graph, format, tolerance):
    [x], [y] = graph.inputs.values(), graph.outputs.values()
    rounded = Graph("h", {"x": x}, {"y": F.round_to(y, format=format)})
    assert (verify.tolerance_of(graph), verify.tolerance_of(rounded)) == (verify.TOLERANCE, tolerance)


def test_what_is_rounded_to_bytes_is_compared_in_their_steps(graph):
    [x], [y] = graph.inputs.values(), graph.outputs.values()
    rounded = F.cast(F.round(F.mul(y, 20.0)), dtype=DType.I8)
    goes_on = Graph("q", {"x": x}, {"y": F.mul(F.cast(rounded, dtype=DType.F32), 0.05)})
    tolerances = [verify.tolerance_of(g) for g in (goes_on, Graph("q", {"x": x}, {"y": rounded}))]
    assert tolerances == [8 / 255, verify.TOLERANCE]


def test_samples_cover_sizes_zeros_and_large_values(graph):
    arrays = [sample["x"] for sample in samples(graph)]
    assert {len(a) for a in arrays} >= {1, 3, 5}
    assert any(not a.any() for a in arrays) and any(np.abs(a).max() > 20 for a in arrays)
    for a, b in zip(arrays, (s["x"] for s in samples(graph)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_distance():
    one = np.array([1.0, np.nan, np.inf], np.float32)
    assert verify.distance(one, one) == (0, 1, 0)
    assert verify.distance(one, one[:2])[0] == np.inf
    assert verify.distance(np.array([1.0, 2.0]), np.array([1.0, np.nan]))[0] == np.inf
    assert verify.distance(np.array([np.inf]), np.array([-np.inf]))[0] == np.inf
    assert verify.distance(np.array([np.nan]), np.array([1.0]))[0] == np.inf
    error, scale, ulp = verify.distance(np.array([100.5, 3.0]), np.array([100.0, 3.0]))
    assert (error, scale) == (0.5, 100) and ulp == 0.5 / np.spacing(np.float32(100))


def test_a_compiled_model_that_is_wrong_is_refused(graph, tmp_path):
    ref = reference(tmp_path, graph, framework=False)
    right = verify.compare(ref, lambda feeds: {"y": np.exp(feeds["x"]) + 1}, graph)
    assert right.source == "the interpreter" and right.largest_error <= right.tolerance * np.exp(100)
    with pytest.raises(VerifyError, match=r"output 'y' differs from the interpreter by .* Nothing was written"):
        verify.compare(ref, lambda feeds: {"y": np.exp(feeds["x"]) * 1.001 + 1}, graph)


def test_the_framework_gives_its_own_results(keras_file):
    source = frontends.load(keras_file)
    ref = reference(keras_file, source, driver.digest(keras_file))
    report = verify.compare(ref, lambda feeds: driver.compile(source)(**feeds), source)
    assert report.source.startswith("keras ") and not report.note
    assert report.largest_error < 1e-5


@pytest.mark.parametrize("package", oracle.ASIDE)
def test_the_framework_is_imported_without_what_no_model_needs(package, keras_file, tmp_path, monkeypatch):
    (tmp_path / package).mkdir()
    seen = tmp_path / "seen"
    (tmp_path / package / "__init__.py").write_text(f"open({str(seen)!r}, 'w').close()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    source = frontends.load(keras_file)
    ref = reference(keras_file, source, f"beside {package} in {tmp_path}")
    ref.results()
    assert ref.source.startswith("keras ") and not ref.note
    assert not seen.exists()


def test_importing_leaves_what_it_found(monkeypatch):
    standing = object()
    monkeypatch.setitem(sys.modules, oracle.ASIDE[0], standing)
    monkeypatch.delitem(sys.modules, oracle.ASIDE[1], raising=False)
    with oracle._importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert sys.modules[oracle.ASIDE[0]] is standing and oracle.ASIDE[1] not in sys.modules


def test_a_framework_that_fails_is_replaced_by_the_interpreter(keras_file, tmp_path):
    source = frontends.load(keras_file)
    broken = tmp_path / "model.keras"
    broken.write_bytes(b"PK not a model")
    ref = reference(broken, source, "of a broken file")
    report = verify.compare(ref, lambda feeds: driver.compile(source)(**feeds), source)
    assert report.source == "the interpreter" and "can't run it" in report.note


@pytest.mark.parametrize("layer", [
    {"module": "os", "class_name": "system", "config": "true", "registered_name": None},
    {"module": "builtins", "class_name": "eval", "config": {}, "registered_name": None},
    {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None},
    {"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "mine>Dense"},
    {"class_name": "__lambda__", "config": {"value": "x"}},
], ids=lambda layer: layer["class_name"])
def test_a_configuration_that_names_other_code_never_reaches_keras(layer, keras_file, tmp_path):
    """Keras imports what a configuration names, so it must not see one that names more than Keras."""
    assert not oracle.safe_config({"config": {"layers": [{"module": "keras.layers", "class_name": "Dense"}, layer]}})
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(keras_file) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                config["config"]["layers"].append(layer)
                data = json.dumps(config)
            new.writestr(name, data)
    with pytest.raises(ValueError, match="classes that are not Keras' own"):
        oracle._keras(path, oracle.Part([]))


def test_an_ordinary_configuration_reaches_keras(keras_file):
    assert oracle.safe_config(oracle._config(keras_file))


def test_samples_that_the_framework_refuses_are_interpreted(tmp_path):
    onnx = pytest.importorskip("onnx", reason="makes the model")
    pytest.importorskip("onnxruntime", reason="is asked for its own results")
    from onnx import TensorProto, helper

    path = tmp_path / "colours.onnx"
    node = helper.make_node("OneHotEncoder", ["colour"], ["y"], domain="ai.onnx.ml", cats_strings=["red", "blue"],
                            zeros=0)
    colour = helper.make_tensor_value_info("colour", TensorProto.STRING, ["batch"])
    made = helper.make_graph([node], "g", [colour], [helper.make_empty_tensor_value_info("y")])
    onnx.save(helper.make_model(made, ir_version=8, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)]), path)
    graph = frontends.load(path)
    known = [sample["colour"].min() >= 0 for sample in samples(graph)]
    assert any(known) and not all(known)
    asked = verify.Reference(path, "onnx", driver.digest(path), graph)
    results = asked.results()
    assert [result["y"].sum() for result in results] == [(sample["colour"] >= 0).sum() for sample in samples(graph)]
    assert asked.source.startswith("onnxruntime")
    assert f"the interpreter on {known.count(False)} of {len(known)} samples" in asked.note
    assert "zeros = 0" in asked.note
