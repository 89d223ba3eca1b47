"""What it means that two tensors agree."""

import numpy as np


def assert_agree(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """|actual - expected| / max(1, |expected|) within the tolerance; NaN and infinities at the same places."""
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_array_equal(np.where(np.isinf(actual), actual, 0), np.where(np.isinf(expected), expected, 0))
    finite = np.isfinite(expected)
    a, b = actual[finite].astype(np.float64), expected[finite].astype(np.float64)
    assert np.max(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0) <= tolerance


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Equal in every bit, except that any NaN is as good as another."""
    assert a.shape == b.shape and a.dtype == b.dtype
    if a.dtype.kind == "f":
        a, b = (np.where(np.isnan(x), np.nan, x).astype(x.dtype) for x in (a, b))
    assert a.tobytes() == b.tobytes()
