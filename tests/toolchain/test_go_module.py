import os
import subprocess
import types

import pytest

from castiron.errors import OutputError
from castiron.packagers import go_module
from castiron.targets import host, parse
from castiron.toolchain import cache


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_module_builds_with_go_alone(artifact, tools, runtime, tmp_path):
    out = go_module.package(artifact, [host()], tmp_path / "model", tools, "example.com/tiny-model/v2")
    assert "module example.com/tiny-model/v2\n" in (out / "go.mod").read_text()
    env = {"PATH": "", "HOME": str(tmp_path), "GOCACHE": str(cache.directory() / "go"), "GOPROXY": "off"}
    program = tmp_path / "program"
    command = [tools.go_path(), "build", "-o", program, "example.com/tiny-model/v2/cmd/predictor"]
    subprocess.run(command, cwd=out, env=env | {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath"}, check=True)
    assert b'"model":"stand-in"' in subprocess.run([program, "report"], check=True, capture_output=True).stdout


def test_a_module_holds_what_its_platforms_need_and_no_tests(artifact, tools, runtime, tmp_path):
    (runtime / "internal/native/native_test.go").write_text("package native\n")
    platforms = [parse("linux/amd64"), parse("darwin/amd64")]
    out = go_module.package(artifact, platforms, tmp_path / "model", tools)
    native = [f.removeprefix("internal/native/") for f in files(out) if f.startswith("internal/native/")]
    assert [f for f in native if f.startswith(("code", "weights"))] == [
        "code_amd64.go", "code_amd64.s", "weights_darwin_amd64.syso", "weights_linux_amd64.syso",
    ]  # fmt: skip
    assert not any(f.endswith("_test.go") for f in native)


def test_a_module_is_replaced_but_nothing_else_is(artifact, tools, runtime, tmp_path):
    out = tmp_path / "model"
    go_module.package(artifact, [parse("linux/arm64")], out, tools)
    go_module.package(artifact, [parse("linux/amd64")], out, tools)
    before = files(out)
    assert "internal/native/code_arm64.s" not in before
    (out / "internal/native/notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"did not write, such as internal/native/notes\.txt"):
        go_module.package(artifact, [parse("linux/amd64")], out, tools)
    assert files(out) == sorted([*before, "internal/native/notes.txt"])
    assert sorted(os.listdir(tmp_path)) == ["model", "runtime"]


def test_weights_that_cannot_be_linked_are_refused(artifact, tools, tmp_path):
    large = types.SimpleNamespace(**vars(artifact) | {"weights": types.SimpleNamespace(nbytes=2**31)})
    with pytest.raises(OutputError, match=r"the weights take 2\.00 GiB; a Go module holds at most 1\.88 GiB"):
        go_module.package(large, [host()], tmp_path / "model", tools)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_a_folder_for_a_module(artifact, tools, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        go_module.package(artifact, [host()], tmp_path / "model", tools)


@pytest.mark.parametrize("path", ["", "/abs", "a//b", "../up", "a b", 'x"\nimport "os', "a/..", "trailing/"])
def test_a_bad_module_path_is_refused(artifact, tools, tmp_path, path):
    with pytest.raises(OutputError, match="not a path of a Go module"):
        go_module.package(artifact, [host()], tmp_path / "model", tools, path)
    assert not (tmp_path / "model").exists()
