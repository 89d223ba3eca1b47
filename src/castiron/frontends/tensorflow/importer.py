"""From TensorFlow's nodes to values: a graph, the bodies of the functions that it calls, all labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from castiron.errors import CastironError, ModelError
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.nodes import SourceNode, in_order, resolve
from castiron.frontends.tensorflow.operators import TABLE
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.frontends.tensorflow.randomness import propagate
from castiron.frontends.tensorflow.results import DEAD, Missing, Result, Results, Variable, pick, reason
from castiron.ir import Expr, Graph, Label, Node, TensorType, Value, constant, placeholder, toposort
from castiron.ops.symbolic import known

#: Functions may call one another this deep, and all called bodies have so many nodes at most.
DEPTH_LIMIT, NODE_LIMIT = 64, 100_000

#: Operators that matter only while a model is trained, saved or debugged.
SILENT = frozenset({"NoOp", "Assert", "DisableCopyOnRead", "VarIsInitializedOp", "PrintV2"})

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
CONDITIONALS = frozenset({"If", "StatelessIf"})
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
WRITES = frozenset({"Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "AssignAddVariableOp",
                    "AssignSubVariableOp"})
CONTROL_FLOW = frozenset({"While", "StatelessWhile", "Case", "StatelessCase", "LoopCond", "Enter", "Exit",
                          "NextIteration", "RefEnter", "RefExit", "RefNextIteration", "RefSwitch", "RefMerge"})
NO_CONTROL_FLOW = "control flow that depends on what is fed is not supported"


@dataclass
class Importer:
    """Converts nodes and keeps what is found on the way.

    ``functions`` are the bodies by name; ``variable`` gives a variable's data by name, ModelError if
    it has none. ``inputs`` are the results of the main graph that are fed, by node name and index:
    the input's name and its type, None if the graph says it; ``fed`` holds their values afterwards.
    ``labels`` come out in TensorFlow's order, the nodes of a function's body before the call's.
    """

    functions: Mapping[str, pb.FunctionDef]
    inputs: Mapping[str, Mapping[int, tuple[str, TensorType | None]]]
    variable: Callable[[str], np.ndarray]
    labels: dict[str, Label] = field(default_factory=dict)
    fed: dict[str, Value] = field(default_factory=dict)
    #: The placeholders as the graph declares them; those that are inputs have their value in ``fed``.
    unlisted: dict[str, Value] = field(default_factory=dict)
    #: The variables that were read, and the nodes that change variables.
    read: dict[str, Value] = field(default_factory=dict)
    written: dict[str, SourceNode] = field(default_factory=dict)
    _reserved: frozenset[str] = frozenset()
    _bodies: dict[str, list[SourceNode]] = field(default_factory=dict)
    _callees: list[str] = field(default_factory=list)
    _inlined: int = 0

    def graph(self, nodes: Iterable[SourceNode]) -> dict[str, Results]:
        """The results of the main graph's nodes, which must come in order."""
        nodes = list(nodes)
        self._reserved = frozenset(node.name for node in nodes)
        return self._body(nodes, {}, ())

    def value_of(self, operand: Value | Variable) -> Value:
        """A variable's value; all reads give the same constant."""
        if isinstance(operand, Variable):
            if operand.name not in self.read:
                self.read[operand.name] = constant(self.variable(operand.name))
            return self.read[operand.name]
        return operand

    def _body(self, nodes: Iterable[SourceNode], arguments: Mapping[str, Results],
              path: tuple[str, ...]) -> dict[str, Results]:
        results: dict[str, Results] = dict(arguments)
        for node in nodes:
            found = self._convert(node, results, path)
            if not path and node.name in self.inputs:
                found = self._feed(self.inputs[node.name], found)
            results[node.name] = found
            self._label(node, found, path)
        return results

    def _convert(self, node: SourceNode, results: Mapping[str, Results], path: tuple[str, ...]) -> Results:
        try:
            # Only the way back of a loop has no results yet.
            operands = [pick(results.get(name, DEAD), i, f"{name}:{i}") for name, i in node.reads]
            if node.op == "Merge":
                return _merge(node, operands)
            if DEAD in operands:
                return DEAD
            if node.op in CALLS | CONDITIONALS or node.op in self.functions:
                return self._call(node, operands, path)
            if node.op in SILENT:
                return ()
            if node.op in WRITES:
                self.written.update((v.name, node) for v in operands[:1] if isinstance(v, Variable))
                return ()
            if node.op == "VarHandleOp":
                return (Variable("/".join((*path, node.name)), True),)
            if node.op in ("VariableV2", "Variable"):
                return (Variable("/".join((*path, node.name)), False),)
            if node.op == "Identity" and isinstance(operands[0], Variable) and operands[0].is_handle:
                return (operands[0],)
            causes = tuple(v for v in operands if isinstance(v, Missing))
            if (found := propagate(node, operands)) is not None:
                return found
            if node.op in CONTROL_FLOW:
                return Missing(node, NO_CONTROL_FLOW, True, causes)
            if node.op not in TABLE and node.op not in PLACEHOLDERS | {"Const", "Switch"}:
                return Missing(node, f"{node.op} is not supported", True, causes)
            if causes:
                return Missing(node, causes=causes)
            return self._compute(node, [self.value_of(v) for v in operands])
        except (CastironError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            return Missing(node, str(error) or type(error).__name__)

    def _compute(self, node: SourceNode, operands: list[Value]) -> Results:
        if node.op == "Const":
            return (constant(tensors.array_of(node.attrs["value"].tensor)),)
        if node.op in PLACEHOLDERS:
            self.unlisted[node.name] = placeholder(node.name, placeholder_type(node, node.name))
            return (self.unlisted[node.name],)
        if node.op == "Switch":
            return _switch(node, *operands)
        results = TABLE[node.op](node, *operands)
        results = results if isinstance(results, tuple) else (results,)
        return tuple(Missing(node, "castiron does not compute this result") if v is None else v for v in results)

    def _feed(self, inputs: Mapping[int, tuple[str, TensorType | None]], found: Results) -> Results:
        """The results of a node, those that are inputs replaced."""
        results = list(found) if isinstance(found, tuple) else []
        results += [found] * (max(inputs) + 1 - len(results))
        for i, (key, type) in inputs.items():
            if type is not None or isinstance(results[i], Value):
                results[i] = self.fed[key] = placeholder(key, type or results[i].type)
        return tuple(results)

    def _call(self, node: SourceNode, operands: list[Result], path: tuple[str, ...]) -> Results:
        """The results of a function; the nodes of its body are labelled on the way."""
        if node.op in CONDITIONALS:
            condition, *operands = operands
            taken = None if isinstance(condition, Missing) else known(self.value_of(condition))
            if taken is None:
                return Missing(node, NO_CONTROL_FLOW, True, tuple(v for v in [condition] if isinstance(v, Missing)))
            callee = node.attrs["then_branch" if taken else "else_branch"].func
        else:
            callee = node.attrs["f"].func if node.op in CALLS else pb.NameAttrList(name=node.op, attr=node.attrs)
        function = self.functions.get(callee.name)
        if function is None:
            raise ModelError(f"the function {callee.name!r} does not exist")
        if callee.name in self._callees or len(path) >= DEPTH_LIMIT:
            raise ModelError(f"the function {callee.name!r} calls itself, or calls are more than {DEPTH_LIMIT} deep")
        self._inlined += len(function.node_def)
        if self._inlined > NODE_LIMIT:
            raise ModelError(f"the called functions have more than {NODE_LIMIT} nodes in all")
        names = [argument.name for argument in function.signature.input_arg]
        if len(names) != len(operands):
            raise ModelError(f"the function {callee.name!r} has {len(names)} arguments, not {len(operands)}")
        nodes = self._bodies.get(callee.name) or in_order(function.node_def, names, callee.attr)
        if not callee.attr:
            self._bodies[callee.name] = nodes
        self._callees.append(callee.name)
        results = self._body(nodes, {k: (v,) for k, v in zip(names, operands, strict=True)}, (*path, node.name))
        self._callees.pop()
        ops = {inner.name: inner.op for inner in nodes}
        returned = [resolve(function.ret[argument.name], ops) for argument in function.signature.output_arg]
        return tuple(pick(results[name], i, f"{name}:{i}") for name, i in returned)

    def _label(self, node: SourceNode, found: Results, path: tuple[str, ...]) -> None:
        """The node's own name, behind the path of calls if another node has it already."""
        name = node.name
        if path and (name in self.labels or name in self._reserved):
            name = "/".join((*path, name))
            while name in self.labels or name in self._reserved:
                name += "_"
        results = (found if isinstance(found, tuple) else (found,)) or (None,)
        for i, result in enumerate(results):
            if isinstance(result, Variable) and not result.is_handle:
                try:
                    result = self.value_of(result)
                except ModelError as error:
                    result = Missing(node, str(error))
            if isinstance(result, Value):
                self.labels[f"{name}:{i}" if i else name] = Label(node.op, result)
            elif not i:
                self.labels[name] = Label(node.op, None, reason(result))


def placeholder_type(node: SourceNode, key: str) -> TensorType:
    """The type of a placeholder that is the input ``key``; ModelError if the graph doesn't say it."""
    dtype, shape = node.dtype("dtype"), node.attr("shape")
    sizes = None if shape is None else tensors.sizes_of(shape.shape)
    if sizes is None:
        raise ModelError("the file does not say how many dimensions this input has: export the model with a shape "
                         "for it, such as [None, 10]")
    return TensorType(dtype, tensors.name_dims(sizes, key))


def assemble(name: str, importer: Importer, outputs: Mapping[str, Value]) -> Graph:
    """The graph of what was imported. An input that no output needs is left out, and with it the values
    of the labels that depend on it. Raises ModelError if the outputs need a placeholder that is not among
    the inputs or a variable that changes."""
    needed = set(toposort(value.node for value in outputs.values()))
    for key, value in importer.unlisted.items():
        if value.node in needed:
            raise ModelError(f"the outputs need the placeholder {key!r}, which is not among the inputs")
    for variable, node in importer.written.items():
        if variable in importer.read and importer.read[variable].node in needed:
            raise ModelError(f"node {node.name!r} ({node.op}) changes the variable {variable!r} while the "
                             f"model runs; export the model for inference")
    free = {symbol for node in needed for symbol in _symbols(node)}
    inputs = {}
    # What the outputs need first: others stay only for the dimensions that none of those gives.
    for key, value in sorted(importer.fed.items(), key=lambda item: item[1].node not in needed):
        if value.node in needed or value.type.symbols & free:
            inputs[key] = value
            free -= value.type.symbols
    dropped = {value.node: key for key, value in (*importer.fed.items(), *importer.unlisted.items())
               if inputs.get(key) != value}
    inputs = {key: value for key, value in importer.fed.items() if key in inputs}
    for node in toposort(label.value.node for label in importer.labels.values() if label.value):
        if node not in dropped and (source := next((v.node for v in node.inputs if v.node in dropped), None)):
            dropped[node] = dropped[source]
    labels = {
        key: replace(label, value=None, why=f"needs {dropped[label.value.node]!r}, which no output needs")
        if label.value and label.value.node in dropped else label for key, label in importer.labels.items()}
    return Graph(name, inputs, outputs, labels)


def _symbols(node: Node) -> set[str]:
    """The free dimensions in a node's types and attributes."""
    found = set().union(*(type.symbols for type in node.types))
    for attr in node.attrs.values():
        found.update(*(d.symbols for d in (attr if isinstance(attr, tuple) else (attr,)) if isinstance(d, Expr)))
    return found


def _merge(node: SourceNode, operands: list[Result]) -> Results:
    """The one branch that is alive, and its number."""
    alive = [(i, operand) for i, operand in enumerate(operands) if operand is not DEAD]
    if not alive:
        return DEAD
    causes = tuple(operand for _, operand in alive if isinstance(operand, Missing))
    if causes or len(alive) > 1:
        return Missing(node, NO_CONTROL_FLOW if len(alive) > 1 else "", len(alive) > 1, causes)
    index, result = alive[0]
    return result, constant(np.int32(index))


def _switch(node: SourceNode, data: Value, condition: Value) -> Results:
    taken = known(condition)
    if taken is None:
        return Missing(node, NO_CONTROL_FLOW, True)
    return (DEAD, data) if taken else (data, DEAD)
