"""Broken and hostile model files never crash, hang or exhaust memory: each is compiled, or refused with one error.

A fixed number of variants of each format, made from fixed seeds, in processes with little memory.
"""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
VARIANTS = 100


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Path:
    """The folder of seeds.py."""
    folder = tmp_path_factory.mktemp("seeds")
    done = subprocess.run([sys.executable, HERE / "seeds.py", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.pb", "saved_model", "network.onnx", "external",
                                  "bodies.onnx", "classical.onnx"])
def test_damaged(name, seeds, tmp_path):
    done = subprocess.run([sys.executable, HERE / "examine.py", seeds / name, tmp_path, "0", str(VARIANTS)],
                          capture_output=True, text=True)
    tried = [line for line in done.stdout.splitlines() if line.isdigit()]
    assert done.returncode == 0, f"variant {tried[-1]} ended the process ({done.returncode}): {done.stderr[-2000:]}"
    assert "FAILED" not in done.stdout, done.stdout[done.stdout.index("FAILED"):][:3000]
    assert len(tried) == VARIANTS
