"""What every part of a run shares: a folder, the models in it, and what is built from them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench import machine, models
from bench.models import Model

#: Models and programs stay here between runs, as long as what they are made of doesn't change.
WORK = Path(__file__).parent.parent / "build" / "bench"


@dataclass(frozen=True)
class Setting:
    """``core`` is the one that everything is pinned to but builds, which may use all cores. A ``quick`` run only
    shows that everything works."""

    folder: Path
    core: int
    quick: bool = False

    @cached_property
    def work(self) -> Path:
        """The folder of programs made of castiron's present source."""
        return self._kept("programs", machine.source_digest() + machine.digest(Path(__file__).parent / "engines"))

    def model(self, name: str) -> Model:
        """A model, made when it is first asked for."""
        folder = self._kept("models", machine.digest(Path(models.__file__).parent))
        if not (folder / name / "model.json").exists():
            print(f"making {name}", file=sys.stderr, flush=True)
        with machine.pinned(machine.CORES):
            return models.make(name, folder)

    def cores(self, threads: int) -> tuple[int, ...]:
        """The core to measure on and as many others as it takes."""
        return (self.core, *(core for core in machine.CORES if core != self.core))[:threads]

    def binary(self, model: Model) -> Path:
        """The executable of a model, built once."""
        path = self.work / f"{model.name}.predictor"
        if not path.exists():
            build(model, path)
        return path

    def _kept(self, kind: str, digest: str) -> Path:
        """A folder for what is made of sources with this digest; what was made of others is deleted."""
        path = self.folder / f"{kind}-{digest}"
        for other in self.folder.glob(f"{kind}-*"):
            if other != path:
                shutil.rmtree(other)
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Used:
    """What a build took: ``peak_rss_mb`` is what its processes held at most, the framework's that it compares with
    aside."""

    seconds: float
    peak_rss_mb: float


def build(model: Model, out: Path, *options: str, cache: Path | None = None) -> Used:
    """Run ``castiron build`` on all cores, with a folder for its cache if one is given."""
    environment = os.environ | ({"XDG_CACHE_HOME": str(cache)} if cache else {})
    command = (sys.executable, "-m", "castiron", "build", model.source, "-o", out, *options)
    with machine.pinned(machine.CORES), tempfile.TemporaryFile("w+") as said:
        begin = time.perf_counter()
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=said, stderr=said)
        memory = 0.0
        while process.poll() is None:
            memory = max(memory, _memory_mb(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - begin
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"castiron can't build {model.name}: {said.read().strip()}")
    return Used(seconds, memory)


def _memory_mb(root: int) -> float:
    """What a process and those that it started hold, but for the framework that a build compares with."""
    parents, held = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"oracle.py" in folder.joinpath("cmdline").read_bytes():
                continue
            fields = dict(line.split(":", 1) for line in folder.joinpath("status").read_text().splitlines())
        except OSError:
            continue
        parents[int(folder.name)] = int(fields["PPid"])
        held[int(folder.name)] = int(fields.get("VmRSS", "0").split()[0]) * 1024 / 1e6

    def started_by_root(process: int) -> bool:
        return process == root or (process in parents and started_by_root(parents[process]))

    return sum(memory for process, memory in held.items() if started_by_root(process))
