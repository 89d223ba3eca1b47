"""Steps for a processor that this machine does not have, run under QEMU's user-mode emulator."""

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import castiron.toolchain
from castiron.native import ALIGNMENT, align
from castiron.targets import Level
from castiron.toolchain import Tools, cache, zig

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")

_SOURCES = (Path(__file__).with_suffix(".c"), Path(castiron.toolchain.__file__).with_name("host.c"))
_MEMORY_BYTES = 1 << 32


class EmulatedLibrary:
    """As ``native.Library``, for the flat code that goes into a binary.

    Memory is a sparse file that both processes map. It is given out from the front and never taken back.
    """

    def __init__(self, source: str, entries: Sequence[str], tools: Tools, level: Level):
        self._text = zig.compile_text(source, tuple(entries), level, tools)
        self._file = tempfile.TemporaryFile()
        self._file.truncate(_MEMORY_BYTES)
        self._memory = np.frombuffer(mmap.mmap(self._file.fileno(), _MEMORY_BYTES), np.uint8)
        self._used = 0
        code = tempfile.TemporaryFile()
        code.write(self._text.code)
        code.flush()
        files = self._file.fileno(), code.fileno()
        self._process = subprocess.Popen([QEMU, _server(level, tools)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         pass_fds=files)
        weakref.finalize(self, _end, self._process)
        [self._base] = self._ask("<4q", files[0], _MEMORY_BYTES, files[1], len(self._text.code))

    def allocate(self, size: int, fill: int | None = None) -> np.ndarray:
        start, self._used = self._used, self._used + align(size + ALIGNMENT)
        if fill is not None:
            self._memory[start:self._used] = fill
        return self._memory[start:start + size]

    def place(self, array: np.ndarray) -> np.ndarray:
        if np.may_share_memory(array, self._memory):
            return array
        memory = self.allocate(array.nbytes).view(array.dtype).reshape(array.shape)
        memory[...] = array
        return memory

    def address(self, array: np.ndarray) -> int:
        return self._base + array.ctypes.data - self._memory.ctypes.data

    def call(self, entry: int, table: np.ndarray, symbols: np.ndarray, begin: int, end: int) -> None:
        operands = (self.address(self.place(a)) for a in (table, symbols))
        self._ask("<5q", self._text.offsets[entry], *operands, begin, end)

    def _ask(self, form: str, *values: int) -> tuple[int, ...]:
        self._process.stdin.write(struct.pack(form, *values))
        self._process.stdin.flush()
        answer = self._process.stdout.read(8)
        assert len(answer) == 8, f"the emulated process ended: {self._process.wait()}"
        return struct.unpack("<q", answer)


def _end(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.stdout.close()
    process.wait()


def _server(level: Level, tools: Tools) -> Path:
    def make(path: Path) -> None:
        command = [tools.zig_path(), "cc", "-target", level.triple, "-O1", "-static", "-nostdlib", "-ffreestanding",
                   "-fno-stack-protector", "-fno-sanitize=all", "-w", *_SOURCES, "-o", path]
        caches = {"ZIG_GLOBAL_CACHE_DIR": str(cache.directory() / "zig"), "ZIG_LOCAL_CACHE_DIR": str(path.parent)}
        subprocess.run(command, check=True, env=os.environ | caches)
    return cache.fetch(cache.key("emulated", *(s.read_bytes() for s in _SOURCES), tools.zig_version()), make)
