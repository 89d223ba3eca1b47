"""Kernels at each instruction-set level that can be run here."""

import shutil

import pytest

from castiron import native
from castiron.targets import LEVELS, host
from castiron.toolchain import Tools
from kernels.shipped import Kernels

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


def _emulator(level):
    """What goes before a program to run it here."""
    if host().os != "linux":
        pytest.skip("the harness asks Linux for guard pages")
    if level in native.levels(Tools()):
        return []
    if level.arch != "arm64":
        pytest.skip(f"this processor does not have the instruction-set level {level.name}")
    if QEMU is None:
        pytest.skip("qemu-aarch64-static is not installed (Debian: apt-get install qemu-user-static)")
    return [QEMU]


@pytest.fixture(scope="session")
def kernels_at(tmp_path_factory):
    """The kernels at a level by its name; skips where the level can't run."""
    made = {}

    def at(name):
        if name not in made:
            level = next(level for level in LEVELS if level.name == name)
            made[name] = Kernels(level, tmp_path_factory.mktemp(name), _emulator(level))
        return made[name]

    yield at
    for kernels in made.values():
        kernels.close()


@pytest.fixture(params=[level.name for level in LEVELS])
def kernels(request, kernels_at):
    return kernels_at(request.param)
