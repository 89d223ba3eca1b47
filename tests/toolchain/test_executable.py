import errno
import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
from stand_in import make_artifact

from castiron.errors import OutputError, ToolError
from castiron.packagers import executable, go_module
from castiron.targets import PLATFORMS, host, parse
from castiron.toolchain import elf, go

QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
needs_linux_amd64 = pytest.mark.skipif(host().name != "linux/amd64", reason="runs linux/amd64 executables")
needs_qemu = pytest.mark.skipif(QEMU is None, reason="qemu-user is missing: arm64 code is not run")


@pytest.fixture
def build(artifact, tools, runtime, tmp_path):
    return lambda platform: executable.package(artifact, parse(platform), tmp_path / "predictor", tools)


def run(*arguments, isa=None, expect=0):
    environment = {"CASTIRON_ISA": isa} if isa else {}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode == expect, done.stderr[:2000]
    return done.stdout if expect == 0 else done.stderr


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


@needs_linux_amd64
@pytest.mark.parametrize("level", ["v2", "v3", "v4"])
def test_amd64_runs_each_level(artifact, build, level):
    out = build("linux/amd64")
    default = json.loads(run(out, "report"))
    assert default["level"] == default["levels"][-1]
    if level not in default["levels"]:
        pytest.skip(f"this processor does not run {level}")
    report = json.loads(run(out, "report", isa=level))
    assert report["level"] == level
    check_report(artifact, report)


@needs_qemu
def test_arm64_runs(artifact, build):
    report = json.loads(run(QEMU, build("linux/arm64"), "report"))
    assert report["level"] == "neon"
    check_report(artifact, report)


@needs_linux_amd64
@pytest.mark.skipif(not shutil.which("strip"), reason="needs strip")
def test_stripping_keeps_the_weights(artifact, build):
    out = build("linux/amd64")
    subprocess.run(["strip", out], check=True)
    check_report(artifact, json.loads(run(out, "report")))


@pytest.mark.parametrize("platform", ["darwin/arm64", "windows/amd64"])
def test_but_for_linux_weights_are_limited(build, monkeypatch, tmp_path, platform):
    monkeypatch.setattr(go, "MAX_WEIGHT_BYTES", 0)
    with pytest.raises(OutputError, match=f"an executable for {platform} holds at most"):
        build(platform)
    assert not (tmp_path / "predictor").exists()


@needs_linux_amd64
def test_an_instruction_set_that_cannot_be_used_is_an_error(build):
    out = build("linux/amd64")
    assert "no instruction-set level \"neon\"" in run(out, "report", isa="neon", expect=1)
    emulator = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
    if emulator:
        assert "too old" in run(emulator, "-cpu", "qemu64", out, "report", expect=1)
        old = (emulator, "-cpu", "Nehalem", out, "report")
        assert json.loads(run(*old))["level"] == "v2"
        assert "does not run instruction-set level v4; it runs v2" in run(*old, isa="v4", expect=1)


@needs_linux_amd64
@pytest.mark.parametrize("level", ["v2", "v4"])
def test_calls_survive_the_collector_and_the_profiler(build, level):
    out = build("linux/amd64")
    if level in json.loads(run(out, "report"))["levels"]:
        assert run(out, "storm", isa=level) == "calm\n"


@needs_qemu
def test_calls_survive_the_collector_and_the_profiler_on_arm64(build):
    assert run(QEMU, build("linux/arm64"), "storm") == "calm\n"


@needs_linux_amd64
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root directory")
def test_needs_nothing_but_itself(artifact, build, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(build("linux/amd64"), root / "predictor")
    chroot = shutil.which("chroot") or shutil.which("chroot", path="/usr/sbin:/sbin")  # not on every user's PATH
    check_report(artifact, json.loads(run(chroot, root, "/predictor", "report")))


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda p: p.name)
def test_every_platform_maps_the_weights_aligned(artifact, build, platform):
    data = build(platform.name).read_bytes()
    needle = artifact.weights.values.tobytes()
    assert data.count(needle) == 1
    address = {"linux": elf_address, "darwin": macho_address, "windows": pe_address}[platform.os]
    assert address(data, platform.arch, data.index(needle)) % 4096 == 0


# The address at which a byte of a file is mapped, in each of the three formats of executables.


def elf_address(data, arch, offset):
    file = elf.File(data)
    assert file.machine == {"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
    segments, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, segments + i * size) for i in range(count)]
    assert not any(kind in (2, 3) for kind, *_ in headers), "neither a dynamic section nor an interpreter"
    return next(a + offset - o for kind, _, o, a, _, n in headers if kind == 1 and o <= offset < o + n)


def macho_address(data, arch, offset):
    magic, machine, _, kind, commands = struct.unpack_from("<IIIII", data)
    assert (magic, kind) == (0xFEEDFACF, 2)
    assert machine == {"amd64": 0x01000007, "arm64": 0x0100000C}[arch]
    at = 32
    for _ in range(commands):
        command, size = struct.unpack_from("<II", data, at)
        if command == 0x19:
            address, _, start, length = struct.unpack_from("<QQQQ", data, at + 24)
            if start <= offset < start + length:
                return address + offset - start
        at += size
    raise AssertionError("the weights are in no segment")


def pe_address(data, arch, offset):
    header = struct.unpack_from("<I", data, 60)[0]
    assert data[:2] == b"MZ" and data[header : header + 4] == b"PE\0\0"
    machine, count = struct.unpack_from("<HH", data, header + 4)
    assert machine == {"amd64": 0x8664, "arm64": 0xAA64}[arch]
    optional = struct.unpack_from("<H", data, header + 20)[0]
    for i in range(count):
        address, length, start = struct.unpack_from("<III", data, header + 24 + optional + 40 * i + 12)
        if start <= offset < start + length:
            return address + offset - start
    raise AssertionError("the weights are in no section")


@pytest.mark.parametrize("platform", ["linux/amd64", "darwin/arm64", "windows/amd64"])
def test_two_builds_are_bit_identical(artifact, tools, runtime, tmp_path, monkeypatch, platform):
    results = []
    for folder in ("here", "some/where/else"):
        base = tmp_path / folder
        base.mkdir(parents=True)
        monkeypatch.setenv("TMPDIR", str(base))
        go_module.write(artifact, [parse(platform)], base / "module", tools, go_module.MODULE_PATH)
        go.build(base / "module", "./cmd/predictor", parse(platform), tools, base / "out")
        results.append((base / "out").read_bytes())
    assert results[0] == results[1]
    assert os.fsencode(tmp_path) not in results[0]


def test_other_weights_make_another_executable(artifact, tools, runtime, tmp_path):
    other = make_artifact(artifact.weights.values + 1)
    one = executable.package(artifact, parse("linux/amd64"), tmp_path / "one", tools)
    two = executable.package(other, parse("linux/amd64"), tmp_path / "two", tools)
    assert one.read_bytes() != two.read_bytes()


def test_an_unchanged_model_needs_no_tool(build, monkeypatch):
    first = build("linux/amd64").read_bytes()
    monkeypatch.setattr(go, "build", None)
    assert build("linux/amd64").read_bytes() == first


def test_a_failed_build_changes_nothing(tools, runtime, tmp_path):
    out = tmp_path / "folder" / "predictor"
    out.parent.mkdir()
    out.write_text("what was there before")
    broken = make_artifact(np.zeros(4, np.float32))
    broken.model_go = "package data\n\nvar Name = undefined\n"
    with pytest.raises(ToolError, match=r"(?s)go failed .1. while building for linux/amd64.*undefined: undefined"):
        executable.package(broken, parse("linux/amd64"), out, tools)
    assert out.read_text() == "what was there before"
    assert os.listdir(out.parent) == ["predictor"]


def test_a_full_disk_is_one_error_and_leaves_nothing(build, tmp_path, monkeypatch):
    def copy(source, target, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    with pytest.raises(OutputError, match="predictor cannot be written: No space left on device"):
        build("linux/amd64")
    assert [p.name for p in tmp_path.iterdir()] == ["runtime"]


def test_a_folder_is_not_overwritten(artifact, tools, tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        executable.package(artifact, parse("linux/amd64"), tmp_path, tools)
