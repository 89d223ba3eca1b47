"""Builds the graph: calls the layers in order, and names what they compute as TensorFlow would."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from typing import Any

from castiron.errors import ModelError, ShapeError, UnsupportedOp
from castiron.frontends.keras.archive import Archive
from castiron.frontends.keras.fields import POLICIES, Fields
from castiron.frontends.keras.layers import LAYERS, OPERATIONS, LayerCall
from castiron.frontends.keras.model import SHAPE_KEYS, Call, Layer, Model, Ref, tensors
from castiron.frontends.keras.weights import Names, Weights
from castiron.ir import DType, Graph, Label, TensorType, Value, constant, placeholder, symbol

#: The most layer calls that a model may unfold into.
MAX_CALLS = 50_000


def build(archive: Archive, model: Model) -> Graph:
    """The graph of a model; UnsupportedOp names every layer that castiron doesn't compile."""
    _check_supported(archive.place, model)
    return _Builder(archive, model).graph()


def _names(layer: Layer) -> Names:
    kind = LAYERS.get(layer.kind)
    return kind.weights(layer) if kind and not layer.operation else ((), ())


def _refused(layer: Layer) -> str | None:
    """What of a layer castiron doesn't compile; None if it compiles it."""
    if layer.custom:
        return f"{layer.kind} (a class of its own, whose code the file doesn't hold)"
    if layer.kind in ("Lambda", "SlicingOpLambda"):
        return f"{layer.kind} (Python code, which castiron never runs)"
    if layer.kind == "InputLayer":
        special = [key for key in ("sparse", "ragged") if layer.fields.get(key, None)]
        dtype = layer.fields.get("dtype", None)
        if special or dtype == "string":
            return f"{(*special, dtype)[0]} input"
        return None
    if layer.operation:
        return None if layer.kind in OPERATIONS else f"the function {layer.kind}"
    kind = LAYERS.get(layer.kind)
    if kind is None:
        return layer.kind
    if layer.fields.policy() not in POLICIES:
        return f"{layer.kind} with dtype policy {layer.fields.policy()!r}"
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
        hint = ("\nExport a model with Python code of its own as a SavedModel, with model.export('folder'), "
                "and build that.")
    count = sum(map(len, refused.values()))
    lines.insert(0, f"{place}: castiron doesn't compile {count} of the model's layers:")
    raise UnsupportedOp("\n".join(lines) + hint)


class _Builder:
    def __init__(self, archive: Archive, model: Model):
        self.keras2 = archive.keras2
        self._place = archive.place
        self._model = model
        self._weights = Weights(archive, model, _names)
        self._constants: dict[Any, Value] = {}
        self._labels: dict[str, Label] = {}
        self._taken: Counter[str] = Counter()
        self._symbols: dict[str, tuple[str, int]] = {}
        self._calls = 0

    def graph(self) -> Graph:
        layers = {layer.name: layer for layer in self._model.layers}
        inputs: dict[str, Value] = {}
        for ref in self._model.inputs:
            name = self._unique(ref.layer)
            inputs[ref.layer] = placeholder(ref.layer, self._input_type(layers[ref.layer]))
            self._labels[name] = Label("Placeholder", inputs[ref.layer])
        if not inputs:
            raise ModelError(f"{self._place}: the model has no inputs")
        results = self._run(self._model, [inputs[ref.layer] for ref in self._model.inputs],
                            self._unique(self._model.name))
        outputs: dict[str, Value] = {}
        for ref, value in zip(self._model.outputs, results, strict=True):
            name, number = ref.layer, 0
            while name in outputs:
                number += 1
                name = f"{ref.layer}_{number}"
            outputs[name] = value
        return Graph(self._model.name, inputs, outputs, self._labels)

    # What layers ask for.

    def label(self, scope: str, step: str, op: str, value: Value) -> Value:
        self._labels[self._unique(f"{scope}/{step}")] = Label(op, value)
        return value

    def weight(self, layer: Layer, scope: str, name: str, shape: tuple[int, ...], dtype: DType) -> Value:
        key = (self._weights.locate(layer, name), shape, dtype)
        if key not in self._constants:
            self._constants[key] = constant(self._weights.read(layer, name, shape), dtype.numpy)
            self.label(scope, name, "Const", self._constants[key])
        return self._constants[key]

    # Calling the layers.

    def _run(self, model: Model, inputs: list[Value], scope: str) -> list[Value]:
        """The model's outputs. Calls are made as soon as their inputs are known, in the file's order."""
        layers = list(model.layers)
        index = {layer.name: i for i, layer in enumerate(layers)}
        known: dict[tuple[str, int], tuple[Value, ...]] = {}
        waiting: dict[tuple[int, int], int] = {}
        users: dict[tuple[str, int], list[tuple[int, int]]] = {}
        ready: list[tuple[int, int]] = []
        for i, layer in enumerate(layers):
            for j, call in enumerate(layer.calls):
                needed = {(ref.layer, ref.call) for ref in call.refs}
                waiting[i, j] = len(needed)
                for key in needed:
                    users.setdefault(key, []).append((i, j))
                if not needed:
                    raise ModelError(f"{layer.fields.place}: is called on no tensors")

        def done(key: tuple[str, int], values: tuple[Value, ...]) -> None:
            known[key] = values
            for user in users.get(key, ()):
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, user)

        for ref, value in zip(model.inputs, inputs, strict=True):
            done((ref.layer, 0), (value,))
        while ready:
            i, j = heapq.heappop(ready)
            if (layers[i].name, j) not in known:
                done((layers[i].name, j), self._call(layers[i], layers[i].calls[j], known, scope))
        missing = sorted({ref.layer for ref in model.outputs if (ref.layer, ref.call) not in known},
                         key=lambda name: index.get(name, -1))
        if missing:
            raise ModelError(f"{self._place}: model {model.name!r}: the output {missing[0]!r} can't be computed: "
                             "its layers form a loop or lack inputs")
        return [self._output(known, ref, scope) for ref in model.outputs]

    def _output(self, known: dict[tuple[str, int], tuple[Value, ...]], ref: Ref, scope: str) -> Value:
        values = known[ref.layer, ref.call]
        if ref.output >= len(values):
            raise ModelError(f"{self._place}: layer {ref.layer!r} in {scope!r} has {len(values)} outputs, "
                             f"but number {ref.output} is used")
        return values[ref.output]

    def _call(self, layer: Layer, call: Call, known: dict, scope: str) -> tuple[Value, ...]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ModelError(f"{self._place}: the model unfolds into more than {MAX_CALLS} layer calls")

        def resolve(value: Any) -> Any:
            if isinstance(value, Ref):
                return self._output(known, value, scope)
            if isinstance(value, dict):
                return {k: resolve(v) for k, v in value.items()}
            return [resolve(v) for v in value] if isinstance(value, (list, tuple)) else value

        scope = self._unique(f"{scope}/{layer.name}")
        try:
            if layer.operation or layer.kind == "TFOpLambda":
                bound = LayerCall(self, layer, scope, (), tuple(resolve(call.args)), resolve(call.kwargs))
                build = LAYERS[layer.kind].build if not layer.operation else OPERATIONS[layer.kind]
                return (build(bound),)
            inputs = [self._output(known, ref, scope) for ref in self._tensors(layer, call)]
            if layer.model:
                if len(inputs) != len(layer.model.inputs):
                    raise ModelError(f"{layer.fields.place}: is called on {len(inputs)} tensors, expected "
                                     f"{len(layer.model.inputs)}")
                return tuple(self._run(layer.model, inputs, scope))
            return (LAYERS[layer.kind].build(LayerCall(self, layer, scope, inputs)),)
        except ShapeError as error:
            raise ModelError(f"{layer.fields.place}: {error}") from None

    def _tensors(self, layer: Layer, call: Call) -> list[Ref]:
        """The tensors that a layer is called on; those by name in the order of a model's inputs."""
        if extra := [key for key, value in call.kwargs.items() if key not in ("inputs", "x") and tensors(value)]:
            raise ModelError(f"{layer.fields.place}: is called with {extra[0]!r}, which castiron doesn't compile")
        value = call.args if tensors(list(call.args)) else [call.kwargs.get("inputs", call.kwargs.get("x"))]
        if layer.model and len(value) == 1 and isinstance(value[0], dict):
            names = [ref.layer for ref in layer.model.inputs]
            if set(names) == set(value[0]):
                return tensors([value[0][name] for name in names])
        return tensors(list(value))

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

    def _input_type(self, layer: Layer) -> TensorType:
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
            element = POLICIES.get(dtype) or DType.of(dtype)
        except (ShapeError, TypeError):
            raise fields.error("dtype", dtype, "a numeric type") from None
        return TensorType(element, tuple(self._free(layer.name, axis) if dim is None else dim
                                         for axis, dim in enumerate(fields.shape(key))))

    def _free(self, name: str, axis: int) -> Any:
        """The symbol of an input's free dimension: ``batch``, or one made from the input's name."""
        if axis == 0:
            return symbol("batch")
        made = re.sub(r"\W|^(?=\d)", "_", f"{name}_{axis}", flags=re.ASCII)
        while self._symbols.setdefault(made, (name, axis)) != (name, axis):
            made += "_"
        return symbol(made)
