"""Data as a further segment of a linked Linux executable, which the kernel maps far from code and variables.

Source of the layout: System V Application Binary Interface, "Program Header" and "Sections".
"""

import struct
from pathlib import Path
from typing import BinaryIO, Protocol

#: Where the data are mapped: beyond what 32-bit offsets reach, and before what Go's heap asks for.
ADDRESS = 0x10_0000_0000

#: Large pages of x86-64 and arm64: data that fill some lie in memory and in the file such that the kernel can map them
#: at once, if the page cache holds them so. No Linux has small pages larger than SMALL_PAGE.
LARGE_PAGE, SMALL_PAGE = 2 << 20, 1 << 16

PT_LOAD, PT_PHDR = 1, 6
PF_R = 4
SHT_PROGBITS, SHT_STRTAB, SHF_ALLOC = 1, 3, 2

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")


class Data(Protocol):
    """Contents, ``nbytes`` long."""

    nbytes: int

    def write_to(self, file: BinaryIO) -> None: ...


def append(executable: Path, data: Data) -> None:
    """Put data behind a static executable, mapped at ``ADDRESS``, as a segment and, so that tools which rewrite
    executables keep it, a section ``.weights``. The segment takes the place of the entry that says where the table of
    segments is, which only a dynamic linker asks for. ValueError if there is none.

    The file's cache holds what is written at once in one piece, so contents are written in large ones."""
    page = LARGE_PAGE if data.nbytes >= LARGE_PAGE else SMALL_PAGE
    with open(executable, "r+b", buffering=LARGE_PAGE) as file:
        header = list(_HEADER.unpack(file.read(_HEADER.size)))
        segments, sections = (_table(file, header[at], entry, header[count])
                              for at, entry, count in ((5, _SEGMENT, 10), (6, _SECTION, 12)))
        names = list(sections[header[13]])
        file.seek(names[4])
        text = file.read(names[5]) + b".weights\0"
        kept = [entry for entry in segments if entry[0] != PT_PHDR]
        if len(kept) == len(segments):
            raise ValueError(f"{executable} has no entry to spare in its table of segments")
        offset = -(-file.seek(0, 2) // page) * page
        file.truncate(offset)
        file.seek(offset)
        data.write_to(file)
        kept.append((PT_LOAD, PF_R, offset, ADDRESS, ADDRESS, data.nbytes, data.nbytes, page))
        sections.append((names[5], SHT_PROGBITS, SHF_ALLOC, ADDRESS, offset, data.nbytes, 0, 0, page, 0))
        names[4:6] = file.tell(), len(text)
        sections[header[13]] = tuple(names)
        file.write(text + bytes(-(names[4] + len(text)) % 8))
        header[6], header[12] = file.tell(), len(sections)
        file.write(b"".join(_SECTION.pack(*entry) for entry in sections))
        file.seek(header[5])
        file.write(b"".join(_SEGMENT.pack(*entry) for entry in kept))
        file.seek(0)
        file.write(_HEADER.pack(*header))


def _table(file: BinaryIO, offset: int, entry: struct.Struct, count: int) -> list[tuple]:
    file.seek(offset)
    return [entry.unpack(file.read(entry.size)) for _ in range(count)]
