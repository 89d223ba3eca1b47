"""Exact products of bytes by small integers."""

from __future__ import annotations

from castiron.kernels import contraction
from castiron.kernels.scalar import Instr
from castiron.kernels.window import Windows, is_depthwise
from castiron.kernels.writer import LANES, MEMORY, View, Writer, mul

#: Bytes of widened rows that are multiplied at a time: part of the second-level cache.
SCRATCH_BYTES = 96 << 10

#: The fewest and most of such rows.
ROWS = (6, 96)


def scratch_rows(k: int) -> tuple[int, int]:
    """How many rows of k integers are widened into scratch, and how many elements apart."""
    stride = -(-k // (2 * LANES)) * 2 * LANES + 2 * LANES  # rows don't compete for the same cache lines
    fewest, most = ROWS
    return max(fewest, min(most, SCRATCH_BYTES // (2 * stride) // fewest * fewest)), stride


def workspace(k: int) -> int:
    """Bytes of scratch that a product needs whose sums have k terms."""
    rows, stride = scratch_rows(k)
    return 2 * (rows * stride + 2 * LANES)


def dense(w: Writer, out: View, a: View, zero: View, packed: View, more: list[View], instrs: list[Instr],
          scratch: str) -> None:
    """out = epilogue((a - zero) · packed, more…), as ``contraction.dense``."""
    k, n = a.shape[-1], out.shape[-1]
    rows, stride = scratch_rows(k)
    name, operands = _define(w, "INTEGER_DENSE_DEFINE", out, a, packed, more, instrs)
    w.line(f"{name}({mul(*out.shape[:-1])}, {n}, {k}, {a.pointer}, {zero.pointer}, {packed.pointer}, {out.pointer}, "
           f"(int16_t *){scratch}, {rows}, {stride}, &{operands});")


def conv(w: Writer, out: View, x: View, zero: View, packed: View, more: list[View], instrs: list[Instr],
         windows: Windows, groups: int, scratch: str) -> None:
    """out = epilogue((windows - zero) · packed, more…), as ``window.packed_conv``."""
    sizes = windows.declare(w)
    ends = f"{windows.first}, {windows.number}, {out.pointer}"
    if is_depthwise(windows.channels, groups):
        name, operands = _define(w, "INTEGER_DEPTHWISE_DEFINE", out, x, packed, more, instrs)
        w.line(f"{name}(&{sizes}, {x.pointer}, {zero.pointer}, {packed.pointer}, {ends}, &{operands});")
        return
    name, operands = _define(w, "INTEGER_CONV_DEFINE", out, x, packed, more, instrs)
    rows, stride = scratch_rows(mul(*windows.kernel) * (windows.channels // groups))
    step, geometry = mul(*packed.shape[1:]) if groups > 1 else 0, w.fresh("c")
    w.line(f"const struct conv {geometry} = {{{groups}, {out.shape[-1]}, {step}, {rows}, {stride}}};")
    w.line(f"{name}(&{sizes}, &{geometry}, {x.pointer}, {zero.pointer}, {packed.pointer}, {ends}, "
           f"(int16_t *){scratch}, &{operands});")


def _define(w: Writer, macro: str, out: View, a: View, packed: View, more: list[View],
            instrs: list[Instr]) -> tuple[str, str]:
    """The name of a product for these types with this epilogue, and that of the epilogue's operands."""
    types = ", ".join(MEMORY[view.dtype] for view in (a, packed, out))
    name = w.define("integer_", f"{contraction.epilogue(out, more, instrs, 'i32')}\n{macro}(@, {types}, @_epilogue)")
    return name, contraction.epilogue_operands(w, out, more)
