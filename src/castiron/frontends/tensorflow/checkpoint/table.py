"""The sorted tables of checkpoint indexes, in LevelDB's format (google/leveldb, doc/table_format.md)."""

from __future__ import annotations

from collections.abc import Iterator

from castiron.errors import ModelError
from castiron.frontends.tensorflow.checkpoint.crc32c import crc32c, unmask
from castiron.frontends.tensorflow.checkpoint.snappy import decompress

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys and values of a table, in order; ModelError if it is damaged."""
    footer = data[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise ModelError("it is cut off, or not the index of a checkpoint")
    at = 0
    for _ in range(2):  # the place of an index of extra data, which is empty
        _, at = _varint(footer, at)
    for _, handle in _pairs(_block(data, footer, at)):
        yield from _pairs(_block(data, handle, 0))


def _block(data: bytes, handle: bytes, at: int) -> bytes:
    """The block that a handle, an offset and a size, points to."""
    offset, at = _varint(handle, at)
    size, _ = _varint(handle, at)
    if offset + size + _TRAILER_BYTES > len(data):
        raise ModelError("a block lies beyond the end of the file")
    content = data[offset:offset + size]
    trailer = data[offset + size:offset + size + _TRAILER_BYTES]
    if crc32c(content + trailer[:1]) != unmask(int.from_bytes(trailer[1:], "little")):
        raise ModelError("a block is damaged: its checksum differs")
    if trailer[0] > 1:
        raise ModelError(f"a block is compressed in an unknown way ({trailer[0]})")
    return decompress(content) if trailer[0] else content


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block. A key begins with some bytes of the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 4 or end < 0:
        raise ModelError("a block is damaged: it has no end")
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared > len(key) or at + own + size > end:
            raise ModelError("a block is damaged: an entry lies beyond its end")
        key = key[:shared] + block[at:at + own]
        yield key, block[at + own:at + own + size]
        at += own + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and the place after it."""
    number = 0
    for i, byte in enumerate(data[at:at + 10]):
        number |= (byte & 127) << 7 * i
        if byte < 128:
            return number, at + i + 1
    raise ModelError("a number is cut off")
