"""Builds the graph: calls the layers in order, and names what they compute as TensorFlow would."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from castiron.errors import ModelError, Obstacle, ShapeError, UnsupportedOp
from castiron.frontends.feeds import Sizes
from castiron.frontends.keras.archive import Archive
from castiron.frontends.keras.fields import POLICIES, Fields
from castiron.frontends.keras.layers import LAYERS, OPERATIONS, LayerCall
from castiron.frontends.keras.layers.base import values
from castiron.frontends.keras.layers.masking import complete, masks_of, propagate
from castiron.frontends.keras.layers.operations.refused import REFUSED
from castiron.frontends.keras.model import SHAPE_KEYS, Call, Layer, Model, Ref, named
from castiron.frontends.keras.order import call_order
from castiron.frontends.keras.weights import Names, Weights
from castiron.frontends.text import Text, Vocabulary, apart, as_numbers, named_words
from castiron.ir import DType, Graph, Label, State, TensorType, Value, constant, placeholder, symbol, with_measured
from castiron.ops import OPS

#: Layers that compute something else in training.
IN_TRAINING = ("AlphaDropout", "BatchNormalization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
               "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization")

#: Layers whose element type is that of their result, which may be of integers.
GIVES_INTEGERS = ("CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup",
                  "StringLookup")

#: The element type of inputs that are strings, and the layers that only move these.
STRING = "string"
MOVES_STRINGS = frozenset({"Concatenate", "Flatten", "Identity", "Permute", "RepeatVector", "Reshape"})

#: Layers whose function the file doesn't hold in a form that could be compiled.
FOREIGN = {"Lambda": "Python code, which castiron never runs", "TFSMLayer": "a SavedModel that lies elsewhere: build "
           "that", **dict.fromkeys(("FlaxLayer", "JaxLayer", "TorchModuleWrapper"), "another framework's code")}

#: Keras 2's layers that stand for a function of TensorFlow.
RECORDED = ("TFOpLambda", "SlicingOpLambda")

#: The most layer calls that a model may unfold into.
MAX_CALLS = 50_000


def build(archive: Archive, model: Model, sizes: Sizes) -> Graph:
    """The graph of a model whose free dimensions have ``sizes``; UnsupportedOp names every layer that castiron
    doesn't compile."""
    _check_supported(archive.place, model)
    return apart(lambda words: _Builder(archive, model, words).graph(sizes))


def _names(layer: Layer) -> Names:
    kind = LAYERS.get(layer.kind)
    return kind.weights(layer) if kind and not layer.operation else ((), ())


def _refused(layer: Layer) -> str | None:
    """What of a layer castiron doesn't compile; None if it compiles it."""
    if layer.custom:
        return f"{layer.kind} (a class of its own, whose code the file doesn't hold)"
    if layer.kind in FOREIGN:
        return f"{layer.kind} ({FOREIGN[layer.kind]})"
    if layer.kind == "InputLayer":
        special = [key for key in ("sparse", "ragged") if layer.fields.get(key, None)]
        return f"{special[0]} input" if special else None
    if layer.operation:
        if layer.kind in OPERATIONS:
            return None
        reason = REFUSED.get(layer.kind)
        return f"the function {layer.kind}{f' ({reason})' if reason else ''}"
    kind = LAYERS.get(layer.kind)
    if kind is None:
        return layer.kind
    if layer.fields.policy() not in POLICIES and layer.kind not in GIVES_INTEGERS:
        return f"{layer.kind} with dtype policy {layer.fields.policy()!r}"
    if layer.kind in IN_TRAINING and any(call.kwargs.get("training") is True for call in layer.calls):
        return f"{layer.kind} called with training=True"
    reason = kind.refused(layer)
    return f"{layer.kind} with {reason}" if reason else None


def _check_supported(place: str, model: Model) -> None:
    refused: dict[str, list[str]] = {}
    for layer in model.walk():
        if what := _refused(layer):
            refused.setdefault(what, []).append("/".join(layer.path[1:]))
    if not refused:
        return
    lines = []
    for what, names in refused.items():
        shown = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
        lines.append(f"  {what} ×{len(names)}: {shown}")
    hint = ""
    if any("code" in what for what in refused):
        hint = ("Export a model with Python code of its own as a SavedModel, with model.export('folder'), "
                "and build that.")
    count = sum(map(len, refused.values()))
    lines.insert(0, f"{place}: castiron doesn't compile {count} of the model's layers:")
    raise UnsupportedOp("\n".join(lines), (Obstacle(what, tuple(names)) for what, names in refused.items()), hint)


def _bind(layer: Layer, parameters: tuple[str, ...], args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, the first one first. Constants among them become values."""
    given = {**dict(zip(parameters, args, strict=False)), **kwargs}
    if parameters[0] not in given:
        given[parameters[0]] = next((given.pop(name) for name in ("inputs", "x", "input") if name in given), None)
    if len(args) > len(parameters):
        raise ModelError(f"{layer.fields.place}: is called with {len(args)} arguments, expected {len(parameters)}")
    bound = {name: _constants(given.pop(name), layer) for name in parameters if name in given}
    if unknown := [name for name, value in given.items() if values(value)]:
        raise ModelError(f"{layer.fields.place}: is called with {unknown[0]!r}, which castiron doesn't compile")
    if not values(bound[parameters[0]]):
        raise ModelError(f"{layer.fields.place}: is called on no tensors")
    return bound


def _state_names(layer: Layer, count: int) -> list[str]:
    return [f"{'/'.join(layer.path[1:])}/rnn_state{f'_{i}' if i else ''}" for i in range(count)]


def _constants(value: Any, layer: Layer) -> Any:
    """An argument in which each array that the file holds is a value."""
    if isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__"):
        config = Fields(value.get("config"), layer.fields.place)
        try:
            return constant(np.asarray(config.get("value"), config.text("dtype", "float32")))
        except (TypeError, ValueError, OverflowError, RecursionError, ShapeError):
            raise config.error("value", config.get("value"), "an array of numbers") from None
    if isinstance(value, dict):
        return {key: _constants(item, layer) for key, item in value.items()}
    return [_constants(item, layer) for item in value] if isinstance(value, (list, tuple)) else value


class _Builder:
    def __init__(self, archive: Archive, model: Model, opened: Callable[[], Vocabulary]):
        self._opened = opened
        self.keras2 = archive.keras2
        self._place = archive.place
        self._model = model
        self._weights = Weights(archive, model, _names)
        self._constants: dict[Any, Value] = {}
        self._labels: dict[str, Label] = {}
        self._taken: Counter[str] = Counter()
        self._symbols: dict[str, tuple[str, int]] = {}
        self._calls = 0
        self.masks: dict[Value, Value] = {}
        self.texts: dict[Value, Vocabulary] = {}
        self._states: dict[str, tuple[Value, Value]] = {}

    def graph(self, sizes: Sizes) -> Graph:
        layers = {layer.name: layer for layer in self._model.layers}
        inputs: dict[str, Value] = {}
        for name, ref in self._model.inputs:
            if name in inputs:
                raise ModelError(f"{self._place}: two of the model's inputs are {name!r}")
            inputs[name] = placeholder(name, sizes.pinned(self._input_type(name, layers[ref.layer])))
            if layers[ref.layer].fields.policy() == STRING:
                self.texts[inputs[name]] = self._opened()
            self._labels[self._unique(ref.layer)] = Label("Placeholder", inputs[name])
        if not inputs:
            raise ModelError(f"{self._place}: the model has no inputs")
        results = self._run(self._model, list(inputs.values()), self._unique(self._model.name))
        outputs: dict[str, Value] = {}
        for (output, _), value in zip(self._model.outputs, results, strict=True):
            name, number = output, 0
            while name in outputs:
                number += 1
                name = f"{output}_{number}"
            outputs[name] = value
        states = []
        for name, (read, written) in self._states.items():
            if name in inputs or name in outputs:
                raise ModelError(f"{self._place}: {name!r} is an input or output and a state")
            inputs[name], outputs[name] = read, written
            states.append(State(name, name, np.zeros(read.type.shape, read.type.dtype.numpy)))
        results = {key: Text(v, self.texts[v]) if v in self.texts else v for key, v in outputs.items()}
        outputs, vocabularies, _ = as_numbers(results)
        found = {key: Text(label.value, self.texts[label.value]) for key, label in self._labels.items()
                 if label.value in self.texts}
        vocabularies = named_words(found, inputs, outputs) | vocabularies
        return with_measured(Graph(self._model.name, inputs, outputs, self._labels, states=tuple(states),
                                   vocabularies=vocabularies))

    # What layers ask for.

    def label(self, scope: str, step: str, op: str, value: Value) -> Value:
        self._labels[self._unique(f"{scope}/{step}")] = Label(op, value)
        return value

    def weight(self, layer: Layer, scope: str, name: str, shape: tuple[int, ...], dtype: DType,
               half: str | None) -> Value:
        key = (self._weights.locate(layer, name), shape, dtype, half)
        if key not in self._constants:
            array = self._weights.read(layer, name, shape).astype(dtype.numpy, copy=False)
            self._constants[key] = constant(array if half is None else OPS["round_to"].eval(array, format=half))
            self.label(scope, name, "Const", self._constants[key])
        return self._constants[key]

    def states(self, layer: Layer, scope: str, types: Sequence[TensorType]) -> list[Value]:
        found = []
        for name, type in zip(_state_names(layer, len(types)), types, strict=True):
            if name not in self._states:
                if not type.is_static:
                    raise ModelError(f"{layer.fields.place}: is stateful, which needs the batch to be a number. Give "
                                     "the model an Input with a batch_shape, and save it again")
                value = placeholder(name, type)
                self._states[name] = value, value
                self.label(scope, name.rpartition("/")[2], "ReadVariableOp", value)
            found.append(self._states[name][1])
        return found

    def keep(self, layer: Layer, values: Sequence[Value]) -> None:
        for name, value in zip(_state_names(layer, len(values)), values, strict=True):
            self._states[name] = self._states[name][0], value

    def asset(self, layer: Layer, name: str) -> str | None:
        return self._weights.asset(layer, name)

    # Calling the layers.

    def _run(self, model: Model, inputs: list[Value], scope: str) -> list[Value]:
        """The model's outputs."""
        layers = {layer.name: layer for layer in model.layers}
        known = {(ref.layer, 0): (value,) for (_, ref), value in zip(model.inputs, inputs, strict=True)}
        for name, number in call_order(model, self._place):
            known[name, number] = self._call(layers[name], layers[name].calls[number], known, scope)
        return [self._output(known, ref, scope) for _, ref in model.outputs]

    def _output(self, known: dict[tuple[str, int], tuple[Value, ...]], ref: Ref, scope: str) -> Value:
        values = known[ref.layer, ref.call]
        if ref.output >= len(values):
            raise ModelError(f"{self._place}: layer {ref.layer!r} in {scope!r} has {len(values)} outputs, "
                             f"but number {ref.output} is used")
        return values[ref.output]

    def _call(self, layer: Layer, call: Call, known: dict, scope: str) -> tuple[Value, ...]:
        def resolve(value: Any) -> Any:
            if isinstance(value, Ref):
                return self._output(known, value, scope)
            if isinstance(value, dict):
                return {k: resolve(v) for k, v in value.items()}
            return [resolve(v) for v in value] if isinstance(value, (list, tuple)) else value

        return self.call(layer, f"{scope}/{layer.name}", resolve(call.args), resolve(call.kwargs))

    def call(self, layer: Layer, scope: str, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Value, ...]:
        """What a layer gives for the arguments of a call, as Keras counts its outputs."""
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ModelError(f"{self._place}: the model unfolds into more than {MAX_CALLS} layer calls")
        scope = self._unique(scope)
        try:
            if layer.operation or layer.kind in RECORDED:
                self._words_of(layer, (*args, *kwargs.values()))
                call = LayerCall(self, layer, scope, args=tuple(args), kwargs=kwargs)
                build = LAYERS[layer.kind].build if not layer.operation else OPERATIONS[layer.kind]
                return tuple(values(build(call)))
            parameters = ("inputs", "training", "mask") if layer.model else LAYERS[layer.kind].arguments
            arguments = _bind(layer, parameters, args, kwargs)
            complete(arguments, parameters, self.masks)
            previous = arguments.get("mask")
            if not values(previous):
                previous = masks_of(arguments[parameters[0]], self.masks)
            if layer.model:
                return self._nested(layer, scope, arguments)
            words = self._words_of(layer, arguments.values())
            call = LayerCall(self, layer, scope, arguments)
            results = values(LAYERS[layer.kind].build(call))
            propagate(call, previous, results)
            if words is not None and layer.kind in MOVES_STRINGS:
                self.texts.update(dict.fromkeys(results, words))
            return tuple(results)
        except ShapeError as error:
            raise ModelError(f"{layer.fields.place}: {error}") from None

    def _words_of(self, layer: Layer, arguments: Iterable[Any]) -> Vocabulary | None:
        """The words of a layer's inputs if they are strings; ModelError if it doesn't take such."""
        found = [self.texts.get(value) for argument in arguments for value in values(argument)]
        words = next((words for words in found if words is not None), None)
        if words is not None and layer.kind not in MOVES_STRINGS | {"StringLookup"}:
            raise ModelError(f"{layer.fields.place}: {layer.kind} of strings is not supported")
        for other in found if words is not None else ():
            if other is None or (other is not words and not (other.open and words.open)):
                raise ModelError(f"{layer.fields.place}: is called on strings and something else")
            if other is not words:
                words.join(other)
        return words

    def _nested(self, layer: Layer, scope: str, arguments: dict[str, Any]) -> tuple[Value, ...]:
        """The outputs of a model that is called as a layer."""
        expected, given = layer.model.inputs, arguments["inputs"]
        if isinstance(given, dict):
            given = dict(named(given))
            if missing := [name for name, _ in expected if name not in given]:
                raise ModelError(f"{layer.fields.place}: is called without its input {missing[0]!r}")
            given = [given[name] for name, _ in expected]
        inputs = values(given)
        if len(inputs) != len(expected):
            raise ModelError(f"{layer.fields.place}: is called on {len(inputs)} tensors, expected {len(expected)}")
        masks = arguments.get("mask")
        for x, mask in zip(inputs, masks if isinstance(masks, list) else [masks], strict=False):
            if isinstance(mask, Value):
                self.masks[x] = mask
        return tuple(self._run(layer.model, inputs, scope))

    # Names and types.

    def _unique(self, name: str) -> str:
        """The name, with a number after it where it is taken already, as TensorFlow does."""
        taken = name in self._taken
        self._taken[name] += 1
        if not taken:
            return name
        number = self._taken[name] - 1
        while f"{name}_{number}" in self._taken:
            number += 1
        self._taken[name] = number + 1
        self._taken[f"{name}_{number}"] = 1
        return f"{name}_{number}"

    def _input_type(self, name: str, layer: Layer) -> TensorType:
        """The type of a placeholder. Half precision is widened, and a free dimension becomes a symbol."""
        fields: Fields = layer.fields
        if layer.kind != "InputLayer":
            raise ModelError(f"{fields.place}: is an input of the model, but no InputLayer")
        key = next((key for key in SHAPE_KEYS if fields.get(key, None) is not None), None)
        if key is None:
            raise ModelError(f"{fields.place}: the file doesn't say the input's shape: the model was saved before "
                             "it was built. Call it on data once, or give it an Input, and save it again")
        dtype = fields.policy()
        try:
            element = DType.I64 if dtype == STRING else POLICIES.get(dtype) or DType.of(dtype)
        except (ShapeError, TypeError):
            raise fields.error("dtype", dtype, "a numeric type") from None
        return TensorType(element, tuple(self._free(name, axis) if dim is None else dim
                                         for axis, dim in enumerate(fields.shape(key))))

    def _free(self, name: str, axis: int) -> Any:
        """The symbol of an input's free dimension: ``batch``, or one made from the input's name."""
        if axis == 0:
            return symbol("batch")
        made = re.sub(r"\W|^(?=\d)", "_", f"{name}_{axis}", flags=re.ASCII)
        while self._symbols.setdefault(made, (name, axis)) != (name, axis):
            made += "_"
        return symbol(made)
