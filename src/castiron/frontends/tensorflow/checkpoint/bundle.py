"""The tensors of a checkpoint by key."""

from __future__ import annotations

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
        self._index = prefix.with_name(f"{prefix.name}.index")
        self._entries: dict[str, pb.BundleEntryProto] = {}
        self._header = pb.BundleHeaderProto()
        try:
            for key, value in entries(self._index.read_bytes()):
                if key:
                    self._entries[key.decode("utf-8")] = pb.BundleEntryProto.FromString(value)
                else:
                    self._header = pb.BundleHeaderProto.FromString(value)
        except FileNotFoundError:
            raise ModelError(f"{self._index}: there is no such file: the model's variables are missing") from None
        except (ModelError, DecodeError, UnicodeDecodeError) as error:
            raise ModelError(f"{self._index}: {error}") from None
        if self._header.endianness != pb.BundleHeaderProto.LITTLE:
            raise ModelError(f"{self._index}: checkpoints of big-endian machines are not supported")

    def tensor(self, key: str) -> np.ndarray:
        """The tensor under a key; ModelError if it is missing, cut off or damaged."""
        entry = self._entries.get(key)
        if entry is None:
            raise ModelError(f"{self._index}: it has no variable {key!r}")
        if entry.slices:
            raise ModelError(f"{self._index}: the variable {key!r} is saved in slices, which is not supported")
        shard = f"{self._prefix.name}.data-{entry.shard_id:05d}-of-{self._header.num_shards:05d}"
        path = self._prefix.with_name(shard)
        try:
            available = path.stat().st_size
            if entry.offset < 0 or not 0 <= entry.size <= available - entry.offset:
                raise ModelError(f"bytes {entry.offset} to {entry.offset + entry.size} of variable {key!r} lie "
                                 f"beyond its {available} bytes: the file is cut off")
            with path.open("rb") as file:
                file.seek(entry.offset)
                data = file.read(entry.size)
            shape = tensors.sizes_of(entry.shape)
            if shape is None or None in shape:
                raise ModelError(f"the variable {key!r} has no definite shape")
            array = tensors.decode(data, entry.dtype, shape)
            if crc32c(data) != unmask(entry.crc32c):
                raise ModelError(f"the variable {key!r} is damaged: its checksum differs")
        except FileNotFoundError:
            raise ModelError(f"{path}: there is no such file: the data of variable {key!r} are missing") from None
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        return array
