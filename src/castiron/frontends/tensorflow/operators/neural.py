"""Softmax and normalisation."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Value
from castiron.ops import F


@converts("Softmax")
def softmax(node: SourceNode, x: Value) -> Value:
    return F.softmax(x, axis=-1)


@converts("LogSoftmax")
def log_softmax(node: SourceNode, x: Value) -> Value:
    return F.log_softmax(x, axis=-1)


@converts("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def fused_batch_norm(node: SourceNode, x: Value, scale: Value, offset: Value, mean: Value,
                     variance: Value) -> tuple[Value | None, ...]:
    if node.flag("is_training", True):
        raise ModelError("normalises by the statistics of the batch (is_training); export the model for inference")
    axis = 1 if node.text("data_format", "NHWC").startswith("NC") else -1
    y = F.batch_norm(x, scale, offset, mean, variance, axis=axis, epsilon=node.number("epsilon", 1e-4))
    reserved = 3 if node.op == "FusedBatchNormV3" else 2
    return (y, mean, variance, *(None,) * reserved)
