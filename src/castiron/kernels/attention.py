"""Attention of several heads."""

from __future__ import annotations

from castiron.kernels.writer import LANES, Extent, View, Writer, mul

#: Queries whose scores are computed at a time: ATTENTION_ROWS of ``attention.h``.
ROWS = 36


def workspace(keys: int, width: int, depth: int) -> int:
    """Bytes of scratch: packed keys and values of one head, and scores."""
    across = -(-keys // LANES) * LANES
    return 4 * (across * width + -(-depth // LANES) * LANES * keys + ROWS * across)


def attention(w: Writer, out: View, q: View, k: View, v: View, first: Extent, queries: Extent, scratch: str) -> None:
    """out = softmax(q·kᵀ)·v: ``attention.h``. The views of q and out begin at query ``first`` of all batches, of which
    each has ``queries``."""
    name = w.fresh("a")
    sizes = (queries, k.shape[1], *q.shape[-2:], v.shape[-1])
    w.line(f"const struct attention {name} = {{{', '.join(map(str, sizes))}}};")
    w.line(f"attention(&{name}, {first}, {mul(*out.shape[:-2])}, {q.pointer}, {k.pointer}, {v.pointer}, {out.pointer}, "
           f"{scratch});")
