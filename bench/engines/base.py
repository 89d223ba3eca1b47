"""What an engine is: a program that runs a model over and over, in a process of its own.

The process answers lines on its standard input: ``predict`` with the output's values, separated by
blanks, and ``time N`` with the nanoseconds that N calls take by its own clock. It says ``ready`` once
the model has run. An engine that is a Python library has only to give ``prepare``: ``worker`` is its
process. A call begins with the caller's array and ends with an array of results.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from bench import machine
from bench.models import Model


class Engine(Protocol):
    """One way to run a model. ``through`` tells what a call goes through, since that is part of its time.
    A ``peer`` is what castiron is compared with: not another way into castiron, nor a part of a call."""

    name: str
    title: str
    through: str
    peer: bool

    def unable(self, model: Model) -> str | None:
        """Why this engine can't run a model here; None if it can."""

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        """The command line of the process; ``work`` is a folder for what has to be built first."""


class PythonEngine:
    """An engine that is a Python library and reads one format."""

    name: str
    title: str
    through = "Python"
    peer = True
    #: What must be importable.
    packages: tuple[str, ...] = ()

    def reads(self, model: Model, batch: int) -> Path:
        """The file that it is given."""
        raise NotImplementedError

    def unable(self, model: Model) -> str | None:
        return missing(*self.packages) or no_file(self.reads(model, 1))

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        return sys.executable, "-m", "bench.engines.worker", self.name, model.folder, str(batch), str(threads)

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        """A function from rows to results, or to a function that fetches them untimed. It is given the same
        ``batch`` rows at every call."""
        raise NotImplementedError


def missing(*packages: str) -> str | None:
    """What an engine says if packages are not installed."""
    absent = [package for package in packages if importlib.util.find_spec(package) is None]
    return f"the package {', '.join(absent)} is not installed" if absent else None


def no_file(path: Path) -> str | None:
    """What an engine says if a model is not there in its format."""
    return None if path.exists() else f"there is no {path.name}"


@dataclass
class Session:
    """A running engine's process."""

    process: subprocess.Popen
    errors: TextIO

    @classmethod
    def start(cls, engine: Engine, model: Model, batch: int, work: Path, cores: Sequence[int]) -> Session:
        """Start the process on as many threads as there are cores, pinned to these, and wait until the model has
        run once."""
        command = [str(part) for part in engine.command(model, batch, len(cores), work)]
        with machine.pinned(cores):
            errors = tempfile.TemporaryFile("w+")
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                       text=True, env=os.environ | machine.threads(len(cores)))
        session = cls(process, errors)
        if session._line() != "ready":
            raise RuntimeError(f"{engine.name}: no word from {command[0]}")
        return session

    def predict(self) -> np.ndarray:
        """The values of the results."""
        return np.array(self._ask("predict").split(), np.float64)

    def time(self, calls: int) -> float:
        """Seconds that so many calls take."""
        return int(self._ask(f"time {calls}")) * 1e-9

    def peak_rss_mb(self) -> float:
        """The most memory that the process has held so far, code and mapped files included."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise RuntimeError(": ".join([f"{self.process.args[0]} ended with exit code {code}", *said[-1:]]))
        return line.strip()
