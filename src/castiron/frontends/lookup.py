"""Tables from numbers to what stands for them."""

from __future__ import annotations

import numpy as np

from castiron.ir import Value, constant
from castiron.ops import F, apply


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
