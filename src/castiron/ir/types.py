"""Element types, dimensions and tensor types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from castiron.errors import ShapeError


class DType(Enum):
    """An element type. The order is that of the runtime's ``engine.DType``."""

    F32 = "f32"
    F64 = "f64"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    BOOL = "bool"

    @cached_property
    def numpy(self) -> np.dtype:
        kinds = {"f": "float", "i": "int", "u": "uint"}
        name = self.value
        return np.dtype("bool" if name == "bool" else kinds[name[0]] + name[1:])

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        return self in (DType.F32, DType.F64)

    @property
    def is_integer(self) -> bool:
        return self.numpy.kind in "iu"

    @classmethod
    def of(cls, dtype: np.dtype | type | str) -> DType:
        """The DType of a numpy dtype or its name; ShapeError for one that castiron doesn't have."""
        for member in cls:
            if member.numpy == np.dtype(dtype):
                return member
        raise ShapeError(f"element type {np.dtype(dtype)} is not supported; castiron has "
                         + ", ".join(str(m.numpy) for m in cls))

    def __repr__(self) -> str:
        return self.value


class Expr:
    """A polynomial in named symbols with integer coefficients, such as ``2*N + 1`` or ``49*N``.

    Immutable. Arithmetic gives an ``int`` as soon as no symbol is left, so a dimension is an ``int``
    exactly if it is known.
    """

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[tuple[str, ...], int], ...]

    def __init__(self, terms: Mapping[tuple[str, ...], int]):
        self.terms = tuple(sorted((m, c) for m, c in terms.items() if c))
        self._hash = hash(self.terms)

    @property
    def symbols(self) -> set[str]:
        return {s for monomial, _ in self.terms for s in monomial}

    def evaluate(self, values: Mapping[str, int]) -> int:
        """The value with every symbol replaced; KeyError for a missing one."""
        total = 0
        for monomial, coefficient in self.terms:
            for symbol in monomial:
                coefficient *= values[symbol]
            total += coefficient
        return total

    def __add__(self, other: Dim) -> Dim:
        return _simplify(_collect([*self.terms, *_terms(other)]))

    def __mul__(self, other: Dim) -> Dim:
        return _simplify(_collect([(tuple(sorted(m + n)), c * d)
                                   for m, c in self.terms for n, d in _terms(other)]))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return -1 * self + other

    def __floordiv__(self, other: Dim) -> Dim:
        return exact_div(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return exact_div(other, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        out = ""
        for monomial, coefficient in sorted(self.terms, key=lambda t: (-len(t[0]), t[0])):
            factors = [str(abs(coefficient))] if abs(coefficient) != 1 or not monomial else []
            sign = "-" if coefficient < 0 else "+" if out else ""
            out += sign + "*".join([*factors, *monomial])
        return out


Dim = int | Expr


def symbol(name: str) -> Expr:
    """The dimension that is the free symbol ``name`` (letters, digits and underscores)."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ShapeError(f"{name!r} can't name a dimension: use letters, digits and underscores")
    return Expr({(name,): 1})


def _terms(dim: Dim) -> tuple[tuple[tuple[str, ...], int], ...]:
    return dim.terms if isinstance(dim, Expr) else (((), int(dim)),)


def _collect(terms: list[tuple[tuple[str, ...], int]]) -> dict[tuple[str, ...], int]:
    total: dict[tuple[str, ...], int] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    return total


def _simplify(terms: Mapping[tuple[str, ...], int]) -> Dim:
    symbolic = any(m and c for m, c in terms.items())
    return Expr(terms) if symbolic else terms.get((), 0)


def exact_div(a: Dim, b: Dim) -> Dim:
    """a / b where b is an integer or a single term; ShapeError unless it comes out even."""
    divisor = _terms(b)
    if len(divisor) == 1 and divisor[0][1]:
        (monomial, coefficient), quotient = divisor[0], []
        for m, c in _terms(a):
            rest = list(m)
            if c % coefficient or not all(s in rest and (rest.remove(s) or True) for s in monomial):
                break
            quotient.append((tuple(rest), c // coefficient))
        else:
            return _simplify(_collect(quotient))
    if a == b:
        return 1
    raise ShapeError(f"dimension {a} is not a multiple of {b}")


def product(dims: Iterator[Dim] | tuple[Dim, ...] | list[Dim]) -> Dim:
    """All dimensions multiplied; 1 of none."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def evaluate(dim: Dim, values: Mapping[str, int]) -> int:
    """A dimension with every symbol replaced; KeyError for a missing one."""
    return dim.evaluate(values) if isinstance(dim, Expr) else int(dim)


def parse_dim(text: str) -> Dim:
    """The inverse of ``str(dim)``; ShapeError for anything else."""
    total: Dim = 0
    terms = re.findall(r"([+-]?)([^+-]+)", text.replace(" ", ""))
    if not terms:
        raise ShapeError(f"{text!r} is not a dimension")
    for sign, term in terms:
        value: Dim = -1 if sign == "-" else 1
        for factor in term.split("*"):
            value = value * (int(factor) if factor.isdigit() else symbol(factor))
        total = total + value
    return total


@dataclass(frozen=True)
class TensorType:
    """An element type and a shape: a tuple of ints and expressions."""

    dtype: DType
    shape: tuple[Dim, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    @property
    def symbols(self) -> set[str]:
        return {s for dim in self.shape if isinstance(dim, Expr) for s in dim.symbols}

    @property
    def is_static(self) -> bool:
        return all(isinstance(dim, int) for dim in self.shape)

    def with_shape(self, shape: tuple[Dim, ...] | list[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype!r}[{','.join(map(str, self.shape))}]"
