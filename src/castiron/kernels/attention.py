"""Attention of several heads."""

from __future__ import annotations

from dataclasses import replace

from castiron.kernels import contraction
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, Extent, View, Writer, mul

#: Queries whose scores are computed at a time: ATTENTION_ROWS of ``attention.h``.
ROWS = 36


def workspace(keys: int, width: int, depth: int) -> int:
    """Bytes of scratch: packed keys and values of one head, and scores."""
    across = -(-keys // LANES) * LANES
    return 4 * (across * width + -(-depth // LANES) * LANES * keys + ROWS * across)


def attention(w: Writer, out: View, q: View, k: View, v: View, more: list[View], instrs: list[Instr], first: Extent,
              queries: Extent, scratch: str) -> None:
    """out = softmax(epilogue(q·kᵀ, more…))·v: ``attention.h``. The views of q and out begin at query ``first`` of all
    batches, of which each has ``queries``."""
    scores = View("", "f32", (queries, k.shape[1]))  # of one batch and head
    operands = [replace(x, shape=x.shape[2:]) for x in more]
    products = (contraction.product(w, LANES, scores, *what) for what in ((operands, instrs), ([], [])))
    function = w.define("attention_", f"ATTENTION_DEFINE(@, {', '.join(products)})")
    e, name = contraction.epilogue_operands(w, scores, operands), w.fresh("a")
    sizes = (queries, k.shape[1], *q.shape[-2:], v.shape[-1])
    steps = [", ".join(str(_stride(x.shape, axis)) for x in more if x.known is None) for axis in (0, 1)]
    w.line(f"const struct attention {name} = {{{', '.join(map(str, sizes))}, {{{steps[0]}}}, {{{steps[1]}}}}};")
    w.line(f"{function}(&{name}, {first}, {mul(*out.shape[:-2])}, {q.pointer}, {k.pointer}, {v.pointer}, "
           f"{out.pointer}, {scratch}, &{e});")


def _stride(shape: tuple[Extent, ...], axis: int) -> Extent:
    """The distance in elements between neighbours along a leading axis that may broadcast."""
    return mul(*shape[axis + 1:]) if shape and shape[axis] != 1 else 0
