"""Kernels of decision trees."""

from __future__ import annotations

from castiron.kernels.writer import View, Writer

#: The largest memory for keys of rows that are taken together, which should stay in the first-level cache beside a
#: tree's nodes; and the most rows that gain by it.
KEY_BYTES = 16 << 10
MOST_ROWS = 64

#: Walks that are under way together.
WALKS = 8


def rows_together(columns: int, itemsize: int) -> int:
    """How many rows visit a tree before the next one."""
    return max(WALKS, min(MOST_ROWS, KEY_BYTES // (columns * itemsize) // WALKS * WALKS))


def workspace(columns: int, targets: int, itemsize: int) -> int:
    """Bytes of scratch."""
    return rows_together(columns, itemsize) * (columns + targets) * itemsize


def walk(w: Writer, out: View, x: View, columns: View, groups: View, depths: View, nodes: View, weights: View,
         bits: int, combine: str, scratch: str) -> None:
    """out = the combination of the weights of the leaves that each row of x reaches."""
    itemsize = 8 if x.dtype == "f64" else 4
    most = rows_together(columns.shape[0], itemsize)
    w.line(f"{x.ctype}_tree_walk({out.pointer}, {x.pointer}, {x.shape[0]}, {x.shape[1]}, {out.shape[1]}, "
           f"{columns.pointer}, {columns.shape[0]}, {groups.pointer}, {groups.shape[0]}, {depths.pointer}, "
           f"(const {x.ctype}_node *){nodes.pointer}, {weights.pointer}, {bits}, TREE_{combine.upper()}, "
           f"(char *){scratch}, {most});")


#: Rows of which the comparisons are made together where a vector register has 64 bytes.
BITS_ROWS = 512


def bits_workspace(tests: int, targets: int, itemsize: int) -> int:
    """Bytes of scratch of ``bits``."""
    return (tests + itemsize) * BITS_ROWS // 8 + BITS_ROWS * (1 + max(1, targets) * itemsize) + 64


def bits(w: Writer, out: View, x: View, columns: View, starts: View, thresholds: View, groups: View, tests: View,
         weights: View, scratch: str) -> None:
    """out = the sum of the weights of the leaves that each row of x reaches."""
    w.line(f"{x.ctype}_tree_bits({out.pointer}, {x.pointer}, {x.shape[0]}, {x.shape[1]}, {out.shape[1]}, "
           f"{columns.pointer}, {columns.shape[0]}, {starts.pointer}, {thresholds.pointer}, {groups.pointer}, "
           f"{groups.shape[0]}, {tests.pointer}, {weights.pointer}, (char *){scratch});")
