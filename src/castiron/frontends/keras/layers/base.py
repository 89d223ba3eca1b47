"""One call of a layer, and the tables of what castiron knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.keras.fields import POLICIES, Fields
from castiron.frontends.keras.model import Layer
from castiron.frontends.keras.weights import Names
from castiron.ir import Dim, DType, Value
from castiron.ops import F

#: The most elements that a parameter may have which isn't in the file because it is switched off.
MAX_DEFAULT_ELEMENTS = 2 ** 26


class Context(Protocol):
    """What a layer needs of the model around it."""

    keras2: bool

    def label(self, scope: str, step: str, op: str, value: Value) -> Value: ...

    def weight(self, layer: Layer, scope: str, name: str, shape: tuple[int, ...], dtype: DType) -> Value: ...


class LayerCall:
    """One call of one layer: its configuration, its inputs, and the labels of the steps that it makes."""

    def __init__(self, context: Context, layer: Layer, scope: str, inputs: Sequence[Value],
                 args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None):
        self.context = context
        self.layer = layer
        self.fields: Fields = layer.fields
        self.scope = scope
        self.args = args
        self.kwargs = kwargs or {}
        self.dtype = POLICIES.get(self.fields.policy(), DType.F32)
        self.inputs = tuple(self._autocast(x) for x in inputs)

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
        return x if x.type.dtype == self.dtype else self.label("Cast", "Cast", F.cast(x, dtype=self.dtype))

    def _autocast(self, x: Value) -> Value:
        return self.cast(x) if x.type.dtype.is_float else x

    def label(self, step: str, op: str, value: Value) -> Value:
        """The value, labelled as what TensorFlow's operator ``op`` computes in this layer."""
        return self.context.label(self.scope, step, op, value)

    def weight(self, name: str, shape: Sequence[Dim]) -> Value:
        """A weight as a constant of the layer's type; ModelError unless it is there and has the shape."""
        return self.context.weight(self.layer, self.scope, name, self.known(shape), self.dtype)

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


Build = Callable[[LayerCall], Value]


def no_weights(layer: Layer) -> Names:
    """The names of the weights of a layer that has none."""
    return (), ()


@dataclass(frozen=True)
class Kind:
    """A class of layers. ``refused`` says why a configuration can't be compiled, or gives None."""

    build: Build
    weights: Callable[[Layer], Names] = no_weights
    refused: Callable[[Layer], str | None] = lambda layer: None


LAYERS: dict[str, Kind] = {}
OPERATIONS: dict[str, Build] = {}


def layer(*kinds: str, weights: Callable[[Layer], Names] = no_weights,
          refused: Callable[[Layer], str | None] = lambda layer: None) -> Callable[[Build], Build]:
    """Register a function as what the layers of these classes do."""
    def register(build: Build) -> Build:
        LAYERS.update({kind: Kind(build, weights, refused) for kind in kinds})
        return build
    return register
