"""Reading HDF5 files that strangers wrote: only what lies inside the file, and no more than it stores."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np

from castiron.errors import ModelError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Bytes that a dataset may declare for each byte that it stores, beyond the first megabyte.
MAX_EXPANSION = 1000


@contextmanager
def reporting(place: str) -> Iterator[None]:
    """Whatever h5py raises becomes a ModelError that names the place."""
    try:
        yield
    except ModelError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError,
            UnicodeError) as error:
        reason = str(error).strip("'\" ").splitlines() or [type(error).__name__]
        raise ModelError(f"{place}: broken HDF5: {reason[0]}") from None


def open_bytes(data: bytes, place: str) -> h5py.File:
    """The HDF5 file that the bytes are; it never touches the disk."""
    with reporting(place):
        return h5py.File(io.BytesIO(data), "r")


def member(group: h5py.Group, name: str, place: str) -> h5py.Group | h5py.Dataset | None:
    """What lies in a group under a path, None if nothing does; ModelError for a link to elsewhere."""
    with reporting(f"{place}: {name}"):
        for part in filter(None, name.split("/")):
            if not isinstance(group, h5py.Group) or part in (".", ".."):
                return None
            link = group.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise ModelError(f"{place}: {name}: a link to elsewhere; castiron reads only what a file holds")
            group = group[part]
        return group


def strings(group: h5py.Group, name: str, place: str) -> list[str] | None:
    """An attribute that is a list of strings, which Keras cuts into ``name0``, ``name1`` … if it is long."""
    with reporting(f"{place}: attribute {name}"):
        if name in group.attrs:
            pieces = [group.attrs[name]]
        else:
            pieces = []
            while f"{name}{len(pieces)}" in group.attrs:
                pieces.append(group.attrs[f"{name}{len(pieces)}"])
        if not pieces:
            return None
        return [s.decode("utf-8") if isinstance(s, bytes) else str(s) for piece in pieces for s in piece]


def text(group: h5py.Group, name: str, place: str) -> str | None:
    """An attribute that is a string."""
    with reporting(f"{place}: attribute {name}"):
        value = group.attrs.get(name)
        if value is None:
            return None
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if not isinstance(value, str):
            raise ModelError(f"{place}: attribute {name} is not a string")
        return value


def read(dataset: h5py.Dataset, place: str) -> np.ndarray:
    """The data, numbers only; bfloat16, which HDF5 doesn't have, comes as f32."""
    with reporting(place):
        if dataset.external or dataset.is_virtual:
            raise ModelError(f"{place}: the data is in another file; castiron reads only what a file holds")
        if dataset.nbytes > MAX_EXPANSION * dataset.id.get_storage_size() + 2 ** 20:
            raise ModelError(f"{place}: declares {dataset.nbytes} bytes, but stores only "
                             f"{dataset.id.get_storage_size()}")
        bits = dataset.attrs.get("dtype") == "bfloat16" and dataset.dtype.itemsize == 2
        array = np.asarray(dataset[()])
        if bits:
            return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        if array.dtype.kind not in "fiub":
            raise ModelError(f"{place}: holds {array.dtype}, not numbers")
        return array.astype(array.dtype.newbyteorder("="))
