"""Element types of fewer bits than the types that castiron computes with: what values are rounded or cut to.

A value of a narrow float is an f32 whose numbers are rounded, one of a narrow integer an i8 or u8 whose numbers are in
its range. Which values are such is known here alone, while a model is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from castiron.errors import ModelError
from castiron.ir import DType, Value
from castiron.ops import F
from castiron.ops.narrow import FORMATS, POWERS, converted

#: By name: how many bits an integer has.
INTEGERS = {"i4": 4, "u4": 4, "i2": 2, "u2": 2}


def bounds(kind: str) -> tuple[int, int]:
    """The least and the largest number of a narrow integer."""
    bits = INTEGERS[kind]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)


class Kinds:
    """Which values are narrow: the name of a format, or of a narrow integer."""

    def __init__(self) -> None:
        self._kinds: dict[Value, str] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def of(self, value: object) -> str | None:
        return self._kinds.get(value) if isinstance(value, Value) else None

    def common(self, values: Iterable[object], dtype: DType = DType.F32) -> str | None:
        """The kind of the first value of an element type."""
        return next((self.of(v) for v in values if isinstance(v, Value) and v.type.dtype == dtype), None)

    def mark(self, value: Value, kind: str | None) -> Value:
        """The value, known from now on to be of a kind."""
        if kind is not None:
            self._kinds[value] = kind
        return value

    def rounded(self, value: Value, kind: str | None) -> Value:
        """An f32 as one of a narrow float; other values and kinds as they are."""
        if kind not in FORMATS or value.type.dtype != DType.F32 or self.of(value) == kind:
            return value
        return self.mark(F.round_to(value, format=kind), kind)

    def cast(self, value: Value, dtype: DType, kind: str | None, saturate: bool = True, mode: str = "up") -> Value:
        """A new value of the type, narrow if a kind is given: integers lose their upper bits, floats are rounded."""
        if kind in INTEGERS:
            return self.mark(_cut(F.cast(_whole(value), dtype=dtype), kind), kind)
        if kind in FORMATS or kind == POWERS:
            if not value.type.dtype.is_float:
                value = F.cast(value, dtype=DType.F64 if value.type.dtype.itemsize > 2 else DType.F32)
            if mode not in ("up", "down", "nearest"):
                raise ModelError(f"the rounding mode {mode!r} is not supported")
            return self.mark(converted(value, kind, saturate, mode), kind)
        return F.cast(value, dtype=dtype)


def _whole(value: Value) -> Value:
    """A number without its fraction, as an integer of which the lower bits count."""
    return value if not value.type.dtype.is_float else F.cast(value, dtype=DType.I32)


def _cut(value: Value, kind: str) -> Value:
    """The lower bits of an i8 or u8, the first of them the sign of an i8."""
    if kind[0] == "u":
        return F.bitwise_and(value, (1 << INTEGERS[kind]) - 1)
    by = 8 - INTEGERS[kind]
    return F.right_shift(F.left_shift(value, by), by)
