"""Decompression of Snappy blocks (google/snappy, format_description.txt)."""

from __future__ import annotations

from castiron.errors import ModelError

#: A block that says to be larger is refused.
SIZE_LIMIT = 1 << 26


def decompress(data: bytes) -> bytes:
    """The bytes that a block stands for; ModelError if it is damaged."""
    try:
        return _decompress(data)
    except IndexError:
        raise ModelError("a compressed block is cut off") from None


def _decompress(data: bytes) -> bytes:
    size = at = 0
    while True:
        size |= (data[at] & 127) << 7 * at
        at += 1
        if data[at - 1] < 128:
            break
    if size > SIZE_LIMIT:
        raise ModelError(f"a compressed block says to have {size} bytes")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind, number = tag & 3, tag >> 2
        if kind == 0:
            if number >= 60:
                width = number - 59
                number = int.from_bytes(data[at:at + width], "little")
                at += width
            if at + number + 1 > len(data):
                raise ModelError("a compressed block is cut off")
            out += data[at:at + number + 1]
            at += number + 1
        else:
            if kind == 1:
                length, offset = (number & 7) + 4, (number >> 3) << 8 | data[at]
                at += 1
            else:
                width = 2 if kind == 2 else 4
                length, offset = number + 1, int.from_bytes(data[at:at + width], "little")
                at += width
            if not 0 < offset <= len(out):
                raise ModelError("a compressed block refers to bytes before its start")
            # A copy may overlap what it writes: then the last bytes repeat.
            piece = out[len(out) - offset:][:length]
            out += (piece * (length // len(piece) + 1))[:length]
        if len(out) > size:
            break
    if len(out) != size:
        raise ModelError(f"a compressed block has {len(out)} bytes instead of {size}")
    return bytes(out)
