"""Which values share memory, and from when to when it is in use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from castiron.ir import Dim, Graph, Node, Value, product, toposort
from castiron.ops import F
from castiron.ops.loop import body_inputs
from castiron.ops.symbolic import dims_of
from castiron.rows import is_small

#: Operators whose result is their operand's memory, or the beginning of it, if it has none of its own.
STAYS = ("reshape", "extent")


def separated(body: Graph) -> Graph:
    """A body of its own, if several nodes have the same, whose outputs are distinct and computed in it, where need be
    by copies."""
    body = body.rewrite(lambda node, new: None if node.op == "constant" else replace(node, inputs=new).results)
    outputs: dict[str, Value] = {}
    for name, value in body.outputs.items():
        taken = value.node.op in ("input", "constant") or value in outputs.values()
        outputs[name] = F.reshape(value, shape=value.type.shape) if taken else value
    return Graph(body.name, body.inputs, outputs)


def body_nodes(body: Graph) -> list[Node]:
    """The nodes to compute in a body, those that compute its outputs as late as may be, so that they find the
    values that they replace no longer needed."""
    last = [v.node for v in body.outputs.values()]
    order = toposort([*(v.node for node in last for v in node.inputs), *last])
    return [node for node in order if node.op not in ("input", "constant")]


def _bound(node: Node) -> list[tuple[Value, Value]]:
    """(input of a body, the value around it in whose memory it is): carried values are in that of the results."""
    pairs: list[tuple[Value, Value]] = []
    for body in node.bodies.values():
        carried, captured = body_inputs(node, body)
        pairs += zip(carried, node.results, strict=False)
        pairs += zip(captured, node.inputs[1 + len(carried):], strict=True)
    return pairs


@dataclass
class Storage:
    """``aliases``: value -> the value whose memory it is in. ``views``: slices that are read where they stand.
    ``contents``: a node with bodies -> the values in them that have memory of their own."""

    aliases: dict[Value, Value] = field(default_factory=dict)
    views: set[Value] = field(default_factory=set)
    contents: dict[Node, list[Value]] = field(default_factory=dict)

    def of(self, value: Value) -> Value:
        """The value whose memory a value is in."""
        while value in self.aliases:
            value = self.aliases[value]
        return value

    def places(self, values: Iterable[Value]) -> list[Value]:
        """The values in whose memory others are, and what says where in it."""
        pending, found = list(values), []
        while pending:
            value = pending.pop()
            if value in self.views:
                pending += value.node.inputs
            else:
                found.append(self.of(value))
        return found

    def is_there(self, node: Node) -> bool:
        """Whether a node has nothing to do: its result is its operand, reshaped or cut where it stands."""
        result = node.results[0]
        return result in self.views or (node.op in STAYS and self.of(result) == self.of(node.inputs[0]))


def storage(graph: Graph, nodes: Sequence[Node]) -> Storage:
    """What shares memory in a graph whose nodes are computed in the given order: reshaped values with what they
    were, the first elements of a value with all of it; a result with the operand that it replaces where nothing else
    needs that; what goes into a body and comes out of it with what stands around. In a traced graph this holds inside
    of bodies only."""
    shared = Storage()
    outputs = set(graph.outputs.values())
    if not graph.traced:
        taken = set(graph.inputs.values()) | outputs
        for node in nodes:
            if node.op not in STAYS or node.inputs[0].node.op == "constant":
                continue
            source, value = shared.of(node.inputs[0]), node.results[0]
            if value in outputs:
                if source in taken or source.type.size != value.type.size:
                    continue
                taken.add(source)
            shared.aliases[value] = source
        _take_over(shared, nodes, set(graph.roots), set(graph.inputs.values()))
        _map_in_place(shared, graph, nodes)
    _enter(shared, nodes)
    shared.aliases = {value: shared.of(value) for value in shared.aliases}
    return shared


def _map_in_place(shared: Storage, graph: Graph, nodes: Sequence[Node]) -> None:
    """Lets what is computed element by element be where an operand was that nothing reads afterwards, and before by the
    same rows or else in another step."""
    last = {place: position for position, node in enumerate(nodes) for place in shared.places(node.inputs)}
    kept = {*graph.roots, *graph.inputs.values(), *shared.aliases, *shared.aliases.values()}
    for position, node in enumerate(nodes):
        if node.op != "map" or node.results[0] in kept:
            continue
        for x in node.inputs:
            by_rows = all(user.op.startswith("reduce_") or (user.op == "map" and user.types[0].shape == x.type.shape)
                          for user in graph.users[x])
            apart = x in kept or x.node.op in ("constant", "map", "loop", "conditional") or node.inputs.count(x) > 1
            if not apart and x.type == node.types[0] and last[x] == position and by_rows:
                shared.aliases[node.results[0]] = x
                break


def _enter(shared: Storage, nodes: Sequence[Node]) -> None:
    for node in nodes:
        if node.bodies:
            shared.aliases.update(_bound(node))
            for body in node.bodies.values():
                _body(shared, node, body)
            inside = (v for body in node.bodies.values() for v in _computed(body))
            shared.contents[node] = [v for v in inside if v not in shared.aliases and v not in shared.views]


def _computed(body: Graph) -> Iterable[Value]:
    """All values in a body and the bodies in it, inputs among them."""
    for node in body.nodes:
        if node.op != "constant":
            yield from node.results
        for inner in node.bodies.values():
            yield from _computed(inner)


def _body(shared: Storage, node: Node, body: Graph) -> None:
    nodes, outputs = body_nodes(body), list(body.outputs.values())
    for inner in nodes:
        if inner.op == "reshape" and inner.results[0] not in outputs and inner.inputs[0].constant is None:
            shared.aliases[inner.results[0]] = inner.inputs[0]
    shared.views |= _views(node, nodes, outputs)
    carried, _ = body_inputs(node, body)
    _take_over(shared, nodes, set(outputs), {shared.of(v) for v in body.inputs.values()} - set(map(shared.of, carried)))
    for result, output in zip(node.results, outputs, strict=True):
        place, target = shared.of(output), shared.of(result)
        if place != target and (node.op != "loop" or _can_be_written(shared, nodes, place, target)):
            shared.aliases[place] = target
    _enter(shared, nodes)


def _views(around: Node, nodes: Sequence[Node], outputs: Sequence[Value]) -> set[Value]:
    """The slices along the second axis that only operators read which can read them where they stand."""
    views: set[Value] = set()
    for node in reversed(nodes):
        value = node.results[0]
        if value not in outputs and _cuts(around, node):
            readers = [(user, i) for user in nodes for i, v in enumerate(user.inputs) if v == value]
            if all(_takes_views(user, i) or (user.results[0] in views and i == 0) for user, i in readers):
                views.add(value)
    return views


def _cuts(around: Node, node: Node) -> bool:
    """Whether a node cuts, in each row of its operand, something out that is contiguous."""
    if node.op not in ("gather", "slice"):
        return False
    x, y = node.inputs[0].type, node.types[0]
    if x.rank < 2 or y.rank < 2 or product(y.shape[1:]) == 1:
        return False
    if node.op == "gather":
        picks = node.inputs[1].type.rank == 0 and node.attrs["axis"] % x.rank == 1 and not node.attrs["batch_dims"]
        return picks and _is_there_to_pick(around, x.shape[1])
    starts, steps, cut = node.attrs["starts"], node.attrs["steps"], x.shape[1]
    known = all(isinstance(dim, int) for dim in (starts[1], y.shape[1], cut))  # and so it was checked
    whole = all(start == 0 and size == dim for axis, (start, size, dim) in enumerate(
        zip(starts, y.shape, x.shape, strict=True)) if axis != 1)
    return known and whole and set(steps) == {1}


def _is_there_to_pick(around: Node, size: Dim) -> bool:
    """Whether an axis has an element whenever the body of a node runs."""
    if isinstance(size, int):
        return size > 0
    trips = dims_of(around.inputs[0]) if around.op == "loop" else None
    return trips is not None and trips.item() == size


def _takes_views(node: Node, operand: int) -> bool:
    """Whether a node's kernel can read an operand whose rows are at a distance."""
    if node.op == "dense":
        return node.inputs[0].type.rank == 2 if operand == 0 else (
            operand >= 2 and node.inputs[operand].type.shape == node.types[0].shape and node.types[0].rank == 2)
    if node.op == "cell":
        return operand == 0 or (operand >= 2 and node.inputs[operand].type.shape[:-1] == node.types[0].shape[:-1])
    return node.op == "map"


def _take_over(shared: Storage, nodes: Sequence[Node], outputs: set[Value], kept: set[Value]) -> None:
    """Lets results be where operands were that nothing reads afterwards, but for what must be ``kept``."""
    last = {place: position for position, node in enumerate(nodes) for place in shared.places(node.inputs)}
    last |= {shared.of(v): len(nodes) for v in outputs}
    for position, node in enumerate(nodes):
        for operand, result in _replacements(node):
            place = shared.of(operand)
            once = shared.places(node.inputs).count(place) == 1
            if place.node.op == "constant" or place in kept or last[place] > position or not once:
                continue
            shared.aliases[result] = place
            last[place] = last.get(result, position)


def _replacements(node: Node) -> list[tuple[Value, Value]]:
    """(operand, result) where the result is the operand changed in place. What a loop carries for each block of
    rows is not."""
    match node.op:
        case "update":
            return [(node.inputs[0], node.results[0])]
        case "loop":
            pairs = zip(node.inputs[1:], node.results, strict=False)
            return [pair for pair in pairs if not is_small(pair[1].type)]
    return []


def _can_be_written(shared: Storage, nodes: Sequence[Node], place: Value, target: Value) -> bool:
    """Whether what is computed into ``place`` can be computed into ``target`` at once: from then on nothing
    touches that, except that it may be read element by element as it is replaced."""
    first = next((p for p, node in enumerate(nodes) if place.node is node), None)
    if first is None:
        return False
    if any(target in shared.places((*node.inputs, *node.results)) for node in nodes[first + 1:]):
        return False
    node = nodes[first]
    if any(shared.of(v) == target for v in node.results):
        return False
    return all(target not in shared.places([v]) or _reads_in_step(shared, node, i) for i, v in enumerate(node.inputs))


def _reads_in_step(shared: Storage, node: Node, operand: int) -> bool:
    """Whether a node reads of an operand only the element that it is about to write."""
    same = node.inputs[operand].type == node.types[0] and node.inputs[operand] not in shared.views
    return same and (node.op == "map" or (node.op in ("dense", "strassen_dense", "cell") and operand >= 2))


def lifetimes(nodes: Sequence[Node], shared: Storage) -> dict[Value, tuple[int, int]]:
    """The first and last moment at which each value's memory is in use, moments being counted through the nodes
    and the bodies in them."""
    spans: dict[Value, tuple[int, int]] = {}
    moment = 0

    def use(values: Iterable[Value]) -> None:
        for value in shared.places(values):
            spans[value] = (spans.get(value, (moment,))[0], moment)

    def visit(node: Node) -> None:
        nonlocal moment
        moment += 1
        use((*node.inputs, *node.results))
        for body in node.bodies.values():
            use(body.inputs.values())
            for inner in body_nodes(body):
                if not shared.is_there(inner):
                    visit(inner)
            moment += 1
            use(body.outputs.values())
        if node.bodies:
            use((*node.results, *(v for body in node.bodies.values() for v in body.inputs.values())))

    for node in nodes:
        visit(node)
    return spans
