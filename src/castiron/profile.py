"""Where the time of a model goes: each step of a program, timed in this process on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from castiron import native
from castiron.cost import trips
from castiron.emit import emit
from castiron.ir import Body, Dim, Graph, Node, TensorType, evaluate
from castiron.limits import Limits, measure
from castiron.native import Library, Runner
from castiron.ops.winograd import kernel_sizes
from castiron.program import Program, Step, Weights
from castiron.targets.levels import Level
from castiron.toolchain import Tools

#: Operators of these names are the others' with weights packed.
_PLAIN = {"packed_conv": "conv", "winograd_conv": "conv", "integer_conv": "integer conv",
          "strassen_dense": "dense", "integer_dense": "integer dense"}


@dataclass(frozen=True)
class StepProfile:
    """A step: ``operators`` say what it computes, ``result`` the type of what it leaves, ``label`` what the source
    calls that ("" if it doesn't). ``seconds`` is the median of its runs, ``best`` the fastest; ``flops`` are the
    multiplications and additions of its operators as they are defined, whatever way they are computed; ``nbytes``
    what it reads and writes, weights included."""

    operators: tuple[str, ...]
    result: str
    label: str
    seconds: float
    best: float
    flops: float
    nbytes: float

    @property
    def gflops(self) -> float:
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """All steps in order, for these sizes of the free dimensions, and what the machine does at most."""

    level: str
    sizes: Mapping[str, int]
    steps: tuple[StepProfile, ...]
    limits: Limits

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    @property
    def flops(self) -> float:
        return sum(step.flops for step in self.steps)

    @property
    def gflops(self) -> float:
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    def share(self, step: StepProfile) -> float:
        """The part of the machine's peak that a step reaches."""
        return step.gflops / self.limits.gflops


def profile(program: Program, weights: Weights, feeds: Mapping[str, np.ndarray], tools: Tools,
            level: Level | None = None, seconds: float = 2.0) -> Profile:
    """Run a program for about so many seconds, three times at least, and time each step. The steps of a run follow one
    another as in any call, so that caches hold what they hold there; what a call of a step costs from here is taken
    off."""
    level = level or native.levels(tools)[-1]
    library = _Stopwatch(Library(*emit({"fast": program}), tools, level))
    runner = Runner(program, library, native.load_weights(weights))
    runner(feeds)
    runs: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(runs) < 3 or time.perf_counter() < end:
        library.begin()
        runner(feeds)
        runs.append(library.seconds)
    overhead = library.overhead()
    sizes = dict(zip(program.symbols, map(int, library.symbols), strict=False))
    labels = {label.value: name for name, label in program.graph.labels.items() if label.value is not None}
    steps = []
    for entry, taken in zip(library.entries, zip(*runs, strict=True), strict=True):
        taken = [max(second - overhead, 0.0) for second in taken]
        steps.append(_described(program, program.steps[entry], labels, sizes, taken))
    return Profile(level.name, sizes, tuple(steps), measure(tools, level))


class _Stopwatch:
    """A library that takes the time of every call, and gives the same memory in every run: fresh memory would cost a
    page fault in each step."""

    def __init__(self, library: Library):
        self._library = library
        self._memory: list[np.ndarray] = []
        self.begin()

    def begin(self) -> None:
        """What follows is another run."""
        self.seconds: list[float] = []
        self.entries: list[int] = []
        self._given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def allocate(self, size: int, fill: int | None = None) -> np.ndarray:
        if self._given == len(self._memory):
            self._memory.append(self._library.allocate(size, fill))
        self._given += 1
        return self._memory[self._given - 1]

    def call(self, entry: int, table: np.ndarray, symbols: np.ndarray, begin: int, end: int) -> None:
        start = time.perf_counter()
        self._library.call(entry, table, symbols, begin, end)
        self.seconds.append(time.perf_counter() - start)
        self.entries.append(entry)
        self._table, self.symbols = table, symbols

    def overhead(self) -> float:
        """Seconds of a call of no tiles."""
        def empty() -> float:
            start = time.perf_counter()
            self._library.call(0, self._table, self.symbols, 0, 0)
            return time.perf_counter() - start

        return statistics.median(empty() for _ in range(1000))


def _described(program: Program, step: Step, labels: Mapping, sizes: Mapping, seconds: Sequence[float]) -> StepProfile:
    results = [value for node in step.nodes for value in node.results if program.index.get(value) in step.writes]
    named = next((labels[value] for value in reversed(results) if value in labels), "")
    types = [program.buffers[buffer].type for buffer in (*step.reads, *step.writes)]
    return StepProfile(
        tuple(map(operator_text, step.nodes)), " ".join(_shape_text(value.type, sizes) for value in results), named,
        statistics.median(seconds), min(seconds), sum(evaluate(flops(node), sizes) for node in step.nodes),
        sum(evaluate(type.size, sizes) * type.dtype.itemsize for type in types))


def count(program: Program, sizes: Mapping[str, int]) -> float:
    """The flops of a program at these sizes of its free dimensions."""
    return sum(evaluate(flops(node), sizes) for step in program.steps for node in step.nodes)


def _shape_text(type: TensorType, sizes: Mapping) -> str:
    return f"{type.dtype.value}[{','.join(str(evaluate(dim, sizes)) for dim in type.shape)}]"


def flops(node: Node) -> Dim:
    """The multiplications and additions of a node by its definition; an element-wise function counts as one."""
    if node.bodies:
        inner = max((sum(map(flops, body.nodes), 0) for body in node.bodies.values()), key=str, default=0)
        return (round(trips(node)) if node.op == "loop" else 1) * inner
    size = sum((type.size for type in node.types), 0)
    more = len(node.attrs["epilogue"].instrs) * size if node.attrs.get("epilogue") else 0
    first = node.inputs[0].type if node.inputs else None
    match node.op:
        case "dense" | "strassen_dense" | "matmul" | "integer_dense":
            return 2 * size * first.shape[-1] + more
        case "cell":
            return node.types[0].size * (2 * node.attrs["parts"] * first.shape[-1] + len(node.attrs["body"].instrs))
        case "attention":
            return 2 * (size + first.size) * node.inputs[1].type.shape[1]
        case "packed_conv" | "integer_conv":
            return 2 * size * prod(node.attrs["sizes"]) * (first.shape[-1] // node.attrs["groups"]) + more
        case "winograd_conv":
            return 2 * size * prod(kernel_sizes(node.attrs["tile"])) * first.shape[-1] + more
        case "conv":
            return 2 * size * prod(node.inputs[1].type.shape[:-1])
        case "window_max" | "window_sum":
            return size * prod(node.attrs["sizes"])
        case "map":
            return size * len(node.attrs["body"].instrs)
    return first.size if node.op.startswith(("reduce", "cum")) else 0


def operator_text(node: Node) -> str:
    """What a node computes, with the sizes that say how much: ``conv 3×3/2 64→128 + add relu``."""
    name = _PLAIN.get(node.op, node.op)
    first = node.inputs[0].type if node.inputs else None
    match node.op:
        case "dense" | "strassen_dense" | "matmul" | "integer_dense":
            text = f"{name} {first.shape[-1]}→{node.types[0].shape[-1]}" + (
                ", Strassen" if node.op == "strassen_dense" else "")
        case "cell":
            text = f"{name} {first.shape[-1]}→{node.attrs['parts']}·{node.types[0].shape[-1]}"
        case "packed_conv" | "winograd_conv" | "integer_conv":
            tile = node.attrs.get("tile", ())
            sizes = kernel_sizes(tile) or node.attrs["sizes"]
            strides = [stride for stride in node.attrs.get("strides", ()) if stride != 1]
            groups = node.attrs.get("groups", 1)
            text = (f"{name} {'×'.join(map(str, sizes))}" + (f"/{strides[0]}" if strides else "")
                    + f" {first.shape[-1]}→{node.types[0].shape[-1]}" + (f" in {groups} groups" if groups > 1 else "")
                    + (f", Winograd {'×'.join(map(str, tile))}" if tile else ""))
        case "window_max" | "window_sum":
            text = f"{name} {'×'.join(map(str, node.attrs['sizes']))}"
        case "map":
            text = " ".join(_names(node.attrs["body"]))
        case "loop":
            text = f"{round(trips(node))} × ({', '.join(_inner(node.attrs['body']))})"
        case _:
            text = name
    epilogue = node.attrs.get("epilogue")
    return text + (f" + {' '.join(_names(epilogue))}" if epilogue else "")


def _inner(body: Graph) -> list[str]:
    return [operator_text(node) for node in body.nodes if node.op not in ("constant", "input")]


def _names(body: Body) -> list[str]:
    return [instr.op for instr in body.instrs]
