"""The walkthrough of the README, twice in one folder."""

import os
import sys

import numpy as np
import pytest
from program import CASTIRON, output, refusal

from castiron.demo import commands, data

STEPS = ("Make data", "Train", "Build", "List", "Predict", "Compare", "Serve", "What was won")


@pytest.mark.skipif(os.name != "posix", reason="the walkthrough runs what it builds as POSIX systems do")
def test_the_walkthrough(tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "predictor").write_text("of an earlier run")
    (folder / "saved_model").mkdir()
    told = output(*CASTIRON, "demo", folder)
    lines = told.splitlines()
    for number, step in enumerate(STEPS, 1):
        assert any(line.startswith(f"{number}/8 {step}") for line in lines), told
    assert told.count("agrees with Keras") == 4
    assert "the same 23 labels in the same order" in told
    assert "bit for bit" in told
    assert "\x1b" not in told

    training = data.read_csv(folder / "training_data.csv")
    assert training.shape == (1024, 11)
    coefficients = np.array(lines[3].removeprefix("c = ").split(","), np.int8)
    np.testing.assert_allclose(training[:, -1], training[:, :-1] @ coefficients, rtol=1e-12)
    assert (folder / "rand_out.csv").read_text().startswith("expected,out\n")
    expected, out = data.read_csv(folder / "rand_out.csv").T
    assert len(expected) == 1024
    np.testing.assert_allclose(expected, data.read_csv(folder / "fresh.csv") @ coefficients, rtol=1e-12)
    r2 = 1 - np.sum((expected - out) ** 2) / np.sum((expected - expected.mean()) ** 2)
    assert f"R² = {r2:.5f}" in told and r2 > 0.99
    assert (folder / "scatter.png").read_bytes().startswith(b"\x89PNG")


def test_without_its_packages_it_says_what_to_install(tmp_path):
    hidden = "import sys; sys.modules['plotext'] = None; from castiron.cli import main; main(sys.argv[1:])"
    said = refusal(sys.executable, "-c", hidden, "demo", tmp_path / "demo")
    assert said == 'castiron: the demo needs plotext: pip install "castiron[demo]"'
    assert not (tmp_path / "demo").exists()


def test_a_command_that_fails_ends_it(tmp_path):
    with pytest.raises(commands.CommandError, match=r"`castiron build absent.pb -o x` failed with .* 1:\n.*no such"):
        commands.run(tmp_path, "castiron", "build", "absent.pb", "-o", "x")


def test_numbers_are_written_in_full(tmp_path):
    table = np.random.default_rng(0).standard_normal((5, 3)) * 10.0 ** np.arange(-150, 150, 100)
    data.write_csv(tmp_path / "x.csv", ("a", "b", "c"), table)
    np.testing.assert_array_equal(data.read_csv(tmp_path / "x.csv"), table)
