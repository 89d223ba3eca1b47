"""Products from halves as they are compiled: the same bits however the work is cut, and what is no number."""

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp
from castiron.ir import DType, Graph, TensorType, placeholder, symbol
from castiron.ops import OPS, F
from compiled import RUNNABLE, Compiled, InPieces

RNG = np.random.default_rng(19)
ROWS, WIDTH = 74, 256


def dense(x, columns):
    w = (RNG.standard_normal((x.type.shape[-1], columns)) / np.sqrt(x.type.shape[-1])).astype(np.float32)
    return F.add(F.matmul(x, w), RNG.standard_normal(columns).astype(np.float32))


@pytest.fixture(scope="module")
def compiled():
    x = placeholder("x", TensorType(DType.F32, (symbol("n"), ROWS, WIDTH)))
    y = F.add(x, dense(F.relu(dense(x, 384)), WIDTH))
    y = F.mul(F.add(dense(y, WIDTH), dense(y, WIDTH)), F.tanh(dense(y, WIDTH)))  # of the same rows
    return Compiled({"block": Graph("block", {"x": x}, {"y": y})})


def test_rows_are_cut_between_pairs(compiled):
    steps = [step for step in compiled.programs["block"].steps if step.nodes[0].op == "strassen_dense"]
    assert sum(node.op == "strassen_dense" for step in steps for node in step.nodes) == 5
    assert all(step.block % 2 == 0 for step in steps) and any(step.block < ROWS for step in steps)


@pytest.mark.parametrize("level", RUNNABLE, ids=lambda level: level.name)
def test_agrees_with_the_specification(compiled, level):
    graph, run = compiled.graphs["block"], compiled.runner("block", level)
    for batch in (2, 0):
        x = RNG.standard_normal((batch, ROWS, WIDTH)).astype(np.float32)
        expected, = interp.run(graph, {graph.inputs["x"]: x}, [graph.outputs["y"]])
        assert_same_bits(run({"x": x}, poison=0xFF)["y"], run({"x": x}, poison=0)["y"])
        assert_agree(run({"x": x})["y"], expected, OPS["strassen_dense"].tolerance)


def test_bits_do_not_depend_on_batch_tiles_and_level(compiled):
    first, *others = (level for level in RUNNABLE if level.fma)
    run, pieces = compiled.runner("block", first), compiled.runner("block", first, InPieces)
    x = RNG.standard_normal((5, ROWS, WIDTH)).astype(np.float32)
    whole = run({"x": x})["y"]
    assert_same_bits(pieces({"x": x})["y"], whole)
    for example in (0, 4):
        assert_same_bits(run({"x": x[example:example + 1]})["y"], whole[example:example + 1])
    for level in others:
        assert_same_bits(compiled.runner("block", level)({"x": x})["y"], whole)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_no_number_spoils_its_pair_of_rows_alone(compiled, odd):
    run = compiled.runner("block", RUNNABLE[-1])
    x = RNG.standard_normal((2, ROWS, WIDTH)).astype(np.float32)
    clean = run({"x": x})["y"]
    x[1, 7, 3] = odd
    spoilt = run({"x": x})["y"]
    assert np.isnan(spoilt[1, 6:8]).all()
    spoilt[1, 6:8] = clean[1, 6:8]
    assert_same_bits(spoilt, clean)
