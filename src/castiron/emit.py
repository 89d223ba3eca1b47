"""Program -> C: one function a step, in one unit for all programs of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from castiron.ahead import ahead
from castiron.ir import Body, Dim, DType, Expr, Graph, Node, TensorType, Value
from castiron.kernels import (
    Extent,
    View,
    Writer,
    attention,
    cell,
    contraction,
    elementwise,
    hashing,
    integer,
    movement,
    reduction,
    resampling,
    selection,
    sorting,
    strassen,
    trees,
    window,
    winograd,
)
from castiron.kernels.scalar import Instr
from castiron.kernels.writer import LANES, MEMORY, add, at, mul, number
from castiron.ops.cell import Cell
from castiron.ops.fused import body_types
from castiron.ops.loop import body_inputs
from castiron.ops.winograd import POINTS, kernel_sizes
from castiron.program import ALIGNMENT, SCRATCH, Program, Step
from castiron.rows import row_axes, row_factor, row_flow, row_operands, row_results, row_shape
from castiron.storage import body_nodes
from castiron.strips import Strip

#: What every unit includes, from the folder ``kernels``.
HEADERS = ("vec.h", "convert.h", "elementary.h", "narrow.h", "product.h", "transpose.h", "gemm.h", "gemm_column.h",
           "strassen.h", "cell.h", "window.h", "depthwise.h", "direct.h", "conv.h", "integer.h", "winograd.h",
           "attention.h", "standardize.h", "hash.h", "trees.h", "tree_bits.h")

#: The operators into whose code an operand goes that is a known number.
WITH_NUMBERS = frozenset({"map", "dense", "strassen_dense", "standardize", "cell", "packed_conv", "winograd_conv"})


def emit(programs: Mapping[str, Program]) -> tuple[str, tuple[str, ...]]:
    """The C unit of the programs and the names of its step functions, program after program."""
    unit = Writer()
    entries: list[str] = []
    bodies: dict[tuple[str, ...], dict[str, tuple[int, ...]]] = {}
    for name, program in programs.items():
        for i, step in enumerate(program.steps):
            entries.append(f"{name}_{i}")
            writer = _StepWriter(unit.part(), program, step)
            writer.write()
            bodies.setdefault(writer.w.lines, {})[entries[-1]] = tuple(writer.places)
    for i, (body, steps) in enumerate(bodies.items()):
        _functions(unit, f"step_{i}", body, steps)
    return unit.source(HEADERS), tuple(entries)


def _functions(unit: Writer, name: str, body: tuple[str, ...], steps: Mapping[str, tuple[int, ...]]) -> None:
    """The functions of the steps that have the same body, each with its own operands."""
    parameters = "(void *const *p, const i64 *d, i64 begin, i64 end)"
    with unit.block(f"{'INLINE' if len(steps) == 1 else 'NOINLINE'} void {name}{parameters}"):
        for line in body:
            unit.line(line)
    for entry, places in steps.items():
        with unit.block(f"void {entry}{parameters}"):
            unit.line(f"void *const operands[] = {{{', '.join(f'p[{place}]' for place in places)}}};")
            unit.line(f"{name}(operands, d, begin, end);")


@dataclass
class _StepWriter:
    """Writes one step's function.

    By rows, ``t`` counts blocks, slab after slab if there are several, ``r`` is a block's first row and ``m`` the rows
    that it has, unless others are named. The lines of a strip are found where all of its value would begin. ``places``
    are the buffers that it uses, in the order of its operands ``p``.
    """

    w: Writer
    program: Program
    step: Step
    places: dict[int, int] = field(default_factory=dict)
    #: The one of equal dimensions that stands for all.
    extents: dict[Expr, Expr] = field(default_factory=dict)
    first: str = "r"
    count: Extent = 1
    #: What counts the iterations of the innermost loop.
    trip: Extent = 0

    @cached_property
    def ahead(self) -> Mapping[Node, Node]:
        """What cells compute ahead."""
        return ahead(self.program, self.step)

    def write(self) -> None:
        w, step = self.w, self.step
        w.line("(void)p, (void)d;")
        if step.strip:
            w.line("struct window_lines strip = {0, 0};")
        with w.block("for (i64 t = begin; t < end; t++)"):
            if step.rows is not None:
                self._block()
            if step.strip:
                self._strip(step.strip)
            for node in step.nodes[len(step.strip.nodes) if step.strip else 0:]:
                self._node(node)

    def _strip(self, strip: Strip) -> None:
        """Computes the lines that a block covers and the one before did not."""
        w, inside = self.w, replace(self, step=replace(self.step, rows=strip.rows), first="first", count="lines")
        bytes = mul(*map(self.extent, row_shape(strip.value.type, strip.rows)), strip.value.type.dtype.itemsize)
        sizes = f"{strip.size}, {strip.count}, {strip.span}, {strip.stride}, {strip.before}"
        w.line("const struct window_lines before = strip;")
        w.line(f"strip = window_lines({sizes}, {self.first}, {self.count});")
        w.line(f"char *kept = (char *){self.memory(SCRATCH)} + {self.step.scratch[strip.value]};")
        w.line(f"char *const whole = kept - strip.first * {bytes};")
        w.line("const i64 first = strip.first > before.end ? strip.first : before.end, lines = strip.end - first;")
        w.line(f"window_keep(kept, (strip.first - before.first) * {bytes}, (first - strip.first) * {bytes});")
        for node in strip.nodes:
            inside._node(node)

    def _block(self) -> None:
        rows, block = self.extent(self.step.rows), self.step.block
        if self.step.slabs > 1:
            self.w.line(f"const i64 blocks = {add(rows, block - 1)} / {block}, slab = t / blocks;")
            self.w.line(f"const i64 r = (t - slab * blocks) * {block};")
        else:
            self.w.line(f"const i64 r = t * {block};")
        if block > 1:
            self.w.line(f"const i64 m = {rows} - r < {block} ? {rows} - r : {block};")
            self.count = "m"

    def _node(self, node: Node) -> None:
        if node.bodies:
            with self.w.block(""):
                self._loop(node) if node.op == "loop" else self._conditional(node)
            return
        rows = self.step.rows
        kinds = row_operands(node, rows) if rows is not None else [False] * len(node.inputs)
        with self.w.block(""):
            inputs = [self._number(node, v) or self._operand(v, by_rows, "const ")
                      for v, by_rows in zip(node.inputs, kinds, strict=True)]
            outputs = [self._operand(v, rows is not None, "") for v in node.results]
            if node.op == "cell":
                self._cell(node, outputs, inputs)
            elif node in self.ahead:
                cell.product_but_ahead(self.w, outputs[0], *inputs)
            else:
                _KERNELS[node.op](self, node, outputs[0], inputs)

    def _cell(self, node: Node, outs: list[View], inputs: list[View]) -> None:
        a, packed, *more = inputs
        types = Cell.operands(*(v.type for v in node.inputs), parts=node.attrs["parts"])
        product = next((product for product, beside in self.ahead.items() if beside is node), None)
        going = product and (self._operand(product.inputs[0], True, "const "),
                             self._operand(product.inputs[1], False, "const "),
                             self._operand(product.results[0], True, ""))
        cell.cell(self.w, outs, a, packed, more, node.attrs["parts"], instrs(node.attrs["body"], types),
                  node.attrs["results"], self.trip, going)

    def _loop(self, node: Node) -> None:
        w, body = self.w, node.attrs["body"]
        for initial, result, by_rows in zip(node.inputs[1:], node.results, self._by_rows(node), strict=False):
            self._copy(result, initial, by_rows)
        trips = node.inputs[0].constant
        if trips is None or self.program.graph.traced:
            given, limit = self._operand(node.inputs[0], False, "const "), w.fresh("trips")
            w.line(f"const i64 {limit} = *{given.pointer};")
        else:
            limit = number(trips, "i64")
        carried, _ = body_inputs(node, body)
        trip = w.fresh("trip")
        with w.block(f"for (i64 {trip} = 0; {trip} < {limit}; {trip}++)"):
            if node.attrs["checked"]:
                w.line(f"if (!*{self._operand(carried[0], False, 'const ').pointer}) break;")
            w.line(f"*{self._operand(next(iter(body.inputs.values())), False, '').pointer} = {trip};")
            replace(self, trip=trip)._body(node, body)

    def _conditional(self, node: Node) -> None:
        predicate = self._operand(node.inputs[0], False, "const ")
        with self.w.block(f"if (*{predicate.pointer})"):
            self._body(node, node.attrs["then"])
        with self.w.block("else"):
            self._body(node, node.attrs["otherwise"])

    def _body(self, node: Node, body: Graph) -> None:
        """Computes a body, and what it gives into the node's results."""
        rows = self.step.rows
        flow = row_flow(node, rows) if rows is not None else None
        whole = replace(self, step=replace(self.step, rows=None))
        for inner in body_nodes(body):
            there = inner.op == "reshape" and self.same_memory(inner.results[0], inner.inputs[0])
            if not there and inner.results[0] not in self.program.views:
                (self if flow is None or flow.inside[inner] else whole)._node(inner)
        for output, result, by_rows in zip(body.outputs.values(), node.results, self._by_rows(node), strict=True):
            self._copy(result, output, by_rows)

    def _by_rows(self, node: Node) -> list[bool]:
        """Which results of a node are computed by rows here."""
        rows = self.step.rows
        return [False] * len(node.types) if rows is None else row_results(node, rows)

    def _copy(self, to: Value, value: Value, by_rows: bool) -> None:
        """What is not there yet."""
        if not self.same_memory(to, value):
            with self.w.block(""):
                x, out = self._operand(value, by_rows, "const "), self._operand(to, by_rows, "")
                movement.copy(self.w, (out.size,), out, 0, (1,), x, 0, (1,))

    def _storage(self, value: Value) -> Value:
        return self.program.aliases.get(value, value)

    def memory(self, buffer: int) -> str:
        """The address of a buffer."""
        return f"p[{self.places.setdefault(buffer, len(self.places))}]"

    def same_memory(self, a: Value, b: Value) -> bool:
        """Whether two values are in one place."""
        return self._storage(a) == self._storage(b)

    def _number(self, node: Node, value: Value) -> View | None:
        """A constant of one element that goes into the code; not in a traced program, where it can be fed."""
        array = value.constant
        if node.op not in WITH_NUMBERS or array is None or array.size != 1 or self.program.graph.traced:
            return None
        return View("", value.type.dtype.value, self._shape(value.type, False), known=array.item())

    def _operand(self, value: Value, by_rows: bool, const: str) -> View:
        """Declares a pointer to the value's block or whole and gives the view of it."""
        if value in self.program.views:
            return self._cut(value.node, by_rows, const)
        program, storage = self.program, self._storage(value)
        type, ctype = value.type, MEMORY[value.type.dtype.value]
        if self.step.strip and storage == self.step.strip.value:
            base = f"({const}{ctype} *)whole"
            if by_rows:
                base = at(f"({base})", self._row_start(type))
            padded = True
        elif storage in self.step.scratch:
            base = f"({const}{ctype} *)((char *){self.memory(SCRATCH)} + {self.step.scratch[storage]})"
            padded = True
        else:
            buffer = program.index[storage]
            base = f"({const}{ctype} *){self.memory(buffer)}"
            if by_rows:
                base = at(f"({base})", self._row_start(type))
            padded = program.buffers[buffer].const is not None and not program.graph.traced
        name = self.w.fresh("v")
        self.w.line(f"{const}{ctype} *const {name} = {base};")
        return View(name, type.dtype.value, self._shape(type, by_rows),
                    padded and LANES * type.dtype.itemsize <= ALIGNMENT)

    def _cut(self, node: Node, by_rows: bool, const: str) -> View:
        """The view of a slice along the second axis."""
        x = self._operand(node.inputs[0], by_rows, const)
        if node.op == "gather":
            place = movement.place(self.w, self._operand(node.inputs[1], False, const), x.shape[1])
        else:
            place = node.attrs["starts"][1]
        within = mul(*x.shape[2:])
        stride = mul(x.shape[1], within) if x.row_stride is None else x.row_stride
        return replace(x, pointer=at(x.pointer, mul(place, within)), shape=self._shape(node.types[0], by_rows),
                       row_stride=stride)

    def _row_start(self, type: TensorType) -> Extent:
        rows = self.step.rows
        return mul(self.first, self.extent(row_factor(type, rows)), *map(self.extent, row_shape(type, rows)))

    def _shape(self, type: TensorType, by_rows: bool) -> tuple[Extent, ...]:
        if not by_rows:
            return tuple(map(self.extent, type.shape))
        count = mul(self.count, self.extent(row_factor(type, self.step.rows)))
        within = tuple(map(self.extent, row_shape(type, self.step.rows)))
        return (count, *(1,) * (type.rank - 1 - len(within)), *within)

    def extent(self, dim: Dim) -> Extent:
        """A dimension in C: the values of the program's symbols, free and derived, are the array d. Equal
        dimensions give equal texts."""
        if not isinstance(dim, Expr):
            return dim
        dim = self.extents.setdefault(dim, dim)
        place = {symbol: f"d[{i}]" for i, symbol in enumerate((*self.program.symbols, *self.program.derived))}
        return add(*(mul(coefficient, *(place[s] for s in monomial)) for monomial, coefficient in dim.terms))


def instrs(body: Body | None, inputs: tuple[TensorType, ...]) -> list[Instr]:
    """A body as the kernels take it."""
    if body is None:
        return []
    types = body_types(body, inputs)[len(inputs):]
    names = [f"{i.op}_{dict(i.attrs)['format']}" if i.op == "round_to" else i.op for i in body.instrs]
    return [Instr(name, i.operands, t.dtype.value) for name, i, t in zip(names, body.instrs, types, strict=True)]


def _map(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    elementwise.map(s.w, out, inputs, instrs(node.attrs["body"], tuple(v.type for v in node.inputs)))


def _dense(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    a, packed, *more = inputs
    types = (node.types[0], *(v.type for v in node.inputs[2:]))
    contraction.dense(s.w, out, a, packed, more, instrs(node.attrs["epilogue"], types), s.step.slabs)


def _strassen_dense(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    a, packed, *more = inputs
    types = (node.types[0], *(v.type for v in node.inputs[2:]))
    strassen.dense(s.w, out, a, packed, more, instrs(node.attrs["epilogue"], types), f"(float *){s.memory(SCRATCH)}",
                   _again(s.step, node))


def _again(step: Step, node: Node) -> bool:
    """Whether a node does with other weights what the one just before it in a step does."""
    before = dict(zip(step.nodes[1:], step.nodes, strict=False)).get(node)
    return bool(before) and not step.strip and (before.op, before.inputs[0]) == (node.op, node.inputs[0])


def _attention(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    rows = s.step.rows
    several = rows is not None and row_axes(node.types[0], rows)[0] > 1
    q, k, v, *more = inputs
    scores = node.types[0].with_shape(())
    body = instrs(node.attrs["epilogue"], (scores, *(x.type for x in node.inputs[3:])))
    attention.attention(s.w, out, q, k, v, more, body, s.first if several else 0, s.extent(node.types[0].shape[1]),
                        f"(float *){s.memory(SCRATCH)}")


def _standardize(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, *more = inputs
    types = (node.types[0], *(v.type for v in node.inputs[1:]))
    reduction.standardize(s.w, out, x, more, instrs(node.attrs["epilogue"], types), node.attrs["epsilon"])


def _dims(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    for i, value in enumerate(node.attrs["values"]):
        s.w.line(f"{out.pointer}[{i}] = {s.extent(value)};")


def _shape_of(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    for i, value in enumerate(node.inputs[0].type.shape):
        s.w.line(f"{out.pointer}[{i}] = {s.extent(value)};")


def _copy(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    size = (out.size,)
    movement.copy(s.w, size, out, 0, (1,), inputs[0], 0, (1,))


def _slice(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    movement.slice(s.w, out, inputs[0], tuple(map(s.extent, node.attrs["starts"])), node.attrs["steps"])


def _windows(s: _StepWriter, node: Node, out: View, sizes: tuple[Dim, ...]) -> window.Windows:
    """The windows whose results are the rows of ``out``, of the image x or, by overlap_add, on the image out."""
    x, y, attrs = node.inputs[0].type, node.types[0], node.attrs
    d, rows = len(sizes), s.step.rows
    image, windows = (y, x) if node.op == "overlap_add" else (x, y)
    several = rows is not None and row_axes(y, rows)[0] > 1
    first = mul(s.first, *map(s.extent, row_shape(y, rows)[:-1])) if several else 0
    count = mul(*out.shape[:-1])
    return window.Windows(
        tuple(map(s.extent, image.shape[1:d + 1])), tuple(map(s.extent, windows.shape[1:d + 1])),
        tuple(map(s.extent, sizes)), attrs["strides"], attrs["dilations"], tuple(map(s.extent, attrs["before"])),
        s.extent(x.shape[-1]), first, count)


def _conv(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, weights = inputs
    window.conv(s.w, out, x, weights, _windows(s, node, out, node.inputs[1].type.shape[:-2]), node.attrs["groups"])


def _packed_conv(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, packed, *more = inputs
    types = (node.types[0], *(v.type for v in node.inputs[2:]))
    window.packed_conv(s.w, out, x, packed, more, instrs(node.attrs["epilogue"], types),
                       _windows(s, node, out, node.attrs["sizes"]), node.attrs["groups"],
                       f"(float *){s.memory(SCRATCH)}")


def _integer_dense(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    a, zero, packed, *more = inputs
    integer.dense(s.w, out, a, zero, packed, more, _epilogue_of_integers(node), s.memory(SCRATCH))


def _integer_conv(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, zero, packed, *more = inputs
    integer.conv(s.w, out, x, zero, packed, more, _epilogue_of_integers(node),
                 _windows(s, node, out, node.attrs["sizes"]), node.attrs["groups"], s.memory(SCRATCH))


def _epilogue_of_integers(node: Node) -> list[Instr]:
    total = node.types[0].with_dtype(DType.I32)
    return instrs(node.attrs["epilogue"], (total, *(v.type for v in node.inputs[3:])))


def _winograd_conv(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, packed, *more = inputs
    types, tile = (node.types[0], *(v.type for v in node.inputs[2:])), node.attrs["tile"]
    once = (1,) * len(tile)
    window = replace(node, attrs={**node.attrs, "strides": once, "dilations": once})
    winograd.conv(s.w, out, x, packed, more, instrs(node.attrs["epilogue"], types),
                  _windows(s, window, out, kernel_sizes(tile)), tile, POINTS[max(tile)],
                  f"(float *){s.memory(SCRATCH)}", s.step.slabs)


def _pool(kind: str) -> Callable[[_StepWriter, Node, View, list[View]], None]:
    return lambda s, node, out, inputs: window.reduce(
        s.w, kind, out, inputs[0], _windows(s, node, out, node.attrs["sizes"]), node.attrs.get("padding"))


def _overlap_add(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    d = len(node.attrs["strides"])
    windows = _windows(s, node, out, node.inputs[0].type.shape[d + 1:-1])
    window.overlap_add(s.w, out, inputs[0], windows)


def _update(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    x, index, part = inputs
    in_place = s.same_memory(node.inputs[0], node.results[0])
    movement.update(s.w, out, None if in_place else x, index, part, _axis(node))


def _axis(node: Node, of: int = 0) -> int:
    return node.attrs["axis"] % node.inputs[of].type.rank


def _reduce(kind: str) -> Callable[[_StepWriter, Node, View, list[View]], None]:
    def write(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
        rank, axes = node.inputs[0].type.rank, node.attrs["axes"]
        axes = tuple(range(rank)) if axes is None else tuple(a % rank for a in axes)
        reduction.reduce(s.w, kind, out, inputs[0], axes)
    return write


def _hash_bucket(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    salt = node.attrs["salt"] if node.attrs["strategy"] == "siphash" else None
    hashing.hash_bucket(s.w, out, inputs[0], node.attrs["buckets"], salt)


def _tree_walk(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    trees.walk(s.w, out, *inputs, node.attrs["bits"], node.attrs["combine"], s.memory(SCRATCH))


def _tree_bits(s: _StepWriter, node: Node, out: View, inputs: list[View]) -> None:
    trees.bits(s.w, out, *inputs, s.memory(SCRATCH))


def _cumulate(kind: str) -> Callable[[_StepWriter, Node, View, list[View]], None]:
    return lambda s, node, out, inputs: reduction.cumulate(s.w, kind, out, inputs[0], _axis(node))


#: How each core operator is written. Element-wise ones come as ``map``.
_KERNELS: dict[str, Callable[[_StepWriter, Node, View, list[View]], None]] = {
    "map": _map,
    "dense": _dense,
    "strassen_pack": lambda s, node, out, inputs: strassen.pack(s.w, out, *inputs),
    "strassen_unpack": lambda s, node, out, inputs: strassen.unpack(s.w, out, *inputs),
    "strassen_dense": _strassen_dense,
    "attention": _attention,
    "standardize": _standardize,
    "matmul": lambda s, node, out, inputs: contraction.matmul(s.w, out, *inputs),
    "pack": lambda s, node, out, inputs: contraction.pack(s.w, out, *inputs, node.attrs["groups"]),
    "unpack": lambda s, node, out, inputs: contraction.unpack(s.w, out, *inputs, node.attrs["groups"]),
    "conv": _conv,
    "packed_conv": _packed_conv,
    "integer_dense": _integer_dense,
    "integer_conv": _integer_conv,
    "winograd_pack": lambda s, node, out, inputs: winograd.pack(
        s.w, out, *inputs, node.attrs["tile"], POINTS[max(node.attrs["tile"])]),
    "winograd_conv": _winograd_conv,
    "window_max": _pool("max"),
    "window_sum": _pool("sum"),
    "overlap_add": _overlap_add,
    "dims": _dims,
    "shape": _shape_of,
    "reshape": _copy,
    "transpose": lambda s, node, out, inputs: movement.transpose(s.w, out, inputs[0], node.attrs["perm"]),
    "broadcast_to": lambda s, node, out, inputs: movement.broadcast(s.w, out, inputs[0]),
    "concat": lambda s, node, out, inputs: movement.concat(s.w, out, inputs, _axis(node)),
    "slice": _slice,
    "update": _update,
    "pad": lambda s, node, out, inputs: movement.pad(s.w, out, *inputs, tuple(map(s.extent, node.attrs["before"]))),
    "gather": lambda s, node, out, inputs: movement.gather(s.w, out, *inputs, _axis(node), node.attrs["batch_dims"]),
    "scatter": lambda s, node, out, inputs: movement.scatter(s.w, out, *inputs, node.attrs["mode"]),
    "resample": lambda s, node, out, inputs: resampling.resample(s.w, out, *inputs, _axis(node)),
    "hash_bucket": _hash_bucket,
    "extent": _copy,
    "compact": lambda s, node, out, inputs: selection.compact(s.w, out, *inputs),
    "suppress": lambda s, node, out, inputs: selection.suppress(s.w, out, *inputs),
    "sort": lambda s, node, out, inputs: sorting.sort(s.w, out, inputs[0]),
    "argsort": lambda s, node, out, inputs: sorting.argsort(s.w, out, inputs[0], _axis(node), node.attrs["descending"]),
    "searchsorted": lambda s, node, out, inputs: sorting.searchsorted(s.w, out, *inputs, node.attrs["side"]),
    "tree_walk": _tree_walk,
    "tree_bits": _tree_bits,
    **{name: _cumulate(kind) for name, kind in (("cumsum", "sum"), ("cumprod", "prod"), ("cummax", "max"),
                                                ("cummin", "min"))},
    **{f"reduce_{kind}": _reduce(kind) for kind in ("sum", "prod", "max", "min")},
}

#: The operators that a graph may have when it is planned.
KERNEL_OPS = frozenset(_KERNELS) | {"cell", "loop", "conditional"}
