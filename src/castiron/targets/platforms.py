"""Platforms: an operating system on an architecture, one literal each."""

import platform
from dataclasses import dataclass

from castiron.errors import CastironError
from castiron.targets.levels import NEON, V2, V3, V4, Level


@dataclass(frozen=True)
class Platform:
    """Where an executable runs. `os` and `arch` are Go's GOOS and GOARCH.

    `levels` are the instruction-set levels that every executable for the platform holds, lowest first.
    `object_triple` is zig's name of the platform whose object files are linked into executables.
    `library_triple` is zig's name of this platform, and `library_flags` go to its linker, for libraries that
    a process of that system loads.
    """

    os: str
    arch: str
    levels: tuple[Level, ...]
    executable_suffix: str
    object_triple: str
    library_suffix: str
    library_triple: str
    library_flags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that a user gives: "linux/amd64"."""
        return f"{self.os}/{self.arch}"


_AMD64 = (V2, V3, V4)
_ARM64 = (NEON,)

# A library needs nothing from any system but, on Windows, the function that grows a thread's stack.
_BARE = ("-nostdlib",)
_BARE_DLL = ("-nostdlib", "-lcompiler_rt", "-Wl,--no-entry")

# On Windows, too, weights come as an ELF object: Go's linker drops the alignment of a PE one.
PLATFORMS = (
    Platform("linux", "amd64", _AMD64, "", "x86_64-linux-none", ".so", "x86_64-linux-none", _BARE),
    Platform("linux", "arm64", _ARM64, "", "aarch64-linux-none", ".so", "aarch64-linux-none", _BARE),
    Platform("darwin", "amd64", _AMD64, "", "x86_64-macos", ".dylib", "x86_64-macos", _BARE),
    Platform("darwin", "arm64", _ARM64, "", "aarch64-macos", ".dylib", "aarch64-macos", _BARE),
    Platform("windows", "amd64", _AMD64, ".exe", "x86_64-linux-none", ".dll", "x86_64-windows-gnu", _BARE_DLL),
    Platform("windows", "arm64", _ARM64, ".exe", "aarch64-linux-none", ".dll", "aarch64-windows-gnu", _BARE_DLL),
)

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def parse(name: str) -> Platform:
    """The platform called `name`, such as "linux/amd64"; CastironError, listing the choices, if none is."""
    for candidate in PLATFORMS:
        if candidate.name == name.strip().lower():
            return candidate
    choices = ", ".join(p.name for p in PLATFORMS)
    raise CastironError(f"target {name!r} is unknown: choose one of {choices}")


def host() -> Platform:
    """The platform of this machine; CastironError where castiron does not run."""
    machine = platform.machine().lower()
    return parse(f"{platform.system().lower()}/{_MACHINES.get(machine, machine)}")
