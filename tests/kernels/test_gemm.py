"""Products with packed matrices: gemm.h and gemm_column.h."""

import itertools

import numpy as np
import pytest

from kernels.shipped import same

# One, primes, and each tile's and panel's edge with its neighbours.
ROWS = (0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 25)
COLUMNS = (1, 7, 15, 16, 17, 24, 25, 31, 32, 33, 40, 41, 48, 49, 63, 64, 65, 79, 96, 113, 128, 129, 144, 257)
DEPTHS = (0, 1, 2, 3, 4, 5, 10, 17, 67)
SHAPES = [(m, n, k) for i, (m, n, k) in enumerate(itertools.product(ROWS, COLUMNS, DEPTHS)) if i % 7 == 0 or k == 5]


def random(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def packed(b):
    """[ceil(n/16)][k][16], zeros in the columns that are missing."""
    k, n = b.shape
    panels = -(-n // 16)
    wide = np.zeros((k, panels * 16), np.float32)
    wide[:, :n] = b
    return np.ascontiguousarray(wide.reshape(k, panels, 16).swapaxes(0, 1))


def gemm(kernels, name, a, b, operand=(), stride=0, place="end"):
    m, k = a.shape
    n = b.shape[1]
    out = np.full((m, n), np.nan, np.float32)
    return kernels(f"gemm_{name}", out, a, packed(b), np.asarray(operand, np.float32),
                   dimensions=[m, n, k, k, n, stride], place=place)  # fmt: skip


def close(c, exact, a, b):
    """Within the bound of a sum of k products: Higham, Accuracy and Stability of Numerical Algorithms, 3.5."""
    k = a.shape[1]
    bound = (k + 4) * 2.0**-24 * (np.abs(a).astype(float) @ np.abs(b).astype(float)) + 1e-30
    return bool((np.abs(c - exact) <= bound).all())


@pytest.mark.parametrize("n", COLUMNS)
def test_products_of_every_shape(kernels, n):
    for m, _, k in (shape for shape in SHAPES if shape[1] == n):
        a, b = random(m, k), random(k, n, seed=1)
        for place in ("start", "end"):
            c = gemm(kernels, "plain", a, b, place=place)
            assert close(c, a.astype(float) @ b.astype(float), a, b), (m, n, k)


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 8), (1, 40, 27), (5, 16, 3), (13, 65, 20), (2, 200, 9)])
def test_epilogues_see_their_row_and_column(kernels, m, n, k):
    a, b, bias, rest = random(m, k), random(k, n), random(n, seed=2), random(m, n, seed=3)
    product = a.astype(float) @ b.astype(float)
    c = gemm(kernels, "bias_relu", a, b, bias)
    assert np.allclose(c, np.maximum(product + bias, 0), rtol=1e-5, atol=1e-5)
    c = gemm(kernels, "residual", a, b, rest, stride=n)
    assert np.allclose(c, np.tanh(product) + rest, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", COLUMNS)
def test_where_a_tile_meets_its_epilogue_changes_no_bit(kernels, n):
    for m, k in itertools.product((1, 5, 11, 12, 25), (1, 10, 67)):
        a, b, rest = random(m, k), random(k, n), random(m, n, seed=3)
        assert same(*(gemm(kernels, name, a, b, rest, n) for name in ("residual", "long_residual"))), (m, k)


def test_strided_rows_keep_what_lies_between(kernels):
    m, n, k, lda, ldc = 7, 21, 5, 8, 30
    a, b = random(m, lda), random(k, n)
    out = np.full((m, ldc), 9, np.float32)
    c = kernels("gemm_plain", out, a, packed(b), dimensions=[m, n, k, lda, ldc])
    assert np.allclose(c[:, :n], a[:, :k] @ b, rtol=1e-5, atol=1e-5) and (c[:, n:] == 9).all()


@pytest.mark.parametrize(("n", "k"), [(1, 64), (10, 33), (32, 9), (40, 27), (64, 65), (100, 31), (300, 12)])
def test_a_row_has_the_same_bits_in_any_batch(kernels, n, k):
    a, b = random(29, k), random(k, n)
    alone = np.concatenate([gemm(kernels, "plain", a[i : i + 1], b) for i in range(len(a))])
    for m in (2, 3, 4, 5, 6, 7, 9, 16, 29):
        assert same(gemm(kernels, "plain", a[:m], b), alone[:m]), m


@pytest.mark.parametrize("other", ["v4", "neon"])
@pytest.mark.parametrize("n", COLUMNS)
def test_levels_with_fused_multiply_add_agree_bit_for_bit(kernels_at, n, other):
    for m, k in itertools.product((1, 2, 6, 13), (3, 66)):
        a, b, rest = random(m, k), random(k, n), random(m, n)
        assert same(*(gemm(kernels_at(level), "residual", a, b, rest, n) for level in ("v3", other)))


@pytest.mark.parametrize("m", [0, 1, 2, 6, 17])
def test_a_layer_of_known_shape_has_the_same_bits(kernels, m):
    a, b, bias = random(m, 27), random(27, 40), random(40)
    layer = kernels("gemm_layer", np.zeros((m, 40), np.float32), a, packed(b), bias, dimensions=[m])
    assert same(layer, gemm(kernels, "bias_relu", a, b, bias))


def test_nan_and_infinity_stay_in_their_row(kernels):
    a, b = random(13, 6), random(6, 50)
    a[4, 2], a[9, 0] = np.nan, np.inf
    c = gemm(kernels, "plain", a, b)
    assert np.isnan(c[4]).all() and np.isinf(c[9]).all()
    assert np.isfinite(np.delete(c, [4, 9], axis=0)).all()


@pytest.mark.parametrize("k", [0, 1, 15, 16, 17, 63, 64, 65, 100, 128, 200])
@pytest.mark.parametrize("place", ["start", "end"])
def test_one_column(kernels, k, place):
    a, b, bias = random(9, k), random(k, 1, seed=1), np.array([0.5], np.float32)
    column = np.zeros(-(-k // 16) * 16, np.float32)
    column[:k] = b[:, 0]

    def product(rows):
        return kernels("gemm_column", np.zeros((len(rows), 1), np.float32), rows, column, bias,
                       dimensions=[len(rows), 0, k, k, 1], place=place)  # fmt: skip

    c = product(a)
    exact = np.maximum(a.astype(float) @ b.astype(float) + bias, 0)
    assert np.allclose(c, exact, rtol=1e-5, atol=1e-5)
    assert same(c, np.concatenate([product(a[i : i + 1]) for i in range(len(a))]))


@pytest.mark.parametrize("other", ["v4", "neon"])
def test_one_column_agrees_bit_for_bit(kernels_at, other):
    for k in (5, 64, 200):
        a, column, bias = random(3, k), np.zeros(-(-k // 16) * 16, np.float32), np.zeros(1, np.float32)
        column[:k] = random(k)
        assert same(*(kernels_at(level)("gemm_column", np.zeros((3, 1), np.float32), a, column, bias,
                                        dimensions=[3, 0, k, k, 1]) for level in ("v3", other)))  # fmt: skip


@pytest.mark.parametrize("place", ["start", "end"])
@pytest.mark.parametrize(("k", "n"), [(0, 5), (1, 1), (3, 16), (5, 17), (16, 33), (7, 64)])
def test_packing_at_run_time(kernels, k, n, place):
    b = random(k, n)
    out = np.full_like(packed(b), 9)
    assert same(kernels("gemm_pack", out, b, dimensions=[k, n, n, 1], place=place), packed(b))
    transposed = np.ascontiguousarray(b.T)
    assert same(kernels("gemm_pack", out, transposed, dimensions=[k, n, 1, k], place=place), packed(b))
