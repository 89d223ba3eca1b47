"""Chooses in which order the axes of each value are stored, so that few transposes remain."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace

from castiron.ir import Graph, Node, Value, evaluate
from castiron.ops import F
from castiron.passes.axes import Order, blocks, converted, identity, rule_of, same
from castiron.passes.flow import Network

#: What free dimensions are taken for where values are weighed.
TYPICAL = 64


def layout(graph: Graph) -> Graph:
    """Operators that go with their axes in any order (``axes.RULES``) compute in the one that the products and windows
    around them want. Transposes remain where orders meet that differ; they move fewer bytes than those that the graph
    had, or as many.

    A traced graph stays, because all its values are shown as the source has them; but matrices whose rows are put in
    another order for the model's outputs have that order there too, so that they are stored once.
    """
    if not any(node.op == "transpose" for node in graph.nodes):
        return graph
    orders = _Search(replace(graph, traced=False)).orders()
    if not orders:
        return graph
    return _with_sorted_rows(graph, orders) if graph.traced else _rewritten(graph, orders)


class _Search:
    """Begins with all values as they are, so that each transpose costs its operand's bytes, and changes the orders of
    a region at a time, as far as that makes it cheaper: a minimum cut tells how far (the expansion moves of Boykov,
    Veksler and Zabih, 2001, https://doi.org/10.1109/34.969114). Among equal ones the cut that lies furthest behind is
    taken, so that what follows a product stays with it."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.place = {node: place for place, node in enumerate(graph.nodes)}
        self.fixed = fixed_values(graph)
        self.flattened = _flattened(graph, self.fixed)
        self.changed: dict[Value, Order] = {}

    def orders(self) -> dict[Value, Order]:
        """The order of each value that isn't stored as it is: changed until nothing becomes cheaper."""
        edges = [(node, operand) for node in self.graph.nodes for operand in range(len(node.inputs))]
        progress = True
        while progress:
            progress = False
            for node, operand in edges:
                if self._cost(node, operand, {}):
                    progress |= any(self._expand(value, order) for value, order in self._remedies(node, operand))
            for value in self.graph.roots:
                if self._cost_at_end(value, {}):
                    progress |= self._expand(value, identity(value.type.rank))
        return self.changed

    def _order(self, value: Value, proposed: Mapping[Value, Order]) -> Order:
        return proposed.get(value) or self.changed.get(value) or identity(value.type.rank)

    def _price(self, value: Value) -> int:
        """The bytes that a transpose of a value moves; less by far less than one for a later value."""
        unit = len(self.place) + 1
        elements = evaluate(value.type.size, dict.fromkeys(value.type.symbols, TYPICAL))
        return max(elements, 1) * value.type.dtype.itemsize * unit * unit + unit - self.place[value.node]

    def _wanted(self, node: Node, operand: int, proposed: Mapping[Value, Order]) -> Order:
        """In which order a node takes an operand."""
        if (rule := rule_of(node)) is None:
            return identity(node.inputs[operand].type.rank)
        return rule.pull(node, self._order(node.results[0], proposed))[operand]

    def _cost(self, node: Node, operand: int, proposed: Mapping[Value, Order]) -> int:
        value = node.inputs[operand]
        have = self._order(value, proposed)
        if value in self.fixed or _accepts(node, operand, have, self._wanted(node, operand, proposed),
                                           self._order(node.results[0], proposed)):
            return 0
        if node in self.flattened and _leads(have, self.flattened[node], value) and same(
                self._order(node.results[0], proposed), identity(node.types[0].rank), node.types[0]):
            return 0
        return self._price(value)

    def _cost_at_end(self, value: Value, proposed: Mapping[Value, Order]) -> int:
        fits = same(self._order(value, proposed), identity(value.type.rank), value.type)
        return 0 if fits or value not in self.graph.roots else self._price(value)

    def _remedies(self, node: Node, operand: int) -> Iterator[tuple[Value, Order]]:
        """What may make an operand fit a node: another order of the one or of the other."""
        value = node.inputs[operand]
        yield value, self._wanted(node, operand, {})
        if rule := rule_of(node):
            pushed = rule.push(node, operand, self._order(value, {}))
            if pushed is not None:
                yield node.results[0], pushed

    def _expand(self, value: Value, order: Order) -> bool:
        """Whether it becomes cheaper with that order of the value, and what follows from it, as far as it pays."""
        proposed = self._spread(value, order)
        if not proposed:
            return False
        chosen = self._cut(proposed)
        edges, ends = self._around(proposed)
        if self._total(edges, ends, chosen) >= self._total(edges, ends, {}):
            return False
        self.changed.update(chosen)
        return True

    def _total(self, edges: list[tuple[Node, int]], ends: list[Value], proposed: Mapping[Value, Order]) -> int:
        return (sum(self._cost(node, operand, proposed) for node, operand in edges)
                + sum(self._cost_at_end(value, proposed) for value in ends))

    def _spread(self, value: Value, order: Order) -> dict[Value, Order]:
        """The orders in which everything around goes with that of a value."""
        proposed: dict[Value, Order] = {}
        waiting = deque([(value, order)])
        while waiting:
            value, order = waiting.popleft()
            rule = rule_of(value.node)
            if value in proposed or value in self.fixed or rule is None or (
                    same(order, self._order(value, {}), value.type)):
                continue
            pulled = rule.pull(value.node, order)
            if pulled is None:
                continue
            proposed[value] = order
            waiting.extend(zip(value.node.inputs, pulled, strict=True))
            for user in self.graph.users.get(value, ()):
                for operand, v in enumerate(user.inputs):
                    pushed = rule_of(user).push(user, operand, order) if v == value and rule_of(user) else None
                    if pushed is not None:
                        waiting.append((user.results[0], pushed))
        return proposed

    def _around(self, values: Container[Value]) -> tuple[list[tuple[Node, int]], list[Value]]:
        """The operands and results on which the orders of some values have a bearing."""
        nodes = dict.fromkeys(node for value in values for node in (value.node, *self.graph.users.get(value, ())))
        edges = [(node, operand) for node in nodes for operand, v in enumerate(node.inputs)
                 if v in values or node.results[0] in values]
        return edges, [value for value in values if value in self.graph.roots]

    def _cut(self, proposed: Mapping[Value, Order]) -> dict[Value, Order]:
        """Those of the proposed orders with which it is cheapest."""
        network = Network(None, ())

        def weigh(value: Value, cost: int) -> None:
            network.join(*((value, (), cost) if cost > 0 else (None, value, -cost)))

        edges, ends = self._around(proposed)
        for value in ends:
            weigh(value, self._cost_at_end(value, proposed) - self._cost_at_end(value, {}))
        for node, operand in edges:
            ends = [v for v in dict.fromkeys((node.inputs[operand], node.results[0])) if v in proposed]
            old = self._cost(node, operand, {})
            if len(ends) == 1:
                weigh(ends[0], self._cost(node, operand, proposed) - old)
                continue
            a, b = ends
            first, second = (self._cost(node, operand, {v: proposed[v]}) for v in (a, b))
            both = self._cost(node, operand, proposed)
            weigh(a, first - old)
            weigh(b, both - first)
            network.join(b, a, max(first + second - old - both, 0))
        return {value: proposed[value] for value in network.source_side() if value is not None}


def _accepts(node: Node, operand: int, have: Order, wanted: Order, result: Order) -> bool:
    """Whether a node can take an operand in an order for its result in another."""
    if same(have, wanted, node.inputs[operand].type):
        return True
    rule = rule_of(node)
    pushed = rule.push(node, operand, have) if rule and rule.any and operand == 0 else None
    return pushed is not None and same(pushed, result, node.types[0])


def fixed_values(graph: Graph) -> set[Value]:
    """The constants and what is computed from them alone, which a transpose costs nothing."""
    found: set[Value] = set()
    for node in graph.nodes:
        if node.op == "constant" or (node.inputs and not node.bodies and found.issuperset(node.inputs)):
            found.update(node.results)
    return found


@dataclass(frozen=True)
class _Flattened:
    """A reshape that makes one axis, the last, of several, for products by known matrices alone: their rows can be put
    in any order. Axes of size 1 are left out."""

    leading: Order
    merged: Order


def _flattened(graph: Graph, fixed: Container[Value]) -> dict[Node, _Flattened]:
    found = {}
    for node in graph.nodes:
        if node.op != "reshape" or node.results[0] in graph.roots or not node.types[0].rank:
            continue
        users = graph.users.get(node.results[0], ())
        pairs = blocks(node.inputs[0].type.shape, node.types[0].shape)
        if pairs and all(map(_is_product, users)) and all(user.inputs[1] in fixed for user in users):
            merged, last = pairs[-1]
            if last == (node.types[0].rank - 1,) and len(merged) > 1:
                found[node] = _Flattened(tuple(axis for old, _ in pairs[:-1] for axis in old), merged)
    return found


def _is_product(node: Node) -> bool:
    plain = node.op == "matmul" and not (node.attrs["transpose_a"] or node.attrs["transpose_b"])
    return plain and node.inputs[1].type.rank == 2


def _leads(order: Order, flattened: _Flattened, value: Value) -> bool:
    """Whether a value in an order, flattened as it is stored, has the right rows, if not columns."""
    moving = tuple(axis for axis in order if value.type.shape[axis] != 1)
    return moving[:len(flattened.leading)] == flattened.leading


@dataclass(frozen=True)
class _Sorting:
    """How rows that stand for several axes, of these sizes, are put in another order of the axes."""

    sizes: tuple[int, ...]
    perm: Order

    def rows(self, matrix: Value) -> Value:
        """A matrix with its rows in that order."""
        parts = F.reshape(matrix, shape=(*self.sizes, matrix.type.shape[1]))
        return F.reshape(F.transpose(parts, perm=(*self.perm, len(self.perm))), shape=matrix.type.shape)

    def columns(self, x: Value) -> Value:
        """The last axis of x in that order."""
        leading = x.type.shape[:-1]
        perm = (*range(len(leading)), *(len(leading) + axis for axis in self.perm))
        return F.reshape(F.transpose(F.reshape(x, shape=(*leading, *self.sizes)), perm=perm), shape=x.type.shape)


def _sorting(node: Node, flattened: Mapping[Node, _Flattened], orders: Mapping[Value, Order]) -> _Sorting | None:
    """How a product's rows are to be sorted, if it takes a flattened value as that is stored."""
    if not _is_product(node):
        return None
    flat = node.inputs[0]
    if flat.node not in flattened or flat in orders:
        return None
    value, axes = flat.node.inputs[0], flattened[flat.node]
    order = orders.get(value, identity(value.type.rank))
    if same(order, identity(value.type.rank), value.type) or not _leads(order, axes, value):
        return None
    return _Sorting(tuple(value.type.shape[axis] for axis in axes.merged),
                    tuple(axes.merged.index(axis) for axis in order if axis in axes.merged))


def _with_sorted_rows(graph: Graph, orders: Mapping[Value, Order]) -> Graph:
    """The graph as it was but for products of flattened values, by the matrices that ``_rewritten`` has."""
    flattened = _flattened(replace(graph, traced=False), fixed_values(graph))

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        sorting = _sorting(node, flattened, orders)
        return None if sorting is None else (F.matmul(sorting.columns(operands[0]), sorting.rows(operands[1])),)

    return graph.rewrite(rule) if any(_sorting(node, flattened, orders) for node in graph.nodes) else graph


def _rewritten(graph: Graph, orders: Mapping[Value, Order]) -> Graph:
    """The graph with values stored in the given orders, those of labels and outputs as they were."""
    flattened = _flattened(graph, fixed_values(graph))
    stored: dict[Value, Value] = {}
    forms: dict[tuple[Value, Order], Value] = {}

    def order_of(value: Value) -> Order:
        return orders.get(value) or identity(value.type.rank)

    def form(value: Value, order: Order) -> Value:
        """A value of the old graph in an order."""
        if (value, order) not in forms:
            forms[value, order] = converted(stored[value], order_of(value), order, value.type)
        return forms[value, order]

    def moved(node: Node) -> Value:
        rule, order = rule_of(node), order_of(node.results[0])
        operands, found = [], []
        for operand, (value, wanted) in enumerate(zip(node.inputs, rule.pull(node, order), strict=True)):
            have = order_of(value)
            fits = same(have, wanted, value.type) or not _accepts(node, operand, have, wanted, order)
            found.append(wanted if fits else have)
            operands.append(form(value, found[-1]))
        result = rule.make(node, order, operands, found)
        shape = tuple(node.types[0].shape[axis] for axis in order)
        return result if result.type.shape == shape else F.reshape(result, shape=shape)

    def product(node: Node) -> Value | None:
        """A product whose operand is flattened in the order in which it is stored."""
        if (sorting := _sorting(node, flattened, orders)) is None:
            return None
        flat, weights = node.inputs
        return F.matmul(F.reshape(stored[flat.node.inputs[0]], shape=flat.type.shape), sorting.rows(stored[weights]))

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        result = product(node)
        if result is None and rule_of(node) and any(v in orders for v in (*node.inputs, *node.results)):
            result = moved(node)
        if result is None:
            same_operands = operands == node.inputs
            results = (node if same_operands else replace(node, inputs=operands)).results
            stored.update(zip(node.results, results, strict=True))
            return results
        value = node.results[0]
        stored[value] = result
        return (form(value, identity(value.type.rank)),)

    return graph.rewrite(rule)
