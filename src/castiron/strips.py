"""Windows whose operand is computed with them, a few lines at a time: a line is what one place along the first
spatial dimension has, and lines of all images are numbered on."""

from __future__ import annotations

from dataclasses import dataclass

from castiron.ir import Dim, Node, TensorType, Value, product
from castiron.rows import WINDOW_OPS, row_axes


@dataclass(frozen=True)
class Strip:
    """What a step computes of ``value`` before each block of windows on it: ``nodes`` compute the lines which that
    block covers and the one before did not, over ``rows``, the lines of all images.

    Of an image's ``size`` lines each of ``count`` lines of windows covers ``span``, ``stride`` further than the one
    before, the first from ``before`` lines ahead of the image on.
    """

    value: Value
    nodes: tuple[Node, ...]
    rows: Dim
    size: int
    count: int
    span: int
    stride: int
    before: int

    def lines(self, block: int) -> int:
        """The most lines that a block of windows' lines covers; they may go on in the next image."""
        def line(row: int, ahead: int) -> int:
            image, place = divmod(row, self.count)
            return image * self.size + min(max(place * self.stride - self.before + ahead, 0), self.size)

        return max(line(row + block - 1, self.span) - line(row, 0) for row in range(self.count))


def lines(type: TensorType) -> Dim | None:
    """How many lines there are, if these are rows of a kind of their own."""
    if type.rank < 3:
        return None
    rows = product(type.shape[:2])
    return rows if row_axes(type, rows) == (2, 1) else None


def strip(node: Node, nodes: tuple[Node, ...]) -> Strip | None:
    """The strip of ``nodes`` for a window operator, whose first operand is theirs."""
    if node.op not in WINDOW_OPS or node.op == "overlap_add":
        return None
    x, y = node.inputs[0].type, node.types[0]
    if lines(x) is None or lines(y) is None:
        return None
    kernel, stride = node.attrs.get("sizes", (3,))[0], node.attrs.get("strides", (1,))[0]
    span = (kernel - 1) * node.attrs.get("dilations", (1,))[0] + 1
    sizes = x.shape[1], y.shape[1], node.attrs["before"][0]
    if not all(isinstance(size, int) for size in sizes):
        return None
    size, count, before = sizes
    return Strip(node.inputs[0], nodes, lines(x), size, count, span, stride, before)
