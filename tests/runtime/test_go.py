"""The runtime's own tests, which are written in Go, on a model whose steps are Go functions."""

import shutil
import subprocess
from pathlib import Path

import pytest

from castiron.packagers.go_module import RUNTIME
from castiron.toolchain import Tools, cache
from castiron.toolchain.tools import environment

LINEAR = Path(__file__).parent / "linear"


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    """The runtime with stand-ins for what the compiler adds."""
    folder = tmp_path_factory.mktemp("runtime") / "module"
    shutil.copytree(RUNTIME, folder, ignore=shutil.ignore_patterns("native", "data"))
    for package in ("data", "native"):
        (folder / "internal" / package).mkdir()
        shutil.copy(LINEAR / f"{package}.go", folder / "internal" / package)
    return folder


def go(module: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess:
    env = environment(GOCACHE=cache.directory() / "go", GOPROXY="off", GOTOOLCHAIN="local", CGO_ENABLED="0", **settings)
    command = [Tools().go_path(), *arguments]
    return subprocess.run(command, cwd=module, env=env, capture_output=True, text=True, check=False)


def test_go_tests_pass(module):
    done = go(module, "test", "-timeout", "5m", "./...")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]


@pytest.mark.parametrize("platform", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_go_vet_finds_nothing(module, platform):
    system, arch = platform.split("/")
    done = go(module, "vet", "./...", GOOS=system, GOARCH=arch)
    assert done.returncode == 0, done.stderr[-5000:]


def test_sources_are_formatted(module):
    gofmt = shutil.which("gofmt", path=Tools().go_path().parent)
    done = subprocess.run([gofmt, "-l", RUNTIME, LINEAR], capture_output=True, text=True, check=True)
    assert done.stdout == ""
