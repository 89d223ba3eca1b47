"""Tables from integers and strings to numbers and strings."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.lookup import encoded, looked_up
from castiron.frontends.results import Result, Results, Table
from castiron.frontends.tensorflow.handlers import Context, Scope, handles
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.text import Text
from castiron.ir import Value, constant

#: What fills a table: the table, its keys, their values.
FILLS = frozenset({"LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2"})


@handles("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")
def _table(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (Table("/".join((*scope.path, node.name))),)


@handles(*FILLS)
def _fill(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    table, keys, values = operands
    if isinstance(table, Table):
        context.tables[table.name] = (_held(node, keys), _held(node, values))
    return ()


@handles("LookupTableFind", "LookupTableFindV2")
def _find(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    table, x, default = operands
    if not isinstance(x, Value | Text):
        raise ModelError("looking up strings that are made of numbers is not supported")
    keys, values = _contents(context, table)
    if keys.ndim != 1 or keys.dtype.kind not in "iuO" or values.shape[:1] != keys.shape:
        raise ModelError(f"a table from {keys.dtype}{list(keys.shape)} to {values.dtype}{list(values.shape)}")
    default = context.value_of(default)
    if isinstance(x, Text) or isinstance(default, Text):
        return (encoded(x, keys, values, _held(node, default)[()]),)
    return (looked_up(x, keys, values, default),)


def _held(node: SourceNode, held: Result) -> np.ndarray:
    """The elements of a table, strings as Python's."""
    if isinstance(held, Text):
        if held.array is None:
            raise ModelError("what a table holds depends on what is fed; it must be known when the model is compiled")
        return held.array
    return node.known(held, "what a table holds")


@handles("LookupTableSize", "LookupTableSizeV2")
def _size(context: Context, node: SourceNode, operands: list[Result], scope: Scope) -> Results:
    return (constant(np.int64(len(_contents(context, operands[0])[0]))),)


def _contents(context: Context, table: Result) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(table, Table) or table.name not in context.tables:
        raise ModelError("a table whose contents are not in the model")
    return context.tables[table.name]
