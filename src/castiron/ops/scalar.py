"""Core operators that act on each element alone. Operands broadcast as in numpy."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, TensorType
from castiron.ops.base import Example, Op, broadcast, same_dtype

FLOATS = np.array([[0.0, -0.0, 1.0, -1.5, 0.3, 7.5, -20.0, 88.0, 1e-30, 3.4e38, np.inf, -np.inf, np.nan],
                   [2.5, 3.5, -0.5, 0.5, 100.0, -100.0, 1e-5, -1e-5, 0.9999999, 5.0, 1e10, -1e10, 2.0]],
                  np.float32)
_ROWS = np.random.default_rng(7).standard_normal((5, 37)).astype(np.float32) * 4


def integers(dtype: DType, *shape: int) -> np.ndarray:
    """Random integers of all sizes, the type's extremes, -1, 0 and 1 among them."""
    bounds = np.iinfo(dtype.numpy)
    x = np.random.default_rng(13).integers(bounds.min, bounds.max, shape, dtype.numpy, endpoint=True)
    x >>= (np.arange(x.size, dtype=np.uint8) % bounds.bits).astype(dtype.numpy).reshape(shape)
    x.reshape(-1)[:5] = bounds.min, bounds.max, bounds.max if bounds.min == 0 else -1, 0, 1
    return x


#: Doubles about the bounds of integers, and numbers that are none or no floats.
_WIDE = np.array([[bound + step for bits in (7, 8, 15, 16, 31, 32, 63, 64) for bound in (2.0**bits, -(2.0**bits))
                   for step in (-1, -0.5, 0, 0.5, 1)]
                  + [0.0, -0.0, 0.1, -0.9, 1e300, -1e300, math.inf, -math.inf, math.nan]])

INTEGERS = tuple(integers(dtype, 3, 19) for dtype in (DType.I32, DType.I64, DType.U8))


def _exactly(f):
    """f applied to each element in Python's doubles; f's domain errors give NaN."""
    def apply(x: float) -> float:
        try:
            return f(x)
        except (ValueError, OverflowError):
            return math.nan
    return np.vectorize(apply, otypes=[np.float64])


class Unary(Op):
    """One operand, result of the same type."""

    function: ClassVar
    floats_only: ClassVar[bool] = True
    examples: ClassVar = (Example((FLOATS,)), Example((_ROWS,), batched=(0,)))
    tolerance: ClassVar[float] = 1e-6

    def infer(self, x: TensorType) -> TensorType:
        if self.floats_only and not x.dtype.is_float:
            raise ShapeError(f"{self.name} of {x!r}: expects a float tensor")
        if x.dtype == DType.BOOL:
            raise ShapeError(f"{self.name} of {x!r}: expects numbers")
        return x

    def eval(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64) if x.dtype == np.float32 else x
            return np.asarray(type(self).function(wide)).astype(x.dtype)


class Signed(Unary):
    """An operand that may be of integers too."""

    floats_only = False
    examples: ClassVar = (*Unary.examples, *(Example((x,), batched=(0,)) for x in INTEGERS))


class Neg(Signed):
    """-x"""
    name, function = "neg", np.negative


class Abs(Signed):
    """|x|"""
    name, function = "abs", np.abs


class Sign(Signed):
    """-1, 0 or 1; NaN for NaN"""
    name, function = "sign", np.sign


class Exp(Unary):
    """eˣ"""
    name, function = "exp", np.exp


class Expm1(Unary):
    """eˣ - 1"""
    name, function = "expm1", np.expm1


class Log(Unary):
    """ln x"""
    name, function = "log", np.log


class Log1p(Unary):
    """ln(1 + x)"""
    name, function = "log1p", np.log1p


class Sqrt(Unary):
    """√x"""
    name, function = "sqrt", np.sqrt


class Rsqrt(Unary):
    """1/√x"""
    name = "rsqrt"

    @staticmethod
    def function(x):
        return 1 / np.sqrt(x)


class Reciprocal(Unary):
    """1/x"""
    name, function = "reciprocal", np.reciprocal


class Square(Signed):
    """x²"""
    name, function = "square", np.square


class Sin(Unary):
    """sin x"""
    name, function = "sin", np.sin


class Cos(Unary):
    """cos x"""
    name, function = "cos", np.cos


class Tan(Unary):
    """tan x"""
    name, function = "tan", np.tan


class Asin(Unary):
    """arcsin x"""
    name, function = "asin", np.arcsin


class Acos(Unary):
    """arccos x"""
    name, function = "acos", np.arccos


class Atan(Unary):
    """arctan x"""
    name, function = "atan", np.arctan


class Sinh(Unary):
    """sinh x"""
    name, function = "sinh", np.sinh


class Cosh(Unary):
    """cosh x"""
    name, function = "cosh", np.cosh


class Asinh(Unary):
    """arsinh x"""
    name, function = "asinh", np.arcsinh


class Acosh(Unary):
    """arcosh x"""
    name, function = "acosh", np.arccosh


class Atanh(Unary):
    """artanh x"""
    name, function = "atanh", np.arctanh


class Tanh(Unary):
    """tanh x"""
    name, function = "tanh", np.tanh


class Sigmoid(Unary):
    """1 / (1 + e⁻ˣ)"""
    name = "sigmoid"

    @staticmethod
    def function(x):
        return np.exp(-np.logaddexp(0, -x))


class Softplus(Unary):
    """ln(1 + eˣ)"""
    name = "softplus"

    @staticmethod
    def function(x):
        return np.logaddexp(0, x)


class Erf(Unary):
    """2/√π ∫₀ˣ e^(-t²) dt"""
    name, function = "erf", _exactly(math.erf)


class Erfc(Unary):
    """1 - erf x"""
    name, function = "erfc", _exactly(math.erfc)


class Ndtr(Unary):
    """The normal distribution's function, erfc(-x/√2)/2"""
    name, function = "ndtr", _exactly(lambda x: 0.5 * math.erfc(-x * math.sqrt(0.5)))


class Floor(Unary):
    """The largest integer that is not above x"""
    name, function = "floor", np.floor


class Ceil(Unary):
    """The smallest integer that is not below x"""
    name, function = "ceil", np.ceil


class Trunc(Unary):
    """x without its fraction"""
    name, function = "trunc", np.trunc


class Round(Unary):
    """The nearest integer, halves to even"""
    name, function = "round", np.rint


class Binary(Op):
    """Two operands of one type that broadcast."""

    function: ClassVar
    floats_only: ClassVar[bool] = False
    takes_bools: ClassVar[bool] = False
    examples: ClassVar = (
        Example((FLOATS, FLOATS[:, ::-1].copy())),
        Example((_ROWS, _ROWS[::-1, ::-1].copy()), batched=(0, 1)),
        Example((_ROWS, _ROWS[:1]), batched=(0,), constants=(1,)),
        Example((_ROWS, _ROWS[:, :1].copy()), batched=(0, 1)),
        Example((_ROWS[0, 0], _ROWS), batched=(1,), constants=(0,)),
        *(Example((x, x[::-1, ::-1].copy()), batched=(0, 1)) for x in INTEGERS),
    )

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        dtype = same_dtype(x, y)
        if self.floats_only and not dtype.is_float:
            raise ShapeError(f"{self.name} of {x!r} and {y!r}: expects float tensors")
        if dtype == DType.BOOL and not self.takes_bools:
            raise ShapeError(f"{self.name} of {x!r} and {y!r}: expects numbers")
        return TensorType(dtype, broadcast(x.shape, y.shape))

    def eval(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            if x.dtype == np.float32 and self.widen:
                return type(self).function(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
            return np.asarray(type(self).function(x, y))

    widen: ClassVar[bool] = False


class Add(Binary):
    """x + y"""
    name, function = "add", np.add


class Sub(Binary):
    """x - y"""
    name, function = "sub", np.subtract


class Mul(Binary):
    """x · y"""
    name, function = "mul", np.multiply


class FloatBinary(Binary):
    """Two float operands that broadcast."""

    floats_only = True
    examples: ClassVar = tuple(e for e in Binary.examples if e.inputs[0].dtype.kind == "f")


class Div(FloatBinary):
    """x / y"""
    name, function = "div", np.divide


class Pow(FloatBinary):
    """xʸ"""
    name, function, widen = "pow", np.power, True


class FloorDiv(Binary):
    """⌊x / y⌋; integers divided by zero give zero"""
    name = "floordiv"

    @staticmethod
    def function(x, y):
        return np.floor(x / y) if x.dtype.kind == "f" else np.floor_divide(x, y)

    examples: ClassVar = (
        Binary.examples[1], *(Example((x, np.array([3, 0, 1, 7, 100] * 4)[:19].astype(x.dtype)), batched=(0,),
                                      constants=(1,)) for x in INTEGERS),
        *(Example((x, x[::-1, ::-1].copy())) for x in INTEGERS), Example((INTEGERS[0], np.int32(-1))))


class FloorMod(Binary):
    """x - ⌊x / y⌋ · y without rounding: the remainder with the sign of y; x for integers divided by zero"""

    name = "floormod"
    examples: ClassVar = (
        Example((FLOATS, FLOATS[:, ::-1].copy())),
        Example((_ROWS, _ROWS[::-1, ::-1].copy()), batched=(0, 1)),
        Example((_ROWS * np.float32(1e9), np.full((1, 37), 0.75, np.float32)), batched=(0,), constants=(1,)),
        *(Example((np.array([7, -7, 7, -7, 0, 12, -12, 5], t), np.array([3, 3, -3, -3, 5, 4, 0, -5], t)))
          for t in (np.int32, np.int64)))

    @staticmethod
    def function(x, y):
        return np.mod(x, y) if x.dtype.kind == "f" else x - np.floor_divide(x, y) * y


class Maximum(Binary):
    """The larger of x and y; NaN if either is NaN"""
    name, function = "maximum", np.maximum


class Minimum(Binary):
    """The smaller of x and y; NaN if either is NaN"""
    name, function = "minimum", np.minimum


class Atan2(FloatBinary):
    """The angle of the point (y, x)"""
    name, function, widen = "atan2", np.arctan2, True


class Comparison(Binary):
    """Two operands of one type that broadcast; the result is bool."""

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        return super().infer(x, y).with_dtype(DType.BOOL)


class Equality(Comparison):
    """Numbers or bools."""

    takes_bools = True
    examples: ClassVar = (*Comparison.examples, Example((_ROWS > 0, _ROWS[:1] > 1), batched=(0,)))


class Equal(Equality):
    """x = y"""
    name, function = "equal", np.equal


class NotEqual(Equality):
    """x ≠ y"""
    name, function = "not_equal", np.not_equal


class Less(Comparison):
    """x < y"""
    name, function = "less", np.less


class LessEqual(Comparison):
    """x ≤ y"""
    name, function = "less_equal", np.less_equal


class Greater(Comparison):
    """x > y"""
    name, function = "greater", np.greater


class GreaterEqual(Comparison):
    """x ≥ y"""
    name, function = "greater_equal", np.greater_equal


_BOOLS = (Example((np.array([[True, False, True, False] * 5]), np.array([[True, True, False, False] * 5]))),)


class Logical(Binary):
    """Two bool operands that broadcast."""

    takes_bools = True
    examples: ClassVar = _BOOLS

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if {x.dtype, y.dtype} != {DType.BOOL}:
            raise ShapeError(f"{self.name} of {x!r} and {y!r}: expects bool tensors")
        return super().infer(x, y)


class And(Logical):
    """x and y"""
    name, function = "and", np.logical_and


class Or(Logical):
    """x or y"""
    name, function = "or", np.logical_or


class Not(Op):
    """not x"""

    name = "not"
    examples: ClassVar = (Example(_BOOLS[0].inputs[:1]),)

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != DType.BOOL:
            raise ShapeError(f"not of {x!r}: expects a bool tensor")
        return x

    def eval(self, x: np.ndarray) -> np.ndarray:
        return np.logical_not(x)


class Predicate(Op):
    """A float operand; the result is bool."""

    function: ClassVar
    examples: ClassVar = Unary.examples

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_float:
            raise ShapeError(f"{self.name} of {x!r}: expects a float tensor")
        return x.with_dtype(DType.BOOL)

    def eval(self, x: np.ndarray) -> np.ndarray:
        return type(self).function(x)


class IsNan(Predicate):
    """Whether x is NaN"""
    name, function = "is_nan", np.isnan


class IsFinite(Predicate):
    """Whether x is neither infinite nor NaN"""
    name, function = "is_finite", np.isfinite


class Select(Op):
    """x where the condition holds, else y"""

    name = "select"
    examples: ClassVar = (Example((FLOATS > 0, FLOATS, FLOATS[::-1].copy())),
                          Example((_ROWS > 0, _ROWS, _ROWS[:, :1].copy()), batched=(0, 1, 2)),
                          *(Example((x > 1, x, x[::-1].copy()), batched=(0, 1, 2)) for x in INTEGERS),
                          Example((_ROWS > 0, _ROWS > 1, _ROWS[:1] < 3), batched=(0, 1)))

    def infer(self, condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
        if condition.dtype != DType.BOOL:
            raise ShapeError(f"select by {condition!r}: the condition must be bool")
        return TensorType(same_dtype(x, y), broadcast(condition.shape, x.shape, y.shape))

    def eval(self, condition: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(condition, x, y)


class Cast(Op):
    """x in another element type. Float to integer truncates; out of range it gives the nearest bound
    and NaN gives 0. A number is true unless it is 0."""

    name = "cast"
    examples: ClassVar = (
        *(Example((_ROWS * 9,), {"dtype": t}, batched=(0,)) for t in DType),
        *(Example(((_ROWS * 9).astype(t.numpy),), {"dtype": DType.F32}, batched=(0,)) for t in DType),
        *(Example((FLOATS,), {"dtype": t}) for t in (DType.I32, DType.I64, DType.U8, DType.BOOL)),
        *(Example((x,), {"dtype": t}) for x in INTEGERS for t in DType if t is not DType.of(x.dtype)),
        *(Example((_WIDE,), {"dtype": t}) for t in DType if t is not DType.F64),
        *(Example((integers(t, 37),), {"dtype": DType.F32}) for t in (DType.U32, DType.U64)),
        *(Example((_ROWS > 0,), {"dtype": t}, batched=(0,)) for t in (DType.I64, DType.U8)),
    )

    def infer(self, x: TensorType, *, dtype: DType) -> TensorType:
        return x.with_dtype(dtype)

    def eval(self, x: np.ndarray, *, dtype: DType) -> np.ndarray:
        if x.dtype == object:
            return x
        with np.errstate(all="ignore"):
            if x.dtype.kind == "f" and dtype.is_integer:
                return _saturate(x, dtype.numpy)
            return x.astype(dtype.numpy)


def _saturate(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    bounds = np.iinfo(dtype)
    inside = np.where(np.isnan(x), 0, np.trunc(x)).astype(np.float64)
    low, high = inside <= float(bounds.min), inside >= float(bounds.max)
    middle = np.where(low | high, 0, inside).astype(dtype)
    return np.where(low, bounds.min, np.where(high, bounds.max, middle)).astype(dtype)
