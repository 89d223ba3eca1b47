import contextlib
import io
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from program import output, refusal, run

INNER = "sequential/out/MatMul"
HIDDEN = "sequential/hidden/Relu"


def csv(rows, header=()):
    lines = [",".join(header)] * bool(header) + [",".join(map(repr, row)) for row in rows.astype(float).tolist()]
    return "\n".join(lines) + "\n"


def numbers(text, header=False):
    return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2, skiprows=int(header), dtype=np.float32)


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("model", ["model.pb", "model.keras", "model.h5", "saved_model"])
def test_every_format_predicts_what_tensorflow_does(executables, model, expected):
    close(numbers(output(executables(model), "predict", stdin=csv(expected["x"]))), expected["Identity"])


class TestInput:
    @pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "npy", "dat"])
    def test_from_a_file(self, predictor, expected, tmp_path, ending):
        file = tmp_path / f"rows.{ending}"
        if ending == "npy":
            np.save(file, expected["x"])
        elif ending == "jsonl":
            file.write_text("".join(json.dumps(row) + "\n" for row in expected["x"].tolist()))
        else:
            file.write_text(json.dumps(expected["x"].tolist()) if ending == "json" else csv(expected["x"]))
        close(numbers(output(predictor, "predict", file)), expected["Identity"])

    def test_from_a_pipe(self, predictor, expected):
        x = expected["x"]
        npy = io.BytesIO()
        np.save(npy, x)
        for data in (csv(x), json.dumps(x.tolist()), json.dumps([{"x": row} for row in x.tolist()]), npy.getvalue()):
            close(numbers(output(predictor, "predict", stdin=data)), expected["Identity"])
            close(numbers(output(predictor, "predict", "-", stdin=data)), expected["Identity"])

    def test_csv_with_a_header_gives_one_with_a_header(self, predictor, expected):
        text = output(predictor, "predict", stdin=csv(expected["x"], [f"x{i}" for i in range(1, 11)]))
        assert text.startswith("Identity\n")
        close(numbers(text, header=True), expected["Identity"])
        assert not output(predictor, "predict", "--header=false",
                          stdin=csv(expected["x"], [f"x{i}" for i in range(1, 11)])).startswith("Identity")

    def test_a_header_with_names_of_inputs_says_which_column_is_which(self, predictor, expected):
        order = np.random.default_rng(0).permutation(10)
        shuffled = np.column_stack([expected["x"][:, order], np.zeros(40)])
        text = csv(shuffled, [*(f"x.{i}" for i in order), "comment"])
        close(numbers(output(predictor, "predict", stdin=text), header=True), expected["Identity"])

    def test_windows_line_ends_and_blanks(self, predictor, expected):
        text = "\ufeff" + csv(expected["x"]).replace("\n", "\r\n").replace(",", " , ")
        close(numbers(output(predictor, "predict", stdin=text)), expected["Identity"])

    def test_other_types_are_cast_at_the_door(self, predictor, tmp_path):
        rows = np.arange(30).reshape(3, 10) - 15
        want = output(predictor, "predict", stdin=csv(rows))
        for dtype in (np.float64, np.int64, np.int8, ">f4", np.float32):
            np.save(tmp_path / "rows.npy", rows.astype(dtype))
            assert output(predictor, "predict", tmp_path / "rows.npy") == want

    def test_no_rows(self, predictor, tmp_path):
        np.save(tmp_path / "rows.npy", np.zeros((0, 10), np.float32))
        output(predictor, "predict", tmp_path / "rows.npy", "-o", tmp_path / "out.npy")
        assert np.load(tmp_path / "out.npy").shape == (0, 1)


class TestOutput:
    def test_formats_by_ending_and_by_name(self, predictor, expected, tmp_path):
        rows = csv(expected["x"])
        for ending, read in (("csv", np.loadtxt), ("json", lambda f: json.loads(f.read_text())), ("npy", np.load)):
            file = tmp_path / f"out.{ending}"
            assert output(predictor, "predict", "-o", file, stdin=rows) == ""
            close(np.array(read(file)).reshape(-1, 1), expected["Identity"])
            assert run(predictor, "predict", "--format", ending, stdin=rows).stdout == file.read_bytes()

    def test_numbers_are_exact(self, predictor, expected, tmp_path):
        output(predictor, "predict", "-o", tmp_path / "out.npy", stdin=csv(expected["x"]))
        text = output(predictor, "predict", stdin=csv(expected["x"]))
        np.testing.assert_array_equal(numbers(text), np.load(tmp_path / "out.npy"))

    def test_a_file_is_replaced_only_by_a_whole_one(self, predictor, tmp_path):
        out = tmp_path / "out.csv"
        out.write_text("before")
        refusal(predictor, "predict", "-o", out, stdin="1,2\n")
        assert out.read_text() == "before"
        output(predictor, "predict", "-o", out, stdin=",".join("1" * 10))
        assert len(numbers(out.read_text())) == 1
        assert list(tmp_path.iterdir()) == [out]


class TestLabels:
    def test_inner_labels_are_fetched(self, predictor, expected, tmp_path):
        (tmp_path / "x.csv").write_text(csv(expected["x"]))
        text = output(predictor, "predict", "--feed", f"x={tmp_path}/x.csv", "--fetch", "Identity", "--fetch", INNER,
                      "--header=true")
        assert text.splitlines()[0] == f"Identity,{INNER}"
        close(numbers(text, header=True), np.column_stack([expected["Identity"], expected[INNER]]))
        close(numbers(output(predictor, "predict", "--fetch", HIDDEN, tmp_path / "x.csv")), expected[HIDDEN])

    def test_a_name_with_tensorflows_suffix_is_the_same_label(self, predictor, expected):
        close(numbers(output(predictor, "predict", "--fetch", f"{INNER}:0", stdin=csv(expected["x"]))), expected[INNER])

    def test_an_inner_activation_is_fed(self, predictor, expected, tmp_path):
        np.save(tmp_path / "hidden.npy", expected["activation"])
        text = output(predictor, "predict", "--feed", f"{HIDDEN}={tmp_path}/hidden.npy", "--fetch", "Identity")
        close(numbers(text), expected["downstream"])

    def test_a_weight_is_fed(self, predictor, expected, tmp_path):
        np.save(tmp_path / "x.npy", expected["x"])
        np.save(tmp_path / "bias.npy", np.array([1000], np.float32))
        text = output(predictor, "predict", "--feed", f"x={tmp_path}/x.npy", "--feed",
                      f"sequential/out/Add/ReadVariableOp={tmp_path}/bias.npy", "--fetch", "Identity")
        close(numbers(text), expected[INNER] + 1000)

    def test_a_weight_is_fetched_without_input(self, predictor, expected):
        bias = output(predictor, "predict", "--fetch", "sequential/out/Add/ReadVariableOp", "--format", "json")
        close(np.ravel(json.loads(bias)), expected["sequential/out/Add/ReadVariableOp"])

    def test_a_binary_without_trace_says_so(self, pair):
        said = refusal(pair, "predict", "--fetch", "pair/mix/MatMul", stdin="1,2,3,4,5\n")
        assert "pair/mix/MatMul" in said and "--no-trace" in said


class TestSeveralInputs:
    ROWS = np.array([[1, 2, 3, 4, 5], [0.5, -1, 0, 2, -3]])

    @pytest.fixture
    def want(self, pair):
        table = numbers(output(pair, "predict", stdin=csv(self.ROWS)))
        assert table.shape == (2, 4)
        np.testing.assert_allclose(table[:, 1:].sum(axis=1), 1, rtol=1e-6)
        return table

    def test_columns_follow_the_signature_or_names_say(self, pair, want):
        text = csv(self.ROWS[:, [3, 4, 0, 1, 2]], ["b.0", "b.1", "a.0", "a.1", "a.2"])
        got = output(pair, "predict", stdin=text)
        assert got.splitlines()[0] == "value,kind.0,kind.1,kind.2"
        np.testing.assert_array_equal(numbers(got, header=True), want)

    def test_json_rows_are_objects(self, pair, want):
        rows = [{"a": row[:3].tolist(), "b": row[3:].tolist()} for row in self.ROWS]
        answer = json.loads(output(pair, "predict", "--format", "json", stdin=json.dumps(rows)))
        np.testing.assert_array_equal(np.float32(np.column_stack([answer["value"], answer["kind"]])), want)

    def test_a_file_for_each(self, pair, want, tmp_path):
        np.save(tmp_path / "a.npy", self.ROWS[:, :3])
        (tmp_path / "b.csv").write_text(csv(self.ROWS[:, 3:]))
        feeds = ("--feed", f"a={tmp_path}/a.npy", "--feed", f"b={tmp_path}/b.csv")
        got = output(pair, "predict", *feeds, "--fetch", "kind", "--fetch", "value", "--header=false")
        np.testing.assert_array_equal(numbers(got), want[:, [1, 2, 3, 0]])


#: Runs a command and tells on the standard error its peak memory in KiB, unlike its caller's own.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory in Linux's unit")
def test_rows_stream_in_bounded_memory(predictor, tmp_path):
    """A pipe of a million rows, 90 MB: far more than may be held at a time."""
    block = csv(np.random.default_rng(0).standard_normal((1000, 10)).round(6)).encode()
    blocks = 1000
    out = tmp_path / "out.csv"
    process = subprocess.Popen([sys.executable, "-IS", "-c", MEASURED, predictor, "predict", "-o", out],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE)

    def feed():
        with process.stdin:
            for _ in range(blocks):
                process.stdin.write(block)

    feeder = threading.Thread(target=feed)
    feeder.start()
    said = process.stderr.read()
    feeder.join()
    process.stderr.close()
    assert process.wait() == 0, said
    lines = out.read_bytes().splitlines()
    assert len(lines) == 1000 * blocks
    assert lines[:1000] == lines[-1000:]
    peak_bytes = int(said) * 1024
    assert peak_bytes < 64 << 20 < len(block) * blocks


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX systems")
def test_a_terminal_shows_progress(predictor, tmp_path):
    screen, terminal = os.openpty()
    command = [predictor, "predict", "-o", tmp_path / "out.csv"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    os.set_blocking(screen, False)
    shown = b""
    with process.stdin:
        for _ in range(10_000):
            process.stdin.write(b"1,2,3,4,5,6,7,8,9,10\n" * 1000)
            with contextlib.suppress(BlockingIOError):
                shown += os.read(screen, 10_000)
            if b"rows/s" in shown:
                break
    assert process.wait() == 0
    os.close(screen)
    assert b"rows/s" in shown


def test_results_do_not_depend_on_the_batch_or_the_threads(predictor):
    rows = np.random.default_rng(3).standard_normal((5000, 10))
    whole = output(predictor, "predict", stdin=csv(rows)).splitlines()
    assert output(predictor, "predict", "--threads", "1", stdin=csv(rows)).splitlines() == whole
    for i in (0, 17, 4999):
        assert output(predictor, "predict", stdin=csv(rows[i:i + 1])).splitlines() == [whole[i]]
