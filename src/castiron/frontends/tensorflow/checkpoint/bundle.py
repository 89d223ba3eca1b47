"""The tensors of a checkpoint by key."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from castiron.errors import ModelError
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.checkpoint.crc32c import crc32c, unmask
from castiron.frontends.tensorflow.checkpoint.table import entries
from castiron.frontends.tensorflow.proto import saved_model_pb2 as pb

CHECKSUM_BYTES = 4

#: The first byte of the keys under which the parts of sliced variables stand; they are no text.
_SLICE = b"\0"


class Checkpoint:
    """The checkpoint whose files begin with ``prefix``; ModelError if its index can't be read."""

    def __init__(self, prefix: Path):
        self._prefix = prefix
        self._entries: dict[str, pb.BundleEntryProto] = {}
        self._header = pb.BundleHeaderProto()
        index = f"{prefix.name}.index"
        try:
            for key, value in entries(prefix.with_name(index).read_bytes()):
                if key and not key.startswith(_SLICE):
                    self._entries[key.decode("utf-8")] = pb.BundleEntryProto.FromString(value)
                elif not key:
                    self._header = pb.BundleHeaderProto.FromString(value)
        except OSError as error:
            raise ModelError(f"{index}, which lists the variables, can't be read: {error.strerror}") from None
        except (ModelError, DecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"{index}: {error}") from None
        if self._header.endianness != pb.BundleHeaderProto.LITTLE:
            raise ModelError(f"{index}: checkpoints of big-endian machines are not supported")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def tensor(self, key: str) -> np.ndarray:
        """The tensor under a key; ModelError if it is missing, cut off or damaged."""
        entry = self._entry(key)
        shape = tensors.sizes_of(entry.shape)
        if shape is None or None in shape:
            raise ModelError(f"the variable {key!r} has no definite shape")
        data = self._data(key, entry)
        if crc32c(data) != unmask(entry.crc32c):
            raise ModelError(f"{self._shard(entry)}: variable {key!r} is damaged: its checksum differs")
        try:
            return tensors.decode(data, entry.dtype, shape)
        except ModelError as error:
            raise ModelError(f"{self._shard(entry)}: variable {key!r}: {error}") from None

    def text(self, key: str) -> bytes:
        """The one string under a key: its length, the length's checksum, its bytes. ModelError as above."""
        data = self._data(key, self._entry(key))
        length = next((i for i, byte in enumerate(data[:10], 1) if byte < 128), 0)
        size = sum((byte & 127) << 7 * i for i, byte in enumerate(data[:length]))
        text = data[length + CHECKSUM_BYTES:]
        if not length or len(text) != size:
            raise ModelError(f"the checkpoint's {key!r} is not one string")
        return text

    def _entry(self, key: str) -> pb.BundleEntryProto:
        entry = self._entries.get(key)
        if entry is None:
            raise ModelError(f"the checkpoint has no variable {key!r}")
        if entry.slices:
            raise ModelError(f"the variable {key!r} is saved in slices, which is not supported")
        return entry

    def _shard(self, entry: pb.BundleEntryProto) -> str:
        return f"{self._prefix.name}.data-{entry.shard_id:05d}-of-{self._header.num_shards:05d}"

    def _data(self, key: str, entry: pb.BundleEntryProto) -> bytes:
        shard = self._shard(entry)
        try:
            with self._prefix.with_name(shard).open("rb") as file:
                available = os.fstat(file.fileno()).st_size
                if entry.offset < 0 or not 0 <= entry.size <= available - entry.offset:
                    raise ModelError(f"{shard} is cut off: it has {available} bytes, variable {key!r} takes those from "
                                     f"{entry.offset} to {entry.offset + entry.size}")
                file.seek(entry.offset)
                return file.read(entry.size)
        except OSError as error:
            raise ModelError(f"{shard}, which holds variable {key!r}, can't be read: {error.strerror}") from None
