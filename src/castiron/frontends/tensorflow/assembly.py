"""From what was imported to a graph: repeated conversion until all inputs are known, states, what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from castiron.errors import ModelError
from castiron.frontends.feeds import Feeds, unknown_label
from castiron.frontends.results import DEAD, Missing, Result, Results, Unranked, values
from castiron.frontends.tensorflow.arrays import ArrayHandle
from castiron.frontends.tensorflow.importer import Importer
from castiron.frontends.tensorflow.lists import TensorList
from castiron.frontends.text import Vocabulary, apart, as_numbers, named_words
from castiron.ir import Expr, Graph, Label, Node, State, Value, ancestors, sources, toposort, with_measured

#: Assigned variables may show others that are assigned; so often at most.
ROUNDS = 8


def settled(make: Callable[[Feeds, frozenset[str], Callable[[], Vocabulary]], tuple[Importer, dict[str, Result]]],
            feeds: Feeds) -> tuple[Importer, dict[str, Result]]:
    """An importer and its outputs, converted again as long as the graph says more of its inputs: the types of
    some, and which variables it assigns to."""
    stateful: frozenset[str] = frozenset()
    for _ in range(ROUNDS):
        importer, outputs = apart(partial(make, feeds, stateful))
        assigned = stateful | {name for name in importer.current if name in importer.read}
        pins = {feed.key: importer.pins[feed.key] for found in feeds.values() for feed in found.values()
                if feed.type is None and feed.key in importer.pins}
        if assigned == stateful and not pins:
            return importer, outputs
        stateful = assigned
        feeds = {name: {i: replace(feed, type=feed.type or pins.get(feed.key)) for i, feed in found.items()}
                 for name, found in feeds.items()}
    raise ModelError(f"after {ROUNDS} conversions the graph still assigns to other variables")


def check_asked(importer: Importer, asked: Iterable[str]) -> None:
    """Raise ModelError for an input that the user asks for but whose type nothing says."""
    for key in asked:
        if key not in importer.fed and not isinstance(importer.found.get(key), Unranked):
            raise ModelError(f"nothing says the type of {key!r}: give it, such as --input {key}=f32[1,49,10]")


def assemble(name: str, importer: Importer, results: Mapping[str, Result]) -> Graph:
    """The graph of what was imported. An input that no output needs is left out, and with it the values
    of the labels that depend on it. Raises UnsupportedOp and ModelError for what the outputs need and can't
    have: operators, a placeholder that is not among the inputs, a variable whose changes have no order."""
    results, vocabularies, columns = as_numbers(results)
    outputs = values(results)
    kept = _kept_states(importer, outputs)
    new = values({variable: importer.current[variable] for variable in kept})
    needed = set(ancestors(value.node for value in (*outputs.values(), *new.values())))
    for key, value in importer.unlisted.items():
        if value.node in needed:
            raise ModelError(f"the outputs need the placeholder {key!r}, which is not among the inputs")
    free = {symbol for node in needed for symbol in _symbols(node)}
    inputs = {}
    # What the outputs need first: others stay only for the dimensions that none of those gives.
    for key, value in sorted(importer.fed.items(), key=lambda item: item[1].node not in needed):
        if value.node in needed or value.type.symbols & free:
            inputs[key] = value
            free -= value.type.symbols
    states = []
    fed = {key: value for key, value in importer.fed.items() if key in inputs}
    outputs = dict(outputs)
    for variable in kept:
        ends = _unique(variable, fed), _unique(variable, outputs)
        fed[ends[0]], outputs[ends[1]] = importer.read[variable], new[variable]
        states.append(State(*ends, importer.variable(variable)))
    listed = set(fed.values())
    dropped = {value.node: key for key, value in (*importer.fed.items(), *importer.unlisted.items(),
                                                  *((k, v) for k, v in importer.read.items() if v.node.op == "input"))
               if value not in listed}
    for node in ancestors(label.value.node for label in importer.labels.values() if label.value):
        if node not in dropped and (source := next((n for n in sources(node) if n in dropped), None)):
            dropped[node] = dropped[source]
    labels = {key: _without(label, dropped) for key, label in importer.labels.items()}
    vocabularies = named_words(importer.found, fed, outputs) | vocabularies
    return with_measured(Graph(name, fed, outputs, labels, states=tuple(states), vocabularies=vocabularies,
                               columns=columns))


def _without(label: Label, dropped: Mapping[Node, str]) -> Label:
    if label.value and label.value.node in dropped:
        return replace(label, value=None, why=f"needs {dropped[label.value.node]!r}, which no output needs")
    return label


def _kept_states(importer: Importer, outputs: Mapping[str, Value]) -> list[str]:
    """The variables that the outputs depend on, now or in a later call, and to which the graph assigns."""
    states = {importer.read[name].node: name for name in importer.stateful
              if name in importer.read and name in importer.current}
    kept: dict[str, None] = {}
    roots = list(outputs.values())
    while roots:
        found = [states[node] for node in toposort(value.node for value in roots) if node in states]
        roots = []
        for name in found:
            if name in kept:
                continue
            kept[name] = None
            if name in importer.unclear:
                raise ModelError(f"the order in which the variable {name!r} is read and assigned to is not clear: "
                                 f"{importer.unclear[name]}; export the model for inference")
            new, old = importer.current[name], importer.read[name]
            if isinstance(new, Value):
                if new.type != old.type:
                    raise ModelError(f"the variable {name!r}, {old.type!r}, is assigned {new.type!r}: it must keep its "
                                     "shape from one call to the next; if that depends on an input's, fix that, such "
                                     "as --input x=f32[1,10]")
                roots.append(new)
    return sorted(kept)


def _unique(name: str, taken: Mapping[str, Value]) -> str:
    return next(n for n in (name, *(f"{name}_{i}" for i in range(1, len(taken) + 2))) if n not in taken)


def _symbols(node: Node) -> set[str]:
    """The free dimensions in a node's types and attributes."""
    found = set().union(*(type.symbols for type in node.types))
    for attr in node.attrs.values():
        found.update(*(d.symbols for d in (attr if isinstance(attr, tuple) else (attr,)) if isinstance(d, Expr)))
    return found


def computed(results: Results) -> list[int]:
    """The indices of a node's results without those that castiron never computes, such as the reserved
    ones of FusedBatchNorm, and without lists, which loops leave behind."""
    if not isinstance(results, tuple):
        return [] if results is DEAD else [0]
    return [i for i, result in enumerate(results)
            if isinstance(result, Value) or not (i or isinstance(result, (TensorList, ArrayHandle)))]


def output_of(importer: Importer, label: str) -> Result:
    """The result with a label; ModelError if there is none."""
    if label in importer.found:
        return importer.found[label]
    name, _, index = label.rpartition(":")
    if index == "0" and name in importer.found:
        return importer.found[name]
    if isinstance(importer.found.get(name), Missing):
        return importer.found[name]
    raise ModelError(unknown_label(label, importer.found))
