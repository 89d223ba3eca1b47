import json
import shutil
import subprocess

import numpy as np
import pytest

from castiron.packagers import executable
from castiron.targets import host, parse

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


@pytest.fixture
def run(artifact, tools, runtime, tmp_path):
    """Builds for a platform, runs the executable with arguments, returns the finished process."""

    def run(platform, *arguments, isa=None):
        out = executable.package(artifact, parse(platform), tmp_path / "predictor", tools)
        emulator = [QEMU] if parse(platform) != host() else []
        environment = {"CASTIRON_ISA": isa} if isa else {}
        return subprocess.run([*emulator, out, *arguments], env=environment, capture_output=True, text=True)

    return run


def check_report(artifact, report):
    x = np.arange(64, dtype=np.float32)
    x[8:24] = x[8:24] * np.float32(1.7) + artifact.weights.values[8:24]
    np.testing.assert_allclose(report["affine"], x, rtol=1e-6)
    ramp = np.arange(16)
    np.testing.assert_array_equal(report["table"], ramp**2 + ramp + 0.5)
    assert report["deep"] == 7 + np.int64(6999).astype(np.int8) + 3
    assert report["denormal"] == [0, 0], "denormal numbers are flushed inside a call"
    assert report["denormal_go"] == 3, "and kept outside"
    assert report["stack_offset"] == 0
    assert report["misaligned"] == 0
    assert report["weights"] == artifact.weights.nbytes
    assert report["model"] == artifact.name


@pytest.mark.parametrize("level", ["v2", "v3", "v4"])
def test_amd64_runs_each_level(artifact, run, level):
    default = json.loads(run("linux/amd64", "report").stdout)
    if level not in default["levels"]:
        pytest.skip(f"this processor does not run {level}")
    assert default["level"] == default["levels"][-1]
    report = json.loads(run("linux/amd64", "report", isa=level).stdout)
    assert report["level"] == level
    check_report(artifact, report)
