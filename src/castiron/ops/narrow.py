"""Floats of fewer bits than 32, as numbers that are rounded to what these can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, TensorType, Value
from castiron.ops.base import Example, F
from castiron.ops.scalar import FLOATS, Unary


@dataclass(frozen=True)
class Format:
    """A narrow float: bits of the significand, the first among them; the exponent of the smallest normal number; the
    largest number; whether there are infinities, which larger numbers become, and a negative zero."""

    precision: int
    lowest: int
    largest: float
    infinite: bool = False
    negative_zero: bool = True

    @property
    def beyond(self) -> float:
        """The number from which on, halves to even, there is no number near enough."""
        return self.largest + math.ldexp(1, math.frexp(self.largest)[1] - 1 - self.precision)


#: By name: IEEE 754's binary16, bfloat16, and the types of 8 and 4 bits of the Open Compute Project (OFP8, MX).
FORMATS = {
    "f16": Format(11, -14, 65504.0, infinite=True),
    "bf16": Format(8, -126, 3.3895313892515355e38, infinite=True),
    "f8e4m3fn": Format(4, -6, 448.0),
    "f8e4m3fnuz": Format(4, -7, 240.0, negative_zero=False),
    "f8e5m2": Format(3, -14, 57344.0),
    "f8e5m2fnuz": Format(3, -15, 57344.0, negative_zero=False),
    "f4e2m1": Format(2, 0, 6.0),
}

#: The format of powers of two alone.
POWERS = "f8e8m0"

_NEAR = np.concatenate([np.float32([0, -0.0, 2**-24, 2**-25, 3 * 2**-26, 2**-14, 2**-9, 2**-10, 2**-17, 448, 464, 465,
                                    240, 248, 249, 57344, 61440, 61441, 65504, 65519, 65520, 3.4e38, 1e-40, 0.25, 5,
                                    -6, 7, np.inf, -np.inf, np.nan]),
                        np.exp2(np.random.default_rng(6).uniform(-30, 20, 700)).astype(np.float32)])[None]


class RoundTo(Unary):
    """x as the nearest number of a narrow float format, halves to even. What is too large for it becomes infinite in
    the formats f16 and bf16, and the largest number in the others. "f8e8m0" has powers of two alone: of |x| the
    largest that isn't above, 2⁻¹²⁷ at least"""

    name = "round_to"
    tolerance: ClassVar[float] = 0.0
    examples: ClassVar = tuple(Example((x,), {"format": name}, batched=(0,)) for name in (*FORMATS, POWERS)
                               for x in (FLOATS, _NEAR)[name == "f16":])

    def infer(self, x: TensorType, *, format: str) -> TensorType:
        if format not in FORMATS and format != POWERS:
            raise ShapeError(f"round_to: the format {format!r} is none of {', '.join((*FORMATS, POWERS))}")
        return super().infer(x)

    def eval(self, x: np.ndarray, *, format: str) -> np.ndarray:
        size = np.abs(x.astype(np.float64))
        with np.errstate(all="ignore"):
            exponent = np.frexp(np.where(np.isfinite(size), size, 1))[1] - 1
            if format == POWERS:
                power = np.ldexp(1.0, np.clip(exponent, -127, 127))
                return np.where(np.isfinite(size), np.where(size == 0, 2.0**-127, power), np.nan).astype(x.dtype)
            form = FORMATS[format]
            unit = np.ldexp(1.0, np.maximum(exponent, form.lowest) + 1 - form.precision)
            rounded = np.rint(size / unit) * unit
            rounded = np.where(rounded > form.largest, np.inf if form.infinite else form.largest, rounded)
            rounded = np.copysign(rounded, x)
            return np.where((rounded == 0) & (not form.negative_zero), 0, rounded).astype(x.dtype)


def converted(x: Value, format: str, saturate: bool = True, mode: str = "up") -> Value:
    """A float as ONNX's Cast makes it one of a narrow format, as f32. Without ``saturate`` what is too large becomes
    infinite or, where there is no infinity, NaN. ``mode`` says which power of two is taken of those around: "up",
    "down" or "nearest"."""
    y = F.cast(F.round_to(x, format=format), dtype=DType.F32)
    if format == "f4e2m1":  # which has no NaN
        return F.select(F.is_nan(y), 0.0, y)
    if format in ("f16", "bf16"):
        return y
    size = F.abs(x)
    if format == POWERS:
        size = F.cast(size, dtype=DType.F32)
        if mode == "down":
            return y
        higher = F.greater_equal(size, F.mul(y, 1.5)) if mode == "nearest" else F.greater(size, y)
        raised = F.mul(y, 2.0)
        return F.select(higher, F.minimum(raised, 2.0**127) if saturate else F.select(
            F.is_finite(raised), raised, math.nan), y)
    form = FORMATS[format]
    if saturate:
        return y
    lost = F.mul(y, math.inf) if format == "f8e5m2" else math.nan
    return F.select(F.less_equal(size, form.beyond), y, lost)



def numbers(format: str) -> np.ndarray:
    """The number of each code of a format of 8 bits or fewer."""
    if format == POWERS:
        return np.append(np.exp2(np.arange(-127.0, 128)), np.nan).astype(np.float32)
    form = FORMATS[format]
    bits = 4 if format == "f4e2m1" else 8
    fraction = form.precision - 1
    code = np.arange(1 << bits)
    exponent, mantissa = (code >> fraction) & ((1 << bits - 1 - fraction) - 1), code & ((1 << fraction) - 1)
    one = np.where(exponent > 0, 1 << fraction, 0) + mantissa
    value = np.ldexp(one.astype(np.float64), np.maximum(exponent, 1) - 1 + form.lowest - fraction)
    if bits == 8:
        infinite = (format == "f8e5m2") & (mantissa == 0)
        value = np.where(value > form.largest, np.where(infinite, np.inf, np.nan), value)
    value = np.where(code >> (bits - 1), -value, value)
    return np.where((code == 1 << bits - 1) & (not form.negative_zero), np.nan, value).astype(np.float32)
