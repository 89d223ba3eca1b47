"""Every operator on doubles: examples of floats as doubles, compiled code against the specification."""

import warnings
from itertools import islice

import numpy as np
import pytest

from agreement import assert_agree
from castiron import interp
from castiron.ir import DType, Graph, TensorType, constant, placeholder, symbol
from castiron.ops import OPS, apply
from castiron.ops.base import Example
from compiled import RUNNABLE, Compiled

#: What is left of an operator's tolerance for floats, and the least that is asked.
FINER, LEAST = 2.0**-27, 4e-15


#: Operators on floats alone: what is packed for them, their bits, boxes.
SINGLE = {"attention", "bitcast", "cell", "standardize", "suppress", "tree_bits", "tree_walk"} | {
    name for name in OPS if {"pack", "packed", "unpack", "dense", "winograd", "integer"}.intersection(name.split("_"))}


def double(example):
    """The example with doubles for floats; None if there are none or an attribute tells the type of some."""
    def wide(x):
        return x.astype(np.float64) if isinstance(x, (np.ndarray, np.generic)) and x.dtype == np.float32 else x
    if not any(x.dtype == np.float32 for x in map(np.asarray, example.inputs)):
        return None
    attrs = {k: DType.F64 if v is DType.F32 else wide(v) for k, v in example.attrs.items()}
    return Example(tuple(map(wide, example.inputs)), attrs, example.batched, example.constants)


def cases():
    """Of each operator the first examples with floats."""
    for name, op in sorted((name, op) for name, op in OPS.items() if name not in SINGLE):
        twins = ((i, twin) for i, example in enumerate(op.examples) if (twin := double(example)))
        for i, twin in islice(twins, 2):
            yield f"{name}_{i}", (name, twin)


CASES = dict(cases())


def graph_of(name, example):
    operands = []
    for i, x in enumerate(example.inputs):
        shape = (symbol("batch"), *x.shape[1:]) if i in example.batched else x.shape
        operands.append(constant(x) if i in example.constants
                        else placeholder(f"x{i}", TensorType(DType.of(x.dtype), shape)))
    results = apply(name, *operands, **example.attrs)
    results = results if isinstance(results, tuple) else (results,)
    return Graph(name, {v.node.attrs["name"]: v for v in operands if v.constant is None},
                 {f"y{i}": value for i, value in enumerate(results)})


@pytest.fixture(scope="module")
def compiled(request):
    keys = sorted({item.callspec.params["key"] for item in request.session.items if item.module is request.module})
    return Compiled({key: graph_of(*CASES[key]) for key in keys}, units=2, levels=RUNNABLE[-2:-1])


@pytest.mark.parametrize("key", CASES)
def test_doubles_agree_with_specification(compiled, key):
    name, example = CASES[key]
    graph, runner = compiled.graphs[key], compiled.runner(key, RUNNABLE[-2])
    feeds = {f"x{i}": x for i, x in enumerate(example.inputs) if i not in example.constants}
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        expected = interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()}, list(graph.outputs.values()))
    results = runner(feeds)
    for output, value in zip(graph.outputs, expected, strict=True):
        assert_agree(results[output], value, max(OPS[name].tolerance * FINER, LEAST))
