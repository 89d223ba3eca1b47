"""Dense, the layers that only do something in training, and rescaling."""

from __future__ import annotations

from typing import Any

import numpy as np

from castiron.frontends.keras.layers.activation import activate, refused_activation
from castiron.frontends.keras.layers.base import LayerCall, layer
from castiron.frontends.keras.model import Layer
from castiron.frontends.keras.weights import Names
from castiron.ir import Value
from castiron.ops import F


def _dense_weights(described: Layer) -> Names:
    return ("kernel", "bias") if described.fields.flag("use_bias", True) else ("kernel",), ()


@layer("Dense", weights=_dense_weights, refused=refused_activation)
def dense(call: LayerCall) -> Value:
    """activation(x · kernel + bias), along the last axis of x"""
    x, units = call.number, call.fields.size("units")
    if x.type.rank < 2:
        raise call.error(f"expects a tensor of rank 2 at least, got {x.type!r}")
    kernel = call.weight("kernel", (x.type.shape[-1], units))
    y = call.label("MatMul", "MatMul", F.matmul(x, kernel))
    if call.fields.flag("use_bias", True):
        y = call.label("BiasAdd", "BiasAdd", F.add(y, call.weight("bias", (units,))))
    return activate(call, y)


@layer("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianDropout", "GaussianNoise",
       "AlphaDropout", "ActivityRegularization", "Identity")
def identity(call: LayerCall) -> Value:
    return call.label("Identity", "Identity", call.x)


def array(call: LayerCall, key: str, default: Any) -> np.ndarray:
    """A number, or nested lists of numbers, in a configuration."""
    value = call.fields.get(key, default)
    if isinstance(value, dict):
        value = value.get("config", {}).get("value") if isinstance(value.get("config"), dict) else value
    try:
        return np.asarray(value, call.dtype.numpy)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise call.fields.error(key, value, "numbers") from None


@layer("Rescaling")
def rescaling(call: LayerCall) -> Value:
    """x · scale + offset"""
    scaled = call.label("mul", "Mul", F.mul(call.number, array(call, "scale", None)))
    return call.label("add", "AddV2", F.add(scaled, array(call, "offset", 0.0)))
