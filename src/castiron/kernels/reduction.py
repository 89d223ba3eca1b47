"""Kernels that combine elements along axes."""

from __future__ import annotations

from contextlib import ExitStack

from castiron.kernels import contraction, scalar
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, MEMORY, REGISTER, Extent, View, Writer, add, at, mul, number

#: The lowest and highest value of each element type.
LIMITS = {"i8": (-128, 127), "i16": (-(1 << 15), (1 << 15) - 1), "i32": (-(1 << 31), (1 << 31) - 1),
           "i64": (-(1 << 63), (1 << 63) - 1), "u8": (0, 255), "u16": (0, 65535), "u32": (0, (1 << 32) - 1),
           "u64": (0, (1 << 64) - 1), "bool": (0, 1), "f32": (float("-inf"), float("inf")),
           "f64": (float("-inf"), float("inf"))}

#: Vectors that a long row is added up in, so that one addition need not wait for the one before.
CHAINS = 4

#: Kind -> the element-wise operator that combines two.
_COMBINE = {"sum": "add", "prod": "mul", "max": "maximum", "min": "minimum"}


#: Kind -> the statement that combines the scalar {1} into {0}.
UPDATE = {"sum": "{0} += {1};", "prod": "{0} *= {1};",
           "max": "if ({1} > {0} || {1} != {1}) {0} = {1};", "min": "if ({1} < {0} || {1} != {1}) {0} = {1};"}


def _neutral(kind: str, dtype: str) -> object:
    return {"sum": 0, "prod": 1, "max": LIMITS[dtype][0], "min": LIMITS[dtype][1]}[kind]


def reduce(w: Writer, kind: str, out: View, x: View, axes: tuple[int, ...]) -> None:
    """out = x combined along ``axes``; out has the other axes, or these as 1 too.

    The order of additions is fixed by the shape: along the last axis 16 running sums, four times as many
    while there is enough for all, combined in pairs and then as vec.h reduces lanes; along others one
    after the other.
    """
    groups: list[tuple[Extent, bool]] = []
    for axis, extent in enumerate(x.shape):
        if extent == 1:
            continue
        reduced = axis in axes
        if groups and groups[-1][1] == reduced:
            groups[-1] = (mul(groups[-1][0], extent), reduced)
        else:
            groups.append((extent, reduced))
    if not groups:
        groups = [(1, False)]
    inner, inner_reduced = groups[-1]
    moves = [mul(*(e for e, _ in groups[i + 1:])) for i in range(len(groups))]
    kept = [i for i, (_, reduced) in enumerate(groups[:-1]) if not reduced]
    folded = [i for i, (_, reduced) in enumerate(groups[:-1]) if reduced]

    with ExitStack() as stack:
        source: Extent = 0
        target: Extent = 0
        for i in kept:
            index = stack.enter_context(w.loop(groups[i][0]))
            source = add(source, mul(index, moves[i]))
            later = [groups[j][0] for j in kept if j > i] + ([] if inner_reduced else [inner])
            target = add(target, mul(index, mul(*later)))
        reducer = _along if inner_reduced else _across
        reducer(w, kind, out, x, inner, source, target, [(groups[i][0], moves[i]) for i in folded])


def _along(w: Writer, kind: str, out: View, x: View, inner: Extent, source: Extent, target: Extent,
           folded: list[tuple[Extent, Extent]]) -> None:
    """The innermost axis is combined too: one element results."""
    dtype, register = x.dtype, REGISTER[x.dtype]
    i, last = w.fresh("i"), w.fresh("x")
    neutral = _register(number(_neutral(kind, dtype), dtype), dtype)
    accs = [w.fresh("acc") for _ in range(1 if isinstance(inner, int) and inner < CHAINS * LANES else CHAINS)]
    acc = accs[0]
    for name in accs:
        w.line(f"{register} {name} = {neutral};")
    with ExitStack() as stack:
        for extent, move in folded:
            source = add(source, mul(stack.enter_context(w.loop(extent)), move))
        row = w.fresh("row")
        w.line(f"const {x.ctype} *{row} = {at(x.pointer, source)};")
        w.line(f"i64 {i} = 0;")
        if len(accs) > 1:
            with w.block(f"for (; {i} + {CHAINS * LANES} <= {inner}; {i} += {CHAINS * LANES})"):
                for j, name in enumerate(accs):
                    value = scalar.load(dtype, f"{row} + {i} + {j * LANES}", None)
                    w.line(f"{name} = {_combine(kind, name, value, dtype)};")
        with w.block(f"for (; {i} + {LANES} <= {inner}; {i} += {LANES})"):
            w.line(f"{acc} = {_combine(kind, acc, scalar.load(dtype, f'{row} + {i}', None), dtype)};")
        with w.block(f"if ({i} < {inner})"):
            w.line(f"{register} {last} = {scalar.load(dtype, f'{row} + {i}', f'{inner} - {i}')};")
            w.line(f"{last} = {_first(f'{inner} - {i}', last, neutral, dtype)};")
            w.line(f"{acc} = {_combine(kind, acc, last, dtype)};")
    while len(accs) > 1:
        for a, b in zip(accs[::2], accs[1::2], strict=True):
            w.line(f"{a} = {_combine(kind, a, b, dtype)};")
        accs = accs[::2]
    w.line(f"*{at(out.pointer, target)} = {_lanes(w, kind, acc, dtype)};")


def _across(w: Writer, kind: str, out: View, x: View, inner: Extent, source: Extent, target: Extent,
            folded: list[tuple[Extent, Extent]]) -> None:
    """The innermost axis stays: 16 elements at a time."""
    dtype, register = x.dtype, REGISTER[x.dtype]
    i = w.fresh("i")

    def columns(count: str | None) -> None:
        acc = w.fresh("acc")
        w.line(f"{register} {acc} = {_register(number(_neutral(kind, dtype), dtype), dtype)};")
        place = source
        with ExitStack() as stack:
            for extent, move in folded:
                place = add(place, mul(stack.enter_context(w.loop(extent)), move))
            w.line(f"{acc} = {_combine(kind, acc, scalar.load(dtype, f'{at(x.pointer, place)} + {i}', count), dtype)};")
        w.line(scalar.store(dtype, f"{at(out.pointer, target)} + {i}", acc, count))

    w.line(f"i64 {i} = 0;")
    with w.block(f"for (; {i} + {LANES} <= {inner}; {i} += {LANES})"):
        columns(None)
    with w.block(f"if ({i} < {inner})"):
        columns(f"{inner} - {i}")


def _combine(kind: str, a: str, b: str, dtype: str) -> str:
    if dtype == "bool":
        return f"{a} | {b}" if kind == "max" else f"{a} & {b}"
    return scalar.expression(_COMBINE[kind], [a, b], [dtype, dtype], dtype)


def _register(literal: str, dtype: str) -> str:
    return f"(i32x16)-{literal}" if dtype == "bool" else f"v_splat(({MEMORY[dtype]}){literal})"


def _first(count: str, x: str, rest: str, dtype: str) -> str:
    """The first lanes of x, ``rest`` in the others."""
    return scalar.expression("select", [f"(V_IOTA < (int32_t)({count}))", x, rest], ["bool", dtype, dtype], dtype)


def _lanes(w: Writer, kind: str, acc: str, dtype: str) -> str:
    """The 16 lanes combined into one value in memory's type."""
    if dtype == "f32":
        return {"sum": "v_sum", "prod": "v_prod", "max": "v_max_lane", "min": "v_min_lane"}[kind] + f"({acc})"
    if dtype == "bool":
        return f"(__builtin_reduce_{'or' if kind == 'max' else 'and'}({acc}) != 0)"
    if dtype != "f64":
        return {"sum": "__builtin_reduce_add", "prod": "__builtin_reduce_mul", "max": "__builtin_reduce_max",
                "min": "__builtin_reduce_min"}[kind] + f"({acc})"
    total, lane = w.fresh("total"), w.fresh("lane")
    w.line(f"double {total} = {acc}[0];")
    with w.block(f"for (int {lane} = 1; {lane} < {LANES}; {lane}++)"):
        w.line(UPDATE[kind].format(total, f"{acc}[{lane}]"))
    return total


def standardize(w: Writer, out: View, x: View, more: list[View], instrs: list[Instr], epsilon: float) -> None:
    """out = epilogue((x - mean x) / √(variance x + epsilon), more…) along the last axis: ``standardize.h``, with an
    epilogue as a product's."""
    text = f"{contraction.epilogue(out, more, instrs)}\nSTANDARDIZE_DEFINE(@, @_epilogue)"
    name, operands = w.define("standardize_", text), contraction.epilogue_operands(w, out, more)
    w.line(f"{name}({mul(*out.shape[:-1])}, {out.shape[-1]}, {x.pointer}, {out.pointer}, {number(epsilon, 'f32')}, "
           f"&{operands});")


def cumulate(w: Writer, kind: str, out: View, x: View, axis: int) -> None:
    """out[…,i,…] = x[…,0…i,…] combined along the axis, one after the other."""
    outer, count, inner = mul(*x.shape[:axis]), x.shape[axis], mul(*x.shape[axis + 1:])
    with w.loop(outer) as o, w.loop(inner) as k:
        total, value, j = w.fresh("total"), w.fresh("x"), w.fresh("j")
        w.line(f"{x.ctype} {total} = {number(_neutral(kind, x.dtype), x.dtype)};")
        with w.block(f"for (i64 {j} = 0; {j} < {count}; {j}++)"):
            place = add(mul(o, count, inner), mul(j, inner), k)
            w.line(f"const {x.ctype} {value} = {x.pointer}[{place}];")
            w.line(UPDATE[kind].format(total, value))
            w.line(f"{out.pointer}[{place}] = {total};")
