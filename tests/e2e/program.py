"""Running castiron and the executables that it builds as a user does: by command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASTIRON = (sys.executable, "-m", "castiron")

#: What a program that broke down says, rather than one that reports an error.
BREAKDOWNS = ("Traceback", "goroutine", "panic", "SIGSEGV")


def run(*command: object, stdin: str | bytes | None = None, **options) -> subprocess.CompletedProcess:
    """Run a command to its end; output as bytes. Without stdin its input is empty."""
    data = stdin.encode() if isinstance(stdin, str) else stdin or b""
    return subprocess.run([str(word) for word in command], input=data, capture_output=True, check=False, **options)


def output(*command: object, **options) -> str:
    """What a command prints, which must succeed and say nothing else."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode()


def refusal(*command: object, code: int = 1, **options) -> str:
    """The one line that a command says when it fails with this exit code, having printed nothing else."""
    done = run(*command, **options)
    return one_line(done.stderr.decode(), done.stdout.decode(), done.returncode, code)


def one_line(stderr: str, stdout: str, returned: int, code: int) -> str:
    """The line on the standard error; it must be one, and all that was said."""
    assert returned == code, (returned, stdout, stderr)
    assert stdout == ""
    assert not any(word in stderr for word in BREAKDOWNS), stderr
    assert stderr.count("\n") == 1 and stderr.endswith("\n"), stderr
    return stderr.rstrip("\n")


def build(model: Path, out: Path, *options: str, framework: bool = False) -> Path:
    """Build an executable or module, compared with the interpreter unless `framework`."""
    verify = () if framework else ("--verify", "interpreter")
    done = run(*CASTIRON, "build", model, "-o", out, *verify, *options)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return out
