"""From TensorFlow's nodes to values: a graph, the bodies of the functions that it calls, all labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from castiron.errors import CastironError, ModelError, ShapeError
from castiron.frontends.feeds import Feed, Feeds, Sizes, fixed_value, unknown_label
from castiron.frontends.nesting import DEPTH_LIMIT, Nesting
from castiron.frontends.results import (
    DEAD,
    Missing,
    Result,
    Results,
    Unranked,
    Variable,
    parts,
    pick,
    reason,
)
from castiron.frontends.tensorflow import (  # noqa: F401  (those that nothing names register their operators)
    arrays,
    branches,
    lists,
    loops,
    randomness,
    ranks,
    tables,
    tensors,
    variables,
)
from castiron.frontends.tensorflow.frames import Frame, collapse
from castiron.frontends.tensorflow.handlers import HANDLERS, Gates, Scope, handles
from castiron.frontends.tensorflow.narrow import narrowed
from castiron.frontends.tensorflow.nodes import MERGES, RESULT_LISTS, SourceNode, ancestors, in_order, resolve
from castiron.frontends.tensorflow.operators import constant_of, convert, is_supported, why_not
from castiron.frontends.tensorflow.order import Touches, unordered
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.frontends.text import Text, Vocabulary, constant_text, opened
from castiron.ir import Dim, DType, Label, TensorType, Value, constant, placeholder
from castiron.ops.symbolic import dims_of

#: A call takes as long as so many nodes.
CALL_COST = 10

#: Operators that matter only while a model is trained, saved or debugged.
SILENT = frozenset({"NoOp", "Assert", "DisableCopyOnRead", "PrintV2", "LogicalAssert", "ControlTrigger"})

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})

FIX = "; give free dimensions sizes, such as --dim batch=1 or --dim height=32*h"
INSIDE = "inside a loop or a branch, which has no single value"


@dataclass
class Importer(Nesting):
    """Converts nodes and keeps what is found on the way.

    ``functions`` are the bodies by name; ``variable`` gives a variable's data by name, ModelError if
    it has none. ``fed`` holds the inputs' values by name afterwards. ``labels`` come out in
    TensorFlow's order, the nodes of a function's body before the call's; ``found`` are their results.
    Variables in ``stateful`` are inputs. ``sizes`` are those of free dimensions.
    """

    functions: Mapping[str, pb.FunctionDef]
    feeds: Feeds
    variable: Callable[[str], np.ndarray]
    sizes: Sizes = field(default_factory=lambda: Sizes(None))
    tables: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    stateful: frozenset[str] = frozenset()
    labels: dict[str, Label] = field(default_factory=dict)
    found: dict[str, Result] = field(default_factory=dict)
    fed: dict[str, Value] = field(default_factory=dict)
    #: The placeholders as the graph declares them; those that are inputs have their value in ``fed``.
    unlisted: dict[str, Value] = field(default_factory=dict)
    #: What variables hold: at first, as far as they were read, and now, if the graph has assigned to them.
    read: dict[str, Value] = field(default_factory=dict)
    current: dict[str, Result] = field(default_factory=dict)
    #: Variables that are read and assigned to in no definite order, and why.
    unclear: dict[str, str] = field(default_factory=dict)
    #: Types of inputs that the file doesn't say but the graph decides.
    pins: dict[str, TensorType] = field(default_factory=dict)
    #: The values that count 0, 1, …, and how many they are.
    ranges: dict[Value, Dim] = field(default_factory=dict)
    #: Gives an input of strings its vocabulary.
    words: Callable[[], Vocabulary] = opened
    true: Value = field(default_factory=lambda: constant(np.bool_(True)))
    #: The conditions under which what is being converted runs.
    around: Gates = frozenset()
    _touches: Touches = field(default_factory=list)
    _reserved: frozenset[str] = frozenset()
    _lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _bodies: dict[str, list[SourceNode]] = field(default_factory=dict)
    _callees: list[str] = field(default_factory=list)
    #: The nodes in loops and branches that have their label, by path.
    _inside: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lists = result_lists(self.functions)

    def graph(self, nodes: Iterable[SourceNode]) -> dict[str, Results]:
        """The results of the main graph's nodes, which must come in order."""
        nodes = list(nodes)
        self._reserved = frozenset(node.name for node in nodes)
        for name in sorted(self.stateful):
            self._value(name)  # before any branch, whose own an input must not become
        results = self.body(nodes, Scope((), {}))
        for label in self.feeds:
            if label not in self.labels:
                raise ModelError(unknown_label(label, self.labels))
            if self.labels[label].why == INSIDE:
                raise ModelError(f"{label!r} can't be an input: it is {INSIDE}")
        return results

    def value_of(self, operand: Result) -> Result:
        """A variable's value at this point, any other operand as it is."""
        return self.value_of_name(operand.name) if isinstance(operand, Variable) else operand

    def value_of_name(self, name: str) -> Result:
        self._touches.append((name, False))
        return self._value(name)

    def _value(self, name: str) -> Result:
        if name in self.current:
            return self.current[name]
        if name not in self.read:
            value = constant(self.variable(name))
            self.read[name] = placeholder(name, value.type) if name in self.stateful else value
        return self.read[name]

    def settled(self, result: Result) -> Result:
        """A result as it is passed on: the value of what TensorFlow 1 reads without saying so."""
        return self.value_of(result) if isinstance(result, Variable) and not result.is_handle else result

    def assign(self, name: str, value: Result, node: SourceNode) -> None:
        """Enter what a variable holds from now on."""
        self._touches.append((name, True))
        self.current[name] = value

    @property
    def trying(self) -> bool:
        """Whether what is being converted is thrown away."""
        return self.trials > 0

    def body(self, nodes: Iterable[SourceNode], scope: Scope, collapsed: bool = False) -> dict[str, Results]:
        """The results of nodes that are in order, added to those that the scope has. ``collapsed``: loops of
        TensorFlow 1 are single nodes already."""
        listed = list(nodes)
        touched: dict[str, Touches] = {}
        blocks: dict[str, dict[str, Label]] = {}
        labels, self.labels = self.labels, {}
        try:
            for node in listed if collapsed else collapse(listed):
                start = len(self._touches)
                found = self._convert(node, scope)
                scope.results[node.name] = found if isinstance(node, Frame) else self._labelled(node, found, scope)
                if len(self._touches) > start:
                    touched[node.name] = self._touches[start:]
                blocks[node.name], self.labels = self.labels, {}
        finally:
            self.labels = labels
        self._list(listed, blocks, scope)
        self.unclear |= unordered(listed, touched)
        return scope.results

    def _list(self, listed: list[SourceNode], blocks: dict[str, dict[str, Label]], scope: Scope) -> None:
        """Enter the labels that each node has left in the order of the nodes. A loop of TensorFlow 1 has left those
        of its nodes, but for the ones that make it a loop."""
        if self.trials:
            return
        names = {node.name for node in listed}
        for block in [block for name, block in blocks.items() if name not in names]:
            for label, value in block.items():
                blocks.setdefault(label.partition(":")[0], {})[label] = value
        for node in listed:
            if node.name not in blocks:
                self._labelled(node, Missing(node, INSIDE), scope)
            self.labels.update(blocks.pop(node.name, {}))
        for block in blocks.values():
            self.labels.update(block)

    def _convert(self, node: SourceNode, scope: Scope) -> Results:
        operands: list[Result] = []
        try:
            if inside := next((name for name, _ in node.reads if name not in scope.results), None):
                raise ModelError(f"reads {inside!r}, which is inside a loop")
            operands = [pick(scope.results[name], i, f"{name}:{i}") for name, i in node.reads]
            if node.op in MERGES:
                return branches.merge(self, node, operands, scope)
            if any(v is DEAD for v in operands) or any(scope.results.get(name) is DEAD for name in node.after):
                return DEAD
            gates = self._gates(node, scope)
            if any((predicate, not holds) in gates for predicate, holds in gates):
                return DEAD
            around, self.around = self.around, self.around | gates
            try:
                return self._applied(node, operands, scope)
            finally:
                self.around = around
        except (CastironError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            advice = FIX if isinstance(error, ShapeError) and _mentions_free(str(error), operands) else ""
            return Missing(node, f"{str(error) or type(error).__name__}{advice}")

    @staticmethod
    def _gates(node: SourceNode, scope: Scope) -> Gates:
        """The conditions under which a node runs: those of all that it waits for."""
        if not scope.gates:
            return frozenset()
        gates = frozenset().union(*(scope.gate(name, i) for name, i in node.reads), *map(scope.gate, node.after))
        scope.gates[node.name] = gates
        return gates

    def _applied(self, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
        if node.op in SILENT:
            return ()
        if node.op in HANDLERS:
            handler = HANDLERS[node.op]
            if handler.partial:
                return handler.convert(self, node, operands, scope)
            operands = [self.settled(v) for v in operands]
            causes = tuple(v for v in operands if isinstance(v, Missing))
            return Missing(node, causes=causes) if causes else handler.convert(self, node, operands, scope)
        if node.op in self.functions:
            callee = pb.NameAttrList(name=node.op, attr=node.attrs)
            return self.call(node, callee, operands, (*scope.path, node.name))
        found = randomness.propagate(node, operands) or ranks.propagate(node, operands, self.pins)
        if found is not None:
            return found
        operands = [self.value_of(v) for v in operands]
        causes = tuple(v for v in operands if isinstance(v, Missing))
        if not is_supported(node.op) and node.op not in PLACEHOLDERS | {"Const"}:
            return Missing(node, why_not(node.op), True, causes)
        return Missing(node, causes=causes) if causes else self._compute(node, operands)

    def _compute(self, node: SourceNode, operands: list[Result]) -> Results:
        if node.op == "Const":
            tensor = node.attrs["value"].tensor
            text = tensors.is_text(tensor.dtype)
            return (constant_text(tensors.strings_of(tensor)) if text else constant_of(tensor),)
        if node.op in PLACEHOLDERS:
            shape = node.attr("shape")
            sizes = None if shape is None else tensors.sizes_of(shape.shape)
            if sizes is None:
                return (unranked(node, node.name),)
            dtype = DType.I64 if _is_text(node) else node.dtype("dtype")
            type = TensorType(dtype, tensors.name_dims(sizes, node.name))
            value = self.unlisted[node.name] = placeholder(node.name, type)
            return (Text(value, self.words()) if _is_text(node) else value,)
        results = convert(node, *operands)
        results = narrowed(node, results if isinstance(results, tuple) else (results,))
        if node.op == "Range":
            self._note_range(operands, results[0])
        return tuple(Missing(node, "castiron does not compute this result") if v is None else v for v in results)

    def _note_range(self, operands: list[Result], result: Value) -> None:
        start, _, step = (dims_of(v) for v in operands)
        if start is not None and step is not None and start.item() == 0 and step.item() == 1:
            self.ranges[result] = result.type.shape[0]

    def _labelled(self, node: SourceNode, found: Results, scope: Scope) -> Results:
        """The results under the node's label, those that are fed replaced. The label is the node's own name,
        behind the path of calls if another node has it already."""
        place = (*scope.path, node.name)
        if self.trials or (self.nesting and place in self._inside):
            return found
        name = node.name
        if scope.path and (name in self.found or name in self._reserved):
            name = "/".join(place)
            while name in self.found or name in self._reserved:
                name += "_"
        if self.nesting:
            self._inside.add(place)
            self.labels[name] = Label(node.op, None, INSIDE)
            self.found[name] = Missing(node, INSIDE)
            return found
        if name in self.feeds:
            found = self._feed(node, self.feeds[name], found)
        for i, result in enumerate((found if isinstance(found, tuple) else (found,)) or (None,)):
            if isinstance(result, Variable) and not result.is_handle:
                try:
                    result = self._value(result.name)
                except ModelError as error:
                    result = Missing(node, str(error))
            self.found[f"{name}:{i}" if i else name] = result
            if isinstance(result, Value | Text):
                self.labels[f"{name}:{i}" if i else name] = Label(node.op, parts(result)[0])
            elif not i:
                self.labels[name] = Label(node.op, None, reason(result))
        return found

    def _feed(self, node: SourceNode, feeds: Mapping[int, Feed], found: Results) -> Results:
        """The results of a node, those that are fed replaced."""
        results = list(found) if isinstance(found, tuple) else []
        results += [found if not isinstance(found, tuple) else None] * (max(feeds) + 1 - len(results))
        for i, feed in feeds.items():
            type = feed.type or (parts(results[i])[0].type if isinstance(results[i], Value | Text) else None)
            text = isinstance(results[i], Text) or (node.op in PLACEHOLDERS and _is_text(node))
            if feed.fixed is not None:
                if isinstance(results[i], Unranked):
                    type = type or TensorType(results[i].dtype, feed.fixed.shape)
                results[i] = constant_text(feed.fixed) if text else fixed_value(feed, type)
            elif type is not None:
                value = self.fed[feed.key] = placeholder(feed.key, self.sizes.pinned(type))
                results[i] = Text(value, self.words()) if text else value
            elif isinstance(results[i], Unranked):
                results[i] = unranked(node, feed.key, results[i].dtype)
            elif node.op in PLACEHOLDERS and isinstance(results[i], Missing):
                results[i] = Missing(node, f"input {feed.key!r}: {results[i].why}")
        return tuple(results)

    def call(self, node: SourceNode, callee: pb.NameAttrList, operands: list[Result],
             path: tuple[str, ...]) -> tuple[Result, ...]:
        """The results of a function; the nodes of its body are labelled on the way."""
        function = self.functions.get(callee.name)
        if function is None:
            raise ModelError(f"the function {callee.name!r} does not exist")
        if callee.name in self._callees or len(path) >= DEPTH_LIMIT:
            raise ModelError(f"the function {callee.name!r} calls itself, or calls are more than {DEPTH_LIMIT} deep")
        self.spend(len(function.node_def) + CALL_COST)
        names = [argument.name for argument in function.signature.input_arg]
        if len(names) != len(operands):
            raise ModelError(f"the function {callee.name!r} has {len(names)} arguments, not {len(operands)}")
        nodes = self._bodies.get(callee.name) or self._parsed(function, names, callee.attr)
        if not callee.attr:
            self._bodies[callee.name] = nodes
        self._callees.append(callee.name)
        try:
            results = self.body(nodes, Scope(path, {k: (v,) for k, v in zip(names, operands, strict=True)}))
        finally:
            self._callees.pop()
        ops = {inner.name: inner.op for inner in nodes}
        returned = [resolve(function.ret[argument.name], ops, self._lists)
                    for argument in function.signature.output_arg]
        return tuple(pick(results[name], i, f"{name}:{i}") for name, i in returned)

    def _parsed(self, function: pb.FunctionDef, names: list[str],
                bindings: Mapping[str, pb.AttrValue]) -> list[SourceNode]:
        """The nodes of a body, without those that assign to variables but don't run."""
        nodes = in_order(function.node_def, names, bindings, self._lists)
        if function.control_ret and any(node.op in variables.WRITES for node in nodes):
            ends = [resolve(end, {})[0] for end in function.ret.values()] + list(function.control_ret.values())
            runs = ancestors(nodes, ends)
            nodes = [node for node in nodes if node.op not in variables.WRITES or node.name in runs]
        return nodes


def result_lists(functions: Mapping[str, pb.FunctionDef]) -> dict[str, tuple[str, ...]]:
    """The names of operators' results, those of the functions too."""
    return RESULT_LISTS | {name: tuple(argument.name for argument in function.signature.output_arg)
                           for name, function in functions.items()}


def _is_text(node: SourceNode) -> bool:
    """Whether a placeholder is of strings."""
    return node.attr("dtype") is not None and tensors.is_text(node.attr("dtype").type)


@handles(*CALLS, partial=True)
def _call(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return importer.call(node, node.attrs["f"].func, operands, (*scope.path, node.name))


@handles("Identity", "Enter", "RefEnter", "LoopCond", "Exit", "RefExit", "RefIdentity", partial=True)
def _identity(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    """Whatever it is. TensorFlow 1 reads a variable by it."""
    found = ranks.propagate(node, operands, importer.pins)
    return found if found is not None else (importer.settled(operands[0]),)


@handles("IdentityN", partial=True)
def _identity_n(importer: Importer, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return tuple(importer.settled(operand) for operand in operands)


def unranked(node: SourceNode, key: str, dtype=None) -> Unranked:
    """An input whose rank is not known."""
    return Unranked(node, f"the file does not say how many dimensions the input {key!r} has: give its type, such as "
                          f"--input {key}=f32[batch,10]", key=key, dtype=dtype or node.dtype("dtype"))


def _mentions_free(message: str, operands: Iterable[Result]) -> bool:
    """Whether a message names a free dimension of a node's operands."""
    free = set().union(*(part.type.symbols for operand in operands for part in parts(operand)))
    return any(re.search(rf"\b{re.escape(symbol)}\b", message) for symbol in free)
