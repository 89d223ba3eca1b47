"""Steps compiled with AddressSanitizer, whose runtime must be in the process: ``run`` starts one.

As a program (``python -m sanitized``) it compiles and runs graphs; a step that touches memory that is not its own,
on the heap or on its stack, ends it with a report.
"""

import ctypes
import ctypes.util
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import castiron
from castiron.native import ALIGNMENT
from castiron.targets import Level
from castiron.toolchain import Tools, zig
from guarded import OwnMemory

KERNELS = Path(castiron.__file__).parent / "kernels"

#: As in a binary, but that the sanitizer has to see what is read: few optimizations, and lines for its report.
FLAGS = ("-O1", "-g1", "-w", "-ffreestanding", "-fPIC", "-fno-stack-protector", "-fsanitize=address",
         "-fno-sanitize=undefined", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv",
         "-fno-strict-aliasing", "-fsigned-char")


def runtime() -> str | None:
    """The sanitizer's runtime, which comes with gcc; None if there is none."""
    return ctypes.util.find_library("asan")


def run(*arguments: str) -> subprocess.CompletedProcess:
    """Run this module with the sanitizer's runtime."""
    environment = os.environ | {"LD_PRELOAD": runtime(), "ASAN_OPTIONS": "detect_leaks=0"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    return subprocess.run([sys.executable, "-m", "sanitized", *arguments], env=environment, capture_output=True,
                          text=True)


class SanitizedLibrary(OwnMemory):
    """As ``native.Library``. Each piece of memory is a block of its own between poisoned ones, never freed."""

    def __init__(self, source: str, entries: Sequence[str], tools: Tools, level: Level):
        with tempfile.TemporaryDirectory() as folder:
            unit, compiled, library = (Path(folder, f"unit.{ending}") for ending in ("c", "o", "so"))
            unit.write_text(source)
            for command in (("cc", "-c", "-target", level.triple, f"-mcpu={level.cpu}", *level.flags, *FLAGS,
                             f"-I{KERNELS}", unit, "-o", compiled), ("ld.lld", "-shared", compiled, "-o", library)):
                subprocess.run([str(part) for part in (tools.zig_path(), *command)], check=True)
            loaded = ctypes.CDLL(str(library))
        self._steps = [ctypes.cast(loaded[entry], ctypes.c_void_p).value for entry in entries]
        self._call = ctypes.CDLL(str(zig.host_library(tools))).castiron_call
        self._call.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2
        self._memalign = ctypes.CDLL(None).memalign
        self._memalign.argtypes, self._memalign.restype = [ctypes.c_size_t] * 2, ctypes.c_void_p

    def address(self, array: np.ndarray) -> int:
        return array.ctypes.data

    def call(self, entry: int, table: np.ndarray, symbols: np.ndarray, begin: int, end: int) -> None:
        self._call(self._steps[entry], table.ctypes.data, symbols.ctypes.data, begin, end)

    def _memory(self, size: int) -> np.ndarray:
        address = self._memalign(ALIGNMENT, size)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)


def faulty(what: str) -> None:
    """A step that reads or writes one element too much, to see that it is found."""
    from compiled import NATIVE, TOOLS

    source = """
#include "vec.h"
void heap(void *const *p, const int64_t *d, int64_t begin, int64_t end) { ((float *)p[0])[d[0]] += 1.0f; }
void stack(void *const *p, const int64_t *d, int64_t begin, int64_t end) {
    volatile float sums[4] = {1, 2, 3, 4};
    *(float *)p[0] = sums[d[0]];
}
"""
    library = SanitizedLibrary(source, ("heap", "stack"), TOOLS, NATIVE[-1])
    memory = library.allocate(64)
    table, symbols = np.array([library.address(memory)], np.uintp), np.array([16 if what == "heap" else 4], np.int64)
    library.call(("heap", "stack").index(what), table, symbols, 0, 1)


def examples() -> None:
    """One example of each operator, and graphs whose steps have many nodes."""
    import test_plan
    from castiron import native, passes
    from castiron.emit import emit
    from castiron.plan import plan
    from castiron.program import Weights
    from compiled import NATIVE, TOOLS
    from ops import test_compiled

    cases = {}
    for key, (name, example, free) in test_compiled.CASES.items():
        if free or not example.batched:
            cases.setdefault(name, (key, test_compiled.example_graph(name, example, free),
                                    list(test_compiled.feeds_of(example, free))))
    runs = [*cases.values(), *((f"plan_{key}", graph, list(test_plan.feeds_of(graph)))
                               for key, graph in test_plan.GRAPHS.items())]
    weights = Weights()
    programs = {key: plan(passes.run(graph), weights) for key, graph, _ in runs}
    source, entries = emit(programs)
    library, memory, first = SanitizedLibrary(source, entries, TOOLS, NATIVE[-1]), native.load_weights(weights), 0
    for (key, _, feeds), program in zip(runs, programs.values(), strict=True):
        print(key, file=sys.stderr, flush=True)
        runner = native.Runner(program, library, memory, first)
        first += len(program.steps)
        for fed in feeds:
            runner(fed)


if __name__ == "__main__":
    # What is started from here, zig for one, needs no sanitizer.
    del os.environ["LD_PRELOAD"]
    warnings.simplefilter("ignore")
    if len(sys.argv) > 1:
        faulty(sys.argv[1])
    else:
        examples()
    print("clean")
