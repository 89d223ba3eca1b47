"""TensorFlow 1's TensorArrays. What passes from one to the next operation, the flow, is the list itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from castiron.frontends.results import Compound, Result, Results
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.lists import TensorList, counts, cut, joined, length_of, of_tensor, written_at
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import Value
from castiron.ops import F


@dataclass(frozen=True, eq=False)
class ArrayHandle(Compound):
    """Which TensorArray it is; the flow has all that it holds."""

    name: str

    def parts(self) -> tuple[Value, ...]:
        return ()

    def remade(self, parts: tuple[Value, ...]) -> ArrayHandle:
        return self


@handles("TensorArrayV2", "TensorArrayV3")
def _array(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    shape = node.attr("element_shape")
    size, = node.sizes(operands[0], "listed")
    items = TensorList(node.dtype("dtype"), None if shape is None else tensors.sizes_of(shape.shape), size,
                       grows=node.flag("dynamic_size"))
    return (ArrayHandle(node.name), items)


@handles("TensorArrayReadV2", "TensorArrayReadV3")
def _read(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    _, index, items = operands
    return (items.at(index),)


@handles("TensorArrayWriteV2", "TensorArrayWriteV3")
def _write(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    _, index, item, items = operands
    return (items.written(index, item),)


@handles("TensorArrayGatherV2", "TensorArrayGatherV3")
def _gather(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    _, indices, items = operands
    if not isinstance(items.size, Value) and counts(context, indices, items.size):
        return (items.stacked(),)
    return (F.gather(items.stacked(), indices, axis=0),)


@handles("TensorArrayScatterV2", "TensorArrayScatterV3")
def _scatter(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    _, indices, x, items = operands
    if counts(context, indices, x.type.shape[0]) and (items.grows or items.size == x.type.shape[0]):
        return (replace(of_tensor(x), grows=items.grows),)
    return (written_at(items, indices, x),)


@handles("TensorArraySizeV2", "TensorArraySizeV3")
def _size(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (length_of(operands[1]),)


@handles("TensorArrayConcatV2", "TensorArrayConcatV3")
def _concat(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return joined(operands[1])


@handles("TensorArraySplitV2", "TensorArraySplitV3")
def _split(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    _, x, lengths, items = operands
    return (replace(cut(node, x, lengths), grows=items.grows),)


@handles("TensorArrayCloseV2", "TensorArrayCloseV3")
def _close(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return ()
