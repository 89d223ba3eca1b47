"""Activation functions of each element alone, made of core operators.

NaN and infinities mean what they mean in TensorFlow: a formula that multiplies x by something that
vanishes gives NaN for -∞, and one that chooses by comparison takes the branch that NaN takes.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, TensorType, Value
from castiron.ops.base import Example, F, Op, apply, normalize_axis
from castiron.ops.scalar import FLOATS, Unary

#: Constants of Klambauer et al., 2017 (https://arxiv.org/abs/1706.02515).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

_ROWS = np.random.default_rng(5).standard_normal((5, 37)).astype(np.float32) * 4


def _examples(**attrs: Any) -> tuple[Example, ...]:
    return Example((FLOATS,), attrs), Example((_ROWS,), attrs, batched=(0,))


class Activation(Unary):
    """A float operand, result of the same type; ``function`` takes the attributes too."""

    def eval(self, x: np.ndarray, **attrs: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(type(self).function(x.astype(np.float64), **attrs)).astype(x.dtype)


class Clip(Op):
    """max(min(x, high), low)"""

    name = "clip"
    examples: ClassVar = (*_examples(low=-1.5, high=2.25),
                          Example((np.arange(-40, 40, dtype=np.int32),), {"low": -3, "high": 17}))

    def infer(self, x: TensorType, *, low: float, high: float) -> TensorType:
        if x.dtype == DType.BOOL:
            raise ShapeError(f"clip of {x!r}: expects numbers")
        return x

    def eval(self, x: np.ndarray, *, low: float, high: float) -> np.ndarray:
        kind = x.dtype.type
        return np.maximum(np.minimum(x, kind(high)), kind(low))

    def lower(self, x: Value, *, low: float, high: float) -> Value:
        return F.maximum(F.minimum(x, high), low)


class Relu(Op):
    """max(x, 0)"""

    name = "relu"
    examples: ClassVar = (*_examples(), Example((np.arange(-9, 9, dtype=np.int32),)))

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype == DType.BOOL:
            raise ShapeError(f"relu of {x!r}: expects numbers")
        return x

    def eval(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, x.dtype.type(0))

    def lower(self, x: Value) -> Value:
        return F.maximum(x, 0)


class Relu6(Activation):
    """min(max(x, 0), 6)"""

    name = "relu6"

    @staticmethod
    def function(x):
        return np.minimum(np.maximum(x, 0), 6)

    def lower(self, x: Value) -> Value:
        return F.clip(x, low=0.0, high=6.0)


class LeakyRelu(Activation):
    """x where x > 0, else alpha · x"""

    name = "leaky_relu"
    examples: ClassVar = (*_examples(), *_examples(alpha=0.3), *_examples(alpha=-1.5), *_examples(alpha=0.0))

    def infer(self, x: TensorType, *, alpha: float = 0.2) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, alpha):
        return np.where(x > 0, x, alpha * x)

    def lower(self, x: Value, *, alpha: float) -> Value:
        return F.select(F.greater(x, 0.0), x, F.mul(x, alpha))


class Elu(Activation):
    """x where x > 0, else alpha · (eˣ - 1)"""

    name = "elu"
    examples: ClassVar = (*_examples(), *_examples(alpha=0.5))

    def infer(self, x: TensorType, *, alpha: float = 1.0) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, alpha):
        return np.where(x > 0, x, alpha * np.expm1(x))

    def lower(self, x: Value, *, alpha: float) -> Value:
        return F.select(F.greater(x, 0.0), x, F.mul(F.expm1(x), alpha))


class Selu(Activation):
    """1.0507… · x where x > 0, else 1.0507… · 1.6732… · (eˣ - 1)"""

    name = "selu"

    @staticmethod
    def function(x):
        return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))

    def lower(self, x: Value) -> Value:
        return F.mul(F.elu(x, alpha=SELU_ALPHA), SELU_SCALE)


class Celu(Activation):
    """max(x, 0) + alpha · (e^(min(x, 0) / alpha) - 1)"""

    name = "celu"
    examples: ClassVar = (*_examples(), *_examples(alpha=0.75))

    def infer(self, x: TensorType, *, alpha: float = 1.0) -> TensorType:
        if alpha == 0:
            raise ShapeError("celu: alpha must not be 0")
        return super().infer(x)

    @staticmethod
    def function(x, alpha):
        return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)

    def lower(self, x: Value, *, alpha: float) -> Value:
        below = F.mul(F.expm1(F.div(F.minimum(x, 0.0), alpha)), alpha)
        return F.add(F.maximum(x, 0.0), below)


class Silu(Activation):
    """x / (1 + e⁻ˣ), also called swish"""

    name = "silu"
    tolerance: ClassVar[float] = 2e-6

    @staticmethod
    def function(x):
        return x * np.exp(-np.logaddexp(0, -x))

    def lower(self, x: Value) -> Value:
        return F.mul(x, F.sigmoid(x))


class Gelu(Activation):
    """x · ndtr(x), or approximately x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))"""

    name = "gelu"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = (*_examples(), *_examples(approximate=True))

    def infer(self, x: TensorType, *, approximate: bool = False) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, approximate):
        if approximate:
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
        return 0.5 * x * np.vectorize(math.erfc, otypes=[np.float64])(-x * math.sqrt(0.5))

    def lower(self, x: Value, *, approximate: bool) -> Value:
        if not approximate:
            return F.mul(x, F.ndtr(x))
        cubic = F.add(x, F.mul(F.mul(F.square(x), x), 0.044715))
        return F.mul(F.mul(x, 0.5), F.add(F.tanh(F.mul(cubic, math.sqrt(2 / math.pi))), 1.0))


class HardSigmoid(Activation):
    """min(max(alpha · x + beta, 0), 1); Keras 3 has alpha 1/6, Keras 2 and ONNX 0.2"""

    name = "hard_sigmoid"
    examples: ClassVar = (*_examples(), *_examples(alpha=0.2))

    def infer(self, x: TensorType, *, alpha: float = 1 / 6, beta: float = 0.5) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, alpha, beta):
        return np.minimum(np.maximum(alpha * x + beta, 0), 1)

    def lower(self, x: Value, *, alpha: float, beta: float) -> Value:
        return F.clip(F.add(F.mul(x, alpha), beta), low=0.0, high=1.0)


class HardSilu(Activation):
    """x · min(max(x/6 + 1/2, 0), 1), also called hard swish"""

    name = "hard_silu"

    @staticmethod
    def function(x):
        return x * np.minimum(np.maximum(x / 6 + 0.5, 0), 1)

    def lower(self, x: Value) -> Value:
        return F.mul(x, F.hard_sigmoid(x))


class HardTanh(Activation):
    """min(max(x, -1), 1)"""

    name = "hard_tanh"

    @staticmethod
    def function(x):
        return np.minimum(np.maximum(x, -1), 1)

    def lower(self, x: Value) -> Value:
        return F.clip(x, low=-1.0, high=1.0)


class HardShrink(Activation):
    """x where |x| > threshold, else 0, and 0 for NaN"""

    name = "hard_shrink"

    def infer(self, x: TensorType, *, threshold: float = 0.5) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, threshold):
        return np.where(np.abs(x) > threshold, x, 0)

    def lower(self, x: Value, *, threshold: float) -> Value:
        return F.select(F.greater(F.abs(x), threshold), x, 0.0)


class SoftShrink(Activation):
    """x - threshold where x > threshold, x + threshold where x < -threshold, else 0, and 0 for NaN"""

    name = "soft_shrink"
    examples: ClassVar = (*_examples(), *_examples(threshold=1.25))

    def infer(self, x: TensorType, *, threshold: float = 0.5) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, threshold):
        return np.where(x > threshold, x - threshold, np.where(x < -threshold, x + threshold, 0))

    def lower(self, x: Value, *, threshold: float) -> Value:
        below = F.select(F.less(x, -threshold), F.add(x, threshold), 0.0)
        return F.select(F.greater(x, threshold), F.sub(x, threshold), below)


class TanhShrink(Activation):
    """x - tanh x"""

    name = "tanh_shrink"

    @staticmethod
    def function(x):
        return x - np.tanh(x)

    def lower(self, x: Value) -> Value:
        return F.sub(x, F.tanh(x))


class Threshold(Activation):
    """x where x > threshold, else value, and value for NaN"""

    name = "threshold"
    examples: ClassVar = _examples(threshold=0.25, value=-7.0)

    def infer(self, x: TensorType, *, threshold: float, value: float) -> TensorType:
        return super().infer(x)

    @staticmethod
    def function(x, threshold, value):
        return np.where(x > threshold, x, value)

    def lower(self, x: Value, *, threshold: float, value: float) -> Value:
        return F.select(F.greater(x, threshold), x, value)


class Softsign(Activation):
    """x / (1 + |x|)"""

    name = "softsign"

    @staticmethod
    def function(x):
        return x / (1 + np.abs(x))

    def lower(self, x: Value) -> Value:
        return F.div(x, F.add(F.abs(x), 1.0))


class Mish(Activation):
    """x · tanh(ln(1 + eˣ))"""

    name = "mish"
    tolerance: ClassVar[float] = 2e-6

    @staticmethod
    def function(x):
        return x * np.tanh(np.logaddexp(0, x))

    def lower(self, x: Value) -> Value:
        return F.mul(x, F.tanh(F.softplus(x)))


class LogSigmoid(Activation):
    """-ln(1 + e⁻ˣ)"""

    name = "log_sigmoid"

    @staticmethod
    def function(x):
        return -np.logaddexp(0, -x)

    def lower(self, x: Value) -> Value:
        return F.neg(F.softplus(F.neg(x)))


class Squareplus(Activation):
    """(x + √(x² + b)) / 2"""

    name = "squareplus"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = tuple(
        Example((x,), attrs) for attrs in ({}, {"b": 0.5})
        for x in (np.where(np.abs(FLOATS) > 1e38, np.copysign(np.inf, FLOATS), FLOATS), _ROWS))

    def infer(self, x: TensorType, *, b: float = 4.0) -> TensorType:
        if b < 0:
            raise ShapeError(f"squareplus: b is {b}, but must not be negative")
        return super().infer(x)

    @staticmethod
    def function(x, b):
        root = np.sqrt(x * x + b)
        return np.where(np.isfinite(x) & (x < 0), b / (root - x), x + root) / 2

    def lower(self, x: Value, *, b: float) -> Value:
        # x + root loses all its digits far below zero; b / (root - x) is the same number.
        root = F.sqrt(F.add(F.square(x), b))
        far = apply("and", F.is_finite(x), F.less(x, 0.0))
        return F.mul(F.select(far, F.div(b, F.sub(root, x)), F.add(x, root)), 0.5)


class SparsePlus(Activation):
    """0 where x ≤ -1, (x + 1)²/4 where x < 1, else x"""

    name = "sparse_plus"

    @staticmethod
    def function(x):
        return np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))

    def lower(self, x: Value) -> Value:
        curve = F.mul(F.square(F.add(x, 1.0)), 0.25)
        return F.select(F.less_equal(x, -1.0), 0.0, F.select(F.less(x, 1.0), curve, x))


class SparseSigmoid(Activation):
    """min(max((x + 1)/2, 0), 1)"""

    name = "sparse_sigmoid"

    @staticmethod
    def function(x):
        return np.minimum(np.maximum((x + 1) / 2, 0), 1)

    def lower(self, x: Value) -> Value:
        return F.hard_sigmoid(x, alpha=0.5, beta=0.5)


class Glu(Op):
    """a / (1 + e⁻ᵇ), where a and b are the two halves of x along an axis"""

    name = "glu"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = (Example((_ROWS[:, :36].copy(),), batched=(0,)),
                          Example((_ROWS[:4].copy(),), {"axis": 0}))

    def infer(self, x: TensorType, *, axis: int = -1) -> TensorType:
        axis = normalize_axis(axis, x.rank)
        size = x.shape[axis]
        if not x.dtype.is_float or not isinstance(size, int) or size % 2:
            raise ShapeError(f"glu of {x!r}: expects floats and an even number of them along axis {axis}")
        return x.with_shape((*x.shape[:axis], size // 2, *x.shape[axis + 1:]))

    def eval(self, x: np.ndarray, *, axis: int) -> np.ndarray:
        a, b = np.split(x.astype(np.float64), 2, axis)
        return (a * np.exp(-np.logaddexp(0, -b))).astype(x.dtype)

    def lower(self, x: Value, *, axis: int) -> Value:
        axis = normalize_axis(axis, x.type.rank)
        half = x.type.shape[axis] // 2
        sizes = tuple(half if i == axis else -1 for i in range(x.type.rank))
        a, b = (F.slice(x, starts=tuple(start if i == axis else 0 for i in range(x.type.rank)),
                        sizes=sizes, steps=(1,) * x.type.rank) for start in (0, half))
        return F.mul(a, F.sigmoid(b))
