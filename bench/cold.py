"""Cold start: from the start of a process to the first prediction that it prints, files in the page cache, on all
cores."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench import machine
from bench.calls import difference
from bench.engines import ENGINES, tensorflow
from bench.models import RECIPES, Model
from bench.setting import Setting
from bench.timing import Timing

#: Model -> rounds.
ROUNDS = {"seed_mlp": 20, "resnet50": 7}
_QUICK_ROUNDS = 2

#: The shortest Python programs that print a prediction: the model's file, rows.npy and how many threads
#: are their arguments.
_PROGRAMS = {
    "litert": """
import sys, numpy
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(sys.argv[1], num_threads=int(sys.argv[3]))
model.allocate_tensors()
model.set_tensor(model.get_input_details()[0]["index"], numpy.load(sys.argv[2])[:1])
model.invoke()
print(*model.get_tensor(model.get_output_details()[0]["index"]).ravel())
""",
    "onnxruntime": """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
model = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(*model.run(None, {model.get_inputs()[0].name: numpy.load(sys.argv[2])[:1]})[0].ravel())
""",
    "openvino": """
import sys, numpy, openvino
rows = numpy.load(sys.argv[2])[:1]
model = openvino.Core().read_model(sys.argv[1])
model.reshape(rows.shape)
options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": int(sys.argv[3])}
print(*openvino.Core().compile_model(model, "CPU", options)([rows])[0].ravel())
""",
}


def run(setting: Setting) -> dict:
    """{"cores": how many, "models": {model: {program: {"first": Timing to the first output, "end": Timing to the
    process' end}}}, "nothing": Timing of a process that does nothing}."""
    measured = {name: _model(setting.model(name), setting) for name in ROUNDS}
    nothing = Timing.of([_spawn([shutil.which("true")])[1] for _ in range(20)]) if shutil.which("true") else None
    return {"cores": len(machine.CORES), "titles": {name: RECIPES[name].title for name in ROUNDS}, "models": measured,
            "nothing": nothing and asdict(nothing)}


def _model(model: Model, setting: Setting) -> dict:
    commands = _commands(model, setting)
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    with machine.pinned(machine.CORES), machine.environment(machine.threads(len(machine.CORES))):
        for command in commands.values():
            difference(_numbers(_spawn(command)[2]), model.expected(1))
        for _ in range(_QUICK_ROUNDS if setting.quick else ROUNDS[model.name]):
            for name, command in commands.items():
                runs[name].append(_spawn(command)[:2])
    return {name: {"first": asdict(Timing.of([first for first, _ in taken])),
                   "end": asdict(Timing.of([end for _, end in taken]))} for name, taken in runs.items()}


def _commands(model: Model, setting: Setting) -> dict[str, Sequence[str | Path]]:
    row, rows = model.folder / "row.npy", model.folder / "rows.npy"
    np.save(row, model.rows(1))
    commands: dict[str, Sequence[str | Path]] = {"castiron": (setting.binary(model), "predict", row)}
    if not ENGINES["tensorflow_c"].unable(model):
        command = ENGINES["tensorflow_c"].command(model, 1, tensorflow.ONCE, setting.work)
        commands["tensorflow_c"] = command
    for name, program in _PROGRAMS.items():
        if not ENGINES[name].unable(model):
            commands[name] = (sys.executable, "-c", program, ENGINES[name].reads(model, 1), rows,
                              str(len(machine.CORES)))
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
    """The values of an output, which may begin with a line of names."""
    lines = [line for line in text.splitlines() if line[:1] in "-0123456789"]
    return np.array(" ".join(lines).replace(",", " ").split(), np.float64)
