"""Choice by condition and by index."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Value
from castiron.ops import F


@converts("Select")
def select(node: SourceNode, condition: Value, x: Value, y: Value) -> Value:
    """A vector of conditions chooses among rows."""
    if condition.type.rank == 1 and x.type.rank > 1:
        condition = F.reshape(condition, shape=(*condition.type.shape, *(1,) * (x.type.rank - 1)))
    return F.select(condition, x, y)


@converts("SelectV2")
def select_v2(node: SourceNode, condition: Value, x: Value, y: Value) -> Value:
    return F.select(condition, x, y)


@converts("Gather", "ResourceGather")
def gather_rows(node: SourceNode, x: Value, indices: Value) -> Value:
    return F.gather(x, indices, axis=0)


@converts("GatherV2")
def gather(node: SourceNode, x: Value, indices: Value, axis: Value) -> Value:
    if node.integer("batch_dims", 0):
        raise ModelError("batch_dims is not supported")
    return F.gather(x, indices, axis=node.ints(axis, "the axis")[0])
