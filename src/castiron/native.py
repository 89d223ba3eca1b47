"""Runs programs in this process: the very machine code that goes into a binary, loaded as a library."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from castiron import interp
from castiron.emit import emit
from castiron.errors import ShapeError, ToolError
from castiron.ir import Atom, evaluate
from castiron.program import ALIGNMENT, SCRATCH, WEIGHTS, Buffer, Program, Step, Weights, align
from castiron.targets import host
from castiron.targets.levels import Level
from castiron.toolchain import Tools, zig


def levels(tools: Tools) -> tuple[Level, ...]:
    """The instruction-set levels that this machine's processor has, lowest first."""
    known = host().levels
    return known[:ctypes.CDLL(str(zig.host_library(tools))).castiron_level()]


class Library:
    """Step functions of one level, callable in this process."""

    def __init__(self, source: str, entries: Sequence[str], tools: Tools, level: Level | None = None):
        """Compile for ``level``, the processor's highest unless given; ToolError if it lacks it."""
        available = levels(tools)
        if not available:
            raise ToolError("this processor has none of the instruction-set levels that castiron compiles for")
        level = level or available[-1]
        if level not in available:
            raise ToolError(f"this processor does not have the instruction-set level {level.name}")
        text = zig.compile_text(source, tuple(entries), level, tools)
        self._library = ctypes.CDLL(str(zig.text_library(text, tools)))
        start = ctypes.addressof(ctypes.c_char.in_dll(self._library, "castiron_text"))
        self._steps = [start + offset for offset in text.offsets]
        self._call = ctypes.CDLL(str(zig.host_library(tools))).castiron_call
        self._call.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 2
        self._call.restype = None

    def allocate(self, size: int, fill: int | None = None) -> np.ndarray:
        """Aligned bytes that steps can write, each ``fill`` if that is given."""
        return aligned(size, fill)

    def place(self, array: np.ndarray) -> np.ndarray:
        """A contiguous array where steps can read it."""
        return array

    def address(self, array: np.ndarray) -> int:
        """The address under which steps find memory."""
        return array.ctypes.data

    def call(self, entry: int, table: np.ndarray, symbols: np.ndarray, begin: int, end: int) -> None:
        """Run the tiles begin … end-1 of a step on a table of addresses and the values of the symbols."""
        self._call(self._steps[entry], table.ctypes.data, symbols.ctypes.data, begin, end)


class Runner:
    """A program with its weights. Calls may come from several threads at a time."""

    def __init__(self, program: Program, library: Library, weights: np.ndarray, first_entry: int = 0):
        self.program, self._library, self._weights, self._first = program, library, library.place(weights), first_entry

    def __call__(self, feeds: Mapping[str, np.ndarray], poison: int | None = None) -> dict[str, np.ndarray]:
        """The outputs by name, those of states too. ShapeError for an input that is missing, unknown or doesn't fit;
        a state that is not fed has its initial value.

        ``poison`` fills all memory with a byte beforehand, which tests use to prove that nothing is
        read before it is written.
        """
        program = self.program
        symbols: dict[str, int] = {}
        arrays: dict[int, np.ndarray] = {}
        if unknown := set(feeds) - {port.name for port in program.inputs}:
            names = ", ".join(port.name for port in program.inputs)
            raise ShapeError(f"there is no input {min(unknown)!r}; the model has {names}")
        feeds = {**self._initial_states(), **feeds}
        for port in program.inputs:
            if port.name not in feeds:
                raise ShapeError(f"input {port.name!r} is missing")
            type = program.buffers[port.buffer].type
            try:
                array = np.asarray(feeds[port.name], type.dtype.numpy, order="C")
                interp.bind(type, array.shape, symbols)
            except (ShapeError, TypeError, ValueError) as error:
                raise ShapeError(f"input {port.name!r}: {error}") from None
            arrays[port.buffer] = self._library.place(array)
        self._run(program.steps, arrays, symbols, poison)
        return {port.name: self._fetch(port.buffer, arrays, symbols) for port in program.outputs}

    def _initial_states(self) -> dict[str, np.ndarray]:
        ports = self.program.inputs[len(self.program.inputs) - len(self.program.states):]
        return {port.name: self._constant(replace(self.program.buffers[port.buffer], const=offset), {})
                for port, offset in zip(ports, self.program.states, strict=True)}

    def _run(self, steps: Sequence[Step], arrays: dict[int, np.ndarray], symbols: dict[str, int],
             poison: int | None) -> None:
        program, library = self.program, self._library
        table = np.zeros(len(program.buffers), np.uintp)
        table[WEIGHTS] = library.address(self._weights)
        scratch = library.allocate(program.scratch_bytes, poison)
        table[SCRATCH] = library.address(scratch)
        begin = 0
        for stage, end in enumerate([*program.pauses, len(steps)]):
            self._place(stage, table, arrays, symbols, poison)
            derived = [atom.evaluate(symbols) if _known(atom, symbols) else 0 for atom in program.derived]
            values = np.array([*(symbols.get(s, 0) for s in program.symbols), *derived, 0], np.int64)
            for i, step in enumerate(steps[begin:end], begin):
                if any(program.buffers[w].const is None for w in step.writes):
                    library.call(self._first + i, table, values, 0, tiles(step, symbols))
            for measured in program.measured if stage < len(program.pauses) else ():
                if measured.step == end:
                    interp.measure(symbols, measured.symbol, self._fetch(measured.buffer, arrays, symbols).item())
            begin = end

    def _place(self, stage: int, table: np.ndarray, arrays: dict[int, np.ndarray], symbols: Mapping[str, int],
               poison: int | None) -> None:
        """Memory for the buffers whose size is known at a stage."""
        program, library = self.program, self._library
        slots = self._slots(stage, symbols, poison)
        for i, buffer in enumerate(program.buffers[2:], 2):
            if buffer.stage != stage:
                continue
            if i not in arrays and buffer.const is None:
                size = _bytes(buffer, symbols)
                memory = library.place(aligned(size, poison)) if buffer.slot is None else slots[buffer.slot][:size]
                shape = _shape(buffer, symbols)
                arrays[i] = memory.view(buffer.type.dtype.numpy).reshape(shape)
            table[i] = library.address(arrays[i]) if i in arrays else table[WEIGHTS] + buffer.const

    def _slots(self, stage: int, symbols: Mapping[str, int], poison: int | None) -> dict[int, np.ndarray]:
        """The arena of a stage: memory that buffers share because they are never alive at the same time."""
        sizes: dict[int, int] = {}
        for buffer in self.program.buffers[2:]:
            if buffer.slot is not None and buffer.const is None and buffer.stage == stage:
                sizes[buffer.slot] = max(sizes.get(buffer.slot, 0), _bytes(buffer, symbols))
        return {slot: self._library.allocate(size, poison) for slot, size in sizes.items()}

    def _fetch(self, buffer: int, arrays: Mapping[int, np.ndarray], symbols: Mapping[str, int]) -> np.ndarray:
        described = self.program.buffers[buffer]
        if described.const is None:
            return arrays[buffer].copy()
        return self._constant(described, symbols)

    def _constant(self, buffer: Buffer, symbols: Mapping[str, int]) -> np.ndarray:
        """A copy of what stands in the weights."""
        data = self._weights[buffer.const:buffer.const + _bytes(buffer, symbols)]
        return data.view(buffer.type.dtype.numpy).reshape(_shape(buffer, symbols)).copy()


def _bytes(buffer: Buffer, symbols: Mapping[str, int]) -> int:
    size = math.prod(_shape(buffer, symbols)) * buffer.type.dtype.itemsize
    if buffer.stage and size > interp.MOST_MEASURED:
        raise ShapeError(f"these inputs make a tensor {buffer.type!r} of {size} bytes")
    return size


def _shape(buffer: Buffer, symbols: Mapping[str, int]) -> tuple[int, ...]:
    """The dimensions in numbers; ShapeError for one below zero."""
    shape = tuple(evaluate(dim, symbols) for dim in buffer.type.shape)
    if min(shape, default=0) < 0:
        raise ShapeError(f"these inputs make a tensor {buffer.type!r} of shape {list(shape)}")
    return shape


def _known(atom: Atom, symbols: Mapping[str, int]) -> bool:
    return all(s in symbols for dim in atom.operands for s in getattr(dim, "symbols", ()))


def tiles(step: Step, symbols: Mapping[str, int]) -> int:
    """How many tiles a step has."""
    return evaluate(step.tiles, symbols)


def aligned(size: int, fill: int | None = None) -> np.ndarray:
    """Bytes that begin at a multiple of the alignment and go on for one vector beyond ``size``."""
    raw = np.empty(align(size) + 2 * ALIGNMENT, np.uint8)
    if fill is not None:
        raw[:] = fill
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start:start + size]


def load_weights(weights: Weights) -> np.ndarray:
    """The weights in aligned memory."""
    memory = aligned(weights.nbytes)
    weights.copy_to(memory)
    return memory


def runners(programs: Mapping[str, Program], weights: Weights, tools: Tools,
            level: Level | None = None) -> dict[str, Runner]:
    """Compile the programs for one level and load them."""
    source, entries = emit(programs)
    library, memory, first = Library(source, entries, tools, level), load_weights(weights), 0
    result = {}
    for name, program in programs.items():
        result[name] = Runner(program, library, memory, first)
        first += len(program.steps)
    return result
