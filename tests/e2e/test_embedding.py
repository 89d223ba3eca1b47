"""The Go module that executables are made of, and a program that imports it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from program import CASTIRON, build, output, refusal, run

from castiron.toolchain import Tools, cache

EXAMPLE = Path(__file__).parents[2] / "examples" / "go"
INNER = "sequential/out/MatMul"


@pytest.fixture(scope="module")
def go():
    """A function that runs the wheel's go in a folder, without the network or any other tool."""
    environment = {"PATH": "", "HOME": os.environ.get("HOME", "/"), "GOCACHE": str(cache.directory() / "go"),
                   "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0"}

    def command(folder, *words):
        done = run(Tools().go_path(), *words, cwd=folder, env=environment)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()

    return command


@pytest.fixture(scope="module")
def program(models, go, tmp_path_factory):
    """The example's folder, with the module of model.pb in it and the program built."""
    folder = tmp_path_factory.mktemp("embedding") / "go"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("model"))
    build(models / "model.pb", folder / "model", "--emit", "go", "--module", "example.com/model")
    assert go(folder, "vet", "./...") == ""
    go(folder, "build", "-o", "embed", ".")
    return folder / "embed"


def csv(rows):
    return "\n".join(",".join(map(repr, row)) for row in [[f"x{i}" for i in range(rows.shape[1])], *rows.tolist()])


class TestProgram:
    def test_it_lists_and_computes(self, program, expected, predictor):
        lines = output(program, INNER, stdin=csv(expected["x"])).splitlines()
        nodes = [line.split() for line in lines if line.startswith("#")]
        assert [node[1] for node in nodes] == [
            line.split()[0] for line in output(predictor, "inspect").split("\n\n")[0].splitlines()[1:]]
        values = np.array([line.replace("[", "").replace("]", "").split() for line in lines[len(nodes):]], np.float32)
        want = np.column_stack([expected["Identity"], expected[INNER]])
        np.testing.assert_allclose(values, want, rtol=1e-5, atol=1e-5)

    def test_its_errors_have_types(self, program, expected):
        assert f"did you mean one of [{INNER}" in self.fails(program, "sequential/aut/MatMul", stdin=csv(expected["x"]))
        assert "x takes [batch 10], not [40 9]" in self.fails(program, stdin=csv(expected["x"][:, 1:]))

    def fails(self, *command, **options):
        """What the program says when it fails; it may have listed the nodes before."""
        done = run(*command, **options)
        assert done.returncode == 1
        return done.stderr.decode()


def test_nothing_in_the_module_is_suspicious_to_go(program, go):
    assert go(program.parent / "model", "vet", "./...") == ""


def test_documentation(program, go):
    text = go(program.parent, "doc", "example.com/model")
    for name in ("func Run(", "func Operations()", "func Predict(", "type Tensor", "type UnknownLabelError"):
        assert name in text


def test_a_folder_of_other_files_is_left_alone(models, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    said = refusal(*CASTIRON, "build", models / "model.pb", "-o", tmp_path, "--emit", "go", "--verify", "interpreter")
    assert "notes.txt" in said
    assert os.listdir(tmp_path) == ["notes.txt"]
