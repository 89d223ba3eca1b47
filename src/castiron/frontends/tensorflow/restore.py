"""Which tensor of the checkpoint each variable holds.

The graph's own restore operation says it. Only where that leaves variables out, as it does for those
that a Keras 3 model captures when it is saved as an object, the graph of objects does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError

from castiron.errors import ModelError
from castiron.frontends.tensorflow.checkpoint.bundle import Checkpoint
from castiron.frontends.tensorflow.importer import CALLS
from castiron.frontends.tensorflow.nodes import SourceNode, ancestors, in_order
from castiron.frontends.tensorflow.proto import graph_pb2
from castiron.frontends.tensorflow.proto import saved_model_pb2 as pb

#: The checkpoint's graph of objects, and what it calls a variable's tensor.
OBJECTS, VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "VARIABLE_VALUE"

_ASSIGNS = frozenset({"Assign", "AssignVariableOp"})


def restored_keys(nodes: Iterable[SourceNode], restore_op: str,
                  functions: Mapping[str, graph_pb2.FunctionDef]) -> dict[str, str]:
    """The checkpoint's key of each variable, by the variable's node in the main graph.

    A SavedModel restores itself by assignments of RestoreV2's results, in the main graph
    (TensorFlow 1) or in a function that takes the variables' handles (TensorFlow 2).
    """
    nodes = list(nodes)
    needed = ancestors(nodes, [restore_op])
    keys: dict[str, str] = {}
    _collect([node for node in nodes if node.name in needed], {}, functions, keys)
    return keys


def captured_keys(nodes: Iterable[SourceNode], objects: pb.SavedObjectGraph, checkpoint: Checkpoint) -> dict[str, str]:
    """The same from the graph of objects: a function's last arguments are the objects that it captures,
    and the checkpoint names the tensors of the objects it finds under the same names from the root."""
    if OBJECTS not in checkpoint:
        return {}
    try:
        tracked = pb.TrackableObjectGraph.FromString(checkpoint.text(OBJECTS))
    except DecodeError as error:
        raise ModelError(f"the checkpoint's graph of objects is damaged: {error}") from None
    keys: dict[int, str] = {}
    stack, seen = [(0, 0)] if objects.nodes and tracked.nodes else [], {0}
    while stack:
        saved, other = stack.pop()
        for attribute in tracked.nodes[other].attributes:
            if attribute.name == VALUE:
                keys[saved] = attribute.checkpoint_key
        names = {child.local_name: child.node_id for child in tracked.nodes[other].children}
        for child in objects.nodes[saved].children:
            here, there = child.node_id, names.get(child.local_name, -1)
            if here not in seen and 0 <= here < len(objects.nodes) and 0 <= there < len(tracked.nodes):
                seen.add(here)
                stack.append((here, there))
    found: dict[str, str] = {}
    for node in nodes:
        callee = node.attrs["f"].func.name if node.op in CALLS else ""
        if callee in objects.concrete_functions:
            captured = objects.concrete_functions[callee].bound_inputs
            for (name, _), number in zip(node.reads[len(node.reads) - len(captured):], captured, strict=False):
                if number in keys:
                    found[name] = keys[number]
    return found


def _collect(nodes: list[SourceNode], handles: Mapping[str, str], functions: Mapping[str, graph_pb2.FunctionDef],
             keys: dict[str, str], depth: int = 0) -> None:
    """Enter the assignments among the nodes; ``handles`` are the variables that arguments stand for."""
    by_name = {node.name: node for node in nodes}

    def source(name: str) -> str:
        while name in by_name and by_name[name].op in ("Identity", "Cast") and by_name[name].reads:
            name = by_name[name].reads[0][0]
        return name

    for node in nodes:
        if node.op in CALLS and depth < 4 and node.attrs["f"].func.name in functions:
            function = functions[node.attrs["f"].func.name]
            names = [argument.name for argument in function.signature.input_arg]
            passed = [source(name) for name, _ in node.reads]
            inner = {argument: handles.get(name, name) for argument, name in zip(names, passed, strict=False)}
            _collect(in_order(function.node_def, names), inner, functions, keys, depth + 1)
        if node.op in _ASSIGNS and len(node.reads) == 2:
            variable = source(node.reads[0][0])
            restore, index = node.reads[1]
            while restore in by_name and by_name[restore].op == "Identity" and by_name[restore].reads:
                restore, index = by_name[restore].reads[0]
            if restore in by_name and by_name[restore].op == "RestoreV2":
                keys[handles.get(variable, variable)] = _key(by_name, by_name[restore], index)


def _key(by_name: Mapping[str, SourceNode], restore: SourceNode, index: int) -> str:
    """The key of one result of a RestoreV2, whose operands are prefix, keys and slices."""
    lists = []
    for name, _ in restore.reads[1:3]:
        node = by_name.get(name)
        tensor = node.attrs["value"].tensor if node and node.op == "Const" else graph_pb2.TensorProto()
        lists.append(tensor.string_val)
    if len(lists) < 2 or index >= min(map(len, lists)):
        raise ModelError(f"node {restore.name!r} (RestoreV2) doesn't name its result {index}")
    key = lists[0][index].decode("utf-8", "replace")
    if lists[1][index]:
        raise ModelError(f"the variable {key!r} is saved in slices, which is not supported")
    return key
