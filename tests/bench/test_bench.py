"""The benchmark's machinery on canned results and an engine that costs nothing; no test asserts a time."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import calls, command, machine, picture, report
from bench.engines import ENGINES, Session
from bench.engines.base import PythonEngine
from bench.figures import TARGETS, best_peer, ratio
from bench.models import MEASURED, RECIPES, Model
from bench.needed import require
from bench.results import Case, Cell, Results
from bench.setting import Setting
from bench.timing import Timing, interleave

CONDITIONS = {"cpu": "a processor", "cpus": 2, "system": "Linux 6.1", "python": "3.11.7", "source": "0123",
              "packages": {"castiron": "1.0"}}


def cell(engine, microseconds, batch=1, threads=1, model="resnet50"):
    return Cell(model, engine, batch, threads, microseconds, microseconds / 2, 3 * microseconds, 1e-7, 50.0, 9, 0.5)


@pytest.fixture
def results():
    results = Results(CONDITIONS)
    results.put(Case("resnet50", 1, 1), [cell("castiron", 50e3), cell("castiron_python", 40e3), cell("openvino", 60e3),
                                         cell("onnxruntime", 70e3)], {"tensorflow_c": "it is gone"})
    results.put(Case("resnet50", 32, 1), [cell("castiron", 2e6, 32), cell("openvino", 1e6, 32)], {})
    results.put(Case("resnet50", 1, 2), [cell("castiron", 25e3, 1, 2), cell("openvino", 60e3, 1, 2)], {})
    timing = {"median": 0.02, "best": 0.01, "turns": 3}
    start = {"first": timing, "end": timing}
    titles = {"resnet50": "ResNet50", "seed_mlp": "MLP"}
    kinds = dict.fromkeys(("cold", "warm", "rebuild"), timing)
    sizes = {"castiron": 10_000_000, "litert": 20_000_000}
    results.parts = {
        "limits": {"gflops": 200.0, "read_gbs": {"L2": 100.0, "memory": 10.0}, "flops": {"resnet50": 7e9},
                   "weights": {"resnet50": 100_000_000}, "where": {"resnet50": "memory"}},
        "cold": {"cores": 2, "titles": titles, "nothing": timing,
                 "models": {name: {"castiron": start, "litert": start} for name in titles}},
        "size": {"titles": titles, "models": {name: sizes for name in titles}, "python": 9e7},
        "scoring": {"rows": 1000, "columns": 10, "bytes": 5000, "timings": {"castiron": timing}},
        "building": {"titles": titles, "models": {name: {"timings": kinds, "peak_rss_mb": 600.0} for name in titles},
                     "cores": 2},
    }
    return results


def line(page, start):
    return next(line for line in page.splitlines() if line.startswith(start))


def test_the_best_peer_is_not_castiron_itself(results):
    cells = results.cells("resnet50", 1, 1)
    assert best_peer(cells).engine == "openvino" and ratio(results, "resnet50", 1) == pytest.approx(1.2)


def test_reasons_tell_no_paths():
    said = "/home/user/bin/python ended with exit code 1: FileNotFoundError: '/tmp/model.onnx' (see https://x.org/a/b)"
    assert machine.without_paths(said) == ("python ended with exit code 1: FileNotFoundError: 'model.onnx' "
                                           "(see https://x.org/a/b)")


def test_what_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="bench: castiron missing: pip install"):
        require("castiron")


def test_page_tells_what_is_met_and_what_is_missed(results):
    page = report.page(results)
    assert "| 50 ms | 60 ms, OpenVINO | **1.20x** | 1.15x | met | 140 | 70% |" in page
    assert "| 2 s | 1 s, OpenVINO | **0.50x** | 1.10x | **missed** |" in page
    assert "2 times faster | met" in line(page, "| ResNet50: two threads against one")
    assert "20 ms | met" in line(page, "| Cold start of ResNet50")
    assert "not measured" in line(page, "| … against XLA's")


def test_page_shows_losing_cells_and_missing_engines(results):
    page = report.page(results)
    assert ("| OpenVINO | Python | 60 ms (30 ms), 58%, 1.20x | 1 s (500 ms), 112%, 0.50x | 60 ms (30 ms), 29%, 2.4x |"
            in page)
    assert "TensorFlow C API: it is gone." in page
    assert "20.0 MB, 2.0x" in page and "## Building" in page and "## Scoring" in page


def test_page_of_nothing_and_of_one_model(results):
    assert "not measured" in report.page(Results(CONDITIONS))
    assert report.page(results, {"resnet50"}).startswith("## ResNet50") and not report.page(results, {"lstm"})


def test_picture(results, tmp_path):
    pytest.importorskip("matplotlib")
    picture.draw(results, tmp_path / "a.svg")
    picture.draw(results, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "1.20×" in (tmp_path / "a.svg").read_text()


def test_results_are_found_again(results, tmp_path):
    path = tmp_path / "results.json"
    assert Results.load(path) is None
    results.save(path)
    assert Results.load(path) == results
    row = json.loads(path.read_text())["rows"][0]
    assert {"model", "engine", "batch", "threads", "median_us", "best_us", "max_error", "peak_rss_mb"} <= set(row)


def test_a_case_is_measured_anew_as_a_whole(results):
    case = Case("resnet50", 1, 1)
    assert results.has(case) and not results.has(Case("lstm", 1, 1))
    results.put(case, [cell("castiron", 1.0)], {})
    assert list(results.cells("resnet50", 1, 1)) == ["castiron"] and "openvino" in results.cells("resnet50", 1, 2)


def test_turns_are_interleaved():
    order = []
    work = {name: lambda name=name: order.append(name) or len(order) for name in "AB"}
    assert interleave(work, 3) == {"A": Timing(3, 1, 3), "B": Timing(4, 2, 3)}
    assert "".join(order) == "ABABAB"


def test_a_wrong_result_has_no_time():
    expected = np.array([[1.0], [-2.0]])
    assert calls.difference(expected.ravel() * (1 + 1e-7), expected) < 1e-6
    for wrong in (expected.ravel() * 1.001, np.array([1.0, np.nan]), np.array([1.0])):
        with pytest.raises(RuntimeError, match="wrong"):
            calls.difference(wrong, expected)


def test_cases_are_those_of_the_recipes():
    every = calls.cases()
    assert {case.model for case in every} == set(MEASURED) and Case("resnet50", 32, 1) in every
    assert calls.cases(["lstm"], [1], [1]) == [Case("lstm", 1, 1)]
    assert Case("lstm", 32, 2) not in every
    assert set(TARGETS) <= set(MEASURED)


def test_engines_and_models_are_described():
    for name, engine in ENGINES.items():
        assert engine.name == name and engine.title and engine.through and isinstance(engine.peer, bool)
    for name, recipe in RECIPES.items():
        assert recipe.name == name and recipe.title and max(recipe.batches, default=1) <= recipe.count


@pytest.fixture
def model(tmp_path):
    model = Model("model", tmp_path / "model", (3,))
    model.folder.mkdir()
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save(model.folder / "rows.npy", rows)
    np.save(model.folder / "expected.npy", rows.sum(1, keepdims=True))
    model.save()
    return model


def test_an_engine_says_what_is_missing(model):
    class Engine(PythonEngine):
        packages = ("sys", "no_such_package")

        def reads(self, model, batch):
            return model.onnx

    assert Engine().unable(model) == "the package no_such_package is not installed"
    Engine.packages = ()
    assert Engine().unable(model) == "there is no model.onnx"


def test_a_model_is_found_again(model):
    assert Model.load(model.folder) == model
    assert np.fromfile(model.rows_file(2), np.float32).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.fixture
def in_checkout(monkeypatch):
    monkeypatch.chdir(Path(report.__file__).parent.parent)


class Sum:
    """An engine that is a process of its own, by the protocol."""

    name, title, through, peer = "litert", "Sum", "Python", True
    program = """
import sys, numpy
from bench.engines import ENGINES, worker
ENGINES["sum"] = type("Sum", (), {"prepare": lambda *_: lambda rows: rows.sum(1)})()
worker.main()
"""

    def unable(self, model):
        return None

    def command(self, model, batch, threads, work):
        return sys.executable, "-c", self.program, "sum", model.folder, str(batch), str(threads)


def test_session(model, tmp_path, in_checkout):
    session = Session.start(Sum(), model, 2, tmp_path, machine.CORES[:1])
    try:
        assert session.predict().tolist() == model.expected(2).ravel().tolist()
        assert session.time(10) > 0 and session.peak_rss_mb() > 1
    finally:
        session.close()


def test_a_process_that_ends_too_soon_is_reported(model, tmp_path):
    engine = Sum()
    engine.program = "raise SystemExit('no such thing')"
    with pytest.raises(RuntimeError, match="exit code 1: no such thing"):
        Session.start(engine, model, 2, tmp_path, machine.CORES[:1])


def test_a_case(model, tmp_path, in_checkout, monkeypatch):
    monkeypatch.setattr(Setting, "model", lambda self, name: model)
    broken = Sum()
    broken.name, broken.program = "openvino", Sum.program.replace("sum(1)", "sum(1) * 2")
    setting = Setting(tmp_path, machine.CORES[-1], quick=True)
    (measured,), why = calls.run(Case("model", 2, 1), [Sum(), broken], setting)
    assert measured.engine == "litert" and 0 < measured.best_us <= measured.median_us and measured.max_error == 0
    assert list(why) == ["openvino"] and "wrong" in why["openvino"]


def test_the_command_line(monkeypatch, tmp_path, results, capsys):
    """Figures of a narrowed run are put beside others only under the same conditions."""
    path = tmp_path / "results.json"
    results.save(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(machine, "pin", lambda cores: None)
    monkeypatch.setattr(machine, "conditions", lambda: CONDITIONS)
    monkeypatch.setattr(calls, "run", lambda case, engines, setting: ([cell("castiron", 7.0)], {}))
    arguments = ["resnet50", "--batch", "1", "--threads", "1", "--results", str(path)]
    command.main(arguments)
    assert Results.load(path) == results, "it is there already"
    command.main([*arguments, "--again", "--engine", "castiron"])
    assert Results.load(path) == results, "only printed"
    command.main([*arguments, "--again"])
    assert Results.load(path).cells("resnet50", 1, 1)["castiron"].median_us == 7.0
    assert "about" in capsys.readouterr().err
    monkeypatch.setattr(machine, "conditions", lambda: CONDITIONS | {"cpu": "another"})
    command.main([*arguments, "--again"])
    assert "other conditions" in capsys.readouterr().err and Results.load(path).conditions == CONDITIONS
