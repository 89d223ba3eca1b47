"""Dimensions: integers, and expressions in named symbols that stand for integers from 0 on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product as cartesian
from math import gcd, lcm, prod
from typing import Any
from zlib import crc32

from castiron.errors import ShapeError

#: The factors of a term: symbols and atoms, sorted.
Monomial = tuple[str, ...]

#: So many cases are told apart at most to show that expressions are equal.
MAX_CASES = 256


class Expr:
    """A polynomial with integer coefficients in symbols and atoms, such as ``2*N+1`` or ``(N+1)//2``.

    Immutable. Arithmetic gives an ``int`` as soon as no symbol is left, so a dimension is an ``int``
    exactly if it is known. Expressions are equal if they can be shown to have the same values, as
    ``N//2+(N+1)//2`` and ``N`` do.
    """

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: Mapping[Monomial, int]):
        self.terms = tuple(sorted((m, c) for m, c in terms.items() if c))
        self._hash: int | None = None

    @property
    def symbols(self) -> set[str]:
        """The free symbols, those within atoms too."""
        free = {factor for monomial, _ in self.terms for factor in monomial if not isinstance(factor, Atom)}
        return free.union(*(getattr(dim, "symbols", ()) for atom in self.atoms for dim in atom.operands))

    @property
    def atoms(self) -> tuple[Atom, ...]:
        """All atoms, each behind those that it is made of."""
        found: dict[Atom, None] = {}
        for atom in (factor for monomial, _ in self.terms for factor in monomial if isinstance(factor, Atom)):
            for operand in atom.operands:
                found.update(dict.fromkeys(getattr(operand, "atoms", ())))
            found[atom] = None
        return tuple(found)

    def tells(self, name: str) -> bool:
        """Whether its value tells that of ``name``, in which it is linear, if its other symbols are known."""
        factors = [factor for monomial, _ in self.terms for factor in monomial]
        within = {s for atom in self.atoms for dim in atom.operands for s in getattr(dim, "symbols", ())}
        return factors.count(name) == 1 and name not in within

    def evaluate(self, values: Mapping[str, int]) -> int:
        """The value with every symbol replaced; KeyError for a missing one, ShapeError for a division by zero."""
        total = 0
        for monomial, coefficient in self.terms:
            for factor in monomial:
                coefficient *= factor.evaluate(values) if isinstance(factor, Atom) else values[factor]
            total += coefficient
        return total

    def __add__(self, other: Dim) -> Dim:
        return _settled(_add(self, other))

    def __mul__(self, other: Dim) -> Dim:
        return _settled(_mul(self, other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + -1 * other

    def __rsub__(self, other: Dim) -> Dim:
        return -1 * self + other

    def __floordiv__(self, other: Dim) -> Dim:
        return floor_div(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return floor_div(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return self - floor_div(self, other) * other

    def __rmod__(self, other: Dim) -> Dim:
        return other - floor_div(other, self) * self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expr):
            return False
        if self.terms == other.terms:
            return True
        return hash(self) == hash(other) and bool(self.atoms or other.atoms) and _is_zero(self - other)

    def __hash__(self) -> int:
        """That of the value for some values of the symbols: the same for equal expressions."""
        if self._hash is None:
            try:
                self._hash = hash(self.evaluate({name: crc32(name.encode()) % 9973 + 7 for name in self.symbols}))
            except ShapeError:
                self._hash = 0
        return self._hash

    def __repr__(self) -> str:
        out = ""
        for monomial, coefficient in sorted(self.terms, key=lambda t: (-len(t[0]), t[0])):
            factors = [str(abs(coefficient))] if abs(coefficient) != 1 or not monomial else []
            sign = "-" if coefficient < 0 else "+" if out else ""
            alone = coefficient == 1 and len(monomial) == 1
            out += sign + "*".join([*factors, *(f if alone or "//" not in f or f[:4] == "max(" else f"({f})"
                                                for f in monomial)])
        return out


Dim = int | Expr


class Atom(str):
    """A factor that is computed from other dimensions: ``a // b`` rounded down, or ``max(a, 0)``.

    It is its text, by which it is compared and sorted like a symbol's name.
    """

    kind: str
    operands: tuple[Dim, Dim]

    def __new__(cls, kind: str, a: Dim, b: Dim) -> Atom:
        atom = super().__new__(cls, f"max({a},{b})" if kind == "max" else f"{_operand(a)}//{_operand(b)}")
        atom.kind, atom.operands = kind, (a, b)
        return atom

    def __getnewargs__(self) -> tuple[str, Dim, Dim]:
        return (self.kind, *self.operands)

    def evaluate(self, values: Mapping[str, int]) -> int:
        """Its value; KeyError for a missing symbol, ShapeError for a division by zero."""
        a, b = (evaluate(operand, values) for operand in self.operands)
        if self.kind == "max":
            return max(a, b)
        if b == 0:
            raise ShapeError(f"the dimension {self} divides by zero")
        return a // b

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The least and the greatest value that it may have, None where that is not known."""
        a, b = self.operands
        low, high = least(a), greatest(a)
        if self.kind == "max":
            return max(low or 0, 0), None if high is None else max(high, 0)
        if isinstance(b, int):
            return None if low is None else low // b, None if high is None else high // b
        never_negative = all(bound is not None and bound >= 0 for bound in (low, least(b)))
        return (0, high) if never_negative else (None, None)


class Measured(str):
    """A symbol that no input tells: it stands for the value of ``count``, an i64 scalar that the model computes."""

    count: Any

    def __new__(cls, name: str, count: Any) -> Measured:
        measured = super().__new__(cls, name)
        measured.count = count
        return measured


def _operand(dim: Dim) -> str:
    return str(dim) if re.fullmatch(r"\w+", str(dim)) else f"({dim})"


def symbol(name: str) -> Expr:
    """The dimension that is the free symbol ``name`` (letters, digits and underscores)."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise ShapeError(f"{name!r} can't name a dimension: use letters, digits and underscores")
    return Expr({(name,): 1})


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return dim.terms if isinstance(dim, Expr) else (((), int(dim)),)


def _collect(terms: Iterable[tuple[Monomial, int]]) -> dict[Monomial, int]:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        total[monomial] = total.get(monomial, 0) + coefficient
    return total


def _simplify(terms: Mapping[Monomial, int]) -> Dim:
    symbolic = any(m and c for m, c in terms.items())
    return Expr(terms) if symbolic else terms.get((), 0)


def _add(a: Dim, b: Dim) -> Dim:
    return _simplify(_collect([*_terms(a), *_terms(b)]))


def _mul(a: Dim, b: Dim) -> Dim:
    return _simplify(_collect([(tuple(sorted(m + n)), c * d) for m, c in _terms(a) for n, d in _terms(b)]))


def _settled(dim: Dim) -> Dim:
    """The number that an expression with atoms is if it can only be that."""
    if isinstance(dim, Expr) and any(isinstance(factor, Atom) for monomial, _ in dim.terms for factor in monomial):
        low = least(dim)
        if low is not None and low == greatest(dim):
            return low
        if shared := set.intersection(*(set(monomial) for monomial, _ in dim.terms)):
            quotient, _ = _divide(dim, Expr({(min(shared),): 1}))
            return 0 if _settled(quotient) == 0 else dim
    return dim


def _is_zero(dim: Dim) -> bool:
    """Whether a dimension is surely 0: each symbol N of its quotients is tried as n*N+r, for all rests r and an n
    that all divisors divide."""
    if not isinstance(dim, Expr):
        return dim == 0
    divisors = [atom.operands[1] for atom in dim.atoms if atom.kind == "floor_div"]
    names = sorted(set().union(*(_of(atom).symbols for atom in dim.atoms)))
    if not divisors or not all(isinstance(divisor, int) for divisor in divisors):
        return False
    n = lcm(*divisors)
    if n ** len(names) > MAX_CASES:
        return False
    cases = cartesian(range(n), repeat=len(names))
    return all(substitute(dim, {name: n * symbol(name) + r for name, r in zip(names, rests, strict=True)}) == 0
               for rests in cases)


def _of(atom: Atom) -> Expr:
    return Expr({(atom,): 1})


# Division.

#: A quotient by a sum has at most so many terms.
MAX_QUOTIENT = 16


def exact_div(a: Dim, b: Dim) -> Dim:
    """a / b; ShapeError unless it comes out even."""
    quotient, rest = _divide(a, b)
    if rest == 0:
        return quotient
    if a == b:
        return 1
    raise ShapeError(f"dimension {a} is not a multiple of {b}")


def floor_div(a: Dim, b: Dim) -> Dim:
    """a / b rounded down. ShapeError where b is 0."""
    if isinstance(b, Expr):
        if a == b:
            return 1
        quotient, rest = _divide(a, b)
        return quotient if rest == 0 else quotient + _of(Atom("floor_div", rest, b))
    if b == 0:
        raise ShapeError(f"the dimension {a} is divided by zero")
    if b < 0:
        return floor_div(-a, -b)
    if isinstance(a, Expr) and next(c for m, c in a.terms if m) < 0:
        return -_floor_div(b - 1 - a, b)
    return _floor_div(a, b)


def ceil_div(a: Dim, b: Dim) -> Dim:
    """a / b rounded up. ShapeError where b is 0."""
    return -floor_div(-a, b)


def _divide(a: Dim, b: Dim) -> tuple[Dim, Dim]:
    """(q, r) such that a = q*b + r, where q has the terms that a single-termed b divides; q is 0 for others, unless r
    is."""
    divisor = _terms(b)
    if len(divisor) > 1:
        return _divide_by_sum(a, b)
    if not divisor[0][1]:
        return 0, a
    (monomial, coefficient), quotient, rest = divisor[0], [], []
    for m, c in _terms(a):
        left = list(m)
        if c % coefficient or not all(s in left and (left.remove(s) or True) for s in monomial):
            rest.append((m, c))
        else:
            quotient.append((tuple(left), c // coefficient))
    return _simplify(_collect(quotient)), _simplify(_collect(rest))


def _divide_by_sum(a: Dim, b: Expr) -> tuple[Dim, Dim]:
    """(a/b, 0) if that comes out even, else (0, a): long division from the terms of the highest degree down."""
    highest = _single(max(b.terms, key=_degree))
    quotient, rest = 0, a
    for _ in range(MAX_QUOTIENT):
        if rest == 0:
            return quotient, 0
        term, uneven = _divide(_single(max(_terms(rest), key=_degree)), highest)
        if uneven != 0:
            break
        quotient, rest = quotient + term, rest - term * b
    return 0, a


def _degree(term: tuple[Monomial, int]) -> tuple[int, Monomial]:
    return len(term[0]), term[0]


def _single(term: tuple[Monomial, int]) -> Dim:
    return _simplify(dict([term]))


def _floor_div(a: Dim, b: int) -> Dim:
    """a // b by a positive number."""
    whole = _simplify({m: c // b for m, c in _terms(a)})
    rest = _simplify({m: c % b for m, c in _terms(a)})
    return whole + _proper_fraction(rest, b)


def _proper_fraction(a: Dim, b: int) -> Dim:
    """a // b where the coefficients of a are from 0 to b-1."""
    if not isinstance(a, Expr):
        return 0
    low, high = least(a), greatest(a)
    if low is not None and high is not None and low // b == high // b:
        return low // b
    terms = dict(a.terms)
    shared = gcd(b, *(c for m, c in terms.items() if m))
    if shared > 1:
        return floor_div(_simplify({m: c // shared for m, c in terms.items()}), b // shared)
    for monomial, coefficient in a.terms:
        inner = monomial[0] if len(monomial) == 1 else None
        if coefficient == 1 and isinstance(inner, Atom) and inner.kind == "floor_div":
            x, y = inner.operands
            if isinstance(y, int):  # (x//y + rest) // b
                return floor_div(x + y * (a - _of(inner)), y * b)
    if 2 * next(c for m, c in a.terms if m) > b:  # of a//b and its equal -((b-1-a)//b) the one with smaller numbers
        return -_floor_div(b - 1 - a, b)
    return _of(Atom("floor_div", a, b))


# Comparison.


def maximum(a: Dim, b: Dim) -> Dim:
    """The larger one."""
    excess = a - b
    low, high = least(excess), greatest(excess)
    if low is not None and low >= 0:
        return a
    if high is not None and high <= 0:
        return b
    return b + _positive_part(excess)


def minimum(a: Dim, b: Dim) -> Dim:
    """The smaller one."""
    return a + b - maximum(a, b)


def _positive_part(a: Expr) -> Dim:
    """max(a, 0), where neither is known to be the larger one."""
    shared = gcd(*(c for _, c in a.terms))
    first = next(c for m, c in a.terms if m)
    if shared > 1 or first < 0:
        scale = shared if first > 0 else -shared
        part = shared * maximum(_simplify({m: c // scale for m, c in a.terms}), 0)
        return part if first > 0 else a + part
    terms = dict(a.terms)
    offset = terms.pop((), 0)
    (monomial, coefficient), *more = terms.items()
    if not more and coefficient == len(monomial) == 1 and offset < 0:
        inner = monomial[0]
        if isinstance(inner, Atom) and inner.kind == "max":
            return maximum(inner.operands[0] + offset, 0)
    return _of(Atom("max", a, 0))


def least(dim: Dim, depth: int = 4) -> int | None:
    """A value that the dimension is never below, whatever its symbols are (from 0 on); None if none is known."""
    return _least(dim.terms, depth) if isinstance(dim, Expr) else dim


@lru_cache(maxsize=1 << 14)
def _least(terms: tuple[tuple[Monomial, int], ...], depth: int) -> int | None:
    """``least`` of an expression.

    Each term is bounded by itself; and, to relate an atom to other terms, with ``a-b+1 <= b*(a//b) <= a`` and
    ``a <= max(a,0) <= a + max(-least(a),0)`` in its place.
    """
    found = [_least_of_terms(terms)]
    for monomial, c in terms if depth else ():
        atom = monomial[0] if len(monomial) == 1 else None
        if not isinstance(atom, Atom) or not isinstance(atom.operands[1], int):
            continue
        a, b = atom.operands
        others = _simplify({m: k for m, k in terms if m != monomial})
        if atom.kind == "floor_div":
            bound = least(_add(_mul(b, others), _mul(c, _add(a, 1 - b if c > 0 else 0))), depth - 1)
            found.append(None if bound is None else -(-bound // b))
        elif c > 0:
            found.append(least(_add(others, _mul(c, a)), depth - 1))
        elif (low := least(a)) is not None:
            found.append(least(_add(others, _mul(c, _add(a, max(-low, 0)))), depth - 1))
    return max((bound for bound in found if bound is not None), default=None)


def greatest(dim: Dim) -> int | None:
    """A value that the dimension is never above; None if none is known."""
    low = least(_mul(-1, dim))
    return None if low is None else -low


def _least_of_terms(terms: tuple[tuple[Monomial, int], ...]) -> int | None:
    total = 0
    for monomial, coefficient in terms:
        bounds = [factor.bounds if isinstance(factor, Atom) else (0, None) for factor in monomial]
        if len(bounds) == 1:
            low, high = bounds[0]
        elif all(b[0] is not None and b[0] >= 0 for b in bounds):
            low = prod(b[0] for b in bounds)
            high = None if any(b[1] is None for b in bounds) else prod(b[1] for b in bounds)
        else:
            return None
        bound = low if coefficient > 0 else high
        if bound is None:
            return None
        total += coefficient * bound
    return total


# Numbers.


def product(dims: Iterator[Dim] | tuple[Dim, ...] | list[Dim]) -> Dim:
    """All dimensions multiplied; 1 of none."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def evaluate(dim: Dim, values: Mapping[str, int]) -> int:
    """A dimension with every symbol replaced; KeyError for a missing one, ShapeError for a division by zero."""
    return dim.evaluate(values) if isinstance(dim, Expr) else int(dim)


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """A dimension with some of its symbols replaced by dimensions."""
    total: Dim = 0
    for monomial, coefficient in _terms(dim):
        term: Dim = coefficient
        for factor in monomial:
            if isinstance(factor, Atom):
                a, b = (substitute(operand, values) for operand in factor.operands)
                term = term * (maximum(a, b) if factor.kind == "max" else floor_div(a, b))
            else:
                term = term * values.get(factor, Expr({(factor,): 1}))
        total = total + term
    return total
