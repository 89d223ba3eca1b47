"""A reader of 64-bit little-endian ELF files: sections, symbols, relocations.

Source of the layout: System V Application Binary Interface, "Object Files".
"""

import struct
from dataclasses import dataclass

SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 1, 2, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHN_UNDEF, SHN_COMMON = 0, 0xFFF2
STT_SECTION, STT_FILE = 3, 4

EM_X86_64, EM_AARCH64 = 62, 183

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QIIq")


@dataclass(frozen=True)
class Section:
    """A section header and the bytes it describes."""

    index: int
    name: str
    type: int
    flags: int
    address: int
    data: bytes
    size: int
    link: int
    info: int


@dataclass(frozen=True)
class Symbol:
    """An entry of the symbol table; `section` is an index."""

    name: str
    type: int
    section: int
    value: int
    size: int


@dataclass(frozen=True)
class Relocation:
    """An entry of a relocation section."""

    offset: int
    type: int
    symbol: Symbol


class File:
    """The ELF file whose bytes are `data`."""

    def __init__(self, data: bytes):
        header = _HEADER.unpack_from(data)
        if header[0][:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.machine = header[2]
        offset, count, names = header[6], header[12], header[13]
        rows = [_SECTION.unpack_from(data, offset + i * _SECTION.size) for i in range(count)]
        strings = data[rows[names][4] :]
        self.sections = tuple(
            Section(
                i, _text(strings, name), kind, flags, address,
                b"" if kind == SHT_NOBITS else data[start : start + size], size, link, info,
            )
            for i, (name, kind, flags, address, start, size, link, info, _, _) in enumerate(rows)
        )  # fmt: skip
        self.symbols = tuple(
            Symbol(_text(self.sections[table.link].data, name), info & 15, section, value, size)
            for table in self.sections
            if table.type == SHT_SYMTAB
            for name, info, _, section, value, size in _SYMBOL.iter_unpack(table.data)
        )

    def relocations(self, section: Section) -> list[Relocation]:
        """What the linker has still to fill in within `section`."""
        return [
            Relocation(offset, kind, self.symbols[symbol])
            for table in self.sections
            if table.type == SHT_RELA and table.info == section.index
            for offset, kind, symbol, _ in _RELA.iter_unpack(table.data)
        ]


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode()
