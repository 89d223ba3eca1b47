"""Models from TensorFlow, each built once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from program import build

from castiron.targets import host

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """The folder of make_models.py."""
    folder = tmp_path_factory.mktemp("models")
    done = subprocess.run([sys.executable, HERE / "make_models.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def expected(models) -> dict[str, np.ndarray]:
    """Rows at ``x``, and TensorFlow's values by label."""
    with np.load(models / "expected.npz") as arrays:
        return {name.replace("|", "/"): array for name, array in arrays.items()}


@pytest.fixture(scope="session")
def executables(models, tmp_path_factory):
    """Model file -> its executable, built at the first call."""
    folder = tmp_path_factory.mktemp("executables")

    def executable(model: str, *options: str) -> Path:
        out = folder / "-".join([model, *options]).replace("/", "-")
        return out if out.exists() else build(models / model, out, *options)

    return executable


@pytest.fixture(scope="session")
def predictor(executables) -> Path:
    """The executable of model.pb."""
    if os.name != "posix":
        pytest.skip("runs the executable as POSIX systems do")
    return executables("model.pb")


@pytest.fixture(scope="session")
def pair(executables) -> Path:
    """The executable of pair.keras, which has two inputs and two outputs."""
    return executables("pair.keras", "--no-trace")


@pytest.fixture(scope="session")
def emulator() -> str:
    """A program that runs linux/arm64 executables; here itself, none is needed."""
    found = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if host().name == "linux/arm64":
        found = "env"
    if found is None:
        pytest.skip("qemu-aarch64 is missing: arm64 executables are not run")
    return found


@pytest.fixture
def as_root():
    """Skip unless this user may change the root directory and mount."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root")
