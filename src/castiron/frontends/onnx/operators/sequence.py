"""Lists of tensors, whose lengths are known when the model is compiled, and values that may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import parts
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.results import Compound
from castiron.ir import Value, constant
from castiron.ops import F
from castiron.ops.base import normalize_axis


@dataclass(frozen=True)
class TensorList(Compound):
    """A list of tensors."""

    kind: ClassVar[str] = "lists"
    elements: tuple[Value, ...]

    def parts(self) -> tuple[Value, ...]:
        return self.elements

    def remade(self, parts: tuple[Value, ...]) -> TensorList:
        return TensorList(parts)


def elements_of(x: Value | Compound) -> tuple[Value, ...]:
    """The tensors of a list; ModelError for what is none."""
    if not isinstance(x, TensorList):
        raise ModelError("expects a list of tensors")
    return x.elements


def _place(node: SourceNode, position: Value | None, count: int, last: int) -> int:
    """A place in a list, by default one behind its end."""
    if position is None:
        return last
    place = node.ints(position, "the place")[0]
    if not -count <= place < max(count, last + 1):
        raise ModelError(f"there is no place {place} in a list of {count}")
    return place + count if place < 0 else place


@converts("SequenceEmpty")
def sequence_empty(node: SourceNode) -> TensorList:
    return TensorList(())


@converts("SequenceConstruct")
def sequence_construct(node: SourceNode, *elements: Value) -> TensorList:
    return TensorList(elements)


@converts("SequenceInsert", compound=True)
def sequence_insert(node: SourceNode, x: Compound, element: Value, position: Value | None = None) -> TensorList:
    elements = elements_of(x)
    place = _place(node, position, len(elements), len(elements))
    return TensorList((*elements[:place], element, *elements[place:]))


@converts("SequenceErase", compound=True)
def sequence_erase(node: SourceNode, x: Compound, position: Value | None = None) -> TensorList:
    elements = elements_of(x)
    place = _place(node, position, len(elements), len(elements) - 1)
    return TensorList((*elements[:place], *elements[place + 1:]))


@converts("SequenceAt", compound=True)
def sequence_at(node: SourceNode, x: Compound, position: Value) -> Value:
    elements = elements_of(x)
    return elements[_place(node, position, len(elements), len(elements) - 1)]


@converts("SequenceLength", compound=True)
def sequence_length(node: SourceNode, x: Compound) -> Value:
    return constant(np.int64(len(elements_of(x))))


@converts("ConcatFromSequence", compound=True)
def concat_from_sequence(node: SourceNode, x: Compound) -> Value:
    join = F.stack if node.flag("new_axis") else F.concat
    return join(*elements_of(x), axis=node.integer("axis", 0))


@converts("SplitToSequence")
def split_to_sequence(node: SourceNode, x: Value, split: Value | None = None) -> TensorList:
    """Parts of given sizes, or all of one size but for the last, by default of one element."""
    axis = normalize_axis(node.integer("axis", 0), x.type.rank)
    whole, keep = x.type.shape[axis], split is not None or node.flag("keepdims", True)
    if split is None or not split.type.rank:
        each = 1 if split is None else node.ints(split, "the size")[0]
        if not isinstance(whole, int) or each < 1:
            raise ModelError(f"the dimension {whole} cut into parts of {each}")
        sizes = [min(each, whole - start) for start in range(0, whole, each)]
    else:
        sizes = node.dims(split, "the sizes")
    found = parts(x, axis, sizes)
    if keep:
        return TensorList(found)
    rest = (*x.type.shape[:axis], *x.type.shape[axis + 1:])
    return TensorList(tuple(F.reshape(v, shape=rest) for v in found))


@dataclass(frozen=True)
class Nothing(Compound):
    """An optional value that is missing."""

    kind: ClassVar[str] = "missing values"

    def parts(self) -> tuple[Value, ...]:
        return ()

    def remade(self, parts: tuple[Value, ...]) -> Nothing:
        return self


@converts("OptionalHasElement", compound=True)
def optional_has_element(node: SourceNode, x: Value | Compound | None = None) -> Value:
    """Whether there is a value, which is known when the model is compiled."""
    return constant(np.bool_(not (x is None or isinstance(x, Nothing))))


@converts("Optional", compound=True)
def optional(node: SourceNode, x: Value | Compound | None = None) -> Value | Compound:
    return Nothing() if x is None else x


@converts("OptionalGetElement", compound=True)
def optional_get_element(node: SourceNode, x: Value | Compound) -> Value | Compound:
    if isinstance(x, Nothing):
        raise ModelError("takes the element of an optional value that is missing")
    return x
