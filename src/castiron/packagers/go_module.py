"""The Go module that every executable is made of, and that any Go program can import."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from castiron.errors import OutputError
from castiron.packagers.artifact import Artifact
from castiron.targets import PLATFORMS, Platform
from castiron.toolchain import Tools, go, zig

RUNTIME = Path(__file__).parent.parent / "runtime"

# The runtime's own module path, which stands in its imports until a user's takes its place.
MODULE_PATH = "castiron.model"

_NATIVE = Path("internal/native")
_MODEL = Path("internal/data/model_data.go")
_PATH_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_~-]*(\.[A-Za-z0-9_~-]+)*(/[A-Za-z0-9_~-]+(\.[A-Za-z0-9_~-]+)*)*")


def package(
    artifact: Artifact, platforms: Sequence[Platform], out: Path, tools: Tools, module_path: str = MODULE_PATH
) -> Path:
    """Leave in folder `out` a Go module called `module_path` that needs nothing but Go, and return `out`.

    It builds for `platforms`. A folder that holds such a module is replaced as a whole; OutputError, with
    nothing changed, if it holds anything else or cannot be written, or if the path is none that Go takes.
    ToolError if a tool fails.
    """
    if not _PATH_PATTERN.fullmatch(module_path):
        raise OutputError(f"{module_path!r} is not a path of a Go module; give one like example.com/model")
    out = Path(out)
    _refuse_foreign(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as aside:
            new, old = Path(aside, "new"), Path(aside, "old")
            if artifact.weights.nbytes > go.MAX_WEIGHT_BYTES:
                raise too_large(artifact, "a Go module")
            write(artifact, platforms, new, tools, module_path)
            if out.exists():
                out.rename(old)
            new.rename(out)
    except OSError as e:
        raise OutputError(f"{out} cannot be written: {e.strerror or e}") from None
    return out


def write(
    artifact: Artifact, platforms: Sequence[Platform], folder: Path, tools: Tools, module_path: str,
    weights_at: int | None = None,
) -> None:
    """Write the module into the new folder `folder`: with the weights, or for weights that will lie at an address."""
    write_runtime(folder, module_path)
    model = artifact.model_go.replace(MODULE_PATH, module_path)
    (folder / _MODEL).parent.mkdir(parents=True, exist_ok=True)
    (folder / _MODEL).write_text(model, encoding="utf-8", newline="\n")
    for arch, levels in {p.arch: p.levels for p in platforms}.items():
        texts = zig.compile_levels(artifact.source, artifact.entries, levels, tools)
        assembly, entries = (folder / file for file in _code_files(arch))
        assembly.write_text(go.assembly(texts, weights_at), encoding="utf-8", newline="\n")
        entries.write_text(go.entries(texts, artifact.weights.nbytes), encoding="utf-8", newline="\n")
    for platform in platforms if weights_at is None else ():
        zig.weights_object(artifact.weights, platform, tools, folder / _weights_file(platform))


def write_runtime(folder: Path, module_path: str) -> None:
    """Write what all modules share into the new folder `folder`."""
    for file in runtime_files():
        copy = folder / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = (RUNTIME / file).read_text(encoding="utf-8")
        copy.write_text(text.replace(MODULE_PATH, module_path), encoding="utf-8", newline="\n")


def too_large(artifact: Artifact, what: str) -> OutputError:
    """That the weights don't fit into what is written."""
    return OutputError(f"the weights take {artifact.weights.nbytes / 2**30:.2f} GiB; {what} holds at most "
                       f"{go.MAX_WEIGHT_BYTES / 2**30:.2f} GiB, but for executables for Linux")


def _code_files(arch: str) -> tuple[Path, Path]:
    return _NATIVE / f"code_{arch}.s", _NATIVE / f"code_{arch}.go"


def _weights_file(platform: Platform) -> Path:
    return _NATIVE / f"weights_{platform.os}_{platform.arch}.syso"


def runtime_files() -> Iterator[Path]:
    """The runtime's own files, relative to RUNTIME, without its tests."""
    for path in sorted(RUNTIME.rglob("*")):
        file = path.relative_to(RUNTIME)
        testing = file.name.endswith("_test.go") or any(f.endswith(("test", "testdata")) for f in file.parts[:-1])
        if path.is_file() and not testing:
            yield file


def _refuse_foreign(out: Path) -> None:
    """OutputError unless `out` is missing, empty, or holds only files that this packager writes."""
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; name a folder for the Go module")
    generated = (file for p in PLATFORMS for file in (*_code_files(p.arch), _weights_file(p)))
    known = {*runtime_files(), _MODEL, *generated}
    for path in sorted(out.rglob("*")):
        if not path.is_dir() and path.relative_to(out) not in known:
            raise OutputError(f"{out} holds files that castiron did not write, such as {path.relative_to(out)}; "
                              "name a new or empty folder")
