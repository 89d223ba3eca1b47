"""Data as a further segment of a linked Linux executable, which the kernel maps far from code and variables.

Source of the layout: System V Application Binary Interface, "Program Header".
"""

import struct
from pathlib import Path
from typing import BinaryIO, Protocol

#: Where the data are mapped: beyond what 32-bit offsets reach, and before what Go's heap asks for.
ADDRESS = 0x10_0000_0000

#: No Linux has larger pages.
PAGE = 1 << 16

PT_LOAD, PT_PHDR = 1, 6
PF_R = 4

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_ENTRY = struct.Struct("<IIQQQQQQ")


class Data(Protocol):
    """Contents, ``nbytes`` long."""

    nbytes: int

    def write_to(self, file: BinaryIO) -> None: ...


def append(executable: Path, data: Data) -> None:
    """Put data behind a static executable, mapped at ``ADDRESS``. They take the place of the entry that says where the
    table of segments is, which only a dynamic linker asks for. ValueError if it has none."""
    with open(executable, "r+b") as file:
        header = _HEADER.unpack(file.read(_HEADER.size))
        table, count = header[5], header[10]
        file.seek(table)
        entries = [_ENTRY.unpack(file.read(_ENTRY.size)) for _ in range(count)]
        kept = [entry for entry in entries if entry[0] != PT_PHDR]
        if len(kept) == count:
            raise ValueError(f"{executable} has no entry to spare in its table of segments")
        offset = -(-file.seek(0, 2) // PAGE) * PAGE
        file.truncate(offset)
        file.seek(offset)
        data.write_to(file)
        kept.append((PT_LOAD, PF_R, offset, ADDRESS, ADDRESS, data.nbytes, data.nbytes, PAGE))
        file.seek(table)
        file.write(b"".join(_ENTRY.pack(*entry) for entry in kept))
