"""Runs the walkthrough's commands in its folder, as a user would type them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from castiron.errors import CastironError

#: Seconds that a server has to stop in.
STOP_LIMIT = 15

_SCRIPTS = Path(__file__).parent


class CommandError(CastironError):
    """A command of the walkthrough did not do what it should."""


def run(folder: Path, *command: str) -> str:
    """Run a command in the folder and return what it printed. CommandError if it fails."""
    done = subprocess.run(_program(command), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{_end(done.stderr)}")
    return done.stdout


def first_line_seconds(folder: Path, *command: str) -> float:
    """The time from the start of a process to the first line that it prints."""
    start = time.perf_counter()
    with subprocess.Popen(_program(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.stdout.read()
    if process.returncode or not line:
        raise CommandError(f"`{' '.join(command)}` failed with exit code {process.returncode}")
    return seconds


@contextmanager
def server(folder: Path, *command: str) -> Iterator[str]:
    """Run a server for a while: its address, as ``http://host:port``. It is ended by SIGTERM, and
    CommandError raised unless it then exits with code 0."""
    process = subprocess.Popen(_program(command), cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True)
    try:
        said = process.stderr.readline()
        address = re.search(r"http://\S+:\d+", said)
        if not address:
            raise CommandError(f"`{' '.join(command)}` failed: {said.strip()}")
        yield address.group()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=STOP_LIMIT)
    except subprocess.TimeoutExpired:
        raise CommandError(f"`{' '.join(command)}` did not stop within {STOP_LIMIT} s of SIGTERM") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        raise CommandError(f"`{' '.join(command)}` stopped with exit code {process.returncode}, not 0")


def post(url: str, body: object) -> dict:
    """Post JSON and return the answer's."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def _program(command: Sequence[str]) -> list[str]:
    """What a word of the walkthrough stands for: castiron and its scripts are run by this very Python."""
    name, *arguments = command
    if name == "castiron":
        return [sys.executable, "-m", "castiron", *arguments]
    if name.endswith(".py"):
        return [sys.executable, "-P", str(_SCRIPTS / name), *arguments]
    return list(command)


def _end(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-15:])
