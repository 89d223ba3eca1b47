"""TensorFlow's C API: a C program on the libraries of the TensorFlow wheel."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.engines.base import missing, no_file
from bench.models import Model

_SOURCE = Path(__file__).parent / "tensorflow.c"
#: In place of a number of threads: predict once, print the result and end.
ONCE = 0

LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")


class CProgram:
    name, title, through, peer = "tensorflow_c", "TensorFlow C API", "C", True

    def unable(self, model: Model) -> str | None:
        return missing("tensorflow") or no_file(model.graphdef)

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        dims = ",".join(map(str, (batch, *model.row)))
        return (build(work / "tensorflow"), model.graphdef, model.input, model.output, model.dtype,
                model.rows_file(batch), dims, str(threads))


def libraries() -> list[Path]:
    """The shared libraries that the program needs."""
    folder = Path(importlib.util.find_spec("tensorflow").submodule_search_locations[0])
    return [folder / name for name in LIBRARIES]


def build(program: Path) -> Path:
    """Compile the program, once."""
    if not program.exists():
        needed = libraries()
        folder = needed[0].parent
        command = (sys.executable, "-m", "ziglang", "cc", "-O2", _SOURCE, f"-I{folder / 'include'}", *needed,
                   f"-Wl,-rpath,{folder}", "-o", program)
        subprocess.run(command, check=True)
    return program
