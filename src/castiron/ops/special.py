"""Special functions of each element alone, made of core operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from castiron.ir import DType, Value
from castiron.ops.base import Example, F
from castiron.ops.scalar import FLOATS, Unary

_ROWS = np.random.default_rng(23).standard_normal((5, 37)).astype(np.float32)
_UNIT = np.array([[0, -0.0, 1, -1, 0.5, -0.5, 0.9999999, -0.9999999, 1e-30, 1e-7, 0.97, 2, -1.5, np.nan, np.inf]],
                 np.float32)
_SHARES = np.random.default_rng(31).random((5, 37)).astype(np.float32)


def _each(function: Callable[[float], float]) -> Callable[[np.ndarray], np.ndarray]:
    """The function applied to each element in Python's doubles."""
    def apply(x: np.ndarray) -> np.ndarray:
        return np.array([function(float(e)) for e in x.flat], np.float64).reshape(x.shape)
    return apply


class Special(Unary):
    """A float operand, result of the same type."""

    examples: ClassVar = (Example((FLOATS,)), Example((_ROWS * 4,), batched=(0,)), Example((np.abs(_ROWS) * 30,)))


def _lgamma(x: float) -> float:
    return math.inf if math.isinf(x) or (x <= 0 and x == math.floor(x)) else math.lgamma(x)


class Lgamma(Special):
    """ln |Γ(x)|, by the approximation of Lanczos (1964) for x ≥ ½ and the reflection formula below"""

    name, function = "lgamma", staticmethod(_each(_lgamma))
    tolerance: ClassVar[float] = 3e-6

    def lower(self, x: Value) -> Value:
        reflected = F.less(x, 0.5)
        z = F.select(reflected, F.neg(x), F.sub(x, 1.0))
        total = 0.99999999999980993
        for i, coefficient in enumerate(_LANCZOS, 1):
            total = F.add(F.div(coefficient, F.add(z, float(i))), total)
        t = F.add(z, 7.5)
        log_t = F.add(F.log1p(F.mul(z, 1 / 7.5)), math.log(7.5))
        exponent = F.mul(F.sub(F.add(z, 0.5), F.div(t, log_t)), log_t)
        result = F.add(F.add(exponent, F.log(total)), math.log(2 * math.pi) / 2)
        size = F.abs(x)
        part = F.sub(size, F.floor(size))
        sine = F.sin(F.mul(F.minimum(part, F.sub(1.0, part)), math.pi))
        below = F.sub(F.sub(math.log(math.pi), F.log(sine)), result)
        result = F.select(reflected, below, result)
        # Where the series overflows, and at -∞, which has no fraction.
        return F.select(F.equal(size, math.inf), size, result)


#: Of g = 7 and nine terms, the first of which is a constant (Godfrey, 2001).
_LANCZOS = (676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
            -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7)


def _digamma(x: float) -> float:
    if math.isinf(x) or math.isnan(x) or (x <= 0 and x == math.floor(x)):
        return x if x > 0 else math.nan
    if x < 0.5:
        return _digamma(1 - x) - math.pi / math.tan(math.pi * math.fmod(x, 1))
    total = 0.0
    while x < 12:
        total -= 1 / x
        x += 1
    y = 1 / (x * x)
    return total + math.log(x) - 0.5 / x - sum(c * y**k for k, c in enumerate(_DIGAMMA, 1))


#: Of x^-2, x^-4, … in the asymptotic series of ln x - 1/2x - ψ(x): B₂ₖ / 2k.
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


class Digamma(Special):
    """ψ(x) = d/dx ln Γ(x), NaN at its poles: the recurrence up to x + 6, of doubles x + 10, and the asymptotic series
    there; by reflection below ½"""

    name, function = "digamma", staticmethod(_each(_digamma))
    tolerance: ClassVar[float] = 3e-6

    def lower(self, x: Value) -> Value:
        reflected = F.less(x, 0.5)
        z = F.select(reflected, F.sub(1.0, x), x)
        steps, terms = (10, 7) if x.type.dtype == DType.F64 else (6, 4)
        total = F.reciprocal(z)
        for i in range(1, steps):
            total = F.add(F.reciprocal(F.add(z, float(i))), total)
        z = F.add(z, float(steps))
        y = F.square(F.reciprocal(z))
        series = F.mul(_polynomial(y, _DIGAMMA[:terms]), y)
        result = F.sub(F.sub(F.sub(F.log(z), F.div(0.5, z)), series), total)
        part = F.sub(x, F.round(x))
        cotangent = F.div(math.pi, F.tan(F.mul(part, math.pi)))
        below = F.select(F.equal(part, 0.0), math.nan, F.sub(result, cotangent))
        return F.select(reflected, below, result)


def _inverse_normal(p: float) -> float:
    if p in (0, 1):
        return math.inf if p else -math.inf
    return NormalDist().inv_cdf(p) if 0 < p < 1 else math.nan


def _erfinv(x: float) -> float:
    if abs(x) < 1e-4:
        return math.sqrt(math.pi) / 2 * (x + math.pi / 12 * x**3)
    return _inverse_normal((x + 1) / 2) / math.sqrt(2)


class Ndtri(Special):
    """The x of which p is the probability that a standard normal number is below, by Wichura's algorithm AS 241
    (Applied Statistics 37, 1988)"""

    name, function = "ndtri", staticmethod(_each(_inverse_normal))
    tolerance: ClassVar[float] = 3e-6
    examples: ClassVar = (Example((_UNIT,)), Example((_SHARES,), batched=(0,)), Example((FLOATS,)))

    def lower(self, p: Value) -> Value:
        return _wichura(F.sub(p, 0.5), F.minimum(p, F.sub(1.0, p)))


class Erfinv(Special):
    """The x of which erf x is given, by Wichura's algorithm AS 241"""

    name, function = "erfinv", staticmethod(_each(_erfinv))
    tolerance: ClassVar[float] = 3e-6
    examples: ClassVar = (Example((_UNIT,)), Example((2 * _SHARES - 1,), batched=(0,)), Example((FLOATS,)))

    def lower(self, x: Value) -> Value:
        tail = F.mul(F.sub(1.0, F.abs(x)), 0.5)
        return F.mul(_wichura(F.mul(x, 0.5), tail), 1 / math.sqrt(2))


def _wichura(q: Value, tail: Value) -> Value:
    """The normal quantile of ½ + q, where ``tail`` is the smaller of that and 1 less it."""
    middle = F.mul(q, _ratio(F.sub(0.180625, F.square(q)), _CENTRAL))
    r = F.sqrt(F.neg(F.log(tail)))
    outer = F.select(F.less_equal(r, 5.0), _ratio(F.sub(r, 1.6), _NEAR), _ratio(F.sub(r, 5.0), _FAR))
    outer = F.select(F.equal(tail, 0.0), math.inf, outer)
    outer = F.select(F.less(q, 0.0), F.neg(outer), outer)
    return F.select(F.less_equal(F.abs(q), 0.425), middle, outer)


_CENTRAL = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125, 45921.953931549871457,
     67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077, 21213.794301586595867,
     39307.895800092710610, 28729.085735721942674, 5226.4952788528545610))
_NEAR = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
     1.27045825245236838258, 0.241780725177450611770, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550, 0.148103976427480074590,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9))
_FAR = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 0.599832206555887937690, 0.136929880922735805310, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15))


def _scaled_bessel(order: int) -> Callable[[np.ndarray], np.ndarray]:
    """e⁻ˣ Iₙ(x) for x ≥ 0: the trapezoidal rule over Bessel's integral, and the asymptotic series for large x."""
    angle = np.arange(512) * (2 * np.pi / 512)
    mu = 4 * order * order

    def evaluate(x: np.ndarray) -> np.ndarray:
        small = np.where(x < 1000, x, 0)
        integral = np.mean(np.exp(small[..., None] * (np.cos(angle) - 1)) * np.cos(order * angle), -1)
        large = np.maximum(x, 1000)
        series = term = np.ones_like(large)
        for k in range(1, 7):
            term = term * ((2 * k - 1) ** 2 - mu) / (8 * k * large)
            series = series + term
        return np.where(np.isnan(x), x, np.where(x < 1000, integral, series / np.sqrt(2 * np.pi * large)))
    return evaluate


class Bessel(Special):
    """The modified Bessel function of the first kind, by Abramowitz and Stegun 9.8.1 to 9.8.4; of doubles by its power
    series up to 15/2, and above by a polynomial in 15/x - 1 near √x e⁻ˣ Iₙ(x), to 2⁻⁵³."""

    order: ClassVar[int]
    scaled: ClassVar[bool]
    tolerance: ClassVar[float] = 3e-6
    _INNER: ClassVar = ((1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813),
                        (0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411))
    _OUTER: ClassVar = ((0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281, -0.02057706, 0.02635537,
                         -0.01647633, 0.00392377),
                        (0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555, 0.02282967, -0.02895312,
                         0.01787654, -0.00420059))

    _WIDE: ClassVar = (
        (0.4024011549800442, 0.0036041221220618437, 0.00015756533636472587, 1.4020452753542164e-05,
         2.0574369623359354e-06, 4.651943257235723e-07, 1.6188141970015956e-07, 8.123006537880657e-08,
         4.02930316549315e-08, -8.968148028291121e-10, -3.324196691004028e-08, -2.8920663407194235e-08,
         7.870034381809656e-09, 2.632781257845155e-08, 2.1183507876484333e-09, -1.8605481598090204e-08,
         -3.783233984824516e-09, 1.1047556210399114e-08, 2.610388439491321e-09, -4.981653596210699e-09,
         -1.1504938333335994e-09, 1.448855222472526e-09, 3.098306892810153e-10, -1.9830167989855885e-10,
         -3.878405663416961e-11),
        (0.38874750833923855, -0.010430945442464644, -0.00025292056729509383, -1.886461607748373e-05,
         -2.5349480665003815e-06, -5.424239181717234e-07, -1.8149173611406015e-07, -8.894826314372982e-08,
         -4.417459089839453e-08, -3.424671487225115e-10, 3.437853584703217e-08, 3.0945803414663614e-08,
         -7.208884577261574e-09, -2.7468695579174456e-08, -3.0343463700781005e-09, 1.918138695511028e-08,
         4.508786699144485e-09, -1.1328673136940692e-08, -3.0540196118762217e-09, 5.097629606641071e-09,
         1.349824694665904e-09, -1.4814895346775327e-09, -3.6700739653736814e-10, 2.027269821733795e-10,
         4.649155818994488e-11))

    def eval(self, x: np.ndarray) -> np.ndarray:
        size = np.abs(x.astype(np.float64))
        with np.errstate(all="ignore"):
            result = _scaled_bessel(self.order)(size)
            if not self.scaled:
                result = np.where(np.isinf(size), np.inf, result * np.exp(size))
            return (np.where(x < 0, -result, result) if self.order else result).astype(x.dtype)

    def lower(self, x: Value) -> Value:
        size = F.abs(x)
        if x.type.dtype == DType.F64:
            limit = 7.5
            series = [2.0**-self.order / (4**k * math.factorial(k) * math.factorial(k + self.order)) for k in range(28)]
            inner = _polynomial(F.square(F.minimum(size, limit)), series)
            scale = _polynomial(F.sub(F.div(2 * limit, F.maximum(size, limit)), 1.0), self._WIDE[self.order])
        else:
            limit = 3.75
            inner = _polynomial(F.square(F.mul(x, 1 / limit)), self._INNER[self.order])
            scale = _polynomial(F.div(limit, F.maximum(size, limit)), self._OUTER[self.order])
        inner = F.mul(inner, size) if self.order else inner
        if self.scaled:
            inner = F.mul(inner, F.exp(F.neg(size)))
        outer = F.mul(scale, F.rsqrt(size))
        if not self.scaled:  # in two factors, the first of which doesn't overflow before the result does
            half = F.exp(F.mul(size, 0.5))
            outer = F.select(F.equal(size, math.inf), size, F.mul(F.mul(outer, half), half))
        result = F.select(F.less(size, limit), inner, outer)
        return F.select(F.less(x, 0.0), F.neg(result), result) if self.order else result


class I0(Bessel):
    """I₀(x), the modified Bessel function of the first kind of order 0"""
    name, order, scaled = "i0", 0, False


class I0e(Bessel):
    """e^-|x| I₀(x)"""
    name, order, scaled = "i0e", 0, True


class I1(Bessel):
    """I₁(x), the modified Bessel function of the first kind of order 1"""
    name, order, scaled = "i1", 1, False


class I1e(Bessel):
    """e^-|x| I₁(x)"""
    name, order, scaled = "i1e", 1, True


def _polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Σ cᵢ xⁱ by Horner's rule."""
    *rest, last = coefficients
    total = F.add(F.mul(x, last), rest[-1])
    for coefficient in reversed(rest[:-1]):
        total = F.add(F.mul(total, x), coefficient)
    return total


def _ratio(x: Value, coefficients: tuple[Sequence[float], Sequence[float]]) -> Value:
    return F.div(_polynomial(x, coefficients[0]), _polynomial(x, coefficients[1]))
