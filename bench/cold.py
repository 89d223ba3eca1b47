"""Cold start: from the start of a process to the first prediction that it prints, files in the page cache."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.engines import ENGINES, tensorflow
from bench.latency import check
from bench.models import Model
from bench.setting import Setting
from bench.timing import Timing, interleave

ROUNDS = 20

_LITERT = """
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1], num_threads=1)
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], numpy.load(sys.argv[2])[:1])
model.invoke()
print(*model.get_tensor(model.get_output_details()[0]["index"]).ravel())
"""

_ONNXRUNTIME = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(*model.run(None, {"x": numpy.load(sys.argv[2])[:1]})[0].ravel())
"""


def run(setting: Setting) -> dict:
    """{"first": {program: Timing to the first output}, "end": {program: Timing to the process' end}}."""
    model = setting.models("seed_mlp")["seed_mlp"]
    commands = _commands(model, setting)
    for name, command in commands.items():
        output = _spawn(command)[2]
        if name != "nothing":
            check(name, _numbers(output), model.expected(1))
    end: dict[str, list[float]] = {name: [] for name in commands}

    def first(name: str) -> float:
        to_first, to_end, _ = _spawn(commands[name])
        end[name].append(to_end)
        return to_first

    timings = interleave({name: lambda name=name: first(name) for name in commands}, ROUNDS)
    return {"first": {name: asdict(timing) for name, timing in timings.items()},
            "end": {name: asdict(Timing.of(taken)) for name, taken in end.items()}}


def _commands(model: Model, setting: Setting) -> dict[str, Sequence[str | Path]]:
    row = setting.work / "row.csv"
    row.write_text(",".join(map(repr, model.rows(1)[0].tolist())) + "\n")
    rows = model.folder / "rows.npy"
    commands: dict[str, Sequence[str | Path]] = {"castiron": (setting.binary(model.name), "predict", row)}
    if not ENGINES["tensorflow_c"].available():
        commands["tensorflow_c"] = ENGINES["tensorflow_c"].command(model, 1, tensorflow.ONCE, setting.work)
    for name, program, file in (("litert", _LITERT, model.tflite), ("onnxruntime", _ONNXRUNTIME, model.onnx)):
        if not ENGINES[name].available():
            commands[name] = (sys.executable, "-c", program, file, rows)
    if nothing := shutil.which("true"):
        commands["nothing"] = (nothing,)
    return commands


def _spawn(command: Sequence[str | Path]) -> tuple[float, float, str]:
    """Seconds to the first byte of output and to the end, and the output."""
    command = [str(part) for part in command]
    output, inside = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, inside, 1), (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
    begin = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.close(inside)
    text = os.read(output, 1 << 16)
    first = time.perf_counter() - begin
    while more := os.read(output, 1 << 16):
        text += more
    os.close(output)
    _, status = os.waitpid(process, 0)
    end = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{command[0]} ended with exit code {os.waitstatus_to_exitcode(status)}")
    return first, end, text.decode()


def _numbers(text: str) -> np.ndarray:
    return np.array(text.replace(",", " ").split(), np.float64)
