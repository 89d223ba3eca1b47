"""Matrix products, and the packing of weights."""

from __future__ import annotations

from castiron.kernels import elementwise, scalar
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, MEMORY, REGISTER, Extent, View, Writer, add, at, mul

#: Bytes of weights that are worth a part of their own where a product is computed in parts.
SLAB_BYTES = 8 << 20

#: Instructions of an epilogue that is worth a copy for each sum of a tile.
SHORT = 12


def slabs(k: int, columns: int) -> int:
    """In how many parts, by columns, a product is computed whose weights take much longer to read than a few rows to
    multiply."""
    panels, panel_bytes = -(-columns // LANES), k * LANES * 4
    if panels * panel_bytes <= 2 * SLAB_BYTES:
        return 1
    return -(-panels // max(1, SLAB_BYTES // panel_bytes))


def dense(w: Writer, out: View, a: View, packed: View, more: list[View], instrs: list[Instr], slabs: int = 1) -> None:
    """out = epilogue(a · packed, more…): ``gemm.h``, for one column ``gemm_column.h``, with an epilogue
    made of the instructions. Of several ``slabs`` of columns only the one that the variable ``slab`` counts.

    An operand of the epilogue has a value for each element, each row, each column, or one for all.
    """
    n = out.shape[-1]
    m, k = mul(*out.shape[:-1]), a.shape[-1]
    name, operands = product(w, n, out, more, instrs), epilogue_operands(w, out, more)
    sizes = f"{m}, {k}" if n == 1 else f"{m}, {n}, {k}"
    stride = k if a.row_stride is None else a.row_stride
    if slabs > 1:
        part, column, across = -(-n // (LANES * slabs)) * LANES, w.fresh("column"), w.fresh("n")
        w.line(f"const i64 {column} = slab * {part}, {across} = {n} - {column} < {part} ? {n} - {column} : {part};")
        w.line(f"const struct epilogue moved = epilogue_at(&{operands}, 0, {column});")
        w.line(f"{name}({m}, {across}, {k}, {a.pointer}, {stride}, {packed.pointer} + {column} * {k}, "
               f"{out.pointer} + {column}, {n}, &moved);")
        return
    w.line(f"{name}({sizes}, {a.pointer}, {stride}, {packed.pointer}, {out.pointer}, {n}, &{operands});")


def product(w: Writer, columns: Extent, out: View, more: list[View], instrs: list[Instr]) -> str:
    """The name of a product with this epilogue, for any shape; one column is a family of its own."""
    long = len(instrs) > SHORT or any(instr.op in scalar.ELEMENTARY for instr in instrs)
    family = "GEMM_COLUMN_DEFINE" if columns == 1 else "GEMM_DEFINE_LONG" if long else "GEMM_DEFINE"
    return w.define("gemm_", f"{epilogue(out, more, instrs)}\n{family}(@, @_epilogue)")


def epilogue_operands(w: Writer, out: View, more: list[View]) -> str:
    """Declares where an epilogue finds its operands."""
    operands = [view for view in more if view.known is None]
    kinds = [_kind(view, out) for view in operands]
    pointers = ", ".join(f"{'' if view.dtype == 'f32' else '(const float *)'}{view.pointer}" for view in operands)
    steps = [{"element": out.shape[-1] if view.row_stride is None else view.row_stride, "row": 1}.get(kind, 0)
             for view, kind in zip(operands, kinds, strict=True)]
    rows = ", ".join(map(str, steps))
    columns = ", ".join(str(int(kind in ("element", "column"))) for kind in kinds)
    name = w.fresh("e")
    w.line(f"const struct epilogue {name} = {{{{{pointers}}}, {{{rows}}}, {{{columns}}}}};")
    return name


def _kind(view: View, out: View) -> str:
    if view.size == 1:
        return "scalar"
    if view.shape == out.shape:
        return "element"
    return "row" if view.shape[-1] == 1 else "column"


def epilogue(out: View, more: list[View], instrs: list[Instr], total: str = "f32") -> str:
    """The definition of ``@_epilogue``, as GEMM_DEFINE takes it, of sums of type ``total``."""
    if not instrs:
        return "#define @_epilogue(acc, e, row, col, nv) (acc)"
    body = Writer()
    values, dtypes = ["t0"], [total, *(view.dtype for view in more)]
    body.line(f"{REGISTER[total]} t0 = (acc);")
    operand = 0
    for view in more:
        if view.known is not None:
            values.append(scalar.splat(view, ""))
            continue
        values.append(f"t{operand + 1}")
        lanes = _operand(f"(e)->operand[{operand}]", operand, _kind(view, out), view)
        body.line(f"{REGISTER[view.dtype]} {values[-1]} = {lanes};")
        operand += 1
    elementwise.straight_line(body, values, dtypes, instrs)
    statements = " ".join(body.lines)
    return f"#define @_epilogue(acc, e, row, col, nv) ({{ {statements} {values[-1]}; }})"


def _operand(base: str, index: int, kind: str, view: View) -> str:
    """The lanes of an epilogue's operand at (row, col)."""
    offset = {"scalar": "", "row": " + (row)", "column": " + (col)",
              "element": f" + (row) * (e)->row_stride[{index}] + (col)"}[kind]
    pointer = f"({base}{offset})" if view.dtype == "f32" else f"((const {view.ctype} *)({base}{offset}))"
    if kind in ("scalar", "row"):
        return scalar.splat(view, pointer)
    if view.padded:
        return scalar.load(view.dtype, pointer, None)
    return f"((nv) == {LANES} ? v_load({pointer}) : v_load_n({pointer}, (nv)))"


def matmul(w: Writer, out: View, a: View, b: View) -> None:
    """out[…,i,j] = Σₖ a[…,i,k] · b[…,k,j] where the leading axes broadcast and neither is packed."""
    n, k, m = out.shape[-1], a.shape[-1], out.shape[-2]
    axes = elementwise.collapse(out.shape[:-2], [View("", "", v.shape[:-2]) for v in (out, a, b)])
    sizes = (mul(m, n), mul(m, k), mul(k, n))
    _batches(w, axes, sizes, (out, a, b), (0, 0, 0), (m, n, k))


def _batches(w: Writer, axes: list[elementwise.Axis], sizes: tuple[Extent, ...], views: tuple[View, View, View],
             offsets: tuple[Extent, ...], mnk: tuple[Extent, Extent, Extent]) -> None:
    if axes:
        with w.loop(axes[0].extent) as i:
            moved = []
            for operand, offset in enumerate(offsets):
                stride = mul(*(a.extent for a in axes[1:] if a.moves[operand]), sizes[operand])
                moved.append(add(offset, mul(i, stride) if axes[0].moves[operand] else 0))
            _batches(w, axes[1:], sizes, views, tuple(moved), mnk)
        return
    out, a, b = (at(v.pointer, offset) for v, offset in zip(views, offsets, strict=True))
    dtype = views[0].dtype
    combine = "v_fma(x, y, sum)" if dtype in scalar.FLOATS else "((x) * (y) + (sum))"
    name = w.define("product_", f"#define @_combine(x, y, sum) {combine}\n"
                    f"PRODUCT_DEFINE(@, {MEMORY[dtype]}, {REGISTER[dtype]}, @_combine)")
    w.line(f"{name}({', '.join(map(str, mnk))}, {a}, {b}, {out});")


def pack(w: Writer, out: View, b: View, groups: int) -> None:
    """The matrices [K,N] of the groups, side by side in b, as panels [⌈N/16⌉,K,16] with zeros in the columns that are
    missing; a single column as itself, zeros in the rows that are missing."""
    k, columns = mul(*b.shape[:-1]), b.shape[-1]
    n, size = columns // groups, out.size // groups
    with w.loop(groups) as group:
        source, target = at(b.pointer, mul(group, n)), at(out.pointer, mul(group, size))
        if n == 1:
            w.line(f"pack_column({k}, {source}, {columns}, {size}, {target});")
        else:
            w.line(f"pack_b({k}, {n}, {source}, {columns}, 1, {target});")


def unpack(w: Writer, out: View, packed: View, groups: int) -> None:
    """The weights side by side from the panels, or the one column, of each group's."""
    k, columns = mul(*out.shape[:-1]), out.shape[-1]
    n, size = columns // groups, packed.size // groups
    with w.loop(groups) as group:
        source, target = at(packed.pointer, mul(group, size)), at(out.pointer, mul(group, n))
        w.line(f"unpack_b({k}, {n}, {1 if n == 1 else LANES}, {source}, {target}, {columns});")
