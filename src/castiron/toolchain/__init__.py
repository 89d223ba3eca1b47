"""The tools that a build runs, and nothing else: zig compiles kernels, go links executables."""

from castiron.toolchain.tools import Tools

__all__ = ["Tools"]
