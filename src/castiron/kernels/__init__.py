"""The C that a model becomes: kernel families as functions that write C, over the headers beside them.

Nothing here knows the IR. A kernel is told its operands as views: a pointer expression, an element
type and a shape whose entries are ints or C expressions.
"""

from castiron.kernels.writer import Extent, View, Writer

__all__ = ["Extent", "View", "Writer"]
