"""Scoring a CSV file end to end: rows in, predictions out, on one core."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.calls import difference
from bench.engines import ENGINES
from bench.models import SEED, Model
from bench.setting import Setting
from bench.timing import interleave, stopwatch

BLOCK_ROWS, BLOCKS = 100_000, 10
ROUNDS = 5

_LITERT = """
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1], num_threads=1)
rows = numpy.loadtxt(sys.argv[2], numpy.float32, delimiter=",")
source, target = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
piece = 1000
model.resize_tensor_input(source, (piece, rows.shape[1]))
model.allocate_tensors()
results = []
for i in range(0, len(rows), piece):
    model.set_tensor(source, rows[i:i + piece])
    model.invoke()
    results.append(model.get_tensor(target))
numpy.savetxt(sys.argv[3], numpy.concatenate(results), "%.9g")
"""


def run(setting: Setting) -> dict:
    """{"rows", "columns", "bytes", "timings": {program: Timing of the whole file}}."""
    model = setting.model("seed_mlp")
    blocks = 1 if setting.quick else BLOCKS
    rows = setting.work / "rows.csv"
    _write_rows(model, rows, blocks)
    outputs = {name: setting.work / f"scored-{name}.csv" for name in ("castiron", "litert")}
    commands = {"castiron": (setting.binary(model), "predict", rows, "-o", outputs["castiron"], "--threads", "1")}
    if not ENGINES["litert"].unable(model):
        commands["litert"] = (sys.executable, "-c", _LITERT, model.tflite(1), rows, outputs["litert"])
    for name, command in commands.items():
        _run(command)
        _check(name, outputs[name], model, blocks)
    timings = interleave({name: stopwatch(lambda command=command: _run(command)) for name, command in commands.items()},
                         1 if setting.quick else ROUNDS)
    return {"rows": BLOCK_ROWS * blocks, "columns": model.row[0], "bytes": rows.stat().st_size,
            "timings": {name: asdict(timing) for name, timing in timings.items()}}


def _write_rows(model: Model, path: Path, blocks: int) -> None:
    """Standard normal numbers as float64 with all their digits. The first of each block are the model's
    own rows, for which the results are known."""
    known = model.rows(BLOCK_ROWS)
    drawn = np.random.default_rng(SEED).standard_normal((BLOCK_ROWS - len(known), *model.row))
    block = "".join(",".join(map(repr, row)) + "\n" for part in (known, drawn) for row in part.tolist())
    with open(path, "w") as file:
        for _ in range(blocks):
            file.write(block)


def _check(name: str, path: Path, model: Model, blocks: int) -> None:
    """The known results, in each block."""
    got = np.array(path.read_text().split(), np.float64)
    if got.size != BLOCK_ROWS * blocks:
        raise RuntimeError(f"{name} gives {got.size} rows, not {BLOCK_ROWS * blocks}")
    expected = model.expected(BLOCK_ROWS)
    for block in got.reshape(blocks, BLOCK_ROWS):
        difference(block[:len(expected)], expected)


def _run(command) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
