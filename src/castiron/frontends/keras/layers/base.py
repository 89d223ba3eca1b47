"""One call of a layer, and the tables of what castiron knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.keras.fields import HALVES, POLICIES, Fields
from castiron.frontends.keras.model import Layer, named
from castiron.frontends.keras.weights import Names
from castiron.frontends.text import Vocabulary
from castiron.ir import Dim, DType, TensorType, Value
from castiron.ops import F

#: The most elements that a parameter may have which isn't in the file because it is switched off.
MAX_DEFAULT_ELEMENTS = 2 ** 26


class Context(Protocol):
    """What a layer needs of the model around it. ``masks``: which steps of a value count, for those values
    that Keras keeps a mask with. ``texts``: the words of those values that are the numbers of strings."""

    keras2: bool
    masks: dict[Value, Value]
    texts: dict[Value, Vocabulary]

    def label(self, scope: str, step: str, op: str, value: Value) -> Value: ...

    def weight(self, layer: Layer, scope: str, name: str, shape: tuple[int, ...], dtype: DType,
               half: str | None) -> Value: ...

    def asset(self, layer: Layer, name: str) -> str | None: ...

    def call(self, layer: Layer, scope: str, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Value, ...]: ...

    def states(self, layer: Layer, scope: str, types: Sequence[TensorType]) -> list[Value]:
        """What a layer carries from one call of the model to the next, zeros at first."""

    def keep(self, layer: Layer, values: Sequence[Value]) -> None:
        """What the layer's states become."""


class LayerCall:
    """One call of one layer: its configuration, its arguments, and the labels of the steps that it makes.

    ``arguments`` are those that the call gives, by name, the first one first; ``inputs`` are the tensors in the
    first. A recorded function has ``args`` and ``kwargs`` instead, as the file has them.
    """

    def __init__(self, context: Context, layer: Layer, scope: str, arguments: dict[str, Any] | None = None,
                 args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, labels: bool = True):
        self.context = context
        self.layer = layer
        self.fields: Fields = layer.fields
        self.scope = scope
        self.args = args
        self.kwargs = kwargs or {}
        self._labels = labels
        self.dtype = POLICIES.get(self.fields.policy(), DType.F32)
        self.half = HALVES.get(self.fields.policy())
        self.arguments = {name: self._autocast(value) for name, value in (arguments or {}).items()}
        self.inputs = tuple(values(next(iter(self.arguments.values()), None)))

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument of the call: a value, a nest of values, or what the file says; the default if there is none."""
        found = self.arguments.get(name)
        return default if found is None else found

    @property
    def mask(self) -> Value | None:
        """The argument ``mask``, which says which steps of the input count."""
        return as_mask(self.argument("mask"))

    def part(self, name: str, labels: bool = True) -> LayerCall:
        """A part of the layer, called on nothing: its configuration and weights."""
        part = self.layer.part(name)
        return LayerCall(self.context, part, f"{self.scope}/{part_name(part)}", labels=labels)

    def call(self, part: Layer, *args: Any, **kwargs: Any) -> tuple[Value, ...]:
        """What a part gives when it is called as Keras calls a layer, with the masks that Keras finds."""
        return self.context.call(part, f"{self.scope}/{part_name(part)}", args, kwargs)

    @property
    def keras2(self) -> bool:
        return self.context.keras2

    @property
    def x(self) -> Value:
        """The only input."""
        if len(self.inputs) != 1:
            raise self.error(f"is called on {len(self.inputs)} tensors, expected one")
        return self.inputs[0]

    @property
    def number(self) -> Value:
        """The only input, integers as floats of the layer's type."""
        return self.cast(self.x)

    def cast(self, x: Value) -> Value:
        if x.type.dtype != self.dtype:
            return self.label("Cast", "Cast", F.cast(x, dtype=self.dtype))
        return self._rounded(x)

    def _rounded(self, x: Value) -> Value:
        """A float as the one of 16 bits that the layer computes in, if it does."""
        rounded = self.half is None or x.type.dtype != DType.F32 or (
            x.node.op == "round_to" and x.node.attrs["format"] == self.half)
        return x if rounded else F.round_to(x, format=self.half)

    def _autocast(self, x: Any) -> Any:
        if isinstance(x, Value):
            return self.cast(x) if x.type.dtype.is_float else x
        if isinstance(x, dict):
            return {key: self._autocast(item) for key, item in x.items()}
        return [self._autocast(item) for item in x] if isinstance(x, (list, tuple)) else x

    def label(self, step: str, op: str, value: Value) -> Value:
        """The value, labelled as what TensorFlow's operator ``op`` computes in this layer, in its type."""
        value = self._rounded(value)
        return self.context.label(self.scope, step, op, value) if self._labels else value

    def weight(self, name: str, shape: Sequence[Dim]) -> Value:
        """A weight as a constant of the layer's type; ModelError unless it is there and has the shape. Normalizations
        keep theirs in 32 bits."""
        half = None if self.layer.kind.endswith("Normalization") else self.half
        return self.context.weight(self.layer, self.scope, name, self.known(shape), self.dtype, half)

    def filled(self, value: float, shape: Sequence[Dim]) -> np.ndarray:
        """What stands for a weight that is switched off."""
        shape = self.known(shape)
        if np.prod(shape, dtype=float) > MAX_DEFAULT_ELEMENTS:
            raise self.error(f"has a parameter of {list(shape)} elements")
        return np.full(shape, value, self.dtype.numpy)

    def known(self, shape: Sequence[Dim]) -> tuple[int, ...]:
        for dim in shape:
            if not isinstance(dim, int):
                raise self.error(f"needs to know the size of dimension {dim}, which the model leaves free")
        return tuple(shape)

    def error(self, message: str) -> ModelError:
        return ModelError(f"{self.fields.place}: {message}")


#: Several results come as a nest, whose values Keras counts in order.
Build = Callable[[LayerCall], Any]


def values(nest: Any) -> list[Value]:
    """The values in nested lists and objects, in Keras's order."""
    return [item for _, item in named(nest) if isinstance(item, Value)]


def as_mask(x: Any) -> Value | None:
    """A mask as bools; of several the first."""
    found = values(x)
    if not found:
        return None
    return found[0] if found[0].type.dtype == DType.BOOL else F.not_equal(found[0], 0)


def part_name(part: Layer) -> str:
    """What a part calls itself."""
    return part.fields.text("name", part.name)


def no_weights(layer: Layer) -> Names:
    """The names of the weights of a layer that has none."""
    return (), ()


@dataclass(frozen=True)
class Kind:
    """A class of layers. ``refused`` says why a configuration can't be compiled, or gives None.
    ``arguments`` are the parameters of its call, in order."""

    build: Build
    weights: Callable[[Layer], Names] = no_weights
    refused: Callable[[Layer], str | None] = lambda layer: None
    arguments: tuple[str, ...] = ("inputs",)


LAYERS: dict[str, Kind] = {}
OPERATIONS: dict[str, Build] = {}


def layer(*kinds: str, weights: Callable[[Layer], Names] = no_weights,
          refused: Callable[[Layer], str | None] = lambda layer: None,
          arguments: tuple[str, ...] = ("inputs",)) -> Callable[[Build], Build]:
    """Register a function as what the layers of these classes do."""
    def register(build: Build) -> Build:
        LAYERS.update({kind: Kind(build, weights, refused, arguments) for kind in kinds})
        return build
    return register
