"""Kernels that choose elements, as many as data decide."""

from __future__ import annotations

from castiron.kernels.writer import View, Writer, add, at, mul

_COMPACT = """NOINLINE void @(int64_t *out, const uint8_t *mask, i64 n) {
    i64 found = 0;
    for (i64 i = 0; i < n; i++) {
        out[found] = i;
        found += mask[i] != 0;
    }
    for (; found < n; found++) out[found] = 0;
}"""

#: Greedy suppression among n boxes in the given order. What stands in ``out`` are the boxes chosen so far; both
#: corners of a box are in order.
_SUPPRESS = """NOINLINE void @(int64_t *out, const float *boxes, const float *scores, const int32_t *order, i64 n,
                     i64 most, i64 limit, float overlap, float least) {
    i64 chosen = 0;
    for (i64 i = 0; i < n && chosen < most && chosen < limit; i++) {
        const i64 candidate = order[i];
        if (!(scores[candidate] > least)) continue;
        const float *a = boxes + candidate * 4;
        const double area = (double)(a[2] - a[0]) * (double)(a[3] - a[1]);
        int keep = 1;
        for (i64 k = 0; k < chosen && keep; k++) {
            const float *b = boxes + out[k] * 4;
            const float top = a[0] > b[0] ? a[0] : b[0], left = a[1] > b[1] ? a[1] : b[1];
            const float bottom = a[2] < b[2] ? a[2] : b[2], right = a[3] < b[3] ? a[3] : b[3];
            if (!(bottom > top) || !(right > left)) continue;
            const double both = (double)(bottom - top) * (double)(right - left);
            const double other = (double)(b[2] - b[0]) * (double)(b[3] - b[1]);
            keep = !((float)(both / (area + other - both)) > overlap);
        }
        if (keep) out[chosen++] = candidate;
    }
    for (; chosen < most; chosen++) out[chosen] = -1;
}"""


def compact(w: Writer, out: View, mask: View) -> None:
    """out = the places where the mask is true, then zeros."""
    w.line(f"{w.define('compact_', _COMPACT)}({out.pointer}, {mask.pointer}, {mask.size});")


def suppress(w: Writer, out: View, boxes: View, scores: View, order: View, limit: View, overlap: View,
             least: View) -> None:
    """out = for each item and class the boxes that are chosen, then -1."""
    function = w.define("suppress_", _SUPPRESS)
    classes, count, most = scores.shape[1], scores.shape[2], out.shape[2]
    with w.loop(scores.shape[0]) as item, w.loop(classes) as kind:
        row = add(mul(item, classes), kind)
        w.line(f"{function}({at(out.pointer, mul(row, most))}, {at(boxes.pointer, mul(item, count, 4))}, "
               f"{at(scores.pointer, mul(row, count))}, {at(order.pointer, mul(row, count))}, {count}, {most}, "
               f"*{limit.pointer}, *{overlap.pointer}, *{least.pointer});")
