"""Memory between pages that can't be touched: a step that reads or writes outside its operands ends the process."""

import ctypes
import mmap
import os
from collections.abc import Callable

import numpy as np

from castiron.native import Library
from castiron.program import align

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class OwnMemory:
    """What hands out memory to a library's callers, each piece one that ``_memory`` makes."""

    def allocate(self, size: int, fill: int | None = None) -> np.ndarray:
        memory = self._memory(align(size))[:size]
        memory[:] = 0xFF if fill is None else fill
        return memory

    def place(self, array: np.ndarray) -> np.ndarray:
        memory = self._memory(array.nbytes).view(array.dtype).reshape(array.shape)
        memory[...] = array
        return memory


class GuardedLibrary(OwnMemory):
    """A library whose callers' memory ends at the end of a page, or with ``low`` begins at the beginning of one.
    It is never freed."""

    def __init__(self, library: Library, low: bool):
        self._library, self._low = library, low
        self.call, self.address = library.call, library.address

    def _memory(self, size: int) -> np.ndarray:
        page = mmap.PAGESIZE
        inside = -(-max(size, 1) // page) * page
        start = _LIBC.mmap(None, inside + 2 * page, mmap.PROT_READ | mmap.PROT_WRITE,
                           mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        assert start not in (None, ctypes.c_void_p(-1).value), os.strerror(ctypes.get_errno())
        for guard in (start, start + page + inside):
            assert _LIBC.mprotect(guard, page, 0) == 0
        first = start + page + (0 if self._low else inside - size)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(first), np.uint8)


def survives(work: Callable[[], None]) -> bool:
    """Whether a copy of this process comes to the end of the work."""
    child = os.fork()
    if child == 0:
        try:
            # The only output of a child that faults would be a dump of all threads.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
