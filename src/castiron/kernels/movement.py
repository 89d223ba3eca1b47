"""Kernels that move elements: strided copies, fills and lookups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from castiron.kernels.reduction import UPDATE
from castiron.kernels.writer import Extent, View, Writer, add, at, mul, strides

#: Unsigned type by which elements of a size are moved.
_UNIT = {"f32": "uint32_t", "f64": "uint64_t", "i8": "uint8_t", "i16": "uint16_t", "i32": "uint32_t", "i64": "uint64_t",
         "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "bool": "uint8_t"}


def copy(w: Writer, shape: tuple[Extent, ...], out: View, out_start: Extent, out_strides: tuple[Extent, ...],
         x: View, x_start: Extent, x_strides: tuple[Extent, ...]) -> None:
    """out[out_start + Σ i·out_strides] = x[x_start + Σ i·x_strides] for every index i of ``shape``."""
    unit = _UNIT[out.dtype]
    axes = _merged(shape, out_strides, x_strides)
    target, source = w.fresh("to"), w.fresh("from")
    w.line(f"{unit} *{target} = ({unit} *){at(out.pointer, out_start)};")
    w.line(f"const {unit} *{source} = (const {unit} *){at(x.pointer, x_start)};")
    _copy(w, unit, axes, target, source)


def _merged(shape: tuple[Extent, ...], a: tuple[Extent, ...], b: tuple[Extent, ...]) -> list[tuple[Extent, ...]]:
    """(extent, stride, stride) for each loop; axes that continue one another in both become one."""
    axes: list[tuple[Extent, ...]] = []
    for extent, p, q in zip(shape, a, b, strict=True):
        if extent == 1:
            continue
        if axes and axes[-1][1] == mul(extent, p) and axes[-1][2] == mul(extent, q):
            axes[-1] = (mul(axes[-1][0], extent), p, q)
        else:
            axes.append((extent, p, q))
    return axes or [(1, 1, 1)]


#: A run of elements; shorter ones of known length are copied where they stand.
_RUN = """NOINLINE void @(TYPE *to, const TYPE *from, i64 n) {
    for (i64 i = 0; i < n; i++) to[i] = from[i];
}"""
SHORT = 64


def _copy(w: Writer, unit: str, axes: list[tuple[Extent, ...]], target: str, source: str, to: Extent = 0,
          frm: Extent = 0) -> None:
    (extent, p, q), *inner = axes
    if p == q == 1 and not inner and not (isinstance(extent, int) and extent <= SHORT):
        w.line(f"{w.define('copy_', _RUN.replace('TYPE', unit))}({at(target, to)}, {at(source, frm)}, {extent});")
        return
    with w.loop(extent) as i:
        to, frm = add(to, mul(i, p)), add(frm, mul(i, q))
        if inner:
            _copy(w, unit, inner, target, source, to, frm)
        else:
            w.line(f"{target}[{to}] = {source}[{frm}];")


def fill(w: Writer, out: View, value: View) -> None:
    """Every element of out = the scalar ``value``."""
    with w.loop(out.size) as i:
        w.line(f"{out.pointer}[{i}] = *{value.pointer};")


#: The fewest rows and columns that are worth blocks.
BLOCK = 8


def transpose(w: Writer, out: View, x: View, perm: tuple[int, ...]) -> None:
    """out with axis i = axis perm[i] of x."""
    steps = strides(x.shape)
    axes = _merged(out.shape, strides(out.shape), tuple(steps[axis] for axis in perm))
    rows = next((axis for axis in axes if axis[2] == 1), None)
    if rows in (None, axes[-1]) or any(isinstance(n, int) and n < BLOCK for n in (rows[0], axes[-1][0])):
        copy(w, out.shape, out, 0, strides(out.shape), x, 0, tuple(steps[axis] for axis in perm))
        return
    unit, (columns, _, across) = _UNIT[out.dtype], axes[-1]
    block = "TRANSPOSE_VECTORS" if unit == "uint32_t" else "TRANSPOSE_LOOP"
    name, to, frm = w.define("transpose_", f"TRANSPOSE_DEFINE(@, {unit}, {block})"), 0, 0
    with ExitStack() as stack:
        for axis in axes[:-1]:
            if axis != rows:
                i = stack.enter_context(w.loop(axis[0]))
                to, frm = add(to, mul(i, axis[1])), add(frm, mul(i, axis[2]))
        w.line(f"{name}(({unit} *){at(out.pointer, to)}, {rows[1]}, (const {unit} *){at(x.pointer, frm)}, {across}, "
               f"{rows[0]}, {columns});")


def broadcast(w: Writer, out: View, x: View) -> None:
    """out = x repeated along new axes and axes of size 1."""
    shape = (1,) * (len(out.shape) - len(x.shape)) + x.shape
    steps = tuple(0 if extent == 1 else step for extent, step in zip(shape, strides(shape), strict=True))
    copy(w, out.shape, out, 0, strides(out.shape), x, 0, steps)


def slice(w: Writer, out: View, x: View, starts: tuple[Extent, ...], steps: tuple[int, ...]) -> None:
    """out[i, …] = x[start + i·step, …]; an index that free dimensions might lead outside x is checked."""
    to, frm = strides(out.shape), strides(x.shape)
    axes = enumerate(zip(x.shape, starts, out.shape, steps, strict=True))
    checked = [axis for axis, entry in axes if not _inside(*entry)]
    rest = max(checked, default=-1) + 1
    with ExitStack() as stack:
        stack.enter_context(_elements(w, out, [x.shape[axis] for axis in checked]))
        target: Extent = 0
        source = add(*(mul(s, m) for s, m in zip(starts[rest:], frm[rest:], strict=True)))
        for axis in range(rest):
            i = stack.enter_context(w.loop(out.shape[axis]))
            index = add(starts[axis], mul(i, steps[axis]))
            if axis in checked:
                index = _nearest(w, index, x.shape[axis])
            target, source = add(target, mul(i, to[axis])), add(source, mul(index, frm[axis]))
        copy(w, out.shape[rest:], out, target, to[rest:],
             x, source, tuple(mul(s, m) for s, m in zip(steps[rest:], frm[rest:], strict=True)))


def _inside(dim: Extent, start: Extent, size: Extent, step: int) -> bool:
    """Whether a slice is known to lie inside an axis; one between known numbers was checked before."""
    known = all(isinstance(extent, int) for extent in (dim, start, size))
    return known or (size == dim and (start, step) in ((0, 1), (add(dim, -1), -1)))


@contextmanager
def _elements(w: Writer, out: View, sources: list[Extent]) -> Iterator[None]:
    """What follows picks elements along axes of these sizes; out is zero where one of them is empty."""
    empty = " || ".join(f"{extent} == 0" for extent in sources if not isinstance(extent, int) or extent == 0)
    if not empty:
        yield
        return
    with w.block(f"if ({empty})"), w.loop(out.size) as i:
        w.line(f"{out.pointer}[{i}] = 0;")
    with w.block("else"):
        yield


def _nearest(w: Writer, index: Extent, size: Extent) -> str:
    """The index, or the first or last of ``size`` where it is outside."""
    name = w.fresh("index")
    w.line(f"i64 {name} = {index};")
    w.line(f"{name} = {name} < 0 ? 0 : {name} >= {size} ? {size} - 1 : {name};")
    return name


def concat(w: Writer, out: View, xs: list[View], axis: int) -> None:
    """out = the xs one after the other along an axis."""
    moves, start = strides(out.shape), 0
    for x in xs:
        copy(w, x.shape, out, mul(start, moves[axis]), moves, x, 0, strides(x.shape))
        start = add(start, x.shape[axis])


def pad(w: Writer, out: View, x: View, value: View, before: tuple[int, ...]) -> None:
    """out = x from index ``before`` on, the scalar ``value`` elsewhere."""
    fill(w, out, value)
    moves = strides(out.shape)
    start = add(*(mul(b, m) for b, m in zip(before, moves, strict=True)))
    copy(w, x.shape, out, start, moves, x, 0, strides(x.shape))


def gather(w: Writer, out: View, x: View, indices: View, axis: int, batch_dims: int) -> None:
    """out = the slices of x along an axis that the indices name, the nearest for one outside; the first axes of x
    and of the indices go together."""
    batch, between = mul(*x.shape[:batch_dims]), mul(*x.shape[batch_dims:axis])
    count, inner, size = mul(*indices.shape[batch_dims:]), mul(*x.shape[axis + 1:]), x.shape[axis]
    with _elements(w, out, [size]), w.loop(batch) as b, w.loop(between) as m, w.loop(count) as j:
        given = w.fresh("given")
        w.line(f"const i64 {given} = (i64){indices.pointer}[{add(mul(b, count), j)}];")
        index = _nearest(w, f"{given} < 0 ? {given} + {size} : {given}", size)
        row, outer = View(x.pointer, x.dtype, (inner,)), add(mul(b, between), m)
        copy(w, (inner,), out, mul(add(mul(outer, count), j), inner), (1,),
             row, mul(add(mul(outer, size), index), inner), (1,))


#: How an update {1} is combined with what is there, {0}.
_UPDATE = {"set": "{0} = {1};", "add": UPDATE["sum"], "mul": UPDATE["prod"], "max": UPDATE["max"], "min": UPDATE["min"]}


def scatter(w: Writer, out: View, x: View, indices: View, updates: View, mode: str) -> None:
    """out = x with the updates at the index vectors, one after the other; what is outside is left out."""
    depth = indices.shape[-1]
    inner = mul(*x.shape[depth:])
    copy(w, (x.size,), out, 0, (1,), x, 0, (1,))
    with w.loop(mul(*indices.shape[:-1])) as r, ExitStack() as stack:
        place: Extent = 0
        for i in range(depth):
            index, size = w.fresh("index"), x.shape[i]
            w.line(f"i64 {index} = (i64){indices.pointer}[{add(mul(r, depth), i)}];")
            w.line(f"{index} += {index} < 0 ? {size} : 0;")
            stack.enter_context(w.block(f"if ({index} >= 0 && {index} < {size})"))
            place = add(mul(place, size), index)
        with w.loop(inner) as k:
            value = w.fresh("x")
            w.line(f"const {x.ctype} {value} = {updates.pointer}[{add(mul(r, inner), k)}];")
            w.line(_UPDATE[mode].format(f"{out.pointer}[{add(mul(place, inner), k)}]", value))


def place(w: Writer, index: View, size: Extent) -> str:
    """The place along an axis that a scalar names: counted from the end if it is negative, the nearest if outside."""
    given = w.fresh("given")
    w.line(f"const i64 {given} = (i64)*{index.pointer};")
    return _nearest(w, f"{given} < 0 ? {given} + {size} : {given}", size)


def update(w: Writer, out: View, x: View | None, index: View, part: View, axis: int) -> None:
    """out = x with ``part`` in place of the slice along an axis that the index names, the nearest if it is outside.
    Without x that is what out holds."""
    if x:
        copy(w, (out.size,), out, 0, (1,), x, 0, (1,))
    outer, inner, size = mul(*out.shape[:axis]), mul(*out.shape[axis + 1:]), out.shape[axis]
    with w.block(f"if ({size} > 0)"):
        copy(w, (outer, inner), out, mul(place(w, index, size), inner), (mul(size, inner), 1), part, 0, (inner, 1))
