"""Accuracy and special values of elementary.h against float64."""

import math

import numpy as np
import pytest

from kernels.shipped import BINARY, UNARY, same

#: What elementary.h promises.
ULP = 2.0
ULP_OF = {"ndtr": 5.0}
SMALLEST_NORMAL = 2.0**-126


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


NUMPY = ("exp", "exp2", "expm1", "tanh", "sinh", "cosh", "log", "log2", "log10", "log1p", "sin", "cos", "tan")
REFERENCES = {name: getattr(np, name) for name in NUMPY}
REFERENCES |= {name: getattr(np, f"arc{name[1:]}") for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")}
REFERENCES |= {
    "sigmoid": sigmoid,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "erfc": np.vectorize(math.erfc, otypes=[float]),
    "ndtr": np.vectorize(lambda x: 0.5 * math.erfc(-x * math.sqrt(0.5)), otypes=[float]),
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
}
FUNCTIONS = sorted(REFERENCES)


def sample():
    """Every exponent and sign with some significands, where functions change, and special values."""
    rng = np.random.default_rng(7)
    exponents = np.arange(256, dtype=np.uint32).repeat(24) << 23
    bits = exponents | rng.integers(0, 1 << 23, exponents.size, dtype=np.uint32)
    wide = np.concatenate([bits, bits | 0x80000000]).view(np.float32)
    ranges = ((-1, 1, 4000), (-12, 12, 6000), (-110, 110, 4000), (0.5, 1.5, 3000))
    near = [rng.uniform(low, high, count).astype(np.float32) for low, high, count in ranges]
    special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1.17549435e-38, 3.4028235e38,
               -3.4028235e38, 88.72284, 88.72283, -87.33655, -103.97208, -103.97209, 128.0, -149.0, -150.0, 127.99999]
    return np.concatenate([wide, *near, np.array(special, np.float32)])


def ulps(y, exact):
    """Distance in units of the last place of the float next to `exact`; 0 where both are NaN or the same
    infinity, inf where only one is."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.where(np.isfinite(exact), exact, 1.0))
        unit = np.ldexp(1.0, np.clip(exponent - 24, -149, 104))
        # Past the largest float, the next one would be 2^128.
        reached, target = (np.clip(v.astype(np.float64), -(2.0**128), 2.0**128) for v in (y, exact))
        distance = np.abs(reached - target) / unit
    distance = np.where(np.isinf(exact), np.where(y == exact, 0.0, np.inf), distance)
    return np.where(np.isnan(exact) | np.isnan(y), np.where(np.isnan(exact) & np.isnan(y), 0.0, np.inf), distance)


def assert_close(name, y, exact, *operands):
    error = ulps(y, exact)
    worst = int(error.argmax())
    at = ", ".join(float(x[worst]).hex() for x in operands)
    assert error[worst] <= ULP_OF.get(name, ULP), (
        f"{name}({at}) = {y[worst]!r}, exact {exact[worst]!r}: {error[worst]:.2f} ULP")
    signed = np.isfinite(exact) & ((y == 0) | (exact == 0))
    assert (np.signbit(y) == np.signbit(exact))[signed].all(), f"{name}: a zero has the wrong sign"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_within_two_ulp(kernels, name):
    x = sample()
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.astype(np.float64))
    assert_close(name, kernels.unary(name, x), exact, x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_subnormals_may_count_as_zero(kernels, name):
    x = sample()
    flushed = np.where(np.abs(x) < SMALLEST_NORMAL, np.copysign(np.float32(0), x), x)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](flushed.astype(np.float64))
    y = kernels.unary(name, x, flush=True)
    with np.errstate(all="ignore"):
        lost = np.abs(y - exact) <= SMALLEST_NORMAL
    assert_close(name, np.where(lost, exact, y).astype(np.float32), exact, x)


def test_every_function_is_tested():
    exact = {"abs", "floor", "ceil", "trunc", "round", "sqrt", "relu"}
    assert set(UNARY) == set(FUNCTIONS) | exact


def pairs():
    rng = np.random.default_rng(8)
    special = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 1.5, -7.0, 1e10, 16777215.0, -16777217.0,
                        1e-45, 3e38, -3e38, np.inf, -np.inf, np.nan, 0.99999994, 1.0000001], np.float32)
    grid = np.meshgrid(special, special)
    bits = rng.integers(0, 1 << 32, (2, 20000), dtype=np.uint32).view(np.float32)
    bases = rng.uniform(0.01, 10, 20000) * rng.choice([-1, 1], 20000)
    powers = rng.integers(-40, 40, 20000) * rng.choice([1.0, 0.37], 20000)
    small = bases.astype(np.float32), powers.astype(np.float32)
    return tuple(np.concatenate([grid[i].ravel(), bits[i], small[i]]) for i in range(2))


@pytest.mark.parametrize(("name", "reference"), [("pow", np.power), ("atan2", np.arctan2)])
def test_two_operands(kernels, name, reference):
    x, y = pairs()
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64), y.astype(np.float64))
    assert_close(name, kernels.binary(name, x, y), exact, x, y)


@pytest.mark.parametrize(("name", "reference"), [("fmod", np.fmod), ("floormod", np.mod)])
def test_remainders_are_exact(kernels, name, reference):
    x, y = pairs()
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    assert same(kernels.binary(name, x, y), expected)


@pytest.mark.parametrize("other", ["v4", "neon"])
@pytest.mark.parametrize("name", [*FUNCTIONS, *BINARY])
def test_levels_with_fused_multiply_add_agree_bit_for_bit(kernels_at, name, other):
    if name in BINARY:
        x, y = pairs()
        assert same(kernels_at("v3").binary(name, x, y), kernels_at(other).binary(name, x, y))
    else:
        x = sample()
        assert same(kernels_at("v3").unary(name, x), kernels_at(other).unary(name, x))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_lane_does_not_see_its_neighbours(kernels, name):
    x = sample()
    order = np.random.default_rng(9).permutation(x.size)
    assert same(kernels.unary(name, x)[order], kernels.unary(name, x[order]))
