"""Makes the steps of recurrent cells, in loops, one operator each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from castiron.ir import Body, DType, Graph, Instr, Node, TensorType, Value
from castiron.ops import apply
from castiron.ops.cell import Cell
from castiron.ops.contract import PANEL
from castiron.ops.fused import body_types

#: Gates of a cell, and operands beside the product's that a cell may have.
MAX_PARTS = 4
MAX_OPERANDS = 8

#: The types of operands, and of what is computed in between.
TYPES = frozenset({DType.F32, DType.BOOL})


def cells(graph: Graph) -> Graph:
    """A product in a loop whose columns are cut into equal parts for element-wise operators, as gates are, becomes a
    ``cell`` with these."""

    def rule(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op != "loop":
            return None
        body = _joined(node.attrs["body"])
        return replace(node, inputs=operands, attrs={**node.attrs, "body": body}).results

    return graph.rewrite(rule) if any(node.op == "loop" for node in graph.nodes) else graph


def _joined(body: Graph) -> Graph:
    """The body with the first cell found made one node, and then the next."""
    for node in body.nodes:
        if node.op == "dense" and (found := _Gates.of(body, node)):
            return _joined(found.replaced(body))
    return body


@dataclass(frozen=True)
class _Gates:
    """A product, its slices in order, and the maps that read these or one another."""

    product: Node
    slices: tuple[Value, ...]
    maps: tuple[Node, ...]

    @classmethod
    def of(cls, body: Graph, product: Node) -> _Gates | None:
        """What belongs to a product, if it is cut into gates of whole panels."""
        whole, users = product.results[0], body.users.get(product.results[0], ())
        slices = sorted((user for user in users if user.op == "slice"), key=lambda user: user.attrs["starts"])
        parts = len(slices)
        if whole in body.roots or parts != len(users) or not 2 <= parts <= MAX_PARTS or whole.type.rank != 2:
            return None
        units, rest = divmod(whole.type.shape[1], parts)
        part = whole.type.with_shape((whole.type.shape[0], units))
        if rest or units % PANEL or any(
                user.types[0] != part or user.attrs["starts"] != (0, i * units) or user.attrs["steps"] != (1, 1)
                for i, user in enumerate(slices)):
            return None
        gates = cls(product, tuple(user.results[0] for user in slices), cls._maps(body, slices, part))
        return gates if gates._is_whole(body) else None

    @staticmethod
    def _maps(body: Graph, slices: list[Node], part: TensorType) -> tuple[Node, ...]:
        """The maps to compute with the slices, in order. What depends on them otherwise is computed afterwards."""
        inside: dict[Node, None] = {}
        after: set[Node] = set()
        for node in body.nodes:
            sources = {v.node for v in node.inputs}
            if node not in slices and sources & {*slices, *inside, *after}:
                types = {t.dtype for t in body_types(node.attrs["body"], tuple(v.type for v in node.inputs))} if (
                    node.op == "map") else {None}
                if types <= TYPES and node.types[0] == part and not sources & after:
                    inside[node] = None
                else:
                    after.add(node)
        return tuple(inside)

    def _is_whole(self, body: Graph) -> bool:
        """Whether nothing else reads the slices and there aren't too many operands."""
        read = all(set(body.users.get(v, ())) <= set(self.maps) and v not in body.roots for v in self.slices)
        return bool(self.maps) and read and len(self._operands()) <= MAX_OPERANDS

    def _operands(self) -> list[Value]:
        """What the product's epilogue and the maps read from elsewhere."""
        own = {*self.slices, *(v for node in self.maps for v in node.results)}
        return list(dict.fromkeys([*self.product.inputs[2:],
                                   *(v for node in self.maps for v in node.inputs if v not in own)]))

    def replaced(self, body: Graph) -> Graph:
        """The body with the cell in the place of the maps that anything else reads."""
        inside = set(self.maps)
        shown = [v for node in self.maps for v in node.results
                 if v in body.roots or not inside.issuperset(body.users[v])]
        made = dict(zip(shown, self._cell(shown), strict=True))
        return body.rewrite(lambda node, _: (made[node.results[0]],) if node.results[0] in made else None)

    def _cell(self, shown: list[Value]) -> tuple[Value, ...]:
        """The node that computes these results."""
        parts, columns, operands = len(self.slices), self.product.types[0].shape[1], self._operands()
        places: dict[Value, list[int]] = {}
        count = parts
        for operand in operands:
            wide = Cell.is_wide(operand.type, columns)
            places[operand] = [*range(count, count + parts)] if wide else [count] * parts
            count += parts if wide else 1
        instrs: list[Instr] = []

        def enter(body: Body, inputs: list[int]) -> int:
            """Where the result of a body is, given where its inputs are."""
            values = list(inputs)
            for instr in body.instrs:
                values.append(count + len(instrs))
                instrs.append(replace(instr, operands=tuple(values[i] for i in instr.operands)))
            return values[-1]

        epilogue = self.product.attrs["epilogue"]
        for part, cut in enumerate(self.slices):
            given = [part, *(places[v][part] for v in self.product.inputs[2:])]
            places[cut] = [enter(epilogue, given) if epilogue else part]
        for node in self.maps:
            places[node.results[0]] = [enter(node.attrs["body"], [places[v][0] for v in node.inputs])]
        return apply("cell", *self.product.inputs[:2], *operands, parts=parts, body=Body(tuple(instrs)),
                     results=tuple(places[v][0] for v in shown))
