"""Accuracy and special values of the functions of doubles against extended precision."""

import math

import numpy as np
import pytest

from kernels.shipped import BINARY64, UNARY64, same
from kernels.test_elementary import REFERENCES

ULP = 3.0  # what elementary.h promises
EXACT = {"abs", "floor", "ceil", "trunc", "round", "sqrt"}
WIDE = np.finfo(np.longdouble).nmant >= 63
FUNCTIONS = sorted(set(UNARY64) - EXACT)

pytestmark = pytest.mark.skipif(not WIDE, reason="numpy has no extended precision here")


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def reference(name, x):
    """The function in extended precision; erf and erfc, which numpy hasn't, as the C library has them."""
    wide = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            return np.array([getattr(math, name)(v) for v in x], np.longdouble)
        if name == "softplus":
            return np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))
        return sigmoid(wide) if name == "sigmoid" else REFERENCES[name](wide)


def sample():
    """Every eighth exponent and sign with some significands, where functions change, and special values."""
    rng = np.random.default_rng(7)
    exponents = np.arange(0, 2048, 8, dtype=np.uint64).repeat(8) << np.uint64(52)
    bits = exponents | rng.integers(0, 1 << 52, exponents.size, dtype=np.uint64)
    wide = np.concatenate([bits, bits | np.uint64(1 << 63)]).view(np.float64)
    ranges = ((-1, 1, 3000), (-12, 12, 4000), (-800, 800, 3000), (0.5, 1.5, 3000), (-0.01, 0.01, 500))
    near = [rng.uniform(low, high, count) for low, high, count in ranges]
    special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 2.2250738585072014e-308,
               1.7976931348623157e308, -1.7976931348623157e308, 709.782712893384, 709.7827128933841, -708.4, -745.1,
               -745.2, 710.475, 27.2, 6.0, np.pi, 2 * np.pi, 355.0, 1e22, 6381956970095103.0 * 2.0**797, 2.0**20]
    return np.concatenate([wide, *near, np.array(special)])


def ulps(y, exact):
    """As for floats, in units of the double next to `exact`."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.where(np.isfinite(exact), exact, 1))
        unit = np.ldexp(np.longdouble(1), np.clip(exponent - 53, -1074, 971))
        top = np.ldexp(np.longdouble(1), 1024)
        reached, target = (np.clip(v.astype(np.longdouble), -top, top) for v in (y, exact))
        distance = np.abs(reached - target) / unit
    distance = np.where(np.isinf(exact), np.where(y == exact, 0, np.inf), distance)
    return np.where(np.isnan(exact) | np.isnan(y), np.where(np.isnan(exact) & np.isnan(y), 0, np.inf), distance)


def assert_close(name, y, exact, *operands):
    error = ulps(y, exact)
    worst = int(error.argmax())
    at = ", ".join(float(x[worst]).hex() for x in operands)
    assert error[worst] <= ULP, f"{name}({at}) = {y[worst]!r}, exact {exact[worst]!r}: {error[worst]:.2f} ULP"
    signed = (y == 0) & (exact == 0)
    assert (np.signbit(y) == np.signbit(exact))[signed].all(), f"{name}: a zero has the wrong sign"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_of_doubles_within_three_ulp(kernels, name):
    x = sample()
    assert_close(name, kernels.unary(name, x), reference(name, x), x)


@pytest.mark.parametrize("name", sorted(EXACT & set(UNARY64)))
def test_exact_functions_of_doubles(kernels, name):
    x = sample()
    with np.errstate(all="ignore"):
        assert same(kernels.unary(name, x), {"round": np.rint, "abs": np.abs}.get(name, getattr(np, name))(x))


def pairs():
    rng = np.random.default_rng(8)
    special = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, -7.0, 1e10, 2.0**53 - 1, -(2.0**53),
                        5e-324, 1e308, -1e308, np.inf, -np.inf, np.nan, 1 - 2.0**-53, 1 + 2.0**-52, 1e-310])
    grid = np.meshgrid(special, special)
    bits = rng.integers(0, 1 << 64, (2, 5000), dtype=np.uint64).view(np.float64)
    bases = rng.uniform(0.01, 10, 10000) * rng.choice([-1, 1], 10000)
    powers = rng.integers(-300, 300, 10000) * rng.choice([1.0, 0.37], 10000)
    return tuple(np.concatenate([grid[i].ravel(), bits[i], (bases, powers)[i]]) for i in range(2))


@pytest.mark.parametrize(("name", "function"), [("pow", np.power), ("atan2", np.arctan2)])
def test_two_doubles(kernels, name, function):
    x, y = pairs()
    with np.errstate(all="ignore"):
        exact = function(x.astype(np.longdouble), y.astype(np.longdouble))
    assert_close(name, kernels.binary(name, x, y), exact, x, y)


EXACT_OF_TWO = {"fmod": np.fmod, "floormod": np.mod, "max": np.maximum, "min": np.minimum}


@pytest.mark.parametrize(("name", "function"), EXACT_OF_TWO.items())
def test_exact_functions_of_two_doubles(kernels, name, function):
    assert set(BINARY64) == {*EXACT_OF_TWO, "pow", "atan2"}
    x, y = pairs()
    with np.errstate(all="ignore"):
        assert same(kernels.binary(name, x, y), function(x, y))


@pytest.mark.parametrize("other", ["v4", "neon"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_levels_agree_on_doubles_bit_for_bit(kernels_at, name, other):
    x = sample()
    assert same(kernels_at("v3").unary(name, x), kernels_at(other).unary(name, x))
