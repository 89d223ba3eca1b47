"""What an engine is: a program that runs a model over and over, in a process of its own.

The process answers lines on its standard input: ``predict`` with the output's values, separated by
blanks, and ``time N`` with the nanoseconds that N calls take by its own clock. It says ``ready`` once
the model has run. An engine that is a Python library has only to give ``prepare``: ``worker`` is its
process. A call begins with the caller's array and ends with an array of results.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.models import Model


class Engine(Protocol):
    """One way to run a model. ``through`` tells what a call goes through, since that is part of its time."""

    name: str
    through: str

    def available(self) -> str | None:
        """None, or what is missing."""

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        """The command line of the process; ``work`` is a folder for what has to be built first."""


class PythonEngine:
    """An engine that is a Python library."""

    name: str
    through = "Python"
    #: What must be importable.
    packages: tuple[str, ...] = ()

    def available(self) -> str | None:
        missing = [p for p in self.packages if importlib.util.find_spec(p) is None]
        return f"the package {', '.join(missing)} is not installed" if missing else None

    def command(self, model: Model, batch: int, threads: int, work: Path) -> Sequence[str | Path]:
        return sys.executable, "-m", "bench.engines.worker", self.name, model.folder, str(batch), str(threads)

    def prepare(self, model: Model, batch: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
        """A function from rows to results, or to a function that fetches them untimed. It is given the same
        ``batch`` rows at every call."""
        raise NotImplementedError


@dataclass
class Session:
    """A running engine's process."""

    process: subprocess.Popen

    @classmethod
    def start(cls, engine: Engine, model: Model, batch: int, work: Path, threads: int = 1) -> Session:
        """Start the process and wait until the model has run once."""
        command = [str(part) for part in engine.command(model, batch, threads, work)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        session = cls(process)
        if session._line() != "ready":
            raise RuntimeError(f"{engine.name}: no word from {command[0]}")
        return session

    def predict(self) -> np.ndarray:
        """The values of the results."""
        return np.array(self._ask("predict").split(), np.float64)

    def time(self, calls: int) -> float:
        """Seconds that so many calls take."""
        return int(self._ask(f"time {calls}")) * 1e-9

    def turn(self, seconds: float) -> Callable[[], float]:
        """A turn of about so many seconds, which gives the seconds of one call. Caches and clocks get a
        quarter of that beforehand, untimed, because another engine was here last."""
        calls = 1
        while (taken := self.time(calls)) < seconds / 4:
            calls *= 2
        calls = max(1, round(calls * seconds / taken))
        warm_up = max(1, calls // 4)

        def take() -> float:
            self.time(warm_up)
            return self.time(calls) / calls

        return take

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def _ask(self, line: str) -> str:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[0]} ended with exit code {self.process.wait()}")
        return line.strip()
