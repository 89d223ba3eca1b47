"""A step of a recurrent layer's cell: products by the weights of several gates, and what is computed of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from castiron.kernels import contraction, elementwise, scalar
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, MEMORY, REGISTER, Extent, View, Writer, at


def cell(w: Writer, outs: list[View], a: View, packed: View, more: list[View], parts: int, instrs: list[Instr],
         results: tuple[int, ...], step: Extent, ahead: tuple[View, View, View] | None) -> None:
    """outs = the values named by ``results`` of the instructions, whose first operands are the sums a · packed of each
    part and then those in ``more``: ``cell.h``. ``step`` counts the calls with these weights. A product
    of matrices (A, B packed, C) is computed ``ahead``."""
    rows, units = outs[0].shape
    operands = [view for view in more if view.known is None]
    kinds = [_kind(view, rows, units, parts) for view in operands]
    strides = [_row_stride(view, kind) for view, (kind, _) in zip(operands, kinds, strict=True)]
    finish = f"{_finish(more, kinds, parts, instrs, results)}\n{_fetch(operands, kinds)}"
    name, given = w.define("cell_", f"{finish}\nCELL_DEFINE(@, {parts}, @_finish, @_fetch)"), w.fresh("e")
    w.line(f"const struct cell {given} = {{{{{_list(view.pointer for view in operands)}}}, {{{_list(strides)}}}, "
           f"{{{_list(view.pointer for view in outs)}}}}};")
    stride = a.shape[-1] if a.row_stride is None else a.row_stride
    beside = "0"
    if ahead:
        x, y, product = ahead
        beside = w.fresh("ahead")
        places = _list(view.pointer for view in ahead)
        w.line(f"const struct cell_ahead {beside} = {{{places}, {product.shape[-2]}, {y.shape[0]}, {x.shape[-1]}}};")
        beside = f"&{beside}"
    w.line(f"{name}({rows}, {units}, {a.shape[-1]}, {a.pointer}, {stride}, {packed.pointer}, {step}, &{given}, "
           f"{beside});")


#: As in ``cell.h``: the rows that are computed ahead at a time, and how much further the cell's own sum goes with each
#: term of theirs.
AHEAD_ROWS, AHEAD_PACE = 16, 4


def can_go_ahead(k: int, units: int, steps: int, depth: int, columns: int) -> bool:
    """Whether a cell of so many units has time in 16 steps to compute 16 rows of a product [steps, depth] ·
    [depth, columns], with the order of additions that ``gemm.h`` has for it."""
    panels = -(-columns // LANES)
    terms, each = k // AHEAD_PACE, -(-panels // AHEAD_ROWS)
    return (steps >= 2 * AHEAD_ROWS and columns % LANES == 0 and columns > 4 * LANES and k % AHEAD_PACE == 0 < depth
            and each * -(-depth // max(1, terms)) <= units // LANES)


def product_but_ahead(w: Writer, out: View, a: View, packed: View) -> None:
    """out[rows, steps, columns] = a[rows, steps, depth] · packed; of a single row only what a cell doesn't compute
    ahead, where it can."""
    rows, steps, columns = out.shape
    with w.block(f"if (CELL_AHEAD_ROWS && {rows} == 1)"):
        for begin, count in ((0, AHEAD_ROWS), (steps - steps % AHEAD_ROWS, steps % AHEAD_ROWS)):
            if count:
                part = replace(out, pointer=at(out.pointer, begin * columns), shape=(count, columns))
                of = replace(a, pointer=at(a.pointer, begin * a.shape[-1]), shape=(count, a.shape[-1]))
                contraction.dense(w, part, of, packed, [], [])
    with w.block("else"):
        contraction.dense(w, out, a, packed, [], [])


def _list(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))


def _kind(view: View, rows: Extent, units: int, parts: int) -> tuple[str, int]:
    """How an operand goes along with the sums, and for how many parts it has values."""
    count = parts if view.shape[-1:] == (parts * units,) else 1
    if view.size == 1 and count == 1:
        return "scalar", 1
    if view.shape[:-1] == (rows,) and view.shape[-1] != 1:
        return "element", count
    return "row" if view.shape[-1] == 1 else "column", count


def _row_stride(view: View, kind: str) -> Extent:
    if kind not in ("element", "row"):
        return 0
    return view.shape[-1] if view.row_stride is None else view.row_stride


def _finish(more: list[View], kinds: list[tuple[str, int]], parts: int, instrs: list[Instr],
            results: tuple[int, ...]) -> str:
    """The definition of ``@_finish``, as CELL_DEFINE takes it."""
    body = Writer()
    values, dtypes = [f"(sum)[{part}]" for part in range(parts)], ["f32"] * parts
    places = iter(enumerate(kinds))
    for view in more:
        if view.known is not None:
            values.append(scalar.splat(view, ""))
            dtypes.append(view.dtype)
            continue
        place, (kind, count) = next(places)
        for part in range(count):
            values.append(body.fresh("t"))
            dtypes.append(view.dtype)
            pointer = f"((const {MEMORY[view.dtype]} *)(e)->operand[{place}]{_offset(kind, place, part)})"
            lanes = scalar.splat(view, pointer) if kind in ("scalar", "row") else scalar.load(view.dtype, pointer, None)
            body.line(f"{REGISTER[view.dtype]} {values[-1]} = {lanes};")
    elementwise.straight_line(body, values, dtypes, instrs)
    for place, value in enumerate(results):
        body.line(f"v_store((e)->result[{place}] + (row) * (n) + (col), {values[value]});")
    return f"#define @_finish(sum, e, row, col, n) {{ {' '.join(body.lines)} }}"


def _fetch(operands: list[View], kinds: list[tuple[str, int]]) -> str:
    """The definition of ``@_fetch``: an operand with values of its own for each row may be far away."""
    lines = [f"__builtin_prefetch((const {view.ctype} *)(e)->operand[{place}]{_offset(kind, place, part)});"
             for place, (view, (kind, count)) in enumerate(zip(operands, kinds, strict=True)) if kind == "element"
             for part in range(count)]
    return f"#define @_fetch(e, row, col, n) {{ {' '.join(lines)} }}"


def _offset(kind: str, place: int, part: int) -> str:
    row, column = f" + (row) * (e)->row_stride[{place}]", f" + {part} * (n) + (col)"
    return {"scalar": "", "row": row, "column": column, "element": row + column}[kind]
