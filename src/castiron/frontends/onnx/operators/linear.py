"""Linear models (the domain ai.onnx.ml)."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators import scores
from castiron.frontends.onnx.operators.scaling import floats
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import Text
from castiron.ir import DType, Value, constant
from castiron.ops import F


@converts("ai.onnx.ml.LinearRegressor")
def linear_regressor(node: SourceNode, x: Value) -> Value:
    """x·Wᵀ + b with a row of weights for each target, transformed as onnxruntime does: of one target only by PROBIT."""
    y = _product(node, x, node.integer("targets", 1))
    if y.type.shape[1] == 1 and node.text("post_transform", "NONE") != "PROBIT":
        return y
    return scores.transformed(node, y)


@converts("ai.onnx.ml.LinearClassifier")
def linear_classifier(node: SourceNode, x: Value) -> tuple[Value | Text, Value]:
    """The class of the highest score and the scores; of two classes with one row of weights the second if its score
    is above 0."""
    numbers, _ = scores.labels(node)
    rows = max(len(node.numbers("intercepts")), 1)
    y = _product(node, x, rows)
    if rows == 1:
        if len(numbers) != 2:
            raise ModelError(f"one row of weights for {len(numbers)} classes")
        second = F.cast(F.greater(F.reshape(y, shape=y.type.shape[:1]), 0.0), dtype=DType.I64)
        return scores.named(node, second), scores.of_two(node, y)
    if len(numbers) != rows:
        raise ModelError(f"{rows} rows of weights for {len(numbers)} classes")
    return scores.named(node, scores.largest(y)), scores.transformed(node, y)


def _product(node: SourceNode, x: Value, rows: int) -> Value:
    """The scores [rows of x, rows of weights]."""
    x = F.reshape(x, shape=(1, *x.type.shape)) if x.type.rank == 1 else x
    coefficients = np.array(node.numbers("coefficients"), np.float32)
    if rows < 1 or coefficients.size % rows:
        raise ModelError(f"{coefficients.size} weights in {rows} rows")
    y = F.matmul(floats(x), constant(coefficients.reshape(rows, -1)), transpose_b=True)
    bias = node.numbers("intercepts")
    return F.add(y, constant(np.array(bias, np.float32))) if bias else y
