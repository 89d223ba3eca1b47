"""Exact products of 8-bit integers by small integers."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Body, Dim, DType, Instr, TensorType, Value, constant
from castiron.ops.base import Example, F, Op
from castiron.ops.contract import PANEL
from castiron.ops.convolution import Conv, PackedConv
from castiron.ops.fused import Map, body_eval

BYTES = (DType.U8, DType.I8)

_RNG = np.random.default_rng(37)


def _bytes(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    bounds = np.iinfo(dtype)
    return _RNG.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


class IntegerPack(Op):
    """Weights of 32-bit integers that are small, packed as ``dtype``, i8 or i16. The matrix [K,N] that has their last
    dimension as its columns becomes panels of 16 columns of pairs of rows, [⌈N/16⌉,⌈K/2⌉,16,2], filled up with zeros;
    so do, one after the other, those of several ``groups`` side by side. ``single`` rows: [⌈N/16⌉,K,16]"""

    name = "integer_pack"
    examples: ClassVar = (
        Example((_bytes(7, 20).astype(np.int32) - 128,)),
        Example((_bytes(3, 2, 33).astype(np.int32),), {"dtype": DType.I16}),
        Example((_bytes(2, 3, 36).astype(np.int32) - 128,), {"groups": 2}),
        Example((_bytes(3, 3, 1, 20).astype(np.int32) - 128,), {"single": True}))

    def infer(self, w: TensorType, *, dtype: DType = DType.I8, groups: int = 1, single: bool = False) -> TensorType:
        if w.rank < 2 or not w.is_static or w.dtype != DType.I32 or w.shape[-1] % groups or (single and groups > 1):
            raise ShapeError(f"integer_pack of {w!r}: expects i32 weights of known shape for {groups} groups")
        k, panels = prod(w.shape[:-1]), -(-(w.shape[-1] // groups) // PANEL)
        packed = (panels, k, PANEL) if single else (panels, -(-k // 2), PANEL, 2)
        return TensorType(dtype, (groups, *packed) if groups > 1 else packed)

    def eval(self, w: np.ndarray, *, dtype: DType, groups: int, single: bool) -> np.ndarray:
        k, n = prod(w.shape[:-1]), w.shape[-1] // groups
        panels, rows = -(-n // PANEL), k if single else -(-k // 2) * 2
        padded = np.zeros((groups, rows, panels * PANEL), dtype.numpy)
        padded[:, :k, :n] = w.reshape(k, groups, n).swapaxes(0, 1)
        if single:
            return np.ascontiguousarray(padded[0].reshape(k, panels, PANEL).swapaxes(0, 1))
        packed = padded.reshape(groups, rows // 2, 2, panels, PANEL).transpose(0, 3, 1, 4, 2)
        return np.ascontiguousarray(packed if groups > 1 else packed[0])

    def lower(self, w: Value, *, dtype: DType, groups: int, single: bool) -> Value:
        k, n = prod(w.type.shape[:-1]), w.type.shape[-1] // groups
        panels, rows = -(-n // PANEL), k if single else -(-k // 2) * 2
        zero, whole = constant(np.int32(0)), F.reshape(w, shape=(k, groups, n))
        padded = F.cast(F.pad(whole, zero, before=(0, 0, 0), after=(rows - k, 0, panels * PANEL - n)), dtype=dtype)
        if single:
            return F.transpose(F.reshape(padded, shape=(k, panels, PANEL)), perm=(1, 0, 2))
        parts = F.reshape(padded, shape=(rows // 2, 2, groups, panels, PANEL))
        packed = F.transpose(parts, perm=(2, 3, 0, 4, 1))
        return packed if groups > 1 else F.reshape(packed, shape=packed.type.shape[1:])


def _unpacked(packed: np.ndarray, k: int, n: int) -> np.ndarray:
    """The matrix [k,n] of one group, as i32."""
    if packed.ndim == 3:
        rows = packed.swapaxes(0, 1).reshape(k, packed.shape[0] * PANEL)
    else:
        rows = packed.transpose(1, 3, 0, 2).reshape(2 * packed.shape[1], packed.shape[0] * PANEL)
    return rows[:k, :n].astype(np.int32)


def _check(name: str, a: TensorType, zero: TensorType, packed: TensorType) -> None:
    if a.dtype not in BYTES or zero != TensorType(a.dtype):
        raise ShapeError(f"{name} of {a!r} with the zero point {zero!r}: expects bytes and one of them")
    if packed.dtype not in (DType.I8, DType.I16):
        raise ShapeError(f"{name} by {packed!r}: expects weights of 8 or 16 bits")


def _result(name: str, total: TensorType, more: tuple[TensorType, ...], epilogue: Body | None) -> TensorType:
    result = Map().infer(total, *more, body=epilogue) if epilogue else total
    if result.shape != total.shape:
        raise ShapeError(f"{name}: the epilogue changes {total!r} to {result!r}")
    return result


#: Rounded (sum + column) · element, as a byte
_EPILOGUE = Body((Instr("add", (0, 1)), Instr("cast", (3,), (("dtype", DType.F32),)), Instr("mul", (4, 2)),
                  Instr("round", (5,)), Instr("cast", (6,), (("dtype", DType.U8),))))


class IntegerDense(Op):
    """f(Σₖ (a[…,k] - zero) · B[k,j], …) with a of bytes, B packed, sums of 32 bits that wrap around, and a body f of
    element-wise operators over the sum and any further operands (none: the sum itself)"""

    name = "integer_dense"
    tolerance: ClassVar[float] = 0.0
    examples: ClassVar = (
        *(Example((a, zero, IntegerPack().eval(w, dtype=dtype, groups=1, single=False)), {"columns": w.shape[1]},
                  batched=(0,), constants=(2,))
          for a, zero, w, dtype in (
              (_bytes(7, 20), np.uint8(3), _bytes(20, 33).astype(np.int32) - 128, DType.I8),
              (_bytes(65, 31, dtype=np.int8), np.int8(-5), _bytes(31, 64).astype(np.int32), DType.I16),
              (_bytes(2, 9, 1), np.uint8(255), _bytes(1, 1).astype(np.int32), DType.I16),
              (_bytes(1, 700), np.uint8(0), _bytes(700, 16).astype(np.int32) - 128, DType.I8),
              (_bytes(3, 0), np.uint8(0), _bytes(0, 5).astype(np.int32), DType.I8))),
        Example((_bytes(13, 50), np.uint8(128), IntegerPack().eval(
            _bytes(50, 40).astype(np.int32) - 128, dtype=DType.I8, groups=1, single=False),
            _RNG.integers(-999, 999, 40, np.int32), (_RNG.random((13, 40)) / 99).astype(np.float32)),
            {"columns": 40, "epilogue": _EPILOGUE}, batched=(0, 4), constants=(2, 3)))

    def infer(self, a: TensorType, zero: TensorType, packed: TensorType, *more: TensorType, columns: int,
              epilogue: Body | None = None) -> TensorType:
        _check(self.name, a, zero, packed)
        if not a.rank or not isinstance(a.shape[-1], int):
            raise ShapeError(f"{self.name} of {a!r}: the number of columns must be known")
        matrix = TensorType(DType.I32, (a.shape[-1], columns))
        if packed != IntegerPack().infer(matrix, dtype=packed.dtype):
            raise ShapeError(f"{self.name} of {a!r} by {packed!r}: the shapes don't fit")
        return _result(self.name, TensorType(DType.I32, (*a.shape[:-1], columns)), more, epilogue)

    def eval(self, a: np.ndarray, zero: np.ndarray, packed: np.ndarray, *more: np.ndarray, columns: int,
             epilogue: Body | None) -> np.ndarray:
        total = (a.astype(np.int32) - np.int32(zero)) @ _unpacked(packed, a.shape[-1], columns)
        return body_eval(epilogue, total, *more) if epilogue else total


class IntegerConv(Op):
    """f(conv(x - zero, w), …) with x of bytes, w packed, a matrix for each group, sums of 32 bits that wrap around, and
    f as for integer_dense. Padding stands for the zero point. Groups of one channel must have one output each; their
    weights are packed as single rows"""

    name = "integer_conv"
    tolerance: ClassVar[float] = 0.0
    examples: ClassVar = ()

    def infer(self, x: TensorType, zero: TensorType, packed: TensorType, *more: TensorType, sizes: tuple[int, ...],
              outputs: int, strides: tuple[int, ...], dilations: tuple[int, ...], before: tuple[Dim, ...],
              after: tuple[Dim, ...], groups: int = 1, epilogue: Body | None = None) -> TensorType:
        _check(self.name, x, zero, packed)
        channels = x.shape[-1] if x.rank else None
        if not isinstance(channels, int) or channels % groups or (channels == groups != outputs and groups > 1):
            raise ShapeError(f"{self.name} of {x!r}: the number of channels doesn't fit {groups} groups of {outputs}")
        kernel = TensorType(DType.I32, (*sizes, channels // groups, outputs))
        if packed != IntegerPack().infer(kernel, dtype=packed.dtype, **packing(channels, groups)):
            raise ShapeError(f"{self.name} of {x!r} by {packed!r}: the shapes don't fit")
        total = Conv().infer(x.with_dtype(DType.I32), kernel, strides=strides, dilations=dilations, before=before,
                             after=after, groups=groups)
        return _result(self.name, total, more, epilogue)

    def eval(self, x: np.ndarray, zero: np.ndarray, packed: np.ndarray, *more: np.ndarray, sizes: tuple[int, ...],
             outputs: int, groups: int, epilogue: Body | None, **window: Any) -> np.ndarray:
        channels, k = x.shape[-1], prod(sizes) * (x.shape[-1] // groups)
        how = packing(channels, groups)
        matrices = [_unpacked(part, k, outputs // how["groups"]) for part in (
            packed if how["groups"] > 1 else packed[None])]
        kernel = np.concatenate(matrices, 1).reshape(*sizes, channels // groups, outputs)
        total = Conv().eval(x.astype(np.int32) - np.int32(zero), kernel, groups=groups, **window)
        return body_eval(epilogue, total, *more) if epilogue else total


def packing(channels: Dim, groups: int) -> dict[str, Any]:
    """How integer_pack is to pack the weights of an integer_conv."""
    depthwise = channels == groups != 1
    return {"groups": 1 if depthwise else groups, "single": depthwise}


def _examples() -> tuple[Example, ...]:
    found = []
    for number, plain in enumerate(e for e in PackedConv.examples if not e.attrs.get("epilogue")):
        shape, attrs = plain.inputs[0].shape, {k: v for k, v in plain.attrs.items() if k != "epilogue"}
        x = _bytes(*shape, dtype=(np.uint8, np.int8)[number % 2])
        dtype = (DType.I8, DType.I16)[number % 3 == 0]
        w = _bytes(*attrs["sizes"], shape[-1] // attrs["groups"], attrs["outputs"]).astype(np.int32)
        packed = IntegerPack().eval(w - 128 * (dtype == DType.I8), dtype=dtype, **packing(shape[-1], attrs["groups"]))
        inputs = (x, x.dtype.type(100), packed)
        found.append(Example(inputs, attrs, batched=(0,), constants=(2,)))
        total = IntegerConv().eval(*inputs, epilogue=None, **attrs)
        more = (_RNG.integers(-999, 999, attrs["outputs"], np.int32),
                (_RNG.random(total.shape) / 99).astype(np.float32))
        found.append(Example((*inputs, *more), attrs | {"epilogue": _EPILOGUE}, batched=(0, 4), constants=(2, 3)))
    return tuple(found)


IntegerConv.examples = _examples()
