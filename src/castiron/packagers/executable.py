"""One static executable that inspects, predicts and serves the model."""

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from castiron.errors import OutputError
from castiron.packagers import go_module
from castiron.packagers.artifact import Artifact, Weights
from castiron.targets import Platform
from castiron.toolchain import Tools, cache, go, segment, zig
from castiron.toolchain.tools import workdir

_MAIN = "./cmd/predictor"

#: What of it is the same for all models.
_SHARED = "./internal/cli"

#: Bytes that are copied at a time: the kernel keeps them together in the file's cache, and maps them so.
_PIECE = 16 << 20


@contextlib.contextmanager
def preparing(platform: Platform, tools: Tools) -> Iterator[Callable[[], None]]:
    """Go's library and the runtime are compiled meanwhile, unless they are; the function waits for that. Whatever goes
    wrong, `link` meets again."""
    done = cache.key("prepared", platform.name, _runtime_digest(), tools.go_version())
    if cache.holds(done):
        yield lambda: None
        return
    with workdir("runtime") as work:
        go_module.write_runtime(work / "module", go_module.MODULE_PATH)
        with go.compiling(work / "module", _SHARED, platform, tools) as process:
            def wait() -> None:
                if process.wait() == 0:
                    cache.fetch(done, Path.touch)

            yield wait


def package(artifact: Artifact, platform: Platform, out: Path, tools: Tools) -> Path:
    """Write the executable for `platform` to the file `out`, and return `out`.

    An existing file is replaced, at once and only on success. ToolError if a tool is missing or fails;
    OutputError if `out` cannot be written.
    """
    refuse_folder(out)
    return install(link(artifact, platform, tools), out)


def refuse_folder(out: Path) -> None:
    """OutputError if there is a folder where an executable should be."""
    if out.is_dir():
        raise OutputError(f"{out} is a folder; name a file for the executable")


def link(artifact: Artifact, platform: Platform, tools: Tools) -> Path:
    """The executable's path in the cache; it is linked if it is not there. For Linux the weights are added to what Go
    links: however many there are, and without memory for them."""
    apart = platform.os == "linux"
    if not apart and artifact.weights.nbytes > go.MAX_WEIGHT_BYTES:
        raise go_module.too_large(artifact, f"an executable for {platform.name}")

    def make(path: Path) -> None:
        with workdir("module") as work:
            module = work / "module"
            go_module.write(artifact, [platform], module, tools, go_module.MODULE_PATH,
                            segment.ADDRESS if apart else None)
            go.build(module, _MAIN, platform, tools, path)
        if apart:
            segment.append(path, artifact.weights)

    return cache.fetch(_key(artifact, platform, tools), make)


def _key(artifact: Artifact, platform: Platform, tools: Tools) -> str:
    """The digest of everything that decides the executable's bytes."""
    return cache.key(
        "executable", artifact.source, "\n".join(artifact.entries), artifact.model_go,
        _digest(artifact.weights), platform.name, _runtime_digest(), zig.headers_digest(),
        tools.zig_version(), tools.go_version(),
    )  # fmt: skip


def _runtime_digest() -> bytes:
    return cache.files_digest(go_module.RUNTIME, (go_module.RUNTIME / f for f in go_module.runtime_files()))


def _digest(weights: Weights) -> bytes:
    digest = _Digest()
    weights.write_to(digest)
    return digest.sha256.digest()


class _Digest(io.RawIOBase):
    """A file that keeps only the SHA-256 of what is written to it."""

    def __init__(self):
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.sha256.update(data)
        return memoryview(data).nbytes


def install(made: Path, out: Path) -> Path:
    """Copy an executable to `out`, whole or not at all, and return `out`. OutputError if it cannot be written."""
    refuse_folder(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, new = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
        os.close(handle)
        try:
            with open(made, "rb") as source, open(new, "wb") as target:
                shutil.copyfileobj(source, target, _PIECE)
            os.chmod(new, 0o755)
            os.replace(new, out)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
    except OSError as e:
        raise OutputError(f"{out} cannot be written: {e.strerror or e}") from None
    return out
