"""Random graphs, compiled and interpreted: the same results, and each row's whatever rows are beside it.

FUZZ_SEED chooses other graphs.
"""

import os
import warnings

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp
from castiron.ir import evaluate
from castiron.plan import MAX_BLOCK_ROWS
from compiled import NATIVE, Compiled
from random_graphs import RandomGraph, sample

SEED = os.environ.get("FUZZ_SEED", "1")
COUNT, NODES = 40, 9

#: Relative; every operator of these graphs keeps its results small and none makes an error much larger.
TOLERANCE = 2e-5

#: Values of the symbols.
SIZES = tuple({"batch": batch, "seq": seq} for batch, seq in ((1, 1), (3, 2), (MAX_BLOCK_ROWS + 1, 5), (0, 3), (2, 0)))

KEYS = [f"{kind}_{number}" for number in range(COUNT) for kind in ("plain", "rows", "traced")]


@pytest.fixture(scope="module")
def compiled():
    graphs = {}
    for key in KEYS:
        kind, number = key.split("_")
        random = RandomGraph(f"{SEED} {number}", exact=int(number) % 3 == 0, rows=kind == "rows",
                             wide=int(number) % 5 == 4)
        graphs[key] = random.graph(NODES, traced=kind == "traced")
    return Compiled(graphs, units=4, levels=NATIVE[-2:])


def feeds_of(graph, rng, symbols, special):
    return {name: sample(rng, v.type.dtype, tuple(evaluate(d, symbols) for d in v.type.shape), special)
            for name, v in graph.inputs.items()}


@pytest.mark.parametrize("key", KEYS)
def test_agrees_with_specification(compiled, key):
    print(f"FUZZ_SEED={SEED}")
    graph = compiled.graphs[key]
    rng = np.random.default_rng(3)
    special = int(key.split("_")[1]) % 3 == 0
    for symbols in SIZES:
        feeds = feeds_of(graph, rng, symbols, special)
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            values = interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()}, list(graph.outputs.values()))
        results = [compiled.runner(key, level)(feeds, poison) for level in NATIVE[-2:] for poison in (0xFF, 0x00)]
        for name, value in zip(graph.outputs, values, strict=True):
            assert_agree(results[0][name], value, TOLERANCE)
            for other in results[1:]:
                assert_same_bits(other[name], results[0][name])


@pytest.mark.parametrize("key", KEYS[1::3])
def test_rows_do_not_depend_on_one_another(compiled, key):
    """What a plan calls row-wise gives each row the same bits alone as among others."""
    program, run = compiled.programs[key], compiled.runner(key, NATIVE[-1])
    if not program.row_wise:
        pytest.skip("the plan does not say so")
    feeds = feeds_of(compiled.graphs[key], np.random.default_rng(4), {"batch": 5, "seq": 3}, special=False)
    together = run(feeds)
    alone = [run({name: x[i:i + 1] for name, x in feeds.items()}) for i in range(5)]
    for name, result in together.items():
        assert_same_bits(result, np.concatenate([one[name] for one in alone]))
