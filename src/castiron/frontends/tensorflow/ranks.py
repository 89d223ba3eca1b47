"""Inputs of unknown rank, as far as the graph pins it down: by what they are multiplied with, or by the rows
that they are cut into."""

from __future__ import annotations

from dataclasses import dataclass, replace

from castiron.frontends.results import Result, Results, Unranked
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import Dim, TensorType, Value, product
from castiron.ops.symbolic import dims_of

#: Operators whose first operand reaches their result with its shape unchanged.
_SAME_SHAPE = frozenset({"Identity", "StopGradient", "Cast", "Relu", "Tanh", "Sigmoid", "CheckNumerics", "Snapshot"})

#: Operators that convolve: the rank of their input, and which axis of the kernel has its channels.
_CONVOLUTIONS = {"Conv2D": (4, 2), "DepthwiseConv2dNative": (4, 2), "Conv3D": (5, 3)}


@dataclass(frozen=True, eq=False)
class _Shape(Unranked):
    """The shape of such an input; ``dims`` if only its first dimension is left, with others behind it."""

    dims: tuple[Dim, ...] | None = None


def propagate(node: SourceNode, operands: list[Result], pins: dict[str, TensorType]) -> Results | None:
    """What an input of unknown rank becomes by a node, None if nothing better is known than that it has no
    value. Where its type comes out, it is entered into ``pins`` by the input's key."""
    if not operands or not isinstance(operands[0], Unranked):
        return None
    x, *rest = operands
    if isinstance(x, _Shape):
        return _shape(node, x, rest)
    if node.op in _SAME_SHAPE:
        return (x,)
    if node.op == "ExpandDims" and isinstance(rest[0], Value) and (axis := dims_of(rest[0])) is not None:
        return (replace(x, axes=(*x.axes, axis.item())),)
    if node.op == "Shape" and not x.axes:
        return (_Shape(node, x.why, key=x.key, dtype=x.dtype),)
    if node.op == "Reshape":
        _pin_rows(x, rest[0], pins)
    elif len(rest) == 1 and isinstance(rest[0], Value):
        weights = rest[0].type
        if node.op == "MatMul" and weights.rank == 2 and not node.flag("transpose_a"):
            _pin(x, (None, weights.shape[node.flag("transpose_b")]), pins)
        rank, channels = _CONVOLUTIONS.get(node.op, (0, 0))
        if weights.rank == rank and rank and not node.text("data_format", "NHWC").startswith("NC"):
            _pin(x, (*(None,) * (rank - 1), weights.shape[channels]), pins)
    return None


def _shape(node: SourceNode, x: _Shape, rest: list[Result]) -> Results | None:
    known = [dims_of(value) if isinstance(value, Value) else None for value in rest]
    if any(dims is None for dims in known):
        return None
    if node.op in ("Identity", "Cast"):
        return (x,)
    if node.op == "StridedSlice" and x.dims is None and [dims.tolist() for dims in known] == [[0], [1], [1]]:
        return (replace(x, dims=()),)
    if node.op == "Pack" and x.dims == ():
        return (replace(x, dims=tuple(dims.item() for dims in known)),)
    return None


def _pin_rows(x: Unranked, shape: Result, pins: dict[str, TensorType]) -> None:
    """What becomes rows of a known size may as well come as rows."""
    if isinstance(shape, _Shape) and shape.key == x.key:
        dims = shape.dims
    else:
        known = dims_of(shape) if isinstance(shape, Value) else None
        dims = tuple(known[1:]) if known is not None and known.ndim == 1 and known[:1].tolist() == [-1] else None
    if dims and all(isinstance(dim, int) and dim > 0 for dim in dims):
        _pin(x, (None, product(dims)), pins)


def _pin(x: Unranked, sizes: tuple, pins: dict[str, TensorType]) -> None:
    sizes = list(sizes)
    for axis in x.axes[::-1]:
        if not -len(sizes) <= axis < len(sizes) or sizes.pop(axis) not in (None, 1):
            return
    pins.setdefault(x.key, TensorType(x.dtype, tensors.name_dims(sizes, x.key)))
