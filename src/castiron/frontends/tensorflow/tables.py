"""Tables from integers to numbers, as sorted keys and their values."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.lookup import looked_up
from castiron.frontends.results import Missing, Result, Results, Table
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import Value, constant

#: What fills a table: the table, its keys, their values.
FILLS = frozenset({"LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2"})


@handles("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")
def _table(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    types = {node.attr(name).type for name in ("key_dtype", "value_dtype") if node.attr(name) is not None}
    if pb.DT_STRING in types:
        return Missing(node, "tables of strings are not supported")
    return (Table("/".join((*scope.path, node.name))),)


@handles(*FILLS)
def _fill(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    table, keys, values = operands
    if isinstance(table, Table):
        context.tables[table.name] = (node.known(keys, "what a table holds"), node.known(values, "what a table holds"))
    return ()


@handles("LookupTableFind", "LookupTableFindV2")
def _find(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    table, x, default = operands
    keys, values = _contents(context, table)
    if keys.ndim != 1 or keys.dtype.kind not in "iu" or values.shape[:1] != keys.shape:
        raise ModelError(f"a table from {keys.dtype}{list(keys.shape)} to {values.dtype}{list(values.shape)}")
    default = default if isinstance(default, Value) else context.value_of(default)
    return (looked_up(x, keys, values, default),)


@handles("LookupTableSize", "LookupTableSizeV2")
def _size(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (constant(np.int64(len(_contents(context, operands[0])[0]))),)


def _contents(context: Context, table: Result) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(table, Table) or table.name not in context.tables:
        raise ModelError("a table whose contents are not in the model")
    return context.tables[table.name]
