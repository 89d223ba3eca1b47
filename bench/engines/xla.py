"""XLA ahead of time: ``saved_model_cli aot_compile_cpu``, for one batch size, called from a C++ program.

Only models whose code calls nothing of XLA's runtime library are measured: the wheel has that as source alone, and
without Abseil, which it needs. ``python -m bench.engines.xla MODEL.pb INPUT OUTPUT DIMS CPU FOLDER`` compiles.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.engines.base import missing, no_file
from bench.engines.tensorflow import libraries
from bench.models import Model

_SOURCE = Path(__file__).with_suffix(".cc")


class AheadOfTime:
    name, title, through, peer = "xla_aot", "XLA ahead of time", "C++", True

    def unable(self, model: Model) -> str | None:
        if model.name not in ("seed_mlp", "wide_mlp"):
            return "its code calls XLA's runtime library"
        return missing("tensorflow") or no_file(model.graphdef)

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        """It has no threads of its own."""
        return _program(model, batch, work / "xla" / f"{model.name}-{batch}"), model.rows_file(batch)


def _program(model: Model, batch: int, folder: Path) -> Path:
    """The C++ program with the model inside, built once. RuntimeError if it needs XLA's runtime library."""
    from castiron import native
    from castiron.toolchain import Tools

    program = folder / "program"
    if program.exists():
        return program
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cpu = native.levels(Tools())[-1].cpu.replace("_", "-")
    dims = ",".join(map(str, (batch, *model.row)))
    _run(sys.executable, "-m", "bench.engines.xla", model.graphdef, model.input, model.output, dims, cpu, folder)
    header = (folder / "compiled.h").read_text()
    if called := {line.split("//")[1].strip() for line in header.splitlines() if line.endswith(" Thunk")} - {
            "Kernel Thunk", "Copy Thunk"}:
        raise RuntimeError(f"its code calls XLA's runtime library ({', '.join(sorted(called))})")
    own = (line for line in header.splitlines(keepends=True) if not line.startswith('#include "'))
    (folder / "model.h").write_text("".join(own))
    _run(sys.executable, "-m", "ziglang", "c++", "-O2", "-std=c++17", "-w", _SOURCE, f"-I{folder}",
         f"-I{libraries()[0].parent / 'include'}", *folder.glob("compiled*.o"), "-o", program)
    return program


def _run(*command: str | Path) -> None:
    with machine.pinned(machine.CORES):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[2]} failed: {(done.stderr.strip().splitlines() or [''])[-1]}")


def _compile(graphdef: Path, input: str, output: str, dims: Sequence[int], cpu: str, folder: Path) -> None:
    """compiled.h and compiled*.o of a frozen graph whose input has these dimensions."""
    import tensorflow as tf
    from tensorflow.python.tools import saved_model_cli

    definition = tf.compat.v1.GraphDef.FromString(graphdef.read_bytes())
    saved = folder / "saved_model"
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        x = tf.compat.v1.placeholder(tf.float32, dims, name="fixed")
        (y,) = tf.import_graph_def(definition, {f"{input}:0": x}, [f"{output}:0"], name="")
        builder = tf.compat.v1.saved_model.Builder(str(saved))
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    sys.argv = ["saved_model_cli", "aot_compile_cpu", "--dir", str(saved), "--tag_set", "serve",
                "--signature_def_key", "serving_default", "--output_prefix", str(folder / "compiled"),
                "--cpp_class", "Model", "--target_triple", "x86_64-pc-linux", "--target_cpu", cpu]
    saved_model_cli.main()


if __name__ == "__main__":
    path, name, result, sizes, processor, to = sys.argv[1:]
    _compile(Path(path), name, result, [int(size) for size in sizes.split(",")], processor, Path(to))
