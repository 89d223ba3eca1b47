"""ONNX's element types, shapes and constants."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.ir import Dim, DType, symbol

#: The symbol of an unknown first dimension.
BATCH = "batch"

#: No tensor has more axes than this.
RANK_LIMIT = 64

#: A sparse constant stands for no more elements than this.
DENSE_LIMIT = 1 << 26

#: By type: castiron's type (16-bit floats are widened), the type of the stored bytes, the list of values.
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
}


def dtype_of(number: int) -> DType:
    """The element type with ONNX's number; ModelError for one that castiron doesn't have."""
    if number not in _TYPES:
        raise ModelError(f"tensors of type {type_name(number)} are not supported")
    return _TYPES[number][0]


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
    size = math.prod(shape)
    if tensor.data_location == pb.TensorProto.EXTERNAL:
        elements = _external(tensor, np.dtype(stored), size, folder)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size * np.dtype(stored).itemsize:
            raise ModelError(f"the constant {tensor.name!r} has {len(tensor.raw_data)} bytes where "
                             f"{dtype.value}{list(shape)} needs {size * np.dtype(stored).itemsize}")
        elements = np.frombuffer(tensor.raw_data, np.uint8 if stored == "?" else stored)
    else:
        values = getattr(tensor, field)
        if len(values) != size:
            raise ModelError(f"the constant {tensor.name!r} of {size} elements holds {len(values)} values")
        if stored in ("<f2", "<u2") and field == "int32_data" and dtype == DType.F32:
            elements = np.array(values, np.int64).astype("<u2").view(stored)
        else:
            elements = np.array(values, np.int64 if field == "int32_data" else dtype.numpy)
    if tensor.data_type == pb.TensorProto.BFLOAT16:  # the upper half of a float32
        elements = (elements.astype("<u4") << 16).view("<f4")
    return elements.astype(dtype.numpy, copy=False).reshape(shape)


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
    path = PurePosixPath(name.replace("\\", "/"))
    if not name or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise ModelError(f"the data of {tensor.name!r} are said to be in {name!r}; they must be in the model's folder")
    if folder is None:
        raise ModelError(f"the data of {tensor.name!r} are in the file {name!r}, and this model has no folder")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", wanted))
    except ValueError:
        raise ModelError(f"the place of {tensor.name!r} in {name!r} is no number") from None
    root = folder.resolve()
    file = (root / path).resolve()
    if not file.is_relative_to(root):
        raise ModelError(f"the data of {tensor.name!r} in {name!r} are outside the model's folder")
    if not file.is_file():
        raise ModelError(f"the file {name!r} with the data of {tensor.name!r} is missing: keep it beside the model")
    if length != wanted or offset < 0 or offset + length > file.stat().st_size:
        raise ModelError(f"the file {name!r} doesn't hold the data of {tensor.name!r}: {wanted} bytes are needed of "
                         f"{length} at {offset}, and the file has {file.stat().st_size}")
    dtype = np.dtype(np.uint8) if stored.kind == "b" else stored
    return np.fromfile(file, dtype, size, offset=offset)
