"""From ONNX's nodes to values: a graph, the bodies of the functions that it calls, all labels."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from castiron.errors import CastironError, ModelError, ShapeError
from castiron.frontends.feeds import Feed, Sizes, fixed_value
from castiron.frontends.narrow import Kinds
from castiron.frontends.nesting import DEPTH_LIMIT, NESTING_LIMIT, Nesting
from castiron.frontends.onnx import tensors
from castiron.frontends.onnx.narrow import narrowed
from castiron.frontends.onnx.nodes import STANDARD, SourceNode, parsed
from castiron.frontends.onnx.operators import COMPOUND, TABLE, convert, why_not
from castiron.frontends.onnx.operators.sequence import TensorList
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.frontends.results import Compound, Missing, Result, parts, reason
from castiron.frontends.text import Columns, Text, Vocabulary, constant_text, opened
from castiron.ir import DType, Label, TensorType, Value, constant, placeholder

#: The versions of ONNX's own operators that are read.
OPSETS = range(1, 29)

FIX = "; give free dimensions sizes, such as --dim batch=1 or --dim height=32*h"
INSIDE = "inside a loop or a branch, which has no single value"

#: By operator: how one with bodies is converted, from the importer, the node, its operands and its scope.
HANDLERS: dict[str, Callable[..., tuple[Result, ...]]] = {}


@dataclass
class Scope:
    """What names mean in a graph or a body: results, versions of domains, a call's attributes; and the prefix of
    labels."""

    results: ChainMap[str, Result]
    versions: Mapping[str, int]
    bindings: Mapping[str, pb.AttributeProto] = field(default_factory=dict)
    prefix: str = ""


class Faulty(Exception):
    """A body has results that are missing."""

    def __init__(self, causes: tuple[Missing, ...]):
        super().__init__()
        self.causes = causes


@dataclass
class Importer(Nesting):
    """Converts nodes and keeps what is found on the way.

    ``feeds`` are what stands in place of values, by name, and ``sizes`` those of free dimensions; ``fed`` holds the
    inputs' values by name afterwards. ``labels`` come out in ONNX's order, the values of a function's body before the
    call's; ``found`` are their results. ``words`` gives an input of strings its vocabulary.
    """

    functions: Mapping[tuple[str, str], pb.FunctionProto]
    feeds: Mapping[str, Feed]
    sizes: Sizes
    folder: Path | None = None
    labels: dict[str, Label] = field(default_factory=dict)
    found: dict[str, Result] = field(default_factory=dict)
    fed: dict[str, Value] = field(default_factory=dict)
    declared: dict[str, pb.TypeProto] = field(default_factory=dict)
    words: Callable[[], Vocabulary] = opened
    kinds: Kinds = field(default_factory=Kinds)
    _calls: list[tuple[str, str]] = field(default_factory=list)

    def graph(self, graph: pb.GraphProto, versions: Mapping[str, int]) -> Scope:
        """The results of the main graph by name."""
        scope = Scope(ChainMap(), versions)
        self.declared = {info.name: info.type for info in (*graph.value_info, *graph.input, *graph.output)}
        self._initializers(graph, scope)
        for info in graph.input:
            if info.name not in scope.results:
                self._enter("Input", info.name, self._input(info), scope)
            elif info.name in self.feeds:
                self._enter("Input", info.name, scope.results[info.name], scope)
        self.body(graph.node, scope)
        return scope

    def _input(self, info: pb.ValueInfoProto) -> Result:
        """An optional input is always given; of a list's elements ``x.0``, ``x.1`` … those are that are fed."""
        declared = _given(info.type)
        self.declared[info.name] = declared
        if declared.WhichOneof("value") == "sequence_type":
            return self._list(info.name, declared.sequence_type.elem_type)
        node = SourceNode(info.name, "Input", 0, (), (info.name,), {})
        try:
            feed = self.feeds.get(info.name)
            type = feed.type if feed and feed.type else self.type_of(info.name)
            if type is None:
                raise ModelError(f"the file does not say how many dimensions the input {info.name!r} has: give its "
                                 f"type, such as --input {info.name}=f32[batch,10]")
        except ModelError as error:
            return Missing(node, str(error))
        return self._fed(info.name, type, self._is_text(info.name))

    def _fed(self, name: str, type: TensorType, text: bool, instead: Result | None = None) -> Value | Text:
        """A new input ``instead`` of a result, of strings if it is ``text``."""
        self.fed[name] = placeholder(name, self.sizes.pinned(type))
        return Text(self.fed[name], self.words()) if text else self._narrow(self.fed[name], name, instead)

    def _narrow(self, value: Value, name: str, instead: Result | None) -> Value:
        """An input as what it is declared to be, or what it stands instead of; floats rounded."""
        declared = tensors.kind_of(self.declared.get(name, pb.TypeProto()).tensor_type.elem_type)
        kind = declared or self.kinds.of(instead)
        return self.kinds.mark(self.kinds.rounded(value, kind), kind)

    def _is_text(self, name: str) -> bool:
        """Whether a value is declared to be strings."""
        return self.declared.get(name, pb.TypeProto()).tensor_type.elem_type == pb.TensorProto.STRING

    def _list(self, name: str, declared: pb.TypeProto) -> Result:
        """A list of as many tensors as are fed."""
        node, scope, elements = SourceNode(name, "Input", 0, (), (name,), {}), Scope(ChainMap(), {}), []
        while (label := f"{name}.{len(elements)}") in self.feeds:
            self.declared[label] = declared
            self._enter("Input", label, self._input(pb.ValueInfoProto(name=label, type=declared)), scope)
            elements.append(scope.results[label])
        if not elements:
            return Missing(node, f"the file does not say how many tensors are in the list {name!r}: give each with its "
                                 f"type, such as --input {name}.0=f32[10] --input {name}.1=f32[10]")
        causes = tuple(v for v in elements if isinstance(v, Missing))
        return Missing(node, causes=causes) if causes else TensorList(tuple(elements))

    def type_of(self, name: str) -> TensorType | None:
        """What the file says of a value's type, None if it doesn't say it all; ModelError for one that castiron
        doesn't have."""
        type = self.declared.get(name, pb.TypeProto())
        kind = type.WhichOneof("value")
        if kind not in ("tensor_type", None):
            raise ModelError(f"{name!r} is no tensor but a {kind.removesuffix('_type')}, which can't be an input")
        if not type.tensor_type.HasField("shape"):
            return None
        dtype = DType.I64 if self._is_text(name) else tensors.dtype_of(type.tensor_type.elem_type)
        return TensorType(dtype, tensors.dims_of(type.tensor_type.shape, name))

    def _initializers(self, graph: pb.GraphProto, scope: Scope) -> None:
        for tensor in graph.initializer:
            try:
                result: Result = self.kinds.mark(constant_of(tensor, self.folder), tensors.kind_of(tensor.data_type))
            except ModelError as error:
                result = Missing(SourceNode(tensor.name, "Initializer", 0, (), (tensor.name,), {}), str(error))
            scope.results[tensor.name] = result
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            try:
                scope.results[name] = constant(tensors.dense_of(sparse, self.folder))
            except ModelError as error:
                scope.results[name] = Missing(SourceNode(name, "Initializer", 0, (), (name,), {}), str(error))

    def body(self, definitions: Iterable[pb.NodeProto], scope: Scope) -> None:
        """Convert nodes in their order and enter their results; ModelError for a name that is given twice."""
        given: set[str] = set()
        for definition in definitions:
            if twice := next((name for name in definition.output if name in given), None):
                raise ModelError(f"two nodes give the value {twice!r}")
            given.update(filter(None, definition.output))
            node = replace(parsed(definition, scope.versions, scope.bindings, self.folder), kinds=self.kinds)
            results = self._convert(node, scope)
            for i, name in enumerate(node.outputs):
                if name:
                    result = results if not isinstance(results, tuple) else results[i] if i < len(results) else (
                        Missing(node, f"has no result {i}"))
                    self._enter(node.op, name, result, scope)

    def _enter(self, op: str, name: str, result: Result, scope: Scope) -> None:
        """The result under its name, replaced if that is fed, and its label. Within a function's body that is
        behind the name of the call's first result."""
        label = f"{scope.prefix}{name}"
        if not self.trials and not self.nesting:
            while label in self.labels:
                label += "_"
            if label in self.feeds:
                result = self._feed(self.feeds[label], result)
            self.found[label] = result
            value = parts(result)[0] if isinstance(result, Value | Text | Columns) else None
            self.labels[label] = Label(op, value, "" if value else reason(result))
        elif not self.trials and label not in self.labels:
            self.labels[label] = Label(op, None, INSIDE)
        scope.results[name] = result

    def _feed(self, feed: Feed, result: Result) -> Result:
        declared = self.type_of(feed.key) if feed.type is None else None
        text = isinstance(result, Text) or self._is_text(feed.key)
        type = feed.type or (parts(result)[0].type if isinstance(result, Value | Text) else declared)
        if feed.fixed is not None:
            self.fed.pop(feed.key, None)
            if text != (feed.fixed.dtype.kind in "OU"):
                raise ModelError(f"{feed.key!r} is {'' if text else 'not '}made of strings; its value is {feed.fixed}")
            return constant_text(feed.fixed) if text else self._narrow(fixed_value(feed, type), feed.key, result)
        return result if type is None else self._fed(feed.key, type, text, result)

    def _convert(self, node: SourceNode, scope: Scope) -> tuple[Result, ...] | Missing:
        operands: list[Result | None] = []
        try:
            for name in node.inputs:
                if name and name not in scope.results:
                    raise ModelError(f"reads {name!r}, which nothing before it gives: the file is incomplete, or its "
                                     "nodes are not in order")
                operands.append(scope.results[name] if name else None)
            return self._applied(node, operands, scope)
        except Faulty as fault:
            return Missing(node, causes=fault.causes)
        except MemoryError:
            return Missing(node, "needs more memory than there is")
        except (CastironError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            advice = FIX if isinstance(error, ShapeError) and _mentions_free(str(error), operands) else ""
            return Missing(node, f"{str(error) or type(error).__name__}{advice}")

    def _applied(self, node: SourceNode, operands: list[Result | None], scope: Scope) -> tuple[Result, ...] | Missing:
        causes = tuple(v for v in operands if isinstance(v, Missing))
        function = self._function(node)
        if function is None and node.op not in TABLE and node.op not in HANDLERS:
            return Missing(node, why_not(node.op), True, causes)
        if causes:
            return Missing(node, causes=causes)
        if function is not None:
            return self._call(node, function, operands, scope)
        if node.op in HANDLERS:
            return self._marked(node, HANDLERS[node.op](self, node, operands, scope))
        if node.op not in COMPOUND and "." not in node.op and node.version not in OPSETS:
            raise ModelError(f"version {node.version} of ONNX's operators is not supported: convert the model to one "
                             f"from {OPSETS[0]} to {OPSETS[-1]}")
        results = convert(node, *operands)
        results = narrowed(node, operands, results if isinstance(results, tuple) else (results,))
        return tuple(Missing(node, "castiron does not compute this result") if v is None else v for v in results)

    def _marked(self, node: SourceNode, results: Result | tuple[Result, ...]) -> tuple[Result, ...]:
        """What a body gives, known to be of the types that it declares."""
        results = results if isinstance(results, tuple) else (results,)
        body = next((a.g for a in node.attrs.values() if a.HasField("g")), None)
        for info, value in zip(reversed(body.output if body else ()), reversed(results), strict=False):
            kind = tensors.kind_of(info.type.tensor_type.elem_type)
            if kind and isinstance(value, Value):
                self.kinds.mark(value, kind)
        return results

    def _function(self, node: SourceNode) -> pb.FunctionProto | None:
        return self.functions.get((node.op, node.overload))

    def _call(self, node: SourceNode, function: pb.FunctionProto, operands: list[Result | None],
              scope: Scope) -> tuple[Result, ...]:
        """The results of a function; the values of its body are labelled on the way."""
        key = (node.op, node.overload)
        if key in self._calls or len(self._calls) >= DEPTH_LIMIT:
            raise ModelError(f"the function {function.name!r} calls itself, or calls are more than {DEPTH_LIMIT} deep")
        if len(operands) > len(function.input) or len(node.outputs) > len(function.output):
            raise ModelError(f"the function {function.name!r} takes {len(function.input)} operands and gives "
                             f"{len(function.output)} results")
        self.spend(len(function.node) + 1)
        given = {name: v for name, v in zip(function.input, operands, strict=False) if v is not None}
        bindings = {a.name: a for a in function.attribute_proto} | dict(node.attrs)
        inner = Scope(ChainMap(given), versions_of(function.opset_import), bindings,
                      f"{scope.prefix}{next(filter(None, node.outputs), node.name)}/")
        self._calls.append(key)
        try:
            self.body(_with_absent(function, given), inner)
        finally:
            self._calls.pop()
        return tuple(self.result_of(name, inner) for name in function.output)

    def result_of(self, name: str, scope: Scope) -> Result:
        """A result of a body; ModelError if it has none of that name."""
        if name not in scope.results:
            raise ModelError(f"the result {name!r} is computed by nothing")
        return scope.results[name]

    def subgraph(self, graph: pb.GraphProto, operands: Iterable[Result], scope: Scope) -> tuple[Result, ...]:
        """The results of a body for its inputs' values; it also sees what is around it."""
        self.spend(len(graph.node) + 1)
        operands = list(operands)
        if len(operands) != len(graph.input):
            raise ModelError(f"a body takes {len(graph.input)} values, not {len(operands)}")
        inner = Scope(scope.results.new_child(), scope.versions, scope.bindings, scope.prefix)
        self._initializers(graph, inner)
        inner.results.update({info.name: value for info, value in zip(graph.input, operands, strict=True)})
        for info, value in zip(graph.input, operands, strict=True):
            kind = tensors.kind_of(info.type.tensor_type.elem_type)
            if kind and isinstance(value, Value):
                self.kinds.mark(value, kind)
        self.body(graph.node, inner)
        return tuple(self.result_of(info.name, inner) for info in graph.output)

    def whole(self, results: Iterable[Result]) -> tuple[Value | Compound, ...]:
        """The results if none is missing; Faulty names the others."""
        results = tuple(results)
        if causes := tuple(r for r in results if isinstance(r, Missing)):
            raise Faulty(causes)
        return results


def _given(type: pb.TypeProto) -> pb.TypeProto:
    """The type of what an optional value holds, or the type itself."""
    for _ in range(NESTING_LIMIT):
        if type.WhichOneof("value") != "optional_type":
            break
        type = type.optional_type.elem_type
    return type


def constant_of(tensor: pb.TensorProto, folder: Path | None) -> Value | Text:
    """A constant, of strings or else of numbers."""
    if tensor.data_type == pb.TensorProto.STRING:
        return constant_text(tensors.strings_of(tensor))
    return constant(tensors.array_of(tensor, folder))


def versions_of(imports: Iterable[pb.OperatorSetIdProto]) -> dict[str, int]:
    """The version of each domain."""
    return {"" if entry.domain in STANDARD else entry.domain: entry.version for entry in imports}


def _with_absent(function: pb.FunctionProto, given: Mapping[str, Result]) -> Iterator[pb.NodeProto]:
    """The nodes of a function, operands that the call leaves out left out in them too."""
    absent = set(function.input) - set(given)
    for node in function.node:
        if absent.intersection(node.input):
            copy = pb.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = ["" if name in absent else name for name in node.input]
            node = copy
        yield node


def _mentions_free(message: str, operands: Iterable[Result | None]) -> bool:
    """Whether a message names a free dimension of a node's operands."""
    free = set().union(*(part.type.symbols for v in operands if v is not None for part in parts(v)))
    return any(re.search(rf"\b{re.escape(symbol)}\b", message) for symbol in free)

