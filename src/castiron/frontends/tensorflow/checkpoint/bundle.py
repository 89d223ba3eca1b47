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


class Checkpoint:
    """The checkpoint whose files begin with ``prefix``; ModelError if its index can't be read."""

    def __init__(self, prefix: Path):
        self._prefix = prefix
        self._entries: dict[str, pb.BundleEntryProto] = {}
        self._header = pb.BundleHeaderProto()
        index = f"{prefix.name}.index"
        try:
            for key, value in entries(prefix.with_name(index).read_bytes()):
                if key:
                    self._entries[key.decode("utf-8")] = pb.BundleEntryProto.FromString(value)
                else:
                    self._header = pb.BundleHeaderProto.FromString(value)
        except OSError as error:
            raise ModelError(f"{index}, which lists the variables, can't be read: {error.strerror}") from None
        except (ModelError, DecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"{index}: {error}") from None
        if self._header.endianness != pb.BundleHeaderProto.LITTLE:
            raise ModelError(f"{index}: checkpoints of big-endian machines are not supported")

    def tensor(self, key: str) -> np.ndarray:
        """The tensor under a key; ModelError if it is missing, cut off or damaged."""
        entry = self._entries.get(key)
        if entry is None:
            raise ModelError(f"the checkpoint has no variable {key!r}")
        if entry.slices:
            raise ModelError(f"the variable {key!r} is saved in slices, which is not supported")
        shard = f"{self._prefix.name}.data-{entry.shard_id:05d}-of-{self._header.num_shards:05d}"
        shape = tensors.sizes_of(entry.shape)
        if shape is None or None in shape:
            raise ModelError(f"the variable {key!r} has no definite shape")
        try:
            with self._prefix.with_name(shard).open("rb") as file:
                available = os.fstat(file.fileno()).st_size
                if entry.offset < 0 or not 0 <= entry.size <= available - entry.offset:
                    raise ModelError(f"{shard} is cut off: it has {available} bytes, variable {key!r} takes those from "
                                     f"{entry.offset} to {entry.offset + entry.size}")
                file.seek(entry.offset)
                data = file.read(entry.size)
        except OSError as error:
            raise ModelError(f"{shard}, which holds variable {key!r}, can't be read: {error.strerror}") from None
        if crc32c(data) != unmask(entry.crc32c):
            raise ModelError(f"{shard}: variable {key!r} is damaged: its checksum differs")
        try:
            return tensors.decode(data, entry.dtype, shape)
        except ModelError as error:
            raise ModelError(f"{shard}: variable {key!r}: {error}") from None
