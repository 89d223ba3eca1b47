"""``castiron build``: what it checks, what it leaves, what it needs."""

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from program import CASTIRON, build, one_line, output, refusal, run

from castiron import driver
from castiron.toolchain import cache

BUILD = (*CASTIRON, "build", "--verify", "interpreter")


def test_what_is_said(models, tmp_path):
    """The comparison with the framework, and where the executable is. `out` may be in a new folder."""
    out = tmp_path / "new" / "predictor"
    done = run(*CASTIRON, "build", models / "model.pb", "-o", out)
    assert done.returncode == 0, done.stderr.decode()
    report, size = done.stdout.decode().splitlines()
    assert report.startswith("agrees with tensorflow ") and "largest error" in report
    assert size == f"{out}: {out.stat().st_size / 1e6:.1f} MB"
    assert os.access(out, os.X_OK)
    assert "verified" in output(out, "version")


def test_an_unchanged_model_is_not_compiled_again(executables, models, tmp_path, monkeypatch):
    """And another name is a change."""
    first = executables("model.pb")
    copy = shutil.copy(models / "model.pb", tmp_path / "model.pb")
    driver.build(copy, tmp_path / "again", framework=False)
    monkeypatch.setattr(driver, "compile", None)
    built = driver.build(copy, tmp_path / "once more", framework=False)
    assert built.path.read_bytes() == first.read_bytes() and built.report.rows
    assert os.access(built.path, os.X_OK)
    with pytest.raises(TypeError):
        driver.build(copy, tmp_path / "other", framework=False, name="other")
    assert not (tmp_path / "other").exists()


def test_two_builds_are_bit_identical(executables, models, tmp_path, monkeypatch):
    """In another folder and with an empty cache, but for Go's own of the standard library."""
    first = executables("model.pb").read_bytes()
    (tmp_path / "cache" / "castiron").mkdir(parents=True)
    (tmp_path / "cache" / "castiron" / "go").symlink_to(cache.directory() / "go")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    again = build(models / "model.pb", tmp_path / "elsewhere").read_bytes()
    assert again == first
    assert os.listdir(tmp_path / "temporary") == []


#: castiron's command line, which tells on the standard error what programs it ran, with their first argument.
TRACED = """
import os, sys
from castiron.cli import main
def tell(event, arguments):
    if event == "subprocess.Popen":
        print(os.path.basename(arguments[1][0]), arguments[1][1], file=sys.stderr)
sys.addaudithook(tell)
main(sys.argv[1:])
"""


def test_a_rebuild_runs_no_compiler(executables, models, tmp_path):
    """What is cached is linked no more: the tools' own work is not even begun."""
    first = executables("model.keras")
    done = run(sys.executable, "-c", TRACED, "build", models / "model.keras", "-o", tmp_path / "again", "--verify",
               "interpreter")
    assert done.returncode == 0, done.stderr.decode()
    ran = {line for line in done.stderr.decode().splitlines() if line.split()[0] in ("zig", "go")}
    assert ran == {"zig version", "go version"}
    assert (tmp_path / "again").read_bytes() == first.read_bytes()


def test_a_model_past_its_tolerance_is_not_written(models, tmp_path):
    out = tmp_path / "predictor"
    said = refusal(*CASTIRON, "build", models / "model.keras", "-o", out, "--tolerance", "0")
    assert "differs from keras" in said and "Nothing was written" in said
    assert list(tmp_path.iterdir()) == []


class TestTools:
    @pytest.mark.parametrize("tool", ["go", "zig"])
    def test_one_that_is_named_but_missing(self, models, tmp_path, tool):
        said = refusal(*BUILD, models / "model.pb", "-o", tmp_path / "predictor", f"--{tool}", "/nonexistent")
        assert f"{tool}: '/nonexistent' is not a program" in said
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("tool, package", [("go", "go"), ("zig", "ziglang")])
    def test_one_that_is_not_installed(self, models, tmp_path, tool, package):
        hidden = f"import sys; sys.modules[{package!r}] = None; from castiron.cli import main; main(sys.argv[1:])"
        said = refusal(sys.executable, "-c", hidden, "build", models / "model.pb", "-o", tmp_path / "predictor",
                       "--verify", "interpreter", env={**os.environ, "PATH": "/nonexistent"})
        assert f"{tool} is missing: install it with 'pip install" in said
        assert list(tmp_path.iterdir()) == []

    def test_one_that_breaks(self, models, tmp_path):
        broken = tmp_path / "zig"
        broken.write_text("#!/bin/sh\n[ $1 = version ] && echo 0.17.1 && exit\necho out of order >&2\nexit 3\n")
        broken.chmod(0o755)
        (tmp_path / "cache").mkdir()
        done = run(*CASTIRON, "build", models / "model.pb", "-o", tmp_path / "predictor", "--zig", broken,
                   env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
        assert done.returncode == 1
        assert "zig failed" in done.stderr.decode() and "out of order" in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()
        assert not (tmp_path / "predictor").exists()


class TestOutput:
    def test_a_folder(self, models, tmp_path):
        assert "is a folder" in refusal(*BUILD, models / "model.pb", "-o", tmp_path)

    def test_below_a_file(self, executables, models, tmp_path):
        executables("model.pb")
        (tmp_path / "file").write_text("mine")
        said = refusal(*BUILD, models / "model.pb", "-o", tmp_path / "file" / "predictor")
        assert "cannot be written" in said
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_full_disk(self, executables, models, full_disk):
        executables("model.pb")
        (full_disk / "predictor").write_text("before")
        said = refusal(*BUILD, models / "model.pb", "-o", full_disk / "predictor")
        assert "No space left" in said
        assert os.listdir(full_disk) == ["predictor"]
        assert (full_disk / "predictor").read_text() == "before"


def test_a_full_disk_for_predictions(predictor, full_disk):
    rows = "\n".join([",".join("1234567890")] * 100_000)
    said = refusal(predictor, "predict", "-o", full_disk / "out.csv", stdin=rows)
    assert "out.csv" in said and "no space left" in said
    assert os.listdir(full_disk) == []
    with open("/dev/full", "wb") as full:
        done = subprocess.run([predictor, "predict"], input=rows.encode(), stdout=full, stderr=subprocess.PIPE)
    assert "no space left" in one_line(done.stderr.decode(), "", done.returncode, 1)


@pytest.fixture
def full_disk(as_root, tmp_path):
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["umount", folder], check=True)
