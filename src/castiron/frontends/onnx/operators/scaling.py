"""Numbers of features made comparable: scaled, normalised, cut at a threshold, filled in (the domain ai.onnx.ml)."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant
from castiron.ops import F, apply


def floats(x: Value) -> Value:
    """x as f32, in which operators of classical machine learning compute."""
    return x if x.type.dtype == DType.F32 else F.cast(x, dtype=DType.F32)


@converts("ai.onnx.ml.Scaler")
def scaler(node: SourceNode, x: Value) -> Value:
    """(x - offset) · scale, one of each for all features or for each."""
    return F.mul(F.sub(floats(x), _vector(node, "offset", 0.0)), _vector(node, "scale", 1.0))


def _vector(node: SourceNode, name: str, default: float) -> Value:
    values = np.array(node.numbers(name) or (default,), np.float32)
    return constant(values if values.size > 1 else values.reshape(()))


@converts("ai.onnx.ml.Binarizer")
def binarizer(node: SourceNode, x: Value) -> Value:
    """1 above the threshold, else 0."""
    return F.cast(F.greater(x, node.number("threshold", 0.0)), dtype=x.type.dtype)


@converts("ai.onnx.ml.Normalizer")
def normalizer(node: SourceNode, x: Value) -> Value:
    """x divided by its rows' largest element, or by the sum or the root of the sum of squares of their sizes; rows
    where that is 0 stay as they are."""
    x = floats(x)
    axes = (min(1, x.type.rank - 1),)
    match node.text("norm", "MAX"):
        case "MAX":
            norm = F.reduce_max(x, axes=axes, keepdims=True)
        case "L1":
            norm = F.reduce_sum(F.abs(x), axes=axes, keepdims=True)
        case "L2":
            norm = F.sqrt(F.reduce_sum(F.mul(x, x), axes=axes, keepdims=True))
        case other:
            raise ModelError(f"the norm {other!r} is not supported")
    return F.div(x, F.select(F.equal(norm, 0.0), 1.0, norm))


@converts("ai.onnx.ml.Imputer")
def imputer(node: SourceNode, x: Value) -> Value:
    """x with one value, or NaN, replaced by another for all features or for each."""
    if "imputed_value_floats" in node.attrs:
        values, old = node.numbers("imputed_value_floats"), node.number("replaced_value_float", 0.0)
    else:
        values, old = node.integers("imputed_value_int64s"), node.integer("replaced_value_int64", 0)
    new = np.array(values).astype(x.type.dtype.numpy)
    if new.size not in (1, *(d for d in x.type.shape[-1:] if isinstance(d, int))):
        raise ModelError(f"{new.size} values to fill in for {x.type!r}")
    is_old = apply("is_nan", x) if np.isnan(old) else F.equal(x, constant(np.asarray(old, x.type.dtype.numpy)))
    return F.select(is_old, constant(new if new.size > 1 else new.reshape(())), x)
