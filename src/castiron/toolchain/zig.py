"""zig as a C compiler: kernels as flat text, and as a library of it; weights as an object file."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from castiron.targets import Level, Platform, host
from castiron.toolchain import cache, flat
from castiron.toolchain.flat import Text
from castiron.toolchain.tools import Tools, environment, run, workdir

_KERNELS = Path(__file__).parent.parent / "kernels"
_FLAT_SCRIPT = Path(__file__).parent / "flat.ld"
_WEIGHTS_SOURCE = Path(__file__).parent / "weights.S"
_TEXT_SOURCE = Path(__file__).parent / "text.S"
_HOST_SOURCE = Path(__file__).parent / "host.c"

# Never -ffast-math: NaN and infinity keep their meaning. What is multiplied and added in one rounding is written
# so (v_fma), and the compiler adds nothing to that, so that levels agree to the bit. Integers wrap around,
# elements are moved as integers whatever their type, and a comparison of bytes gives -1, not 255, where it holds.
_NUMBERS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv", "-fno-strict-aliasing",
            "-fsigned-char")
_CODE = (
    "-O3", "-g0", "-w", "-ffreestanding", "-fPIC", "-fno-stack-protector", "-fno-sanitize=all",
    "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections", *_NUMBERS,
)  # fmt: skip
_FLAT = ("-fvisibility=hidden", "-fstack-size-section")

# Two compilers at a time: each takes about 100 MB.
_PARALLEL = 2


class Weights(Protocol):
    """The contents of a model's weights, `nbytes` long."""

    nbytes: int

    def write_to(self, file: BinaryIO) -> None: ...


def compile_text(source: str, entries: tuple[str, ...], level: Level, tools: Tools) -> Text:
    """Compile one C unit for `level` into machine code that needs no linking.

    `entries` are external functions of the unit. ToolError if the unit does not compile or breaks a rule
    of flat text (module `flat`).
    """
    if not entries:
        return Text(bytes(8), ())

    def make(path: Path) -> None:
        with workdir(f"text-{level.name}") as work:
            text = _compile_flat(source, entries, level, tools, work)
        path.write_bytes(json.dumps(text.offsets).encode() + b"\n" + text.code)

    key = _unit_key("text", source, entries, _flat_arguments(level), tools)
    offsets, code = cache.fetch(key, make).read_bytes().split(b"\n", 1)
    return Text(code, tuple(json.loads(offsets)))


def compile_levels(
    source: str, entries: tuple[str, ...], levels: Sequence[Level], tools: Tools
) -> list[tuple[Level, Text]]:
    """`compile_text` for each level, some at a time."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        texts = pool.map(lambda level: compile_text(source, entries, level, tools), levels)
        return list(zip(levels, texts, strict=True))


def _compile_flat(source: str, entries: tuple[str, ...], level: Level, tools: Tools, work: Path) -> Text:
    (work / "unit.c").write_text(source)
    _zig(tools, work, f"compiling kernels for {level.name}",
         "cc", "-c", *_flat_arguments(level), f"-I{_KERNELS}", "unit.c", "-o", "unit.o")
    flat.check((work / "unit.o").read_bytes(), entries)
    kept = [f"--undefined={entry}" for entry in entries]
    (work / "kept").write_text("\n".join(kept))
    _zig(tools, work, f"linking kernels for {level.name}",
         "ld.lld", "-T", _FLAT_SCRIPT, "-static", "--gc-sections",
         "-e", entries[0], "@kept", "unit.o", "-o", "unit.elf")
    return flat.read((work / "unit.elf").read_bytes(), entries)


def _flat_arguments(level: Level) -> tuple[str, ...]:
    return ("-target", level.triple, f"-mcpu={level.cpu}", *level.flags, *level.flat_flags, *_CODE, *_FLAT)


def text_library(text: Text, tools: Tools, platform: Platform | None = None) -> Path:
    """Wrap flat text into a library that this process can load, and return its path in the cache.

    It exports `castiron_text`, where the text begins. `platform` is this machine unless given.
    """
    platform = platform or host()

    def make(path: Path) -> None:
        with workdir("library") as work:
            (work / "text.bin").write_bytes(text.code)
            _zig(tools, work, "wrapping kernels", "cc", "-shared", "-s", "-g0", "-target", platform.library_triple,
                 *platform.library_flags, _TEXT_SOURCE, "-o", path)

    key = cache.key("library", text.code, _TEXT_SOURCE.read_bytes(), platform.name, tools.zig_version())
    return cache.fetch(key + platform.library_suffix, make)


def host_library(tools: Tools) -> Path:
    """The library that calls steps of a `text_library` in this process. It exports:

    - `int castiron_level(void)`: how many levels of this machine's platform its processor runs, counted
      from the lowest; 0 if it runs none.
    - `void castiron_call(step, p, d, begin, end)`: calls a step as the trampoline of an executable does,
      with denormal numbers flushed to zero.
    """
    platform = host()
    level = platform.levels[0]
    target = ("-target", platform.library_triple, f"-mcpu={level.cpu}")
    arguments = (*target, *platform.library_flags, *level.flags, *_CODE)

    def make(path: Path) -> None:
        with workdir("host") as work:
            _zig(tools, work, "compiling the host library", "cc", "-shared", "-s", *arguments, _HOST_SOURCE, "-o", path)

    key = _unit_key("host", _HOST_SOURCE.read_text(), (), (*arguments, platform.name), tools)
    return cache.fetch(key + platform.library_suffix, make)


def weights_object(weights: Weights, platform: Platform, tools: Tools, path: Path) -> None:
    """Write an object file at `path` that holds `weights` at the symbol `castiron_weights`, page-aligned."""
    with workdir("weights") as work:
        with open(work / "weights.bin", "wb") as file:
            weights.write_to(file)
        _zig(tools, work, "wrapping weights",
             "cc", "-c", "-g0", "-target", platform.object_triple, _WEIGHTS_SOURCE, "-o", path.absolute())


def headers_digest() -> bytes:
    """SHA-256 of the headers that a unit may include."""
    return cache.files_digest(_KERNELS, _KERNELS.glob("**/*.h"))


def _unit_key(kind: str, source: str, entries: tuple[str, ...], flags: tuple[str, ...], tools: Tools) -> str:
    return cache.key(kind, source, "\n".join(entries), "\n".join(flags), headers_digest(), tools.zig_version())


def _zig(tools: Tools, work: Path, doing: str, *arguments: str | Path) -> None:
    env = environment(
        ZIG_GLOBAL_CACHE_DIR=cache.directory() / "zig", ZIG_LOCAL_CACHE_DIR=work / "zig", TMPDIR=work
    )
    run([tools.zig_path(), *arguments], cwd=work, env=env, doing=doing)
