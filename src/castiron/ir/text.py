"""Graphs as text: ``print_graph`` and its inverse ``parse_graph``.

    graph "model"
    %x = input {name="x"} : f32[batch,10]
    %0 = constant [0.5] : f32[1]
    %1 = add(%x, %0) : f32[batch,10]
    input "x" = %x
    output "y" = %1
    label "sum" "AddV2" = %1

A state is a line such as ``state "input" "output" [0.0]``: the names of its ends and its initial value. Strings have
a line such as ``words "input" "red" "green"``, an output's columns one such as ``columns "output" "yes" "no"``. A
dimension that no input tells has a line ``measured "n" = %1``: the scalar that gives it.
The second result of a node %2 is %2.1. Attributes are numbers, strings, true, false, none, element types,
dimension expressions, tuples in parentheses, bodies (instructions in braces), and graphs, which follow their node
from ``graph`` to ``end``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np

from castiron.errors import CastironError, ModelError, ShapeError
from castiron.ir.body import Body, Instr
from castiron.ir.dim_text import parse_dim
from castiron.ir.dims import Dim, Expr
from castiron.ir.graph import Graph, Label, Node, State, Value
from castiron.ir.types import DType, TensorType

#: Larger constants are not written element by element.
INLINE_ELEMENTS = 16

#: How deep tuples, bodies and graphs may be nested.
MAX_DEPTH = 16

_WORDS = {"true": True, "false": False, "none": None, "graph": Graph,
          "inf": float("inf"), "-inf": float("-inf"), "nan": float("nan"),
          **{dtype.value: dtype for dtype in DType}}


def print_graph(graph: Graph, abbreviate: bool = False) -> str:
    """The graph as text. ``abbreviate`` shows of a large constant only its SHA-256; the text can't be
    parsed then."""
    labelled = [label.value for label in graph.labels.values() if label.value]
    nodes = graph.sorted(v.node for v in (*graph.inputs.values(), *graph.roots, *labelled))
    measured = {name: value for name, value in graph.measured.items() if value.node in set(nodes)}
    names: dict[Node, str] = {}
    for node in nodes:
        name = node.attrs["name"] if node.op == "input" else ""
        taken = not re.fullmatch(r"[A-Za-z_]\w*", name) or f"%{name}" in names.values()
        names[node] = f"%{len(names)}" if taken else f"%{name}"

    def ref(value: Value) -> str:
        return names[value.node] + (f".{value.index}" if value.index else "")

    lines = [f"graph {json.dumps(graph.name)}" + (" traced" if graph.traced else "")]
    for node in nodes:
        types = ", ".join(map(repr, node.types))
        lines.append(f"{names[node]} = {_application(node, ref, abbreviate)} : {types}")
        for body in node.bodies.values():
            lines += [f"  {line}" for line in print_graph(body, abbreviate).splitlines()] + ["  end"]
    for kind, values in (("input", graph.inputs), ("output", graph.outputs), ("measured", measured)):
        lines += [f"{kind} {json.dumps(name)} = {ref(value)}" for name, value in values.items()]
    for state in graph.states:
        data = _data(state.initial, abbreviate)
        lines.append(f"state {json.dumps(state.input)} {json.dumps(state.output)} {data}")
    for kind, named in (("words", graph.vocabularies), ("columns", graph.columns)):
        lines += [f"{kind} {' '.join(json.dumps(text) for text in (name, *texts))}" for name, texts in named.items()]
    for name, label in graph.labels.items():
        target = f" = {ref(label.value)}" if label.value else ""
        why = f" {json.dumps(label.why)}" if label.why else ""
        lines.append(f"label {json.dumps(name)} {json.dumps(label.op)}{target}{why}")
    return "\n".join(lines) + "\n"


def _application(node: Node, ref: Callable[[Value], str], abbreviate: bool) -> str:
    if node.op == "constant":
        return f"constant {_data(node.attrs['value'], abbreviate)}"
    operands = f"({', '.join(map(ref, node.inputs))})" if node.inputs else ""
    return node.op + operands + _attributes(node.attrs.items())


def _attributes(items) -> str:
    text = ", ".join(f"{k}={_print(v)}" for k, v in items)
    return f" {{{text}}}" if text else ""


def _data(array: np.ndarray, abbreviate: bool) -> str:
    if array.size <= INLINE_ELEMENTS:
        return f"[{', '.join(str(x).lower() for x in array.reshape(-1))}]"
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    if abbreviate:
        return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"
    return f"base64:{base64.b64encode(data).decode()}"


def _print(attr: Any) -> str:
    match attr:
        case None:
            return "none"
        case bool() | np.bool_():
            return "true" if attr else "false"
        case str():
            return json.dumps(attr)
        case DType():
            return attr.value
        case Expr():
            return f"[{attr}]" if attr.atoms or attr.symbols & _WORDS.keys() else str(attr)
        case tuple():
            return f"({', '.join(map(_print, attr))}{',' * (len(attr) == 1)})"
        case Graph():
            return "graph"
        case Body():
            return f"{{{'; '.join(map(_instr, attr.instrs))}}}"
        case _:
            return str(attr)


def _instr(instr: Instr) -> str:
    return f"{instr.op}({', '.join(f'%{i}' for i in instr.operands)}){_attributes(instr.attrs)}"


def parse_graph(text: str) -> Graph:
    """The graph that ``print_graph`` wrote. ModelError names the line that is wrong."""
    return _parse(iter(enumerate(text.splitlines(), 1)), 0)


def parse_type(text: str) -> TensorType:
    """The inverse of ``repr`` of a type such as ``f32[batch,10]``; ModelError for anything else."""
    scanner = _Scanner(text)
    try:
        type = scanner.type()
        scanner.end()
    except CastironError as error:
        raise ModelError(f"{text!r} is not a type such as f32[batch,10]: {error}") from None
    return type


def _parse(lines: Iterator[tuple[int, str]], depth: int) -> Graph:
    """The graph that the lines begin with, to their end or that of a body."""
    values: dict[str, Value] = {}
    parts: dict[str, dict[str, Any]] = {
        "input": {}, "output": {}, "label": {}, "measured": {}, "words": {}, "columns": {}}
    states: list[State] = []
    name, traced, number = None, False, 1
    if depth > MAX_DEPTH:
        raise ModelError(f"bodies are nested more than {MAX_DEPTH} deep")
    for number, line in lines:
        scanner = _Scanner(line)
        bodies: Callable[[], Graph] = partial(_parse, lines, depth + 1)
        try:
            match scanner.peek():
                case "":
                    continue
                case "end" if depth:
                    break
                case "graph":
                    scanner.next()
                    name, traced = scanner.string(), scanner.skip("traced")
                case "input" | "output" | "label" | "measured" as kind:
                    scanner.next()
                    key = scanner.string()
                    parts[kind][key] = _label(scanner, values) if kind == "label" else _target(scanner, values)
                case "words" | "columns" as kind:
                    scanner.next()
                    key = scanner.string()
                    parts[kind][key] = scanner.strings()
                case "state":
                    scanner.next()
                    states.append(_state(scanner, parts["input"]))
                case _:
                    _definition(scanner, values, bodies)
            scanner.end()
        except (CastironError, ValueError, OverflowError) as error:
            raise error if isinstance(error, _Located) else _Located(f"line {number}: {error}") from None
    else:
        if depth:
            raise _Located(f"line {number}: the body of a node doesn't end")
    if name is None:
        raise _Located(f"line {number}: the text of a graph begins with 'graph'")
    return Graph(name, parts["input"], parts["output"], parts["label"], traced, tuple(states), parts["words"],
                 parts["columns"], parts["measured"])


class _Located(ModelError):
    """An error that says in which line it is."""


def _target(scanner: _Scanner, values: Mapping[str, Value]) -> Value:
    scanner.expect("=")
    return _value(scanner, values)


def _state(scanner: _Scanner, inputs: Mapping[str, Value]) -> State:
    name, output = scanner.string(), scanner.string()
    if name not in inputs:
        raise ModelError(f"the state {name!r} is no input")
    return State(name, output, _array(scanner.data(), inputs[name].type))


def _label(scanner: _Scanner, values: Mapping[str, Value]) -> Label:
    op = scanner.string()
    value = _target(scanner, values) if scanner.peek() == "=" else None
    return Label(op, value, scanner.string() if scanner.peek() else "")


def _value(scanner: _Scanner, values: Mapping[str, Value]) -> Value:
    name = scanner.next()
    if name not in values:
        raise ModelError(f"{name or 'the end of the line'} is not a value defined above")
    return values[name]


def _definition(scanner: _Scanner, values: dict[str, Value], body: Callable[[], Graph]) -> None:
    name = scanner.next()
    if not re.fullmatch(r"%\w+", name) or name in values:
        raise ModelError(f"expected a new value such as %7, found {name!r}")
    scanner.expect("=")
    op = scanner.word()
    data = scanner.data() if op == "constant" else None
    operands = scanner.list("(", ")", ",", lambda: _value(scanner, values)) if scanner.peek() == "(" else ()
    attrs = scanner.attributes()
    scanner.expect(":")
    types = [scanner.type()]
    while scanner.skip(","):
        types.append(scanner.type())
    if op == "constant":
        attrs = {"value": _array(data, types[0])}
    attrs = {key: body() if attr is Graph else attr for key, attr in attrs.items()}
    node = Node(op, operands, attrs, tuple(types))
    if op == "input" and not isinstance(attrs.get("name"), str):
        raise ModelError("an input needs a name")
    values.update((f"{name}.{i}" if i else name, value) for i, value in enumerate(node.results))


def _array(data: str | tuple[str, ...], type: TensorType) -> np.ndarray:
    if not type.is_static:
        raise ModelError(f"a constant of free shape {type!r}")
    dtype = type.dtype.numpy
    if isinstance(data, str):
        kind, _, coded = data.partition(":")
        if kind != "base64":
            raise ModelError("the constant is abbreviated; print the graph in full to read it again")
        array = np.frombuffer(base64.b64decode(coded, validate=True), dtype.newbyteorder("<")).astype(dtype)
    elif type.dtype == DType.BOOL:
        if odd := set(data) - {"true", "false"}:
            raise ModelError(f"expected true or false, found {min(odd)!r}")
        array = np.array([x == "true" for x in data], dtype)
    else:
        array = np.array([dtype.type(x) for x in data], dtype)
    if array.size != type.size:
        raise ModelError(f"{array.size} elements for {type!r}")
    array = array.reshape(type.shape)
    array.flags.writeable = False
    return array


_T = TypeVar("_T")


class _Scanner:
    """The tokens of a line, and what is made of them."""

    _TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[(){}\[\],=:;]|base64:[\w+/=]*|sha256:\w*|[^\s(){}\[\],=:;"]+|.)')

    def __init__(self, line: str):
        self._tokens: Iterator[str] = (m[1] for m in self._TOKEN.finditer(line.rstrip()))
        self._ahead = next(self._tokens, "")
        self._depth = 0

    def peek(self) -> str:
        """The next token, empty at the end."""
        return self._ahead

    def next(self) -> str:
        token, self._ahead = self._ahead, next(self._tokens, "")
        return token

    def skip(self, token: str) -> bool:
        """Whether the token is next; it is passed then."""
        return self._ahead == token and bool(self.next())

    def expect(self, token: str) -> None:
        if not self.skip(token):
            raise ModelError(f"expected {token!r}, found {self._ahead or 'the end of the line'}")

    def end(self) -> None:
        if self._ahead:
            raise ModelError(f"{self._ahead!r} is too much")

    def word(self) -> str:
        if not re.fullmatch(r"\w+", self._ahead):
            raise ModelError(f"expected a name, found {self._ahead or 'the end of the line'}")
        return self.next()

    def string(self) -> str:
        if not re.fullmatch(r'".*"', self._ahead):
            raise ModelError(f"expected a string in quotes, found {self._ahead or 'the end of the line'}")
        return json.loads(self.next())

    def strings(self) -> tuple[str, ...]:
        """All strings up to the end."""
        found = []
        while self._ahead:
            found.append(self.string())
        return tuple(found)

    def list(self, opening: str, closing: str, separator: str, item: Callable[[], _T]) -> tuple[_T, ...]:
        """Items between brackets; a last separator may follow them."""
        self.expect(opening)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ModelError(f"nested more than {MAX_DEPTH} deep")
        items = []
        while not self.skip(closing):
            items.append(item())
            if self.peek() != closing:
                self.expect(separator)
        self._depth -= 1
        return tuple(items)

    def data(self) -> str | tuple[str, ...]:
        return self.list("[", "]", ",", self.next) if self.peek() == "[" else self.next()

    def type(self) -> TensorType:
        name = self.word()
        if not isinstance(_WORDS.get(name), DType):
            raise ModelError(f"{name!r} is not an element type")
        dims = self.list("[", "]", ",", self._dim)
        if any(isinstance(dim, int) and dim < 0 for dim in dims):
            raise ShapeError(f"a dimension is negative: {dims}")
        return TensorType(_WORDS[name], dims)

    def _dim(self) -> Dim:
        """A dimension, up to the comma or bracket behind it."""
        text, depth = "", 0
        while self._ahead and (depth or self._ahead not in (",", "]")):
            depth += (self._ahead == "(") - (self._ahead == ")")
            text += " " + self.next()
        return parse_dim(text)

    def attributes(self) -> dict[str, Any]:
        """``{name=value, …}``, which may be missing."""
        return dict(self.list("{", "}", ",", self._attribute)) if self.peek() == "{" else {}

    def _attribute(self) -> tuple[str, Any]:
        name = self.word()
        self.expect("=")
        return name, self._attribute_value()

    def _attribute_value(self) -> Any:
        token = self.peek()
        if token.startswith('"'):
            return self.string()
        if token == "(":
            return self.list("(", ")", ",", self._attribute_value)
        if token == "{":
            return Body(self.list("{", "}", ";", self._instr))
        if token == "[":
            self.next()
            dim = self._dim()
            self.expect("]")
            return dim
        self.next()
        if token in _WORDS:
            return _WORDS[token]
        if re.fullmatch(r"-?\d+", token):
            return int(token)
        if re.fullmatch(r"-?\d+(\.\d*)?(e[-+]?\d+)?", token):
            return float(token)
        return parse_dim(token)

    def _instr(self) -> Instr:
        op = self.word()
        operands = self.list("(", ")", ",", self._operand)
        return Instr(op, operands, tuple(self.attributes().items()))

    def _operand(self) -> int:
        token = self.next()
        if not re.fullmatch(r"%\d+", token):
            raise ModelError(f"expected the number of an operand such as %0, found {token!r}")
        return int(token[1:])
