"""The executable as a file and as a program on machines of all kinds."""

import hashlib
import os
import struct
import subprocess

import numpy as np
import pytest
from program import output, refusal, run

from castiron.targets import PLATFORMS, host

on_linux = pytest.mark.skipif(host().os != "linux", reason="looks into Linux executables")
on_amd64 = pytest.mark.skipif(host().name != "linux/amd64", reason="runs linux/amd64 executables")

PT_DYNAMIC, PT_INTERP = 2, 3


def csv(rows):
    return "\n".join(",".join(map(repr, row)) for row in rows.tolist()) + "\n"


def program_headers(elf):
    """Types of the segments of a 64-bit little-endian ELF file."""
    assert elf[:6] == b"\x7fELF\x02\x01"
    (offset,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return [struct.unpack_from("<I", elf, offset + i * size)[0] for i in range(count)]


def section_names(elf):
    (offset,) = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<HHH", elf, 58)
    (start,) = struct.unpack_from("<Q", elf, offset + names * size + 24)
    at = [start + struct.unpack_from("<I", elf, offset + i * size)[0] for i in range(count)]
    return [elf[i:elf.index(b"\0", i)].decode() for i in at]


@on_linux
def test_static_and_stripped(predictor):
    elf = predictor.read_bytes()
    assert not {PT_DYNAMIC, PT_INTERP} & set(program_headers(elf))
    assert not {".interp", ".dynamic", ".symtab", ".debug_info"} & set(section_names(elf))


@pytest.mark.parametrize("platform", [p.name for p in PLATFORMS])
def test_every_target_is_built(executables, platform):
    magic = {
        "linux/amd64": (b"\x7fELF", 18, 62), "linux/arm64": (b"\x7fELF", 18, 183),
        "darwin/amd64": (b"\xcf\xfa\xed\xfe", 4, 0x01000007), "darwin/arm64": (b"\xcf\xfa\xed\xfe", 4, 0x0100000C),
        "windows/amd64": (b"MZ", None, 0x8664), "windows/arm64": (b"MZ", None, 0xAA64),
    }
    start, place, machine = magic[platform]
    data = executables("model.pb", "--target", platform).read_bytes()
    assert data.startswith(start)
    if start == b"MZ":
        (header,) = struct.unpack_from("<I", data, 60)
        assert data[header:header + 4] == b"PE\0\0"
        assert struct.unpack_from("<H", data, header + 4)[0] == machine
    else:
        assert struct.unpack_from("<H" if place == 18 else "<I", data, place)[0] == machine


def test_arm64_predicts(executables, emulator, expected):
    arm64 = executables("model.pb", "--target", "linux/arm64")
    got = np.loadtxt(output(emulator, arm64, "predict", stdin=csv(expected["x"])).splitlines(), ndmin=2)
    np.testing.assert_allclose(got.reshape(-1, 1), expected["Identity"], rtol=1e-5, atol=1e-5)
    assert "neon" in output(emulator, arm64, "selftest")


class TestLevels:
    @on_amd64
    @pytest.mark.parametrize("level", ["v2", "v3", "v4"])
    def test_each_is_right(self, predictor, expected, level):
        lines = [line.split() for line in output(predictor, "selftest", env={"CASTIRON_ISA": level}).splitlines()]
        assert all(line[-1] == "ok" for line in lines)
        if level not in [line[0] for line in lines]:
            pytest.skip(f"this processor does not run {level}")
        assert level in output(predictor, "version", env={"CASTIRON_ISA": level})
        got = output(predictor, "predict", env={"CASTIRON_ISA": level}, stdin=csv(expected["x"]))
        np.testing.assert_allclose(np.loadtxt(got.splitlines()), expected["Identity"][:, 0], rtol=1e-5, atol=1e-5)

    @on_amd64
    def test_v3_gives_the_bits_of_v4(self, predictor, expected):
        if "v4" not in output(predictor, "selftest"):
            pytest.skip("this processor does not run v4")
        rows = csv(expected["x"])
        v3, v4 = (output(predictor, "predict", env={"CASTIRON_ISA": level}, stdin=rows) for level in ("v3", "v4"))
        assert v3 == v4

    def test_an_unknown_one_is_refused(self, predictor):
        assert "v9" in refusal(predictor, "predict", env={"CASTIRON_ISA": "v9"}, stdin="1\n")

    def test_per_node(self, predictor):
        said = output(predictor, "selftest", "--per-node").splitlines()
        assert any(line.startswith("sequential/out/MatMul") for line in said)


def test_version(predictor, models):
    said = output(predictor, "version")
    digest = hashlib.sha256((models / "model.pb").read_bytes()).hexdigest()
    assert all(word in said for word in (digest, "graphdef", "castiron 0.1.0", "zig 0.17.1", "go1.27.3", "interpreter"))
    assert output(predictor, "--version") == said


def test_bench(predictor):
    lines = [line.split() for line in output(predictor, "bench", "--batch", "1,8", "--time", "20ms").splitlines()]
    assert [line[0] for line in lines] == ["batch", "1", "8"]
    assert all(float(line[-1]) > 0 for line in lines[1:])


def test_help(predictor):
    said = output(predictor, "help")
    for command in ("inspect", "predict", "serve", "selftest", "bench", "version"):
        assert command in said
        assert output(predictor, command, "--help") == output(predictor, "help", command)


def test_an_empty_root_is_enough(predictor, as_root, tmp_path, expected):
    """The executable alone in the root directory: no libraries, no /proc, no /dev, no /tmp, no environment."""
    (tmp_path / "predictor").write_bytes(predictor.read_bytes())
    (tmp_path / "predictor").chmod(0o755)

    def enter():
        os.chroot(tmp_path)
        os.chdir("/")

    alone = {"preexec_fn": enter, "env": {}}
    try:
        run("/predictor", "version", **alone)
    except subprocess.SubprocessError:
        pytest.skip("chroot is not allowed here")
    rows = csv(expected["x"])
    assert output("/predictor", "predict", stdin=rows, **alone) == output(predictor, "predict", stdin=rows)
    assert output("/predictor", "inspect", **alone) == output(predictor, "inspect")
    assert "ok" in output("/predictor", "selftest", **alone)
    output("/predictor", "predict", "-o", "/out.csv", stdin=rows, **alone)
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "predictor"]
