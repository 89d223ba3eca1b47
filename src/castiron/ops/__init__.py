"""The operators, one class each. ``F.name(...)`` makes nodes; ``OPS`` is the table of all."""

from castiron.ops import contract, fused, reduce, scalar, shape  # noqa: F401  (each registers its operators)
from castiron.ops.base import OPS, Example, F, Op, apply

__all__ = ["OPS", "Example", "F", "Op", "apply"]
