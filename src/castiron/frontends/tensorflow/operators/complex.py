"""Complex numbers, as pairs of real and imaginary parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.results import Compound, remade
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import COMPOUND, TABLE, Results, converts
from castiron.frontends.tensorflow.proto import graph_pb2 as pb
from castiron.ir import DType, Value, constant
from castiron.ops import F

#: TensorFlow's complex types, and the types of their parts.
_PARTS = {pb.DT_COMPLEX64: pb.DT_FLOAT, pb.DT_COMPLEX128: pb.DT_DOUBLE}


@dataclass(frozen=True, eq=False)
class Complex(Compound):
    """A tensor of complex numbers."""

    re: Value
    im: Value
    kind: ClassVar[str] = "complex numbers"

    def parts(self) -> tuple[Value, Value]:
        return self.re, self.im

    def remade(self, parts: tuple[Value, Value]) -> Complex:
        return Complex(*parts)


def constant_of(tensor: pb.TensorProto) -> Value | Complex:
    """A constant; ModelError if its data are incomplete or of an unsupported type."""
    if tensor.dtype not in _PARTS:
        return constant(tensors.array_of(tensor))
    flat = pb.TensorProto(dtype=_PARTS[tensor.dtype], tensor_content=tensor.tensor_content,
                          tensor_shape=tensor.tensor_shape, float_val=tensor.scomplex_val,
                          double_val=tensor.dcomplex_val)
    flat.tensor_shape.dim.add(size=2)
    values = tensor.scomplex_val or tensor.dcomplex_val
    shape = tensors.sizes_of(tensor.tensor_shape)
    if len(values) == 2 and shape is not None and None not in shape:  # one number stands for all
        pair = np.array(values, tensors.dtype_of(flat.dtype).numpy)
        return Complex(*(F.broadcast_to(constant(part), shape=shape) for part in pair))
    pairs = tensors.array_of(flat)
    return Complex(*(constant(np.ascontiguousarray(pairs[..., i])) for i in (0, 1)))


@converts("Cast")
def cast(node: SourceNode, x: Value) -> Value | Complex:
    target = node.attr("DstT")
    if target is not None and target.type in _PARTS:
        re = _cast(x, tensors.dtype_of(_PARTS[target.type]))
        return Complex(re, zeros(re))
    return _cast(x, node.dtype("DstT"))


@converts("Cast", table=COMPOUND)
def cast_complex(node: SourceNode, x: Complex) -> Value | Complex:
    target = node.attr("DstT")
    if target is not None and target.type in _PARTS:
        dtype = tensors.dtype_of(_PARTS[target.type])
        return Complex(_cast(x.re, dtype), _cast(x.im, dtype))
    return _cast(x.re, node.dtype("DstT"))


def _cast(x: Value, dtype: DType) -> Value:
    return x if x.type.dtype is dtype else F.cast(x, dtype=dtype)


def zeros(like: Value) -> Value:
    """As many zeros as a value has elements."""
    return F.broadcast_to(constant(np.zeros((), like.type.dtype.numpy)), shape=like.type.shape)


@converts("Complex")
def complex_(node: SourceNode, re: Value, im: Value) -> Complex:
    """Of parts that broadcast."""
    return Complex(F.add(re, zeros(im)), F.add(im, zeros(re)))


@converts("Real", table=COMPOUND)
def real(node: SourceNode, x: Complex) -> Value:
    return x.re


@converts("Imag", table=COMPOUND)
def imaginary(node: SourceNode, x: Complex) -> Value:
    return x.im


@converts("ComplexAbs", table=COMPOUND)
def absolute(node: SourceNode, x: Complex) -> Value:
    """√(re² + im²), the larger part taken out so that no square overflows."""
    a, b = F.abs(x.re), F.abs(x.im)
    larger, smaller = F.maximum(a, b), F.minimum(a, b)
    ratio = F.select(F.equal(larger, 0.0), 0.0, F.div(smaller, larger))
    size = F.mul(larger, F.sqrt(F.add(F.square(ratio), 1.0)))
    return F.select(F.equal(larger, float("inf")), larger, size)


@converts("Angle", table=COMPOUND)
def angle(node: SourceNode, x: Complex) -> Value:
    return F.atan2(x.im, x.re)


@converts("Conj", table=COMPOUND)
def conjugate(node: SourceNode, x: Complex) -> Complex:
    return Complex(x.re, F.neg(x.im))


@converts("ConjugateTranspose")
def conjugate_transpose_of_real(node: SourceNode, x: Value, perm: Value) -> Value:
    return TABLE["Transpose"](node, x, perm)


@converts("ConjugateTranspose", table=COMPOUND)
def conjugate_transpose(node: SourceNode, x: Complex, perm: Value) -> Complex:
    return Complex(TABLE["Transpose"](node, x.re, perm), F.neg(TABLE["Transpose"](node, x.im, perm)))


@converts("Mul", table=COMPOUND)
def mul(node: SourceNode, x: Complex, y: Complex) -> Complex:
    return times(x, y, F.mul)


def times(x: Complex, y: Complex, product: Callable[[Value, Value], Value]) -> Complex:
    """What a product of real tensors is for complex ones."""
    return Complex(F.sub(product(x.re, y.re), product(x.im, y.im)), F.add(product(x.re, y.im), product(x.im, y.re)))


@converts("Square", table=COMPOUND)
def square(node: SourceNode, x: Complex) -> Complex:
    return times(x, x, F.mul)


@converts("Div", "RealDiv", table=COMPOUND)
def div(node: SourceNode, x: Complex, y: Complex) -> Complex:
    """x · conj(y) / |y|², y first brought to a size near 1."""
    size = F.maximum(F.abs(y.re), F.abs(y.im))
    y = Complex(F.div(y.re, size), F.div(y.im, size))
    total = times(x, conjugate(node, y), F.mul)
    scale = F.mul(F.add(F.square(y.re), F.square(y.im)), size)
    return Complex(F.div(total.re, scale), F.div(total.im, scale))


@converts("Reciprocal", table=COMPOUND)
def reciprocal(node: SourceNode, x: Complex) -> Complex:
    one = F.add(zeros(x.re), 1.0)
    return div(node, Complex(one, zeros(x.re)), x)


@converts("Exp", table=COMPOUND)
def exp(node: SourceNode, x: Complex) -> Complex:
    size = F.exp(x.re)
    return Complex(F.mul(size, F.cos(x.im)), F.mul(size, F.sin(x.im)))


@converts("OnesLike", table=COMPOUND)
def ones_like(node: SourceNode, x: Complex) -> Complex:
    return Complex(TABLE["OnesLike"](node, x.re), zeros(x.im))


@converts("MatMul", "BatchMatMulV2", table=COMPOUND)
def matmul(node: SourceNode, a: Complex, b: Complex) -> Complex:
    if node.op.startswith("Batch"):  # it conjugates what it transposes
        a = conjugate(node, a) if node.flag("adj_x") else a
        b = conjugate(node, b) if node.flag("adj_y") else b
    return times(a, b, lambda x, y: TABLE[node.op](node, x, y))


@converts("Einsum", table=COMPOUND)
def einsum(node: SourceNode, a: Complex, b: Complex | None = None) -> Complex:
    if b is None:
        return Complex(TABLE["Einsum"](node, a.re), TABLE["Einsum"](node, a.im))
    return times(a, b, lambda x, y: TABLE["Einsum"](node, x, y))


#: Operators that treat each part of a result by itself: they move elements or add them up.
BY_PARTS = (
    "Add", "AddN", "AddV2", "BroadcastTo", "ConcatV2", "Cumsum", "EnsureShape", "ExpandDims", "Fill", "GatherNd",
    "GatherV2", "Mean", "Neg", "Pack", "Pad", "PadV2", "Reshape", "ReverseV2", "Roll", "SelectV2", "Slice", "Split",
    "SplitV", "Squeeze", "StopGradient", "StridedSlice", "Sub", "Sum", "Tile", "Transpose", "Unpack", "ZerosLike",
)


@converts(*BY_PARTS, table=COMPOUND)
def by_parts(node: SourceNode, *operands: Value | Compound) -> Results:
    """Each part alone; operands that have none are the same for all."""
    like = next(v for v in operands if isinstance(v, Compound))
    if like.kind != "complex numbers" and node.op in ("Add", "AddV2", "Sub", "Sum", "Neg", "Mean", "Cumsum", "AddN"):
        raise ModelError(f"{node.op} of {like.kind} is not supported")
    results = [TABLE[node.op](node, *(v.parts()[i] if isinstance(v, Compound) else v for v in operands))
               for i in range(len(like.parts()))]
    if isinstance(results[0], tuple):
        return tuple(remade(like, parts) for parts in zip(*results, strict=True))
    return remade(like, tuple(results))


@converts("Shape", table=COMPOUND)
def shape(node: SourceNode, x: Compound) -> Value:
    return TABLE[node.op](node, x.parts()[0])
