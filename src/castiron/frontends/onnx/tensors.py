"""ONNX's element types, shapes and constants."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.narrow import INTEGERS
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.ir import Dim, DType, symbol
from castiron.ops.narrow import numbers

#: The symbol of an unknown first dimension.
BATCH = "batch"

#: Constants in files of their own are mapped rather than read from this size on.
MAPPED_BYTES = 1 << 20

#: No tensor has more axes than this.
RANK_LIMIT = 64

#: The name of a file with data has so many bytes at most, as file systems have it.
NAME_LIMIT = 255

#: A sparse constant stands for no more elements than this.
DENSE_LIMIT = 1 << 26

#: By type: castiron's type (narrow ones are widened), the type of the stored bytes, the list of values.
_TYPES: dict[int, tuple[DType, str, str]] = {
    pb.TensorProto.FLOAT: (DType.F32, "<f4", "float_data"),
    pb.TensorProto.DOUBLE: (DType.F64, "<f8", "double_data"),
    pb.TensorProto.FLOAT16: (DType.F32, "<f2", "int32_data"),
    pb.TensorProto.BFLOAT16: (DType.F32, "<u2", "int32_data"),
    pb.TensorProto.INT8: (DType.I8, "<i1", "int32_data"),
    pb.TensorProto.INT16: (DType.I16, "<i2", "int32_data"),
    pb.TensorProto.INT32: (DType.I32, "<i4", "int32_data"),
    pb.TensorProto.INT64: (DType.I64, "<i8", "int64_data"),
    pb.TensorProto.UINT8: (DType.U8, "<u1", "int32_data"),
    pb.TensorProto.UINT16: (DType.U16, "<u2", "int32_data"),
    pb.TensorProto.UINT32: (DType.U32, "<u4", "uint64_data"),
    pb.TensorProto.UINT64: (DType.U64, "<u8", "uint64_data"),
    pb.TensorProto.BOOL: (DType.BOOL, "?", "int32_data"),
    pb.TensorProto.FLOAT8E4M3FN: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.FLOAT8E4M3FNUZ: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.FLOAT8E5M2: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.FLOAT8E5M2FNUZ: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.FLOAT8E8M0: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.FLOAT4E2M1: (DType.F32, "u1", "int32_data"),
    pb.TensorProto.INT4: (DType.I8, "u1", "int32_data"),
    pb.TensorProto.UINT4: (DType.U8, "u1", "int32_data"),
    pb.TensorProto.INT2: (DType.I8, "u1", "int32_data"),
    pb.TensorProto.UINT2: (DType.U8, "u1", "int32_data"),
}

#: By type: what narrower type its values are rounded or cut to.
_KINDS: dict[int, str] = {
    pb.TensorProto.FLOAT16: "f16", pb.TensorProto.BFLOAT16: "bf16", pb.TensorProto.FLOAT8E4M3FN: "f8e4m3fn",
    pb.TensorProto.FLOAT8E4M3FNUZ: "f8e4m3fnuz", pb.TensorProto.FLOAT8E5M2: "f8e5m2",
    pb.TensorProto.FLOAT8E5M2FNUZ: "f8e5m2fnuz", pb.TensorProto.FLOAT8E8M0: "f8e8m0",
    pb.TensorProto.FLOAT4E2M1: "f4e2m1", pb.TensorProto.INT4: "i4", pb.TensorProto.UINT4: "u4",
    pb.TensorProto.INT2: "i2", pb.TensorProto.UINT2: "u2",
}

#: How many bits an element of a packed type has, the first in the lowest of a byte.
_PACKED = {"f4e2m1": 4, **INTEGERS}


def dtype_of(number: int) -> DType:
    """The element type with ONNX's number; ModelError for one that castiron doesn't have."""
    if number not in _TYPES:
        raise ModelError(f"tensors of type {type_name(number)} are not supported")
    return _TYPES[number][0]


def kind_of(number: int) -> str | None:
    """What narrower type values of ONNX's type of that number are rounded or cut to."""
    return _KINDS.get(number)


def type_name(number: int) -> str:
    """ONNX's name of an element type, or its number."""
    known = number in pb.TensorProto.DataType.values()
    return pb.TensorProto.DataType.Name(number).lower() if known else f"#{number}"


def dims_of(shape: pb.TensorShapeProto, name: str) -> tuple[Dim, ...]:
    """A shape in which named dimensions are symbols of these names, an unknown first one is ``batch``, and others
    are called by the tensor's name and the axis."""
    if len(shape.dim) > RANK_LIMIT:
        raise ModelError(f"{name!r} has {len(shape.dim)} dimensions; {RANK_LIMIT} are the most")
    dims: list[Dim] = []
    for axis, dim in enumerate(shape.dim):
        kind = dim.WhichOneof("value")
        if kind == "dim_value" and dim.dim_value >= 0:
            dims.append(dim.dim_value)
        elif kind == "dim_param" and re.search(r"[A-Za-z0-9]", dim.dim_param):
            dims.append(symbol(_identifier(dim.dim_param)))
        else:
            dims.append(symbol(f"{_identifier(name)}_{axis}" if axis else BATCH))
    return tuple(dims)


def _identifier(name: str) -> str:
    stem = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{stem}" if stem[:1].isdigit() else stem


def array_of(tensor: pb.TensorProto, folder: Path | None) -> np.ndarray:
    """The data of a constant, from a file in ``folder`` if they are not in the message; ModelError if they are
    incomplete or of an unsupported type."""
    dtype = dtype_of(tensor.data_type)
    _, stored, field = _TYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    if len(shape) > RANK_LIMIT or any(dim < 0 for dim in shape):
        raise ModelError(f"the constant {tensor.name!r} has the shape {list(shape)[:RANK_LIMIT]}")
    kind = kind_of(tensor.data_type)
    size = -(-math.prod(shape) * _PACKED[kind] // 8) if kind in _PACKED else math.prod(shape)
    if tensor.data_location == pb.TensorProto.EXTERNAL:
        elements = _external(tensor, np.dtype(stored), size, folder)
    elif tensor.HasField("raw_data"):
        raw = tensor.raw_data  # a copy each time
        if len(raw) != size * np.dtype(stored).itemsize:
            raise ModelError(f"the constant {tensor.name!r} has {len(raw)} bytes where "
                             f"{dtype.value}{list(shape)} needs {size * np.dtype(stored).itemsize}")
        elements = np.frombuffer(raw, np.uint8 if stored == "?" else stored)
    else:
        values = getattr(tensor, field)
        if len(values) != size:
            raise ModelError(f"the constant {tensor.name!r} of {size} elements holds {len(values)} values")
        if kind is not None:
            elements = np.array(values, np.int64).astype(f"<u{np.dtype(stored).itemsize}").view(stored)
        else:
            elements = np.array(values, np.int64 if field == "int32_data" else dtype.numpy)
    elements = _widened(elements, kind)[:math.prod(shape)]
    return elements.astype(dtype.numpy, copy=False).reshape(shape)


def _widened(elements: np.ndarray, kind: str | None) -> np.ndarray:
    """The numbers of stored elements of a narrow type, with what fills the last byte; others as they are."""
    if kind is None or elements.dtype.kind == "f":
        return elements
    if kind == "bf16":  # the upper half of a float32
        return (elements.astype("<u4") << 16).view("<f4")
    if kind in _PACKED:
        bits = _PACKED[kind]
        elements = (elements[:, None] >> np.arange(0, 8, bits, dtype=np.uint8) & ((1 << bits) - 1)).reshape(-1)
    if kind not in INTEGERS:
        return numbers(kind)[elements]
    top = 1 << INTEGERS[kind] - 1
    return elements if kind[0] == "u" else (elements.astype(np.int8) ^ top) - top


def dense_of(sparse: pb.SparseTensorProto, folder: Path | None) -> np.ndarray:
    """All elements of a sparse constant; its indices are places in the flat tensor, or in each axis."""
    values, places = array_of(sparse.values, folder), array_of(sparse.indices, folder)
    name, shape = sparse.values.name, tuple(sparse.dims)
    if len(shape) > RANK_LIMIT or any(dim < 0 for dim in shape) or math.prod(shape) > DENSE_LIMIT:
        raise ModelError(f"the sparse constant {name!r} has the shape {list(shape)[:RANK_LIMIT]}")
    if places.ndim == 2 and places.shape[1] == len(shape):
        bounds, places = np.array(shape, np.int64), places.astype(np.int64)
        if ((places < 0) | (places >= bounds)).any():
            raise ModelError(f"the sparse constant {name!r} has elements outside its shape {list(shape)}")
        places = places @ np.array([math.prod(shape[axis + 1:]) for axis in range(len(shape))], np.int64)
    if values.ndim != 1 or places.shape != values.shape or ((places < 0) | (places >= math.prod(shape))).any():
        raise ModelError(f"the sparse constant {name!r} has indices that don't fit its values or its shape "
                         f"{list(shape)}")
    dense = np.zeros(math.prod(shape), values.dtype)
    dense[places] = values
    return dense.reshape(shape)


def strings_of(tensor: pb.TensorProto) -> np.ndarray:
    """The strings of a constant, as Python's; ModelError if they are incomplete."""
    shape = tuple(tensor.dims)
    if len(shape) > RANK_LIMIT or any(dim < 0 for dim in shape) or math.prod(shape) != len(tensor.string_data):
        raise ModelError(f"the constant {tensor.name!r} of {list(shape)[:RANK_LIMIT]} strings holds "
                         f"{len(tensor.string_data)}")
    strings = [data.decode("utf-8", "replace") for data in tensor.string_data]
    return np.array(strings, object).reshape(shape)


def _external(tensor: pb.TensorProto, stored: np.dtype, size: int, folder: Path | None) -> np.ndarray:
    """The elements of a constant in a file of its own, which must lie in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name, wanted = entries.get("location", ""), size * stored.itemsize
    if folder is None:
        raise ModelError(f"the data of {tensor.name!r} are in the file {name!r}, and this model has no folder")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
    except ValueError:
        raise ModelError(f"the place of {tensor.name!r} in {name!r} is no number") from None
    file = data_file(tensor, folder)
    if length != wanted or offset < 0 or offset + length > file.stat().st_size:
        raise ModelError(f"the file {name!r} doesn't hold the data of {tensor.name!r}: {wanted} bytes are needed of "
                         f"{length} at {offset}, and the file has {file.stat().st_size}")
    dtype = np.dtype(np.uint8) if stored.kind == "b" else stored
    if wanted < MAPPED_BYTES:
        return np.fromfile(file, dtype, size, offset=offset)
    return np.asarray(np.memmap(file, dtype, "r", offset, (size,)))


def data_file(tensor: pb.TensorProto, folder: Path) -> Path:
    """The file of its own that holds a constant's data; ModelError unless it is in the model's folder."""
    name = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    path = PurePosixPath(name.replace("\\", "/"))
    if len(name.encode()) > NAME_LIMIT:
        raise ModelError(f"the data of {tensor.name!r} are said to be in {name[:40]!r}…, a name of {len(name)} letters")
    if not name or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise ModelError(f"the data of {tensor.name!r} are said to be in {name!r}; they must be in the model's folder")
    root = folder.resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise ModelError(f"the data of {tensor.name!r} in {name!r} are outside the model's folder")
    if not file.is_file():
        raise ModelError(f"the file {name!r} with the data of {tensor.name!r} is missing: keep it beside the model")
    return file
