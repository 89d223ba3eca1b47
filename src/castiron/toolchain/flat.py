"""What must hold of compiled kernels before they may run inside a Go binary.

The code is laid at an address that nobody knows at link time, is called on a goroutine's stack, and has
no C library beneath it. So: every reference is relative to the instruction, nothing is written but what
the caller passes, nothing outside the unit is called, and the deepest chain of calls fits the frame that
the trampoline provides.
"""

from dataclasses import dataclass

from castiron.errors import ToolError
from castiron.toolchain import elf

# Stack that a step may use, in bytes: the frame of the trampoline (runtime/internal/native/call_*.s) less
# 1 KB for what the trampoline itself keeps there.
STACK_BYTES = 15 * 1024

# A call's cost beside the callee's own frame: the return address, and aligning the stack to 64 bytes.
_CALL_BYTES = 8 + 64

# Relocation types by machine, from the processor supplements of the ELF specification: calls and jumps
# to a function, and other references that are relative to the place where they stand.
_CALLS = {elf.EM_X86_64: {4}, elf.EM_AARCH64: {279, 280, 282, 283}}
_RELATIVE = {elf.EM_X86_64: {2, 24}, elf.EM_AARCH64: {260, 261, 273, 274}}


@dataclass(frozen=True)
class Text:
    """Machine code with its constants, to be laid at a multiple of 64; where each entry starts in it."""

    code: bytes
    offsets: tuple[int, ...]


def check(object_file: bytes, entries: tuple[str, ...]) -> None:
    """Raise ToolError, naming the symbol, if an object breaks one of the rules above."""
    unit = elf.File(object_file)
    outside = sorted({s.name for s in unit.symbols if s.section == elf.SHN_UNDEF and s.name})
    if outside:
        raise ToolError(f"compiled kernels refer to {', '.join(outside)}, which the unit does not define; "
                        "there is no C library in an executable")
    missing = sorted(set(entries) - {s.name for s in unit.symbols})
    if missing:
        raise ToolError(f"compiled kernels lack the entries {', '.join(missing)}")
    for symbol in unit.symbols:
        if symbol.section == elf.SHN_COMMON:
            raise ToolError(f"compiled kernels have a writable variable: {symbol.name}")
    for section in unit.sections:
        if section.flags & elf.SHF_ALLOC and section.name != ".eh_frame":
            _check_section(unit, section)
    _check_stack(unit, entries)


def _check_section(unit: elf.File, section: elf.Section) -> None:
    if section.flags & elf.SHF_WRITE and section.size:
        # A name that begins with $ marks code or data for disassemblers.
        names = [s.name for s in unit.symbols if s.section == section.index and s.name and s.name[0] != "$"]
        raise ToolError(f"compiled kernels have writable data: {', '.join(names) or section.name}")
    for r in unit.relocations(section):
        if r.type not in _CALLS[unit.machine] | _RELATIVE[unit.machine]:
            raise ToolError(f"compiled kernels hold an address that is only known when they run: "
                            f"{section.name} refers to {_name(unit, r.symbol)} (relocation type {r.type})")


def _check_stack(unit: elf.File, entries: tuple[str, ...]) -> None:
    """Bound the stack along the call graph, in which a node is a function's own section."""
    frames = {s.link: _uleb128(s.data, 8) for s in unit.sections if s.name == ".stack_sizes" and s.size}
    calls: dict[int, set[int]] = {}
    for section in unit.sections:
        if not section.flags & elf.SHF_EXECINSTR or not section.size:
            continue
        if section.index not in frames:
            raise ToolError(f"{section.name}: its stack use has no bound (a variable-length array?)")
        targets = calls.setdefault(section.index, set())
        for r in unit.relocations(section):
            if not unit.sections[r.symbol.section].flags & elf.SHF_EXECINSTR:
                continue
            if r.type not in _CALLS[unit.machine]:
                raise ToolError(f"{section.name} takes the address of {_name(unit, r.symbol)}: calls through "
                                "pointers have no bound on the stack")
            targets.add(r.symbol.section)
    deepest: dict[int, int] = {}

    def depth(node: int, callers: tuple[int, ...]) -> int:
        if node in callers:
            raise ToolError(f"{unit.sections[node].name} calls itself: recursion has no bound on the stack")
        if node not in deepest:
            below = (depth(target, (*callers, node)) for target in calls[node])
            deepest[node] = frames[node] + _CALL_BYTES + max(below, default=0)
        return deepest[node]

    for symbol in unit.symbols:
        if symbol.name in entries and depth(symbol.section, ()) > STACK_BYTES:
            raise ToolError(f"{symbol.name} needs {deepest[symbol.section]} bytes of stack; "
                            f"a step may use {STACK_BYTES}")


def _name(unit: elf.File, symbol: elf.Symbol) -> str:
    return symbol.name or unit.sections[symbol.section].name


def _uleb128(data: bytes, position: int) -> int:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value
        position, shift = position + 1, shift + 7


def read(executable: bytes, entries: tuple[str, ...]) -> Text:
    """The text of a linked unit, padded to a multiple of 64 bytes."""
    linked = elf.File(executable)
    loaded = [s for s in linked.sections if s.flags & elf.SHF_ALLOC and s.size]
    if [s.name for s in loaded] != [".text"] or any(s.type == elf.SHT_RELA for s in linked.sections):
        raise ToolError(f"linked kernels are not flat: {', '.join(s.name for s in linked.sections[1:])}")
    text = loaded[0]
    at = {s.name: s.value - text.address for s in linked.symbols if s.section == text.index}
    return Text(text.data + bytes(-text.size % 64), tuple(at[entry] for entry in entries))
