"""TensorFlow's element types, shapes and constants."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import SPLAT_LIMIT
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import Dim, DType, TensorType, symbol

#: The symbol of an unknown first dimension.
BATCH = "batch"

_REFERENCE = 100

#: A constant that repeats one string may have this many elements.
STRINGS_LIMIT = 1 << 20

#: By type: castiron's type (16-bit floats are widened), the type of the stored bytes, the list of values.
_TYPES: dict[int, tuple[DType, str, str]] = {
    pb.DT_FLOAT: (DType.F32, "<f4", "float_val"),
    pb.DT_DOUBLE: (DType.F64, "<f8", "double_val"),
    pb.DT_HALF: (DType.F32, "<f2", "half_val"),
    pb.DT_BFLOAT16: (DType.F32, "<u2", "half_val"),
    pb.DT_INT8: (DType.I8, "<i1", "int_val"),
    pb.DT_INT16: (DType.I16, "<i2", "int_val"),
    pb.DT_INT32: (DType.I32, "<i4", "int_val"),
    pb.DT_INT64: (DType.I64, "<i8", "int64_val"),
    pb.DT_UINT8: (DType.U8, "<u1", "int_val"),
    pb.DT_UINT16: (DType.U16, "<u2", "int_val"),
    pb.DT_UINT32: (DType.U32, "<u4", "uint32_val"),
    pb.DT_UINT64: (DType.U64, "<u8", "uint64_val"),
    pb.DT_BOOL: (DType.BOOL, "?", "bool_val"),
}


def dtype_of(number: int) -> DType:
    """The element type with TensorFlow's number; ModelError for one that castiron doesn't have."""
    if number >= _REFERENCE:
        number -= _REFERENCE
    if number not in _TYPES:
        raise ModelError(f"tensors of type {type_name(number)} are not supported")
    return _TYPES[number][0]


def kind_of(number: int) -> str | None:
    """The 16-bit float that TensorFlow's type of that number is, if it is one."""
    return {pb.DT_HALF: "f16", pb.DT_BFLOAT16: "bf16"}.get(number % _REFERENCE)


def type_name(number: int) -> str:
    """TensorFlow's name of an element type, or its number."""
    return pb.DataType.Name(number)[3:].lower() if number in pb.DataType.values() else f"#{number}"


def sizes_of(shape: pb.TensorShapeProto) -> tuple[int | None, ...] | None:
    """The dimensions, None for each unknown one; None if the rank is unknown."""
    if shape.unknown_rank:
        return None
    return tuple(None if d.size < 0 else d.size for d in shape.dim)


def name_dims(sizes: Iterable[int | None], name: str) -> tuple[Dim, ...]:
    """A shape in which an unknown first dimension is ``batch`` and others are called by the tensor's
    name and the axis."""
    stem = re.sub(r"\W", "_", name, flags=re.ASCII)
    stem = f"_{stem}" if stem[:1].isdigit() else stem
    return tuple((symbol(f"{stem}_{axis}") if axis else symbol(BATCH)) if size is None else size
                 for axis, size in enumerate(sizes))


def is_text(number: int) -> bool:
    """Whether TensorFlow's type of that number is strings."""
    return number % _REFERENCE == pb.DT_STRING


def strings_of(tensor: pb.TensorProto) -> np.ndarray:
    """The strings of a constant, as Python's; ModelError if they are incomplete."""
    shape = sizes_of(tensor.tensor_shape)
    if shape is None or None in shape:
        raise ModelError("a constant without a definite shape")
    size, strings = math.prod(shape), [data.decode("utf-8", "replace") for data in tensor.string_val]
    if len(strings) > size or size > max(len(strings), STRINGS_LIMIT):
        raise ModelError(f"a constant of {size} elements holds {len(strings)} strings")
    # The last one stands for all that follow.
    strings += (strings[-1:] or [""]) * (size - len(strings))
    return np.array(strings, object).reshape(shape)


def array_of(tensor: pb.TensorProto) -> np.ndarray:
    """The data of a constant; ModelError if they are incomplete or of an unsupported type."""
    dtype = dtype_of(tensor.dtype)
    _, stored, field = _TYPES[tensor.dtype % _REFERENCE]
    shape = sizes_of(tensor.tensor_shape)
    if shape is None or None in shape:
        raise ModelError("a constant without a definite shape")
    size = 1
    for dim in shape:
        size *= dim
    if tensor.tensor_content:
        return decode(tensor.tensor_content, tensor.dtype, shape)
    values = getattr(tensor, field)
    if field == "half_val":
        elements = _widen(np.array(values, "<i4").astype("<u2").view(stored), tensor.dtype).astype(dtype.numpy)
    else:
        elements = np.array(values, np.int64 if field == "int_val" else None).astype(dtype.numpy)
    # The last value stands for all that follow; none at all means zeros.
    if len(elements) > size:
        raise ModelError(f"a constant of {size} elements holds {len(elements)} values")
    if len(elements) == size:
        return elements.reshape(shape)
    if size > SPLAT_LIMIT:
        raise ModelError(f"a constant declares {size} elements but holds {len(elements)} values")
    array = np.full(size, elements[-1] if len(elements) else 0, dtype.numpy)
    array[:len(elements)] = elements
    return array.reshape(shape)


def decode(data: bytes, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """An array from its bytes in little-endian order; ModelError if there are too few or too many."""
    dtype = dtype_of(number)
    stored = np.dtype(_TYPES[number % _REFERENCE][1])
    expected = stored.itemsize
    for dim in shape:
        expected *= dim
    if len(data) != expected:
        raise ModelError(f"{len(data)} bytes where {dtype.value}{list(shape)} needs {expected}")
    array = np.frombuffer(data, np.uint8 if dtype is DType.BOOL else stored)
    return _widen(array, number).astype(dtype.numpy, copy=False).reshape(shape)


def _widen(array: np.ndarray, number: int) -> np.ndarray:
    """Bfloat16 is the upper half of float32; numpy knows every other type."""
    if number % _REFERENCE == pb.DT_BFLOAT16:
        return (array.astype("<u4") << 16).view("<f4")
    return array


def type_text(dtype: int, shape: pb.TensorShapeProto, key: str) -> str:
    """A tensor's type as text."""
    try:
        known = dtype_of(dtype)
        name = known.value
    except ModelError:
        known, name = None, type_name(dtype)
    sizes = sizes_of(shape)
    if sizes is None:
        return f"{name} of any rank"
    dims = name_dims(sizes, key)
    return repr(TensorType(known, dims)) if known else f"{name}[{','.join(map(str, dims))}]"
