"""Diagonals and bands of matrices."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import DType, Value, constant, product
from castiron.ops import F, apply


@converts("MatrixDiag")
def matrix_diag(node: SourceNode, diagonal: Value) -> Value:
    size = diagonal.type.shape[-1]
    return _from_diagonals(diagonal, 0, 0, size, size, _zero(diagonal), "RIGHT_LEFT")


@converts("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_v3(node: SourceNode, diagonal: Value, k: Value, rows: Value, columns: Value, padding: Value) -> Value:
    """Matrices of which the diagonals k[0] to k[1] are given, and the others are the padding."""
    low, high = _band(node, k)
    rows, columns = (node.ints(v, "the size of the matrix")[0] for v in (rows, columns))
    longest = diagonal.type.shape[-1]
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    return _from_diagonals(diagonal, low, high, rows, columns, padding, _align(node))


def _from_diagonals(diagonal: Value, low: int, high: int, rows: int, columns: int, padding: Value,
                    align: str) -> Value:
    lead, packed = _packed(diagonal, low, high)
    places = np.full((rows, columns), product(packed))
    for row, column, place in _elements(rows, columns, low, high, packed[-1], align):
        places[row, column] = place
    return _picked([(diagonal, len(lead)), (padding, None)], lead, places)


@converts("DiagPart", "MatrixDiagPart")
def matrix_diag_part(node: SourceNode, x: Value) -> Value:
    if node.op == "DiagPart":
        half = x.type.rank // 2
        size = product(x.type.shape[:half])
        part = _diagonals(F.reshape(x, shape=(size, size)), 0, 0, _zero(x), "RIGHT_LEFT")
        return F.reshape(part, shape=x.type.shape[:half])
    return _diagonals(x, 0, 0, _zero(x), "RIGHT_LEFT")


@converts("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_part_v3(node: SourceNode, x: Value, k: Value, padding: Value) -> Value:
    return _diagonals(x, *_band(node, k), padding, _align(node))


def _diagonals(x: Value, low: int, high: int, padding: Value, align: str) -> Value:
    *lead, rows, columns = _known_matrix(x)
    longest = min(rows + min(high, 0), columns - max(low, 0))
    places = np.full((high - low + 1, longest), rows * columns)
    for row, column, place in _elements(rows, columns, low, high, longest, align):
        places[place // longest, place % longest] = row * columns + column
    return _picked([(x, len(lead)), (padding, None)], lead, places if low != high else places[0])


@converts("Diag")
def diag(node: SourceNode, x: Value) -> Value:
    flat = F.reshape(x, shape=(x.type.size,))
    return F.reshape(matrix_diag(node, flat), shape=(*x.type.shape, *x.type.shape))


@converts("MatrixSetDiag")
def matrix_set_diag(node: SourceNode, x: Value, diagonal: Value) -> Value:
    return _with_diagonals(x, diagonal, 0, 0, "RIGHT_LEFT")


@converts("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diag_v3(node: SourceNode, x: Value, diagonal: Value, k: Value) -> Value:
    return _with_diagonals(x, diagonal, *_band(node, k), _align(node))


def _with_diagonals(x: Value, diagonal: Value, low: int, high: int, align: str) -> Value:
    *lead, rows, columns = _known_matrix(x)
    _, packed = _packed(diagonal, low, high)
    places = np.arange(rows * columns).reshape(rows, columns)
    for row, column, place in _elements(rows, columns, low, high, packed[-1], align):
        places[row, column] = rows * columns + place
    return _picked([(x, len(lead)), (diagonal, len(lead))], lead, places)


@converts("MatrixBandPart")
def matrix_band_part(node: SourceNode, x: Value, lower: Value, upper: Value) -> Value:
    """x with zeros ``lower`` below and ``upper`` above the diagonal, where negative numbers mean no bound."""
    rows, columns = x.type.shape[-2:]
    dtype = DType.I64
    row = F.reshape(count_up(rows, dtype), shape=(rows, 1))
    column = F.reshape(count_up(columns, dtype), shape=(1, columns))
    below, above = (apply("or", F.less(bound, 0), F.less_equal(distance, bound))
                    for bound, distance in ((F.cast(lower, dtype=dtype), F.sub(row, column)),
                                            (F.cast(upper, dtype=dtype), F.sub(column, row))))
    return F.select(apply("and", below, above), x, _zero(x))


def _elements(rows: int, columns: int, low: int, high: int, longest: int, align: str):
    """(row, column, place among the packed diagonals) of every element of the diagonals. The highest is packed
    first; one shorter than the longest stands at the side that ``align`` says, for those above the main diagonal
    and those below."""
    above, below = align.split("_")
    for i, k in enumerate(range(high, low - 1, -1)):
        length = min(rows + min(k, 0), columns - max(k, 0))
        start = longest - length if (above if k >= 0 else below) == "RIGHT" else 0
        for j in range(length):
            yield j - min(k, 0), j + max(k, 0), i * longest + start + j


def _picked(sources: list[tuple[Value, int | None]], lead: list, places: np.ndarray) -> Value:
    """Elements of the sources, each flat behind the leading axes or a scalar, by place among them all."""
    flat = []
    for x, behind in sources:
        if behind is None:
            flat.append(F.broadcast_to(x, shape=(*lead, 1)))
        else:
            flat.append(F.reshape(x, shape=(*lead, product(x.type.shape[behind:]))))
    return F.gather(F.concat(*flat, axis=-1), constant(places.astype(np.int32)), axis=len(lead))


def _packed(diagonal: Value, low: int, high: int) -> tuple[list, tuple[int, ...]]:
    """The leading dimensions, and the number of diagonals, if there are several, with the longest one's length."""
    shape = list(diagonal.type.shape)
    split = len(shape) - (1 if low == high else 2)
    known = split >= 0 and all(isinstance(d, int) for d in shape[split:])
    if not known or (low != high and shape[split] != high - low + 1):
        raise ModelError(f"the diagonals {low} to {high} can't be {diagonal.type!r}")
    return shape[:split], tuple(shape[split:])


def _known_matrix(x: Value) -> tuple:
    if x.type.rank < 2 or not all(isinstance(d, int) for d in x.type.shape[-2:]):
        raise ModelError(f"the size of the matrix {x.type!r} must be known when the model is compiled")
    return x.type.shape


def _band(node: SourceNode, k: Value) -> tuple[int, int]:
    bounds = node.ints(k, "which diagonals")
    if not 1 <= len(bounds) <= 2 or bounds[0] > bounds[-1]:
        raise ModelError(f"the diagonals {bounds}")
    return bounds[0], bounds[-1]


def _align(node: SourceNode) -> str:
    return node.text("align", "RIGHT_LEFT") if node.op.endswith("V3") else "LEFT_LEFT"


def _zero(x: Value) -> Value:
    return constant(np.zeros((), x.type.dtype.numpy))
