"""Writes C: lines with their indentation, file-scope definitions, and arithmetic on extents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: A size that is known, or a C expression of type i64 for it (parenthesised where need be).
Extent = int | str

#: Type in memory and type of 16 lanes in registers. A bool is a byte in memory and a mask of 32-bit
#: lanes, 0 or -1, in registers.
MEMORY = {"f32": "float", "f64": "double", "i8": "int8_t", "i16": "int16_t", "i32": "int32_t", "i64": "int64_t",
          "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "bool": "uint8_t"}
REGISTER = {dtype: "i32x16" if dtype == "bool" else f"{dtype}x16" for dtype in MEMORY}

LANES = 16


@dataclass(frozen=True)
class View:
    """A row-major tensor that C code can reach, contiguous but for its first axis if ``row_stride`` is given."""

    pointer: str
    dtype: str
    shape: tuple[Extent, ...]
    #: Whether 16 lanes may be read from any element, because what follows the tensor may be read too.
    padded: bool = False
    #: The value of a tensor of one element, if it is known.
    known: object = None
    #: The distance in elements between neighbours along the first axis. Only ``map`` and ``dense`` take such views.
    row_stride: Extent | None = None

    @property
    def ctype(self) -> str:
        return MEMORY[self.dtype]

    @property
    def size(self) -> Extent:
        return mul(*self.shape)


class Writer:
    """Collects a C unit: definitions at file scope, then functions."""

    def __init__(self, definitions: dict[str, str] | None = None) -> None:
        self._definitions: dict[str, str] = {} if definitions is None else definitions
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def part(self) -> Writer:
        """A writer of other lines of the same unit, whose names begin anew."""
        return Writer(self._definitions)

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def fresh(self, stem: str) -> str:
        """A name that was not given before, and is no type's."""
        self._names += 1
        return f"{stem}_{self._names}"

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """``head {`` … ``}``"""
        self.line(f"{head} {{".lstrip())
        self._depth += 1
        yield
        self._depth -= 1
        self.line("}")

    @contextmanager
    def loop(self, extent: Extent, stem: str = "i") -> Iterator[Extent]:
        """A loop over 0 … extent-1; gives the index, which is 0 where there is nothing to loop over."""
        if extent == 1:
            yield 0
            return
        index = self.fresh(stem)
        with self.block(f"for (i64 {index} = 0; {index} < {extent}; {index}++)"):
            yield index

    def define(self, stem: str, text: str) -> str:
        """A file-scope definition in which ``@`` stands for its name; the same text is defined once."""
        if text not in self._definitions:
            self._definitions[text] = f"{stem}{len(self._definitions)}"
        return self._definitions[text]

    def source(self, headers: tuple[str, ...]) -> str:
        includes = [f'#include "{header}"' for header in headers]
        definitions = [text.replace("@", name) for text, name in self._definitions.items()]
        return "\n".join([*includes, "", "typedef int64_t i64;", "", *definitions, "", *self._lines, ""])


def mul(*factors: Extent) -> Extent:
    """The product, with what is known multiplied out."""
    known, rest = 1, []
    for factor in factors:
        if isinstance(factor, int):
            known *= factor
        else:
            rest.append(factor)
    if known == 0 or not rest:
        return known
    return "*".join([*rest, *([str(known)] if known != 1 else [])])


def add(*terms: Extent) -> Extent:
    """The sum, with what is known added up."""
    known, rest = 0, []
    for term in terms:
        if isinstance(term, int):
            known += term
        else:
            rest.append(term)
    if not rest:
        return known
    if known or len(rest) > 1:
        return "(" + " + ".join([*rest, *([str(known)] if known else [])]) + ")"
    return rest[0]


def strides(shape: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """The distance in elements between neighbours along each axis."""
    return tuple(mul(*shape[axis + 1:]) for axis in range(len(shape)))


def at(pointer: str, *offsets: Extent) -> str:
    """The address ``pointer`` + offsets."""
    total = add(*offsets)
    return pointer if total == 0 else f"({pointer} + {total})"


def number(value: object, dtype: str) -> str:
    """A C literal of exactly that value."""
    if dtype == "bool":
        return "1" if value else "0"
    if dtype in ("f32", "f64"):
        value = float(value)
        if value != value:
            return "__builtin_nanf(\"\")"
        if value in (float("inf"), float("-inf")):
            return f"{'-' if value < 0 else ''}__builtin_inff()"
        return f"{value.hex()}{'f' if dtype == 'f32' else ''}"
    value = int(value)
    if value == -(1 << 63):
        return "INT64_MIN"
    return f"{value}{'ull' if dtype == 'u64' else 'll' if dtype == 'i64' else ''}"
