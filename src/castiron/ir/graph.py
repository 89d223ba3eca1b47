"""The tensor IR: frozen nodes in SSA form.

A node refers to the values it reads, so a graph is its inputs, its outputs and what lies between.
Rewriting makes new nodes; nothing is ever changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from castiron.errors import ModelError
from castiron.ir.dims import Expr, symbol
from castiron.ir.types import DType, TensorType


@dataclass(frozen=True, eq=False)
class Node:
    """One application of an operator. ``types`` are those of its results; ``serial`` grows from node to node
    as they are made."""

    serials: ClassVar[Iterator[int]] = count()

    op: str
    inputs: tuple[Value, ...]
    attrs: Mapping[str, Any]
    types: tuple[TensorType, ...]
    serial: int = field(default_factory=serials.__next__, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))

    @property
    def results(self) -> tuple[Value, ...]:
        return tuple(Value(self, i) for i in range(len(self.types)))

    @property
    def bodies(self) -> Mapping[str, Graph]:
        """The attributes that are graphs: what a loop or a branch runs."""
        return {name: attr for name, attr in self.attrs.items() if isinstance(attr, Graph)}

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The free dimensions that its types, attributes and bodies mention."""
        found: set[str] = set()
        pending: list[object] = [*(type.shape for type in self.types), *self.attrs.values()]
        while pending:
            match pending.pop():
                case Expr() as dim:
                    found |= dim.symbols
                case tuple() as several:
                    pending.extend(several)
                case Graph() as body:
                    found.update(*(inner.symbols for inner in body.nodes))
        return frozenset(found)

    def __repr__(self) -> str:
        operands = ", ".join(repr(v.type) for v in self.inputs)
        return f"{self.op}({operands}) -> {', '.join(map(repr, self.types))}"


@dataclass(frozen=True)
class Value:
    """Result ``index`` of a node."""

    node: Node
    index: int = 0

    @property
    def type(self) -> TensorType:
        return self.node.types[self.index]

    @property
    def constant(self) -> np.ndarray | None:
        """The data of a constant, else None."""
        return self.node.attrs["value"] if self.node.op == "constant" else None


@dataclass(frozen=True)
class Label:
    """A name that the source graph gave to a value; no value where the source node computes none
    (a NoOp) or the compiled model doesn't need it (``why`` says so)."""

    op: str
    value: Value | None = None
    why: str = ""


@dataclass(frozen=True, eq=False)
class State:
    """A variable that a model carries from one call to the next: a graph's input and output of these names.

    A call that continues no other starts from ``initial``.
    """

    input: str
    output: str
    initial: np.ndarray


def constant(array: Any, dtype: Any = None) -> Value:
    """A node that is the given data."""
    array = np.asarray(array, dtype=dtype).view()
    array.flags.writeable = False
    return Value(Node("constant", (), {"value": array}, (TensorType(DType.of(array.dtype), array.shape),)))


def placeholder(name: str, type: TensorType) -> Value:
    """A node that is fed when the model runs."""
    return Value(Node("input", (), {"name": name}, (type,)))


@dataclass(frozen=True)
class Graph:
    """A model: named inputs and outputs, among them the ends of its states, and the source's labels in
    the source's order.

    ``vocabularies`` are the words of the inputs, outputs and labels by these names that are strings: an element is
    the number of its word, and -1 stands for any string that is none of an input's words. ``columns`` are names of
    the last dimension's elements of outputs.

    ``measured`` has, by symbol, the i64 scalar that gives a dimension which no input tells: nodes that mention it
    come after what computes that. ``roots`` are the outputs, the counts of the dimensions that are needed, and with
    ``traced`` also every labelled value: what a pass must keep.
    """

    name: str
    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    labels: Mapping[str, Label] = field(default_factory=dict)
    traced: bool = False
    states: tuple[State, ...] = ()
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measured: Mapping[str, Value] = field(default_factory=dict)

    @cached_property
    def roots(self) -> tuple[Value, ...]:
        nodes = set(self.nodes) if self.measured else ()
        counts = (v for name, v in self.measured.items() if v.node in nodes and name not in self.symbols)
        return tuple(dict.fromkeys([*self._wanted, *counts]))

    @cached_property
    def _wanted(self) -> tuple[Value, ...]:
        labelled = [label.value for label in self.labels.values() if label.value] if self.traced else []
        return tuple(dict.fromkeys([*self.outputs.values(), *labelled]))

    def waits(self, node: Node) -> list[str]:
        """The measured dimensions that must be known before a node is computed: those that it mentions and no input
        tells."""
        return sorted(node.symbols & self.measured.keys() - set(self.symbols)) if self.measured else []

    @cached_property
    def feedable(self) -> frozenset[Value]:
        """The values that a feed may replace when the model runs: in a traced graph all labelled ones."""
        return frozenset(label.value for label in self.labels.values() if label.value) if self.traced else frozenset()

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that the roots need, and every input, operands before users."""
        return tuple(self.sorted(v.node for v in (*self.inputs.values(), *self._wanted)))

    def sorted(self, roots: Iterable[Node]) -> list[Node]:
        """Nodes and all they depend on, what gives the dimensions that they mention among it, in an order in which
        they can be computed."""
        if not self.measured:
            return toposort(roots)
        return toposort(roots, lambda node: (self.measured[s].node for s in self.waits(node)))

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The free dimensions, in order of their first appearance in the inputs."""
        found = [s for v in self.inputs.values() for dim in v.type.shape
                 for s in sorted(getattr(dim, "symbols", ()))]
        return tuple(dict.fromkeys(found))

    @cached_property
    def users(self) -> Mapping[Value, tuple[Node, ...]]:
        """The nodes that read each value, once for each operand."""
        users: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                users.setdefault(value, []).append(node)
        return {value: tuple(nodes) for value, nodes in users.items()}

    def label_of(self, value: Value, name: str | None = None) -> str | None:
        """A label of a value: ``name`` if that is one, else the first."""
        if name in self.labels and self.labels[name].value == value:
            return name
        return self._label_names.get(value)

    @cached_property
    def roles(self) -> Mapping[str, str]:
        """``input`` or ``output`` for the labels that are the model's ends, ``state`` for those of states' inputs."""
        states, becoming = {s.input for s in self.states}, {s.output for s in self.states}
        ends = {self.label_of(value, name): "output" for name, value in self.outputs.items() if name not in becoming}
        return ends | {self.label_of(value, name): "state" if name in states else "input"
                       for name, value in self.inputs.items()}

    @cached_property
    def _label_names(self) -> Mapping[Value, str]:
        names: dict[Value, str] = {}
        for name, label in self.labels.items():
            if label.value is not None:
                names.setdefault(label.value, name)
        return names

    def rewrite(self, rule: Callable[[Node, tuple[Value, ...]], Iterable[Value] | None]) -> Graph:
        """The graph with ``rule(node, new_inputs)`` applied to each node, operands first.

        The rule returns the values that replace the node's results, or None to keep the operator.
        Inputs keep their identity unless the rule replaces them. A label whose value is no longer
        computed loses it, unless the graph is traced.
        """
        new: dict[Value, Value] = {}
        for node in self.nodes:
            operands = tuple(new[v] for v in node.inputs)
            results = rule(node, operands)
            if results is None:
                same = operands == node.inputs
                results = (node if same else replace(node, inputs=operands)).results
            new.update(zip(node.results, results, strict=True))
        inputs = {k: new[v] for k, v in self.inputs.items()}
        outputs = {k: new[v] for k, v in self.outputs.items()}
        measured = {k: new[v] for k, v in self.measured.items() if v in new}
        labels = {name: replace(label, value=new.get(label.value)) if label.value else label
                  for name, label in self.labels.items()}
        if not self.traced:
            computed = set(toposort(v.node for v in (*inputs.values(), *outputs.values(), *measured.values())))
            labels = {name: replace(label, value=None) if label.value and label.value.node not in computed else label
                      for name, label in labels.items()}
        return replace(self, inputs=inputs, outputs=outputs, labels=labels, measured=measured)


def in_bodies(graph: Graph, step: Callable[[Graph], Graph]) -> Graph:
    """The graph with ``step`` applied to the bodies of its nodes, innermost first. The step keeps how many inputs
    and outputs a body has."""

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not node.bodies:
            return None
        bodies = {name: step(in_bodies(body, step)) for name, body in node.bodies.items()}
        return replace(node, inputs=operands, attrs={**node.attrs, **bodies}).results

    return graph.rewrite(rule) if any(node.bodies for node in graph.nodes) else graph


def toposort(roots: Iterable[Node], more: Callable[[Node], Iterable[Node]] = lambda node: ()) -> list[Node]:
    """The roots and all they depend on, operands and what ``more`` gives before users, without recursion."""
    order: list[Node] = []
    done: set[int] = set()
    for root in roots:
        stack: list[tuple[Node, bool]] = [(root, False)]
        while stack:
            node, expanded = stack.pop()
            if id(node) in done:
                continue
            if expanded:
                done.add(id(node))
                order.append(node)
            else:
                stack.append((node, True))
                stack.extend((v.node, False) for v in reversed(node.inputs) if id(v.node) not in done)
                stack.extend((before, False) for before in more(node) if id(before) not in done)
    return order


def _bound(graph: Graph, free: Iterable[str]) -> set[str]:
    """The symbols that the inputs' shapes tell, and those that are free around a body."""
    bound = set(free)
    dims = [dim for value in graph.inputs.values() for dim in value.type.shape if not isinstance(dim, int)]
    while found := {name for dim in dims for name in dim.symbols - bound if dim.tells(name)
                    and dim.symbols <= bound | {name}}:
        bound |= found
    return bound


def _verify_extent(graph: Graph, node: Node) -> None:
    size = node.attrs["size"]
    if graph.measured.get(str(size)) != node.inputs[1]:
        raise ModelError(f"{graph.name}: {node!r}: the dimension {size} is measured by something else")
    fed = next((name for name, value in graph.inputs.items() if str(size) in value.type.symbols), None)
    if fed is not None:
        type, other = graph.inputs[fed].type, symbol(f"{size}_fed")
        type = type.with_shape([other if dim == size else dim for dim in type.shape])
        raise ModelError(f"{graph.name}: the input {fed!r} tells the dimension {size}, which data decide elsewhere; "
                         f"give it a type with another name, such as --input {fed}={type!r}")


def verify(graph: Graph, free: Iterable[str] = ()) -> None:
    """Raise ModelError unless the graph is whole: inputs are input nodes, each reachable input is
    listed, names are unique, states have values that fit and every symbol is bound by an input, measured, or
    ``free`` around a body."""
    listed = {v.node for v in graph.inputs.values()}
    for name, value in graph.inputs.items():
        if value.node.op != "input":
            raise ModelError(f"{graph.name}: input {name!r} is computed by {value.node.op}")
    for state in graph.states:
        if state.input not in graph.inputs or state.output not in graph.outputs:
            raise ModelError(f"{graph.name}: the state {state.input!r} has no input or no output {state.output!r}")
        type, next_type = graph.inputs[state.input].type, graph.outputs[state.output].type
        initial = TensorType(DType.of(state.initial.dtype), state.initial.shape)
        if not type == next_type == initial:
            raise ModelError(f"{graph.name}: the state {state.input!r} of type {type!r} begins as {initial!r} and "
                             f"becomes {next_type!r}")
    for name in graph.vocabularies:
        value = graph.inputs.get(name) or graph.outputs.get(name)
        if value is not None and value.type.dtype != DType.I64:
            raise ModelError(f"{graph.name}: the strings {name!r} are {value.type!r}, not numbers of words")
    for name, columns in graph.columns.items():
        if name not in graph.outputs or graph.outputs[name].type.shape[-1:] != (len(columns),):
            raise ModelError(f"{graph.name}: {name!r} is no output with the columns {', '.join(columns)}")
    for name, value in graph.measured.items():
        if value.type != TensorType(DType.I64):
            raise ModelError(f"{graph.name}: the dimension {name} is measured by {value.type!r}, not by an i64[]")
    bound = _bound(graph, free) | graph.measured.keys()
    if untold := [s for s in graph.symbols if s not in bound]:
        type = next(value.type for value in graph.inputs.values() if untold[0] in value.type.symbols)
        raise ModelError(f"{graph.name}: an input {type!r} doesn't tell what {untold[0]} is: say what its sizes are")
    for node in graph.nodes:
        if node.op == "extent" and isinstance(node.attrs["size"], Expr):
            _verify_extent(graph, node)
        if node.op == "input" and node not in listed:
            raise ModelError(f"{graph.name}: input {node.attrs['name']!r} is used but not listed")
        for type in node.types:
            if unbound := type.symbols - bound:
                raise ModelError(f"{graph.name}: {node!r}: no input has the dimension {min(unbound)}")
        for body in node.bodies.values():
            verify(body, bound)
