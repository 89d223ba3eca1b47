"""Files made once and found again by what they are made from.

An entry is two files: the content under its key, and the content's SHA-256 beside it, written last. An
entry whose digest does not match is made again, so neither a crash nor a damaged disk can leave a bad
one, and two builds that race write the same bytes.
"""

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from castiron.errors import OutputError


def directory() -> Path:
    """The cache's folder, made if need be; OutputError where it cannot be."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base).absolute() / "castiron"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise OutputError(f"castiron's cache {path} cannot be made ({e.strerror}); "
                          "set XDG_CACHE_HOME to a folder that can be written") from None
    return path


def key(*parts: str | bytes) -> str:
    """The name of what is made from `parts`: they and their order decide it, and castiron's own code."""
    digest = hashlib.sha256(_own_code())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def files_digest(root: Path, files: Iterable[Path]) -> bytes:
    """SHA-256 over the names, relative to `root`, and the contents of `files`."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.digest()


@functools.cache
def _own_code() -> bytes:
    """What turns parts into files besides the tools: this package, the targets and the packagers."""
    root = Path(__file__).parent.parent
    rooms = ("targets", "toolchain", "packagers")
    return files_digest(root, (p for room in rooms for p in (root / room).iterdir() if p.is_file()))


def fetch(name: str, make: Callable[[Path], None]) -> Path:
    """The file called `name`; where there is no sound one, `make(path)` writes it first."""
    folder = directory()
    content, digest = folder / name, folder / f"{name}.sha256"
    if _sound(content, digest):
        return content
    _forget_unused(folder)
    try:
        with tempfile.TemporaryDirectory(prefix="new-", dir=folder) as new:
            made = Path(new) / name
            make(made)
            sealed = Path(new) / digest.name
            sealed.write_text(_sha256(made))
            os.replace(made, content)
            os.replace(sealed, digest)
    except OSError as e:
        raise OutputError(f"castiron's cache {folder} cannot be written: {e.strerror or e}") from None
    return content


def holds(name: str) -> bool:
    """Whether `fetch` would find the file."""
    folder = directory()
    return _sound(folder / name, folder / f"{name}.sha256")


def _sound(content: Path, digest: Path) -> bool:
    """Whether an entry is there and undamaged; if so it is marked as used now."""
    try:
        sound = digest.read_text() == _sha256(content)
        os.utime(digest)
    except (OSError, UnicodeDecodeError):
        return False
    return sound


def _forget_unused(folder: Path) -> None:
    """Remove entries that no build has used for a month."""
    month = 30 * 24 * 3600
    for digest in folder.glob("*.sha256"):
        with contextlib.suppress(OSError):
            if time.time() - digest.stat().st_mtime > month:
                digest.unlink()
                digest.with_suffix("").unlink()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
