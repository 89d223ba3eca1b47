"""Tables from numbers and strings to what stands for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.text import Text, Vocabulary, mapped
from castiron.ir import Value, constant
from castiron.ops import F, apply


def encoded(x: Value | Text, keys: np.ndarray, values: np.ndarray, default: Any,
            equal_nan: bool = False) -> Value | Text:
    """As ``looked_up``, with strings among the keys, and for x, or among the values."""
    if isinstance(x, Text) != (keys.dtype == object):
        raise ModelError(f"{'strings' if isinstance(x, Text) else repr(x.type)} looked up among "
                         f"{'strings' if keys.dtype == object else keys.dtype}")
    words = None
    if values.dtype == object:
        words = Vocabulary(dict.fromkeys([*values.reshape(-1), default]))
        numbers = np.array([words.id_of(word) for word in values.reshape(-1)], np.int64)
        values, default = numbers.reshape(values.shape), np.int64(words.id_of(default))
    if isinstance(x, Text):
        y = mapped(x, keys, values, default)
    else:
        y = looked_up(x, keys.astype(x.type.dtype.numpy), values, default, equal_nan)
    return y if words is None else Text(y, words)


def looked_up(x: Value, keys: np.ndarray, values: np.ndarray, default: Value | np.ndarray,
              equal_nan: bool = False) -> Value:
    """For each element of x the one of the ``values`` [keys, …] that stands at its place among the keys, else the
    default […]. Of equal keys the first counts; NaN is none unless ``equal_nan``."""
    default = default if isinstance(default, Value) else constant(np.asarray(default, values.dtype))
    nan = np.isnan(keys) if keys.dtype.kind == "f" else np.zeros(len(keys), bool)
    missing = values[nan][:1] if equal_nan else values[:0]
    keys, first = np.unique(keys[~nan], return_index=True)
    values = values[~nan][first]
    inner = (1,) * (values.ndim - 1)
    y = F.broadcast_to(default, shape=(*x.type.shape, *values.shape[1:]))
    if len(keys):
        place = F.searchsorted(constant(keys), x, side="left")
        found = F.equal(F.gather(constant(keys), place, axis=0), x)
        found = F.reshape(found, shape=(*x.type.shape, *inner))
        y = F.select(found, F.gather(constant(values), place, axis=0), y)
    if len(missing):
        y = F.select(F.reshape(apply("is_nan", x), shape=(*x.type.shape, *inner)), constant(missing[0]), y)
    return y
