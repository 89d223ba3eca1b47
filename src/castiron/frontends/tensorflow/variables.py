"""Variables: what they hold at each point of the graph, and what the graph assigns to them."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.results import Missing, Result, Results, Variable
from castiron.frontends.tensorflow.branches import all_hold
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import Value
from castiron.ops import F, apply

_SUMS = {"AssignAdd": "add", "AssignSub": "sub", "AssignAddVariableOp": "add", "AssignSubVariableOp": "sub"}
_SCATTERS = {"Update": "set", "Add": "add", "Sub": "sub", "Mul": "mul", "Max": "max", "Min": "min",
             "NdUpdate": "set", "NdAdd": "add", "NdSub": "sub", "NdMax": "max", "NdMin": "min"}

#: Operators that assign to the variable that is their first operand.
WRITES = frozenset({"Assign", "AssignVariableOp", *_SUMS, *(f"Scatter{kind}" for kind in _SCATTERS),
                    *(f"ResourceScatter{kind}" for kind in _SCATTERS), "ResourceStridedSliceAssign"})


@handles("VarHandleOp", "VariableV2", "Variable")
def _variable(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (Variable("/".join((*scope.path, node.name)), node.op == "VarHandleOp"),)


@handles(*(WRITES - {"ResourceStridedSliceAssign"}), partial=True)
def _write(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    target, *rest = operands
    if not isinstance(target, Variable):
        return Missing(node, "assigns to something that is no variable",
                       causes=(target,) if isinstance(target, Missing) else ())
    new: Result
    if missing := tuple(r for r in rest if isinstance(r, Missing)):
        new = Missing(node, causes=missing)
    else:
        new = _assigned(context, node, target, [context.value_of(r) for r in rest])
    if context.around and isinstance(new, Value):
        new = F.select(all_hold(context.around), new, context.value_of(target))
    context.assign(target.name, new, node)
    return () if target.is_handle else (new,)


def _assigned(context: Context, node: SourceNode, target: Variable, operands: list[Value]) -> Value:
    if node.op in ("Assign", "AssignVariableOp"):
        return operands[0]
    old = context.value_of(target)
    if isinstance(old, Missing):
        return old
    if node.op in _SUMS:
        return apply(_SUMS[node.op], old, operands[0])
    indices, updates = operands
    kind = node.op.removeprefix("Resource").removeprefix("Scatter")
    if not kind.startswith("Nd"):
        wide = (*indices.type.shape, *old.type.shape[1:])
        updates = updates if updates.type.shape == wide else F.broadcast_to(updates, shape=wide)
        indices = F.reshape(indices, shape=(*indices.type.shape, 1))
    mode = _SCATTERS[kind]
    if mode == "sub":
        updates, mode = F.neg(updates), "add"
    return F.scatter(old, indices, updates, mode=mode)


@handles("ResourceStridedSliceAssign")
def _slice(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    raise ModelError("assigning to a slice of a variable is not supported")


@handles("VarIsInitializedOp", "IsVariableInitialized")
def _initialized(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (context.true,)
