"""Products of which a loop reads a row in each step, and that it can compute some steps before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from castiron.ir import Node, Value
from castiron.kernels.cell import can_go_ahead
from castiron.ops.loop import body_inputs
from castiron.program import Program, Step


def ahead(program: Program, step: Step) -> Mapping[Node, Node]:
    """Products of a step over rows -> the cells, in loops of the same step, that can compute them ahead."""
    if step.rows is None or program.graph.traced:
        return {}
    loops = (node for node in step.nodes if node.op == "loop" and not node.attrs["checked"])
    return dict(pair for loop in loops for pair in _of_loop(program, step, loop))


def _of_loop(program: Program, step: Step, loop: Node) -> Iterator[tuple[Node, Node]]:
    body, trips = loop.attrs["body"], loop.inputs[0].constant
    carried, captured = body_inputs(loop, body)
    around = dict(zip(captured, loop.inputs[1 + len(carried):], strict=True))
    index = next(iter(body.inputs.values()))
    for cell in body.nodes:
        for row in cell.inputs[2:] if cell.op == "cell" else ():
            if row.node.op != "gather" or row not in program.views or row.node.inputs[1] != index:
                continue
            whole = row.node.inputs[0]
            alone = body.users[row] == (cell,) and body.users[whole] == (row.node,)
            product = around.get(whole)
            if product and alone and program.graph.users[product] == (loop,) and _is_ready(
                    program, step, loop, product, cell) and trips == product.type.shape[1]:
                yield product.node, cell


def _is_ready(program: Program, step: Step, loop: Node, product: Value, cell: Node) -> bool:
    """Whether a product is plain, of rows whose steps are known, and what it is made of stays there during the loop."""
    node = product.node
    if node.op != "dense" or node not in step.nodes or node.attrs["epilogue"] or node.inputs[0].type.rank != 3:
        return False
    steps, columns = product.type.shape[1:]
    place = program.aliases.get(node.inputs[0], node.inputs[0])
    written = {program.aliases.get(v, v) for v in loop.results}
    if place in step.scratch or place in written or not isinstance(steps, int):
        return False
    units, depth = cell.types[0].shape[1], node.inputs[0].type.shape[2]
    return can_go_ahead(cell.inputs[0].type.shape[1], units, steps, depth, columns)
