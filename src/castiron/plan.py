"""Graph -> Program: which nodes make up a step, in what order, and where each value lives."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, gcd, prod

import numpy as np

from castiron import interp
from castiron.cost import BYTES_PER_NANO, nanos, nbytes, typical_bytes
from castiron.ir import Atom, Dim, DType, Expr, Graph, Node, TensorType, Value, evaluate, in_bodies, product
from castiron.kernels import attention, contraction, integer, strassen, trees, window, winograd
from castiron.program import ALIGNMENT, Buffer, Measured, Port, Program, Step, Weights, align
from castiron.rows import row_axes, row_bytes, row_operands, row_results, whole_nodes
from castiron.storage import lifetimes, separated, storage
from castiron.strips import Strip, lines, strip

#: Rows that a step handles at a time: as many as keep its scratch in the second-level cache where a product
#: uses its weights again for each row, else in the first-level cache.
MAX_BLOCK_ROWS = 64
SCRATCH_BYTES = 512 << 10
STREAM_BYTES = 24 << 10

#: What of the weights of several products stays in the second-level cache from one block of rows to the next.
CACHE_BYTES = 512 << 10

#: The estimated time from which a row of a tensor of several dimensions is cut into finer ones, so that threads can
#: share it.
MAX_ROW_NANOS = 2e4

#: The estimated time that a block of several rows may take: Go's garbage collector waits for a call that is under
#: way. The processors that servers have are some four times as fast as the estimate.
MAX_BLOCK_NANOS = 4e6

#: The same once weights are used often enough in a block that larger ones gain nothing.
MAX_STREAM_NANOS = 1e5

#: The estimated time from which a few blocks are made an even number, so that two threads can share them.
MIN_SHARED_NANOS, MANY_PIECES = 4e5, 16

#: Rows that a loop takes together even if that takes longer or more scratch than is good for other steps, since it
#: uses its weights again for all of them in each iteration; and the largest value that is in scratch then. What it
#: reads in all iterations, slice by slice, would otherwise go out to memory and come back.
LOOP_ROWS = 12
LOOP_SCRATCH_BYTES = 4 << 20

#: Bytes of an image from which windows on it are worth a strip: less stays in the second-level cache anyway.
STRIP_BYTES = 512 << 10

#: Bytes of what steps hand on that stay in the cache; and the part of the time that reading weights may take. Estimates
#: are for so many rows of inputs.
PIECE_BYTES = 4 << 20
WEIGHTS_SHARE = 0.02
TYPICAL_ROWS = 64

#: Tiles of a line of results where its length is free.
TYPICAL_TILES = 8


def plan(graph: Graph, weights: Weights) -> Program:
    """The program of a graph of core operators. Constants are added to ``weights``."""
    return _Planner(in_bodies(graph, separated), weights).plan()


@dataclass
class _Group:
    """Nodes that will be one step; ``rows`` is None for a node that is computed in one piece. The first ones may
    compute a strip for the windows of the next."""

    nodes: dict[Node, None]
    rows: Dim | None
    stage: int
    strip: Strip | None = None

    def rows_of(self, node: Node) -> Dim | None:
        """The rows over which one of the nodes is computed."""
        return self.strip.rows if self.strip and node in self.strip.nodes else self.rows

    def count_of(self, node: Node, block: int) -> int:
        """The most of these that belong to a block."""
        return self.strip.lines(block) if self.strip and node in self.strip.nodes else block

    def nanos(self, block: int) -> float:
        """A rough estimate of the time that a block takes behind another."""
        return sum(nanos(node, self.rows_of(node), block * (
            self.strip.stride if self.strip and node in self.strip.nodes else 1)) for node in self.nodes)

    @property
    def has_loop(self) -> bool:
        return any(node.bodies for node in self.nodes)


@dataclass
class _Planner:
    graph: Graph
    weights: Weights
    buffers: list[Buffer] = field(default_factory=lambda: [Buffer(TensorType(DType.U8)), Buffer(TensorType(DType.U8))])
    index: dict[Value, int] = field(default_factory=dict)

    def plan(self) -> Program:
        graph = self.graph
        self.constants = _constant_values(graph)
        self.shape_only = _shape_only(graph)
        self.roots = set(graph.roots)
        self.stages = _stages(graph)
        self.storage = storage(graph, self._order())
        self.aliases = self.storage.aliases
        self._shared = {*self.aliases, *self.aliases.values()}
        self.whole = set()
        groups = self._groups()
        self.whole = _whole(groups)
        inner = self._inner(groups)
        self._place_sources()
        self._place_results(groups, inner)
        steps = tuple(self._step(group, inner) for group in groups)
        measured = self._measured(groups)
        self._assign_slots(groups, steps, measured)
        scratch = max((self._scratch_size(*both) for both in zip(groups, steps, strict=True)), default=0)
        row_wise = self._row_wise()
        symbols = (*graph.symbols, *(m.symbol for m in measured))
        return Program(graph, symbols, _derived(graph, steps), tuple(self.buffers), self.index, self.aliases,
                       self.storage.views, steps,
                       self._ports(graph.inputs, [state.input for state in graph.states]),
                       self._ports(graph.outputs, [state.output for state in graph.states]),
                       tuple(self.weights.add(state.initial) for state in graph.states), scratch, row_wise,
                       self._piece(groups, steps) if row_wise and not graph.traced else None, measured)

    # Which values share memory.

    def _storage(self, value: Value) -> Value:
        return self.aliases.get(value, value)

    def _stored(self, node: Node) -> list[Value]:
        """What a node computes into memory of its own, its bodies' values among it."""
        return [v for v in (*node.results, *self.storage.contents.get(node, ())) if v not in self.aliases]

    # Which nodes form a step.

    def _groups(self) -> list[_Group]:
        groups: list[_Group] = []
        for node in self._order():
            if self.storage.is_there(node):
                continue
            if groups and not self.graph.traced and self._joins(node, groups[-1]):
                groups[-1].nodes[node] = None
            elif groups and not self.graph.traced and (parts := self._with_strip(node, groups[-1])):
                groups[-1:] = parts
            else:
                groups.append(_Group({node: None}, self._rows(node), self.stages[node]))
            while node.op == "loop" and len(groups) > 1 and self._follows(groups[-1], groups[-2]):
                group = groups.pop()
                groups[-1] = _Group(groups[-1].nodes | group.nodes, group.rows, group.stage)
        return groups

    def _follows(self, group: _Group, before: _Group) -> bool:
        """Whether what a loop over rows reads can be computed with it, so that it needs no more memory than a block
        takes."""
        if group.rows is None or before.rows is None or self.graph.traced or group.stage != before.stage:
            return False
        joined = before.nodes | group.nodes
        return all(self._row_local(node, group.rows, joined) for node in joined)

    def _order(self) -> list[Node]:
        """The nodes to compute, stage by stage: those that depend on shapes alone first, so that they part no
        group."""
        nodes = [n for n in self.graph.nodes if n.op not in ("input", "constant")]
        return sorted(nodes, key=lambda n: (
            self.stages[n], not self.graph.traced and n.results[0] not in self.shape_only))

    def _rows(self, node: Node) -> Dim | None:
        """The dimension over which a node's rows are independent, if there is one."""
        shape = next((v.type.shape for v in node.results if self._is_used(v)), ())
        if shape and node.results[0] not in self.shape_only:
            lead = shape[0]
            if isinstance(lead, Expr) and len(lead.terms) == 1:
                lead = Expr({lead.terms[0][0]: 1})
            if lead != 0 and self._row_local(node, lead, ()):
                return self._finer(node, lead)
        return None

    def _finer(self, node: Node, rows: Dim) -> Dim:
        """The rows, or more of several leading dimensions, if it takes long to compute one and they can be cut."""
        for k in range(2, node.types[0].rank + 1):
            if nanos(node, rows, 1) <= MAX_ROW_NANOS:
                break
            finer = product(node.types[0].shape[:k])
            if finer != rows and row_axes(node.types[0], finer) == (k, 1) and self._row_local(node, finer, ()):
                rows = finer
        return rows

    def _joins(self, node: Node, group: _Group) -> bool:
        if group.stage != self.stages[node]:
            return False
        if _slabs(group) > 1 or _slabs(_Group({node: None}, group.rows, group.stage)) > 1:
            return False
        return (group.rows is not None and self._row_local(node, group.rows, group.nodes)
                and self._finer(node, group.rows) == group.rows and _is_timely(node, group))

    def _with_strip(self, node: Node, group: _Group) -> list[_Group]:
        """What is left of the group before a node, and a new one in which its last nodes compute the strip for the
        node's windows; nothing if that is not worth while. Cut where the least is stored."""
        if _uses_weights(node) or node.bodies or group.rows is None or group.stage != self.stages[node]:
            return []
        nodes, first = tuple(group.nodes), 1 + len(group.strip.nodes) if group.strip else 0
        found: tuple[float, list[_Group]] = (float("inf"), [])
        for cut in reversed(range(first, len(nodes))):
            head = strip(node, nodes[cut:])
            if head is None or row_bytes(node.inputs[0].type, node.inputs[0].type.shape[0]) <= STRIP_BYTES:
                break
            joined = _Group(dict.fromkeys((*head.nodes, node)), lines(node.types[0]), group.stage, head)
            if not self._is_strip(joined):
                continue
            before = nodes[:cut]
            stored = {v for inner in head.nodes for v in inner.inputs if v.node in before}
            size = sum(typical_bytes(v.type) for v in stored)
            if size < found[0]:
                rest = [_Group(dict.fromkeys(before), group.rows, group.stage, group.strip)] if before else []
                found = size, [*rest, joined]
        return found[1]

    def _is_strip(self, group: _Group) -> bool:
        """Whether the first nodes of a group compute lines by lines, in scratch and for the last one alone, whose rows
        are the group's."""
        node, head = next(reversed(group.nodes)), group.strip
        made = {v for inner in head.nodes for v in inner.results}
        if node.inputs[0] not in made or not made.isdisjoint(node.inputs[1:]):
            return False
        if not self._row_local(node, group.rows, ()) or made & (self.roots | self._shared):
            return False
        for inner in head.nodes:
            local = not inner.bodies and inner.op != "winograd_conv" and self._row_local(inner, head.rows, head.nodes)
            if not local or any(user not in group.nodes for v in inner.results for user in self.graph.users[v]):
                return False
        return sum(self._bytes(v, group, 1) for v in made) <= SCRATCH_BYTES

    def _row_local(self, node: Node, rows: Dim, inside: Collection[Node]) -> bool:
        """Whether a block of the node's rows depends on the same block of its operands' rows alone
        (and on whole operands that are computed before)."""
        kinds = self._row_operands(node, rows)
        if kinds is None:
            return False
        whole = {self._storage(value) for value, by_rows in zip(node.inputs, kinds, strict=True) if not by_rows}
        return not whole or whole.isdisjoint(self._storage(v) for other in inside for v in other.results)

    def _row_operands(self, node: Node, rows: Dim) -> list[bool] | None:
        """Which operands a node reads by rows; None unless all its results that are used are rows."""
        kinds, results = row_operands(node, rows), row_results(node, rows)
        given = zip(node.results, results, strict=True)
        return None if any(self._is_used(v) and not by_rows for v, by_rows in given) else kinds

    def _is_used(self, value: Value) -> bool:
        """Whether anything may read a value; in a traced program all values are shown."""
        return self.graph.traced or value in self.roots or value in self.graph.users

    def _row_wise(self) -> bool:
        """Whether row i of each output depends on row i of the inputs alone, and not on their number."""
        if not self.graph.symbols or self.graph.states or any(self.stages.values()):
            return False
        rows = Expr({(self.graph.symbols[0],): 1})
        fixed: set[Value] = set()
        ports = [*self.graph.inputs.values(), *self.graph.outputs.values()]
        if not all(v.type.shape[:1] == (rows,) for v in ports):
            return False
        for node in self.graph.nodes:
            if any(_contains(dim, self.graph.symbols[0]) for type in node.types for dim in type.shape[1:]):
                return False
            if node.op == "input":
                continue
            if fixed.issuperset(node.inputs) and not _mentions(node, self.graph.symbols[0]):
                fixed.update(node.results)
                continue
            kinds = self._row_operands(node, rows)
            shared = [inner for inner in whole_nodes(node, rows) if inner.op != "input"]
            if kinds is None or any(_mentions(inner, self.graph.symbols[0]) for inner in shared):
                return False
            if any(not by_rows and v not in fixed for v, by_rows in zip(node.inputs, kinds, strict=True)):
                return False
        return True

    def _piece(self, groups: list[_Group], steps: tuple[Step, ...]) -> int | None:
        """How many rows of inputs to run at a time: as many as leave what steps hand on in the cache, or more where
        reading the weights, which is done again for each piece, would take long."""
        sizes = dict.fromkeys(self.graph.symbols, TYPICAL_ROWS)
        slots: dict[int, int] = {}
        for buffer in self.buffers:
            if buffer.slot is not None:
                size = evaluate(buffer.type.size, sizes) * buffer.type.dtype.itemsize
                slots[buffer.slot] = max(slots.get(buffer.slot, 0), size)
        row = sum(slots.values()) // TYPICAL_ROWS
        if not row or any(group.has_loop for group in groups):  # loops read weights again in each iteration
            return None
        read = {i for step in steps for i in step.reads if self.buffers[i].const is not None}
        weights = sum(nbytes(self.buffers[i].type) for i in read)
        nanos = sum(evaluate(step.tiles, sizes) * step.tile_nanos for step in steps) / TYPICAL_ROWS
        return max(PIECE_BYTES // row, ceil(weights / BYTES_PER_NANO / (WEIGHTS_SHARE * max(nanos, 1))), 1)

    def _inner(self, groups: list[_Group]) -> set[Value]:
        """The stored values that one step alone reads and writes and whose rows fit into scratch; in a traced
        program only what is inside of bodies."""
        home = {node: i for i, group in enumerate(groups) for node in group.nodes}
        users: dict[Value, set[int]] = {}
        for node, place in home.items():
            for value in node.inputs:
                users.setdefault(self._storage(value), set()).add(place)
        shown = (v for node in home for v in node.results) if self.graph.traced else self.roots
        exposed = set(map(self._storage, shown))
        return {v for node, place in home.items() for v in self._stored(node)
                if v not in exposed and users.get(v, {place}) == {place} and self._fits_scratch(v, groups[place])}

    def _fits_scratch(self, value: Value, group: _Group) -> bool:
        """Whether there is room for as many rows of a value as should be computed together."""
        if group.rows is None:
            return False
        size = self._bytes(value, group, 1)
        return LOOP_ROWS * size <= LOOP_SCRATCH_BYTES if group.has_loop else size <= SCRATCH_BYTES

    def _bytes(self, value: Value, group: _Group, block: int) -> int:
        """What a block of rows takes of a value."""
        if value in self.whole:
            return nbytes(value.type)
        return group.count_of(value.node, block) * row_bytes(value.type, group.rows_of(value.node))

    # Where values live.

    def _place_sources(self) -> None:
        for value in self.graph.inputs.values():
            self._new_buffer(value, Buffer(value.type))
        computed = self._needed_constants()
        for value in self.constants:
            if value.node.op == "constant":
                self._new_buffer(value, Buffer(value.type, const=self.weights.add(value.constant)))
            else:
                known = self.weights.add(computed[value]) if value in computed else None
                self._new_buffer(value, Buffer(value.type, const=known, slot=-1))

    def _needed_constants(self) -> dict[Value, np.ndarray]:
        """What is known at build time and read by steps that aren't: worth keeping in the weights."""
        wanted = [v for v in self.constants if v.node.op != "constant" and any(
            user.results[0] not in self.constants for user in self.graph.users.get(v, ()))]
        return dict(zip(wanted, interp.run(self.graph, {}, wanted), strict=True)) if wanted else {}

    def _place_results(self, groups: list[_Group], inner: set[Value]) -> None:
        outputs = {self._storage(v): v for v in self.graph.outputs.values()}
        for group in groups:
            for node in group.nodes:
                for value in self._stored(node):
                    if value in inner or value in self.index:
                        continue
                    direct = value in outputs and not self.graph.traced
                    type = outputs[value].type if direct else value.type
                    self._new_buffer(value, Buffer(type, slot=None if direct else -1))
        for value, source in self.aliases.items():
            if source in self.index:
                self.index[value] = self.index[source]

    def _new_buffer(self, value: Value, buffer: Buffer) -> None:
        self.index[value] = len(self.buffers)
        self.buffers.append(buffer)

    def _step(self, group: _Group, inner: set[Value]) -> Step:
        written = {self._storage(v) for node in group.nodes for v in (*node.results, *self._stored(node))}
        stored = [*written, *(self._storage(v) for node in group.nodes for v in node.inputs)]
        reads = {self.index[v] for v in stored if v not in written and v not in inner}
        writes = {self.index[v] for v in written if v not in inner}
        local = [v for node in group.nodes for v in self._stored(node) if v in inner]
        block = self._block(group, local)
        scratch = self._scratch(group, local, block)
        slabs = _slabs(group)
        tile = group.nanos(block) / slabs
        waits = tuple(dict.fromkeys(s for node in group.nodes for s in self.graph.waits(node)))
        return Step(tuple(group.nodes), group.rows, block, tuple(sorted(reads)), tuple(sorted(writes)), scratch,
                    max(1, round(tile)), slabs, waits, group.strip)

    def _block(self, group: _Group, local: list[Value]) -> int:
        """How many rows a step computes at a time."""
        if group.rows is None:
            return 1
        reused = [node for node in group.nodes if _uses_weights(node)]
        row = max(1.0, group.nanos(1) / _slabs(group))
        first, many = (self._scratch_space(group, local, block) for block in (1, 1 + MAX_BLOCK_ROWS))
        each = max(1, (many - first) // MAX_BLOCK_ROWS)
        space = SCRATCH_BYTES if reused or group.strip else STREAM_BYTES
        fitting = (space - first + each) // each
        enough = max((-(-MAX_BLOCK_ROWS // _products(node, group.rows)) for node in reused), default=1)
        if group.strip:
            enough = MAX_BLOCK_ROWS
        timely = max(int(MAX_STREAM_NANOS / row), min(int(MAX_BLOCK_NANOS / row), enough))
        most = max(LOOP_ROWS if group.has_loop else 1, min(MAX_BLOCK_ROWS, fitting, timely))
        grain = max(_grain(node, group.rows) for node in group.nodes)
        most = -(-most // grain) * grain
        known = _known_factor(group.rows)
        pieces = -(-known // most)
        if pieces % 2 and pieces < MANY_PIECES and known > pieces and known * row > MIN_SHARED_NANOS:
            pieces += 1
        block = -(-known // pieces) if known > 1 else most  # nearly equal blocks
        return -(-block // grain) * grain

    def _scratch(self, group: _Group, local: list[Value], block: int) -> dict[Value, int]:
        """Byte offsets, behind what nodes need while they are computed, such that values which are alive together don't
        overlap: first fit."""
        base = align(max(map(_workspace, group.nodes)))
        spans = lifetimes(tuple(group.nodes), self.storage)
        if group.strip:
            spans[group.strip.value] = (0, sys.maxsize)  # lines stay from block to block
        offsets: dict[Value, int] = {}
        alive: list[tuple[int, int, Value]] = []
        for value in sorted(local, key=lambda v: spans[v][0]):
            alive = [entry for entry in alive if spans[entry[2]][1] >= spans[value][0]]
            size = self._scratch_bytes(value, group, block)
            start = base
            for low, high, _ in sorted(alive, key=lambda entry: entry[:2]):
                if start + size <= low:
                    break
                start = max(start, high)
            offsets[value] = start
            alive.append((start, start + size, value))
        return offsets

    def _scratch_space(self, group: _Group, local: list[Value], block: int) -> int:
        """The bytes of scratch that a block's values take together."""
        offsets = self._scratch(group, local, block)
        ends = [offset + self._scratch_bytes(v, group, block) for v, offset in offsets.items()]
        return max(ends, default=0) - min(offsets.values(), default=0)

    def _scratch_bytes(self, value: Value, group: _Group, block: int) -> int:
        return align(self._bytes(value, group, block) + ALIGNMENT)

    def _scratch_size(self, group: _Group, step: Step) -> int:
        return max([*map(_workspace, step.nodes), *(
            offset + self._scratch_bytes(v, group, step.block) for v, offset in step.scratch.items())])

    def _measured(self, groups: list[_Group]) -> tuple[Measured, ...]:
        """The dimensions that the program measures, in the order in which they become known."""
        needed = set(self.graph.nodes)
        found = [Measured(name, self.index[count], sum(group.stage <= self.stages[count.node] for group in groups))
                 for name, count in self.graph.measured.items()
                 if count.node in needed and name not in self.graph.symbols]
        return tuple(sorted(found, key=lambda m: m.step))

    def _assign_slots(self, groups: list[_Group], steps: tuple[Step, ...], measured: tuple[Measured, ...]) -> None:
        """Slots of the arena by liveness; in a traced program each value keeps its own, and everywhere what is known
        at another stage."""
        producers = {b: i for i, step in reversed([*enumerate(steps)]) for b in step.writes}
        spans = self._spans(groups)
        pauses = sorted({m.step for m in measured})
        known = {m.symbol: 1 + pauses.index(m.step) for m in measured}
        spans |= {m.buffer: (spans[m.buffer][0], sys.maxsize) for m in measured if m.buffer in producers}
        replaced = {} if self.graph.traced else self._replaced(groups)
        sizes: list[float] = []
        busy: list[int] = []
        stages: list[int] = []
        for b in sorted(producers, key=lambda b: (spans[b][0], b)):
            buffer, slot, (first, last) = self.buffers[b], None, spans[b]
            stage = max((known.get(s, 0) for s in buffer.type.symbols), default=0)
            if buffer.slot is not None:
                size = typical_bytes(buffer.type)
                free = [s for s, until in enumerate(busy) if until < first and stages[s] == stage and not (
                    self.graph.traced)]
                slot = min(free, key=lambda s: abs(sizes[s] - size), default=len(sizes))
                if (operand := replaced.get(b)) is not None and spans[operand][1] == first:
                    slot = self.buffers[operand].slot
                sizes[slot:slot + 1] = [max([size, *sizes[slot:slot + 1]])]
                busy[slot:slot + 1] = [last]
                stages[slot:slot + 1] = [stage]
            self.buffers[b] = Buffer(buffer.type, buffer.const, slot, producers[b], stage)

    def _replaced(self, groups: list[_Group]) -> dict[int, int]:
        """The buffers of products that may be computed in place of an operand of their epilogue, and that operand's: no
        other node of the step reads it."""
        found: dict[int, int] = {}
        for group in groups:
            reads = Counter(self._storage(v) for node in group.nodes for v in node.inputs)
            for node in group.nodes:
                result = node.results[0]
                for value in node.inputs[2:] if node.op in ("dense", "strassen_dense") else ():
                    own = not any(v in self.aliases or v in self.storage.views for v in (value, result))
                    if own and reads[value] == 1 and value.type == result.type and self._in_arena(value, result):
                        found[self.index[result]] = self.index[value]
        return found

    def _in_arena(self, *values: Value) -> bool:
        return all(v in self.index and self.buffers[self.index[v]].slot is not None for v in values)

    def _spans(self, groups: list[_Group]) -> dict[int, tuple[int, int]]:
        """The first and last moment at which each buffer is in use. A step over rows is one moment, since it begins
        again for each block."""
        spans: dict[int, tuple[int, int]] = {}
        now = 0
        for group in groups:
            moments = lifetimes(tuple(group.nodes), self.storage)
            for value, (first, last) in moments.items():
                if b := self.index.get(value):
                    first, last = (first, last) if group.rows is None else (0, 0)
                    spans[b] = (spans.get(b, (now + first,))[0], now + last)
            now += 1 + max(last for _, last in moments.values())
        return spans

    def _ports(self, values: Mapping[str, Value], last: list[str]) -> tuple[Port, ...]:
        """The ports of inputs or outputs, some of them last."""
        names = [*(name for name in values if name not in last), *last]
        return tuple(Port(name, self.graph.label_of(values[name], name) or name, self.index[values[name]])
                     for name in names)


def _constant_values(graph: Graph) -> dict[Value, None]:
    """The constants, in order; in a traced graph also what is computed from them alone, but for loops and branches."""
    found: dict[Value, None] = {}
    for node in graph.nodes:
        computed = graph.traced and node.inputs and not node.bodies and all(v in found for v in node.inputs)
        if node.op == "constant" or (computed and next(_expressions(node), None) is None):
            found.update(dict.fromkeys(node.results))
        for body in node.bodies.values():
            found.update(dict.fromkeys(_constant_values(body)))
    return found


def _shape_only(graph: Graph) -> set[Value]:
    """What no input's elements decide."""
    found: set[Value] = set()
    for node in graph.nodes:
        if node.op != "input" and all(v in found for v in node.inputs) and not graph.waits(node):
            found.update(node.results)
    return found


def _stages(graph: Graph) -> dict[Node, int]:
    """How many times the program must pause to measure dimensions before each node can be computed."""
    stages: dict[Node, int] = {}
    for node in graph.nodes:
        stages[node] = max([0, *(stages[v.node] for v in node.inputs),
                            *(1 + stages[graph.measured[s].node] for s in graph.waits(node))])
    return stages


def _mentions(node: Node, symbol: str) -> bool:
    """Whether a node's types or attributes depend on a symbol."""
    return any(_contains(dim, symbol) for dim in _expressions(node))


def _contains(dim: Dim, symbol: str) -> bool:
    return isinstance(dim, Expr) and symbol in dim.symbols


def _expressions(node: Node) -> Iterator[Expr]:
    """The free dimensions in a node's types, attributes and bodies."""
    pending: list[object] = [*(type.shape for type in node.types), *node.attrs.values()]
    while pending:
        match pending.pop():
            case Expr() as dim:
                yield dim
            case tuple() as several:
                pending.extend(several)
            case Graph() as body:
                yield from (dim for inner in body.nodes for dim in _expressions(inner))


def _derived(graph: Graph, steps: Iterable[Step]) -> tuple[Atom, ...]:
    """The atoms of all dimensions and numbers of tiles, each behind those that it is made of."""
    dims = [*(dim for node in graph.nodes for dim in _expressions(node)), *(s.tiles for s in steps if s.slabs > 1)]
    found = [atom for dim in dims if isinstance(dim, Expr) for atom in dim.atoms]
    return tuple(dict.fromkeys(found))


def _whole(groups: list[_Group]) -> set[Value]:
    """What in a step over rows is the same for all rows: in bodies, whatever is not computed by rows."""
    whole: set[Value] = set()
    for group in groups:
        for node in group.nodes if group.rows is not None else ():
            rows = group.rows_of(node)
            whole.update(v for inner in whole_nodes(node, rows) for v in inner.results)
            by_rows = row_results(node, rows)
            whole.update(v for v, kind in zip(node.results, by_rows, strict=True) if not kind)
    return whole


def _slabs(group: _Group) -> int:
    """Parts by columns in which a group is computed that is a product by large weights."""
    node, *more = group.nodes
    if not more and group.rows is not None:
        if node.op == "dense":
            return contraction.slabs(node.inputs[0].type.shape[-1], node.attrs["columns"])
        if node.op == "winograd_conv":
            return winograd.slabs(node.attrs["tile"], node.inputs[0].type.shape[-1], node.attrs["outputs"])
    return 1


def _known_factor(rows: Dim) -> int:
    """By what the number of rows is divisible, whatever the free dimensions are."""
    return rows if isinstance(rows, int) else gcd(*(coefficient for _, coefficient in rows.terms))


def _uses_weights(node: Node) -> bool:
    """Whether a node uses the same operand again for each row, and that is work."""
    if node.op in ("packed_conv", "integer_conv"):
        return not window.is_depthwise(node.inputs[0].type.shape[-1], node.attrs["groups"])
    return node.op in ("dense", "strassen_dense", "cell", "integer_dense", "matmul", "attention", "winograd_conv") or (
        any(_uses_weights(inner) for body in node.bodies.values() for inner in body.nodes))


def _is_timely(node: Node, group: _Group) -> bool:
    """Whether a group and a product after its own take no longer together than a block may for as many rows as make
    good use of weights that don't stay in the cache until the next block."""
    products = [n for n in (*group.nodes, node) if n.op in ("dense", "strassen_dense", "packed_conv")]
    size = sum(typical_bytes(n.inputs[1].type) for n in products)
    if node not in products or len(products) == 1 or size <= CACHE_BYTES or _known_factor(group.rows) == 1:
        return True
    rows = -(-MAX_BLOCK_ROWS // _products(node, group.rows))
    return group.nanos(rows) + nanos(node, group.rows, rows) <= MAX_BLOCK_NANOS


def _products(node: Node, rows: Dim) -> int:
    """How many rows of a product belong to one row."""
    k, factor = row_axes(node.types[0], rows) or (1, 1)
    inside = node.types[0].with_shape((factor, *node.types[0].shape[k:-1]))
    return 1 if node.bodies else max(1, evaluate(inside.size, dict.fromkeys(inside.symbols, 64)))


def _grain(node: Node, rows: Dim) -> int:
    """How many rows a node computes at a time, whether it is asked for them or for some of them."""
    if node.op == "tree_bits":
        return min(rows, trees.BITS_ROWS) if isinstance(rows, int) else trees.BITS_ROWS
    if node.op == "strassen_dense":
        return 2 if row_axes(node.types[0], rows)[0] == node.types[0].rank - 1 else 1
    if node.op != "winograd_conv" or (row_axes(node.types[0], rows) or (1, 1))[0] == 1:
        return 1
    tile, (height, width) = (*node.attrs["tile"], 1)[:2], (*node.types[0].shape[1:-1], 1)[:2]
    across = -(-width // tile[1]) if isinstance(width, int) else TYPICAL_TILES
    enough = winograd.tiles(tile, node.inputs[0].type.shape[-1])
    lines = tile[0] * max(1, enough // across)
    if len(node.attrs["tile"]) == 1 and isinstance(height, int):
        lines = min(lines, tile[0] * -(-height // (2 * tile[0])))  # so that two threads can share an image
    if not isinstance(height, int) or lines < height:
        return lines
    return height * max(1, enough // (across * -(-height // tile[0])))  # whole images: tiles begin anew in each


def _workspace(node: Node) -> int:
    """Bytes of scratch that a node or one in its bodies needs while it is computed, whatever its rows."""
    if node.op == "packed_conv":
        return window.workspace(node.attrs["sizes"], node.inputs[0].type.shape[-1], node.attrs["groups"])
    if node.op == "integer_dense":
        return integer.workspace(node.inputs[0].type.shape[-1])
    if node.op == "integer_conv":
        return integer.workspace(prod(node.attrs["sizes"]) * (node.inputs[0].type.shape[-1] // node.attrs["groups"]))
    if node.op == "winograd_conv":
        return winograd.workspace(node.attrs["tile"], node.inputs[0].type.shape[-1])
    if node.op == "strassen_dense":
        return strassen.workspace(node.inputs[0].type.shape[-1])
    if node.op == "attention":
        return attention.workspace(*node.inputs[1].type.shape[1::2], node.types[0].shape[3])
    if node.op == "tree_walk":
        columns, targets = node.inputs[1].type.shape[0], node.attrs["targets"]
        return trees.workspace(columns, targets, node.types[0].dtype.itemsize)
    if node.op == "tree_bits":
        tests, targets = node.inputs[3].type.shape[0], node.attrs["targets"]
        return trees.bits_workspace(tests, targets, node.types[0].dtype.itemsize)
    return max((_workspace(inner) for body in node.bodies.values() for inner in body.nodes), default=0)
