"""Products by Strassen's algorithm: ``strassen.h``."""

from __future__ import annotations

from castiron.kernels import contraction
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, View, Writer, mul

#: The pairs of rows of which sums are made at a time, as in ``strassen.h``.
PAIRS = 32


def workspace(k: int) -> int:
    """Bytes of scratch that a product of so many terms needs."""
    return 4 * PAIRS * (2 * k + LANES)


def pack(w: Writer, out: View, b: View) -> None:
    """out = what the products take of the weights b, packed."""
    w.line(f"strassen_pack({_halves(b)}, {b.pointer}, {out.pointer});")


def unpack(w: Writer, out: View, packed: View) -> None:
    """The weights from what is packed."""
    w.line(f"strassen_unpack({_halves(out)}, {packed.pointer}, {out.pointer});")


def _halves(b: View) -> str:
    return f"{mul(*b.shape[:-1]) // 2}, {b.shape[-1] // 2}"


def dense(w: Writer, out: View, a: View, packed: View, more: list[View], instrs: list[Instr], scratch: str,
          again: bool) -> None:
    """out = epilogue(a · b, more…) for an even number of rows of a and b packed by ``pack``; ``again`` says that the
    product just before was by the same a."""
    name = w.define("strassen_", f"{contraction.epilogue(out, more, instrs)}\nSTRASSEN_DEFINE(@, @_epilogue)")
    operands = contraction.epilogue_operands(w, out, more)
    m, n, k = mul(*out.shape[:-1]), out.shape[-1], a.shape[-1]
    w.line(f"{name}({m}, {n // 2}, {k // 2}, {a.pointer}, {packed.pointer}, {out.pointer}, {scratch}, "
           f"{int(again)}, &{operands});")
