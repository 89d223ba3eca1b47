"""Chains of element-wise operators, over operands that broadcast."""

from __future__ import annotations

from dataclasses import dataclass, replace

from castiron.kernels import scalar
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, REGISTER, Extent, View, Writer, at, mul


@dataclass(frozen=True)
class Axis:
    """One loop of a nest: how far it goes and which operands move with it, by what if not as far as the axes
    within."""

    extent: Extent
    moves: tuple[bool | Extent, ...]


def collapse(shape: tuple[Extent, ...], operands: list[View]) -> list[Axis]:
    """The loops over ``shape``, outermost first, neighbours merged where every operand either moves
    along both axes or along neither. Axes of size 1 vanish."""
    axes: list[Axis] = []
    for i, extent in enumerate(shape):
        if extent == 1:
            continue
        moves = []
        for view in operands:
            position = i - len(shape) + len(view.shape)
            moving = position >= 0 and view.shape[position] != 1
            moves.append(view.row_stride if moving and position == 0 and view.row_stride is not None else moving)
        if axes and axes[-1].moves == tuple(moves):
            axes[-1] = Axis(mul(axes[-1].extent, extent), tuple(moves))
        else:
            axes.append(Axis(extent, tuple(moves)))
    return axes or [Axis(1, (True,) * len(operands))]


#: Known numbers of elements up to which code is written for them alone.
STRAIGHT = 128


def map(w: Writer, out: View, inputs: list[View], instrs: list[Instr]) -> None:
    """out = the last instruction's result for each element. All with the same instructions and loops share a function,
    unless they are small."""
    axes = collapse(out.shape, [out, *inputs])
    size = mul(*(axis.extent for axis in axes))
    if isinstance(size, int) and size <= STRAIGHT:
        _nest(w, axes[:-1], axes, out, inputs, [0] * (1 + len(inputs)), instrs)
        return
    if _periodic(axes):
        _repeat(w, axes, out, inputs, instrs)
        return
    extents = [f"n{i}" for i in range(len(axes))]
    steps = {by: f"s{i}" for i, by in enumerate(dict.fromkeys(
        by for axis in axes for by in axis.moves if not isinstance(by, bool)))}
    views = [replace(view, pointer=f"x{i}") for i, view in enumerate([out, *inputs])]
    taken = [view for view in [out, *inputs] if view.known is None]
    types = [f"const {view.ctype} *x{i}" for i, view in enumerate([out, *inputs]) if view.known is None]
    types[0] = types[0].removeprefix("const ")
    named = [Axis(extent, tuple(steps.get(by, by) if not isinstance(by, bool) else by for by in axis.moves))
             for extent, axis in zip(extents, axes, strict=True)]
    body = Writer()
    with body.block("NOINLINE void @(" + ", ".join([*types, *(f"i64 {n}" for n in [*extents, *steps.values()])]) + ")"):
        _nest(body, named[:-1], named, views[0], views[1:], [0] * len(views), instrs)
    name = w.define("map_", "\n".join(body.lines))
    arguments = [*(view.pointer for view in taken), *(axis.extent for axis in axes), *steps]
    w.line(f"{name}({', '.join(str(argument) for argument in arguments)});")


def _periodic(axes: list[Axis]) -> bool:
    """Whether these are lines shorter than a vector, perhaps many, and no operand has one element a line."""
    if len(axes) != 2 or not isinstance(axes[1].extent, int) or axes[1].extent >= LANES:
        return False
    if isinstance(axes[0].extent, int) and axes[0].extent < LANES:
        return False
    return all(isinstance(lines, bool) and lines <= within
               for lines, within in zip(axes[0].moves, axes[1].moves, strict=True))


def _repeat(w: Writer, axes: list[Axis], out: View, inputs: list[View], instrs: list[Instr]) -> None:
    """Short lines as one, by as many whole vectors as they have elements: what is the same for all lines is written
    once for each of these vectors' elements."""
    period = axes[1].extent
    size = period * LANES
    views = [replace(view, pointer=f"x{i}") for i, view in enumerate([out, *inputs])]
    types = [f"const {view.ctype} *x{i}" for i, view in enumerate([out, *inputs]) if view.known is None]
    types[0] = types[0].removeprefix("const ")
    body = Writer()
    with body.block("NOINLINE void @(" + ", ".join([*types, "i64 lines"]) + ")"):
        with body.block(f"if (lines < {LANES})"):  # it takes longer to write the patterns
            few = [Axis("lines", axes[0].moves), axes[1]]
            _nest(body, few[:1], few, views[0], views[1:], [0] * len(views), instrs)
            body.line("return;")
        for i, view in enumerate(views):
            if view.known is None and not axes[0].moves[i] and axes[1].moves[i]:
                body.line(f"{view.ctype} pattern{i}[{size}];")
                with body.block(f"for (i64 i = 0; i < {size}; i += {period})"):
                    for j in range(period):
                        body.line(f"pattern{i}[i + {j}] = x{i}[{j}];")
                views[i] = replace(view, pointer=f"pattern{i}", padded=False)
        body.line(f"i64 blocks = lines / {LANES}, done = blocks * {size}, left = lines * {period} - done;")
        nest = [Axis("blocks", axes[0].moves), Axis(size, axes[1].moves)]
        _nest(body, nest[:1], nest, views[0], views[1:], [0] * len(views), instrs)
        offsets = ["done" if moves else 0 for moves in axes[0].moves]
        _vectors(body, Axis("left", axes[1].moves), views[0], views[1:], offsets, instrs)
    name = w.define("map_", "\n".join(body.lines))
    taken = [view.pointer for view in [out, *inputs] if view.known is None]
    w.line(f"{name}({', '.join(str(argument) for argument in [*taken, axes[0].extent])});")


def _nest(w: Writer, loops: list[Axis], axes: list[Axis], out: View, inputs: list[View], offsets: list[Extent],
          instrs: list[Instr]) -> None:
    if not loops:
        _vectors(w, axes[-1], out, inputs, offsets, instrs)
        return
    position = len(axes) - 1 - len(loops)
    with w.loop(loops[0].extent) as index:
        moved = []
        for operand, offset in enumerate(offsets):
            by, within = loops[0].moves[operand], (a.extent for a in axes[position + 1:] if a.moves[operand])
            step = mul(index, *(within if by is True else (by,)))
            moved.append(_sum(offset, step))
        _nest(w, loops[1:], axes, out, inputs, moved, instrs)


def _sum(a: Extent, b: Extent) -> Extent:
    return b if a == 0 else a if b == 0 else f"{a} + {b}"


def _vectors(w: Writer, axis: Axis, out: View, inputs: list[View], offsets: list[Extent], instrs: list[Instr]) -> None:
    """The innermost loop: whole vectors, then what is left over."""
    pointers = [at(v.pointer, o) for v, o in zip([out, *inputs], offsets, strict=True)]
    i = w.fresh("i")

    def vector(count: str | None) -> None:
        values = []
        for view, pointer, moves in zip(inputs, pointers[1:], axis.moves[1:], strict=True):
            lanes = None if view.padded else count
            if view.known is not None:
                values.append(scalar.splat(view, pointer))
                continue
            values.append(w.fresh("x"))
            source = scalar.load(view.dtype, f"{pointer} + {i}", lanes) if moves else scalar.splat(view, pointer)
            w.line(f"{REGISTER[view.dtype]} {values[-1]} = {source};")
        dtypes = [view.dtype for view in inputs]
        straight_line(w, values, dtypes, instrs)
        w.line(scalar.store(out.dtype, f"{pointers[0]} + {i}", values[-1], count))

    extent = axis.extent
    w.line(f"i64 {i} = 0;")
    whole = f"{i} + {LANES} <= {extent}"
    if not isinstance(extent, int) or extent >= LANES:
        with w.block(f"for (; {whole}; {i} += {LANES})"):
            vector(None)
    if not isinstance(extent, int) or extent % LANES:
        with w.block(f"if ({i} < {extent})"):
            vector(f"{extent} - {i}")


def straight_line(w: Writer, values: list[str], dtypes: list[str], instrs: list[Instr]) -> None:
    """Statements for the instructions; their results are appended to ``values`` and ``dtypes``."""
    for instr in instrs:
        code = scalar.expression(instr.op, [values[i] for i in instr.operands], [dtypes[i] for i in instr.operands],
                                 instr.dtype)
        values.append(w.fresh("x"))
        dtypes.append(instr.dtype)
        w.line(f"{REGISTER[instr.dtype]} {values[-1]} = {code};")
