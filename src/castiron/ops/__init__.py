"""The operators, one class each. ``F.name(...)`` makes nodes; ``OPS`` is the table of all."""

from castiron.ops import (  # noqa: F401  (each registers its operators)
    activation,
    arithmetic,
    attention,
    bitwise,
    cell,
    contract,
    convolution,
    fourier,
    fused,
    hashing,
    index,
    integer,
    loop,
    narrow,
    normalization,
    order,
    rearrange,
    reduce,
    resize,
    scalar,
    shape,
    sizes,
    softmax,
    special,
    standardize,
    strassen,
    trees,
    window,
    winograd,
)
from castiron.ops.base import OPS, Example, F, Op, apply

__all__ = ["OPS", "Example", "F", "Op", "apply"]
