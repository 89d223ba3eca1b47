"""Loads, stores, selections, rounding and reductions of vec.h."""

import numpy as np
import pytest

from kernels.shipped import DTYPES, same

NUMPY = {"f32": np.float32, "f64": np.float64}
NUMPY |= {dtype: np.dtype(f"{dtype[0]}{int(dtype[1:]) // 8}") for dtype in DTYPES if dtype[0] != "f"}
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-45,
                    8388609.0], np.float32)  # fmt: skip


@pytest.mark.parametrize("place", ["start", "end"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_partial_vectors_touch_only_their_elements(kernels, dtype, place):
    values = np.arange(1, 17).astype(NUMPY[dtype])
    for n in range(1, 17):
        stored = kernels(f"partial_{dtype}", np.zeros(n, NUMPY[dtype]), values[:n], dimensions=[n, 0], place=place)
        assert (stored == values[:n]).all()
        loaded = kernels(f"partial_{dtype}", np.ones(16, NUMPY[dtype]), values[:n], dimensions=[n, 1], place=place)
        assert (loaded[:n] == values[:n]).all() and not loaded[n:].any()


def test_a_constant_count_stores_as_much(kernels):
    x = np.arange(16, dtype=np.float32)
    assert kernels("store_three", np.zeros(3, np.float32), x).tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["abs", "floor", "ceil", "trunc", "round", "sqrt"])
def test_exact_functions(kernels, name):
    reference = {"round": np.rint, "abs": np.abs}.get(name) or getattr(np, name)
    with np.errstate(invalid="ignore"):
        assert same(kernels.unary(name, SPECIAL), reference(SPECIAL))


@pytest.mark.parametrize("name", ["max", "min"])
def test_maximum_and_minimum_keep_nan(kernels, name):
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL[1:], SPECIAL[1:]))
    assert same(kernels.binary(name, x, y), {"max": np.maximum, "min": np.minimum}[name](x, y))


def test_copysign(kernels):
    x, y = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    assert same(kernels.binary("copysign", x, y), np.copysign(x, y))


def test_relu_keeps_nan_and_the_sign_of_zero(kernels):
    expected = np.where(SPECIAL < 0, np.float32(0), SPECIAL)
    assert same(kernels.unary("relu", SPECIAL), expected)


def test_selection_in_place(kernels):
    x = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    assert same(kernels("leaky", x, dimensions=[64]), np.where(x > 0, x, x * np.float32(0.25)))


def test_classes_of_numbers(kernels):
    nan, inf, finite, any_above_one = kernels("classify", np.zeros((4, 16), np.int32), SPECIAL)
    assert (nan == -np.isnan(SPECIAL).astype(int)).all()
    assert (inf == -np.isinf(SPECIAL).astype(int)).all()
    assert (finite == -np.isfinite(SPECIAL).astype(int)).all()
    assert (any_above_one == 7).all()
    assert (kernels("classify", np.zeros((4, 16), np.int32), np.ones(16, np.float32))[3] == 0).all()


def tree(x, combine):
    while x.size > 1:
        x = combine(x[: x.size // 2], x[x.size // 2 :])
    return x[0]


@pytest.mark.parametrize(("entry", "dtype"), [("reduce", np.float32), ("reduce_f64", np.float64)])
def test_reductions_have_one_order(kernels, entry, dtype):
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = (rng.standard_normal(16) * 10.0 ** rng.integers(-3, 3, 16)).astype(dtype)
        expected = [tree(x, f) for f in (np.add, np.multiply, np.maximum, np.minimum)]
        assert same(kernels(entry, np.zeros(4, dtype), x), np.array(expected, dtype))


@pytest.mark.parametrize("lane", range(16))
def test_reductions_keep_nan(kernels, lane):
    x = np.arange(1, 17, dtype=np.float32)
    x[lane] = np.nan
    assert np.isnan(kernels("reduce", np.zeros(4, np.float32), x)).all()
