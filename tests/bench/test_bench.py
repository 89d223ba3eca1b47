"""The benchmark's machinery on canned results and an engine that costs nothing; no test asserts a time."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bench import report
from bench.engines import ENGINES, Session
from bench.engines.base import PythonEngine
from bench.figures import FIGURES
from bench.latency import check
from bench.models import Model
from bench.timing import Timing, interleave


def timing(seconds):
    return {"median": seconds, "best": seconds / 2, "turns": 3}


def part(data):
    facts = {"cpu": "a processor", "cpus": 2, "system": "Linux 6.1", "load": 0.1, "python": "3.11.7",
             "packages": {"castiron": "1.0"}}
    return {"date": "2000-01-01", "machine": facts, "data": data}


@pytest.fixture
def results():
    calls = {"castiron": timing(2e-7), "litert": timing(2e-6), "tensorflow_c": timing(1e-7)}
    return {
        "latency": part({"engines": {name: {"through": "Go"} for name in calls}, "missing": {"onnxruntime": "gone"},
                         "cases": [{"model": "seed_mlp", "batch": 1, "timings": calls, "errors": {}}]}),
        "cold": part({"first": {"castiron": timing(0.02)}, "end": {"castiron": timing(0.03)}}),
        "scoring": part({"rows": 1000, "columns": 10, "bytes": 5000, "timings": {"castiron": timing(5e-4)}}),
        "building": part({"timings": {"cold": timing(30), "warm": timing(4), "rebuild": timing(1)}, "bytes": 7_000_000,
                          "tensorflow_bytes": 700_000_000, "cores": 2}),
    }


def row(page, promise):
    return next(line for line in page.splitlines() if line.startswith(f"| {promise} |"))


def test_page_tells_what_is_met_and_what_is_missed(results):
    page = report.page(results)
    assert "0.2 µs | met" in row(page, FIGURES[0].promise)
    assert "10 times faster | met" in row(page, "… against LiteRT")
    assert "0.5 times faster | **missed**" in row(page, "… against TensorFlow's C API")
    assert "20 ms | **missed**" in row(page, "Cold start, process to first prediction")
    assert "2 million rows/s | met" in row(page, "CSV scoring end to end, one core")


def test_page_shows_losing_cells_and_missing_engines(results):
    page = report.page(results)
    assert "| TensorFlow C API | Go | 100 ns (50 ns), 0.50x |" in page
    assert "onnxruntime was not measured: gone." in page
    assert "700 MB: 100x" in page


def test_page_of_a_part_alone(results):
    page = report.page({"cold": results["cold"]})
    assert "not measured" in row(page, FIGURES[0].promise)
    assert "## Cold start" in page and "## Building" not in page


def test_turns_are_interleaved():
    order = []
    work = {name: lambda name=name: order.append(name) or len(order) for name in "AB"}
    assert interleave(work, 3) == {"A": Timing(3, 1, 3), "B": Timing(4, 2, 3)}
    assert "".join(order) == "ABABAB"


def test_a_wrong_result_has_no_time():
    expected = np.array([[1.0], [-2.0]])
    assert check("engine", expected.ravel() * (1 + 1e-7), expected) < 1e-6
    for wrong in (expected.ravel() * 1.001, np.array([1.0, np.nan]), np.array([1.0])):
        with pytest.raises(RuntimeError, match="engine"):
            check("engine", wrong, expected)


def test_every_engine_has_its_name_and_says_what_it_goes_through():
    for name, engine in ENGINES.items():
        assert engine.name == name and engine.through
        assert engine.available() is None or "not installed" in engine.available()


def test_a_missing_package_is_named():
    engine = PythonEngine()
    engine.packages = ("sys", "no_such_package")
    assert engine.available() == "the package no_such_package is not installed"


@pytest.fixture
def model(tmp_path):
    model = Model("model", tmp_path, (3,), "x", "Identity")
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "expected.npy", rows.sum(1, keepdims=True))
    model.save()
    return model


def test_a_model_is_found_again(model):
    assert Model.load(model.folder) == model
    assert np.fromfile(model.rows_file(2), np.float32).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.fixture
def in_checkout(monkeypatch):
    monkeypatch.chdir(Path(report.__file__).parent.parent)


class Sum:
    """An engine that is a process of its own, by the protocol."""

    name, through = "sum", "Python"
    program = """
import sys, numpy
from bench.engines import ENGINES, worker
ENGINES["sum"] = type("Sum", (), {"prepare": lambda *_: lambda rows: rows.sum(1)})()
worker.main()
"""

    def available(self):
        return None

    def command(self, model, batch, threads, work):
        return sys.executable, "-c", self.program, "sum", model.folder, str(batch), str(threads)


def test_session(model, tmp_path, in_checkout):
    session = Session.start(Sum(), model, 2, tmp_path)
    try:
        assert session.predict().tolist() == model.expected(2).ravel().tolist()
        assert session.time(10) > 0
        assert session.turn(1e-4)() > 0
    finally:
        session.close()
    assert session.process.returncode == 0


def test_a_process_that_ends_too_soon_is_reported(model, tmp_path):
    engine = Sum()
    engine.program = "raise SystemExit(3)"
    with pytest.raises(RuntimeError, match="exit code 3"):
        Session.start(engine, model, 2, tmp_path)
