"""ONNX's nodes, with typed access to their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from castiron.frontends.narrow import Kinds
from castiron.frontends.onnx import tensors
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.frontends.operands import Operands
from castiron.ir import DType, Value

#: The domain whose operators have no prefix.
STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class SourceNode(Operands):
    """A node. ``op`` is its operator, behind its domain unless that is ONNX's own; ``version`` the version of the
    domain that the model imports; ``overload`` tells functions of one name apart. ``inputs`` and ``outputs`` are names
    of values, empty for omitted ones; ``kinds`` says which values are of narrow types."""

    name: str
    op: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, pb.AttributeProto]
    folder: Path | None = None
    overload: str = ""
    kinds: Kinds = field(default_factory=Kinds, compare=False)

    def integer(self, name: str, default: int) -> int:
        return self.attrs[name].i if name in self.attrs else default

    def number(self, name: str, default: float) -> float:
        """An attribute's value, which is a float of 32 bits; so is the default."""
        return self.attrs[name].f if name in self.attrs else float(np.float32(default))

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.integer(name, int(default)))

    def text(self, name: str, default: str) -> str:
        return self.attrs[name].s.decode("utf-8", "replace") if name in self.attrs else default

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        if name not in self.attrs:
            return default
        return tuple(s.decode("utf-8", "replace") for s in self.attrs[name].strings)

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        return tuple(self.attrs[name].ints) if name in self.attrs else default

    def numbers(self, name: str, default: tuple[float, ...] = ()) -> tuple[float, ...]:
        return tuple(self.attrs[name].floats) if name in self.attrs else default

    def dtype(self, name: str, default: DType | None = None) -> DType:
        if name not in self.attrs and default is not None:
            return default
        return tensors.dtype_of(self._element_type(name))

    def kind(self, name: str) -> str | None:
        """What narrower type the attribute names, if it does."""
        return tensors.kind_of(self._element_type(name))

    def _element_type(self, name: str) -> int:
        named = self.text(name, "")  # as the first version of Cast has it
        return pb.TensorProto.DataType.Value(named) if named else self.integer(name, 0)

    def renamed(self, **names: str) -> SourceNode:
        """The node with attributes under the names that another operator has for them."""
        return replace(self, attrs={**self.attrs, **{new: self.attrs[old] for new, old in names.items()
                                                     if old in self.attrs}})

    def strings(self, name: str) -> np.ndarray | None:
        """The tensor of an attribute if it is there and of strings."""
        found = name in self.attrs and self.attrs[name].HasField("t") and self.attrs[name].t
        return tensors.strings_of(found) if found and found.data_type == pb.TensorProto.STRING else None

    def array(self, name: str) -> np.ndarray | None:
        """The tensor of an attribute, all elements of a sparse one; None if it isn't there."""
        if name not in self.attrs:
            return None
        attribute = self.attrs[name]
        if attribute.HasField("sparse_tensor"):
            return tensors.dense_of(attribute.sparse_tensor, self.folder)
        return tensors.array_of(attribute.t, self.folder)

    def tensor_kind(self, name: str) -> str | None:
        """What narrower type the tensor of an attribute is of, if it is there and is."""
        return tensors.kind_of(self.attrs[name].t.data_type) if name in self.attrs else None

    def wants(self, output: int) -> bool:
        """Whether something may read the output of this number."""
        return output < len(self.outputs) and bool(self.outputs[output])

    def axes(self, value: Value | None, name: str = "axes") -> tuple[int, ...] | None:
        """Axes from an operand, or as older versions have them from an attribute; None if neither says any."""
        if value is not None:
            return self.ints(value, "the axes")
        return self.integers(name) if name in self.attrs else None


def parsed(definition: pb.NodeProto, versions: Mapping[str, int], bindings: Mapping[str, pb.AttributeProto],
           folder: Path | None) -> SourceNode:
    """A node as the messages have it; attributes that refer to those of a function's call are replaced."""
    attrs = {}
    for attribute in definition.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in bindings:
                attrs[attribute.name] = bindings[attribute.ref_attr_name]
        else:
            attrs[attribute.name] = attribute
    name = definition.name or next(filter(None, definition.output), "") or definition.op_type
    domain = "" if definition.domain in STANDARD else definition.domain
    return SourceNode(name, qualified(domain, definition.op_type), versions.get(domain, 1), tuple(definition.input),
                      tuple(definition.output), attrs, folder, definition.overload)


def qualified(domain: str, name: str) -> str:
    """An operator's or a function's name, behind its domain unless that is ONNX's own."""
    return name if domain in STANDARD else f"{domain}.{name}"
