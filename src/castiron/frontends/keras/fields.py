"""Typed access to the configuration of one layer or model, whose values may be anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from castiron.errors import ModelError
from castiron.ir import DType

_REQUIRED = object()

#: What castiron computes in, for each of Keras's dtype policies.
POLICIES = {"float32": DType.F32, "float16": DType.F32, "bfloat16": DType.F32, "mixed_float16": DType.F32,
            "mixed_bfloat16": DType.F32, "float64": DType.F64}
#: The floats of 16 bits that policies round to.
HALVES = {"float16": "f16", "mixed_float16": "f16", "bfloat16": "bf16", "mixed_bfloat16": "bf16"}
#: The widest dimension that is accepted.
MAX_DIM = 2 ** 31 - 1


class Fields:
    """A configuration; each getter gives the default where the key is absent, and raises ModelError where
    the value is not of its kind."""

    def __init__(self, data: Any, place: str):
        self.place = place
        if not isinstance(data, dict):
            raise self.error("config", data, "an object")
        self._data = data

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def changed(self, **values: Any) -> Fields:
        return Fields({**self._data, **values}, self.place)

    def error(self, key: str, value: Any, expected: str) -> ModelError:
        shown = repr(value)
        return ModelError(f"{self.place}: {key} is {shown if len(shown) < 80 else shown[:77] + '...'}, "
                          f"expected {expected}")

    def get(self, key: str, default: Any = _REQUIRED) -> Any:
        if key not in self._data and default is _REQUIRED:
            raise ModelError(f"{self.place}: {key} is missing")
        return self._data.get(key, default)

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        value = self.get(key, default)
        if not isinstance(value, str) or not value:
            raise self.error(key, value, "a name")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        return value

    def integer(self, key: str, default: Any = _REQUIRED) -> int:
        value = self.get(key, default)
        if not is_integer(value):
            raise self.error(key, value, "an integer")
        return value

    def size(self, key: str) -> int:
        """A positive integer."""
        value = self.integer(key)
        if value < 1:
            raise self.error(key, value, "a positive integer")
        return value

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        value = self.get(key, default)
        if isinstance(value, dict):
            value = value.get("config", {}).get("value") if isinstance(value.get("config"), dict) else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error(key, value, "a number")
        try:
            return float(value)
        except OverflowError:
            raise self.error(key, value, "a number") from None

    def integers(self, key: str, default: Any = _REQUIRED) -> tuple[int, ...]:
        """A list of integers, or one."""
        value = self.get(key, default)
        value = [value] if is_integer(value) else value
        if not isinstance(value, (list, tuple)) or not all(map(is_integer, value)):
            raise self.error(key, value, "integers")
        return tuple(value)

    def shape(self, key: str) -> tuple[int | None, ...]:
        """Dimensions, None for a free one."""
        value = self.get(key)
        if not isinstance(value, (list, tuple)) or not all(d is None or is_integer(d) for d in value):
            raise self.error(key, value, "a shape")
        if any(d is not None and not 0 <= d <= MAX_DIM for d in value):
            raise self.error(key, value, f"dimensions from 0 to {MAX_DIM}")
        return tuple(value)

    def policy(self) -> str:
        """The name of the layer's dtype policy."""
        value = self.get("dtype", None)
        if isinstance(value, dict):
            config = value.get("config")
            value = config.get("name") if isinstance(config, dict) else value.get("class_name")
        if value is None:
            return "float32"
        if not isinstance(value, str):
            raise self.error("dtype", value, "a dtype policy")
        return value


def is_integer(value: Any) -> bool:
    """Whether a value is an integer of a size that a model may have."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_DIM
