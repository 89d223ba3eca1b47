"""The walkthrough's data: a linear function of ten random coefficients, and tables as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

FEATURES = 10
ROWS = 1024

#: Names of the columns of the training data: x1…x10, and x11, which is y.
COLUMNS = tuple(f"x{i}" for i in range(1, FEATURES + 2))


def coefficients(rng: np.random.Generator) -> np.ndarray:
    """Ten random numbers, i8[10]."""
    return rng.integers(-128, 128, FEATURES, dtype=np.int8)


def rows(rng: np.random.Generator) -> np.ndarray:
    """Standard normal inputs, f64[1024, 10]."""
    return rng.standard_normal((ROWS, FEATURES))


def write_csv(path: Path, header: Sequence[str], table: np.ndarray) -> None:
    """Write a table of one row a line, each number in the digits that give it back exactly."""
    lines = [",".join(header), *(",".join(map(repr, row)) for row in np.asarray(table, np.float64).tolist())]
    path.write_text("\n".join(lines) + "\n")


def read_csv(path: Path) -> np.ndarray:
    """Read a table that begins with a line of names: f64[rows, columns]."""
    return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
