"""Every operator's examples: compiled code and the specification agree, on every instruction-set level."""

import warnings
from functools import partial

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp
from castiron.ir import DType, Graph, TensorType, constant, placeholder, symbol
from castiron.ops import OPS, apply
from castiron.plan import MAX_BLOCK_ROWS
from castiron.targets import LEVELS
from compiled import NATIVE, RUNNABLE, Compiled, missing
from guarded import GuardedLibrary, survives

#: All but v2, which rounds twice.
FUSED = [level for level in RUNNABLE if level.fma]

#: Rows that a free batch is run with: none, one, and one more than a block holds.
BATCHES = (0, 1, MAX_BLOCK_ROWS + 1)


def example_graph(name, example, free):
    """The operator with its constants in place; with ``free`` the batched operands' first dimension is a symbol."""
    operands = []
    for i, x in enumerate(example.inputs):
        shape = (symbol("batch"), *x.shape[1:]) if free and i in example.batched else x.shape
        type = TensorType(DType.of(x.dtype), shape)
        operands.append(constant(x) if i in example.constants else placeholder(f"x{i}", type))
    results = apply(name, *operands, **example.attrs)
    results = results if isinstance(results, tuple) else (results,)
    return Graph(name, {v.node.attrs["name"]: v for v in operands if v.constant is None},
                 {f"y{i}": value for i, value in enumerate(results)})


def cases():
    """Examples by a name for their graph. Those with a batch are compiled for a free one, and an operator's first
    such also for its own."""
    for name, op in sorted(OPS.items()):
        first = True
        for i, example in enumerate(op.examples):
            if first or not example.batched:
                yield f"{name}_{i}", (name, example, False)
            if example.batched:
                yield f"{name}_{i}_free", (name, example, True)
                first = False


CASES = dict(cases())


def feeds_of(example, free):
    """The example's inputs by name; with a free batch at each size."""
    yield {f"x{i}": x for i, x in enumerate(example.inputs) if i not in example.constants}
    for rows in BATCHES if free else ():
        yield {f"x{i}": np.resize(x, (rows, *x.shape[1:])) if i in example.batched else x
               for i, x in enumerate(example.inputs) if i not in example.constants}


@pytest.fixture(scope="module")
def compiled(request):
    """What the selected tests need, compiled."""
    keys = sorted({item.callspec.params["key"] for item in request.session.items if item.module is request.module})
    return Compiled({key: example_graph(*CASES[key]) for key in keys}, units=6)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
@pytest.mark.parametrize("key", CASES)
def test_agrees_with_specification(compiled, key, level):
    if reason := missing(level):
        pytest.skip(reason)
    name, example, free = CASES[key]
    graph, runner = compiled.graphs[key], compiled.runner(key, level)
    for feeds in feeds_of(example, free):
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            expected = interp.run(graph, {graph.inputs[k]: x for k, x in feeds.items()}, list(graph.outputs.values()))
        first, second = runner(feeds, poison=0xFF), runner(feeds, poison=0x00)
        for output, value in zip(graph.outputs, expected, strict=True):
            assert_same_bits(first[output], second[output])
            assert_agree(first[output], value.astype(first[output].dtype, copy=False), OPS[name].tolerance)


@pytest.mark.parametrize("level", NATIVE, ids=lambda level: level.name)
@pytest.mark.parametrize("key", CASES)
def test_touches_no_memory_but_its_own(compiled, key, level):
    def work():
        for low in (False, True):
            run = compiled.runner(key, level, partial(GuardedLibrary, low=low))
            for feeds in feeds_of(*CASES[key][1:]):
                run(feeds)
    assert survives(work)


@pytest.mark.skipif(len(FUSED) < 2, reason="only one level here multiplies and adds in one rounding")
@pytest.mark.parametrize("key", CASES)
def test_levels_give_the_same_bits(compiled, key):
    for feeds in feeds_of(*CASES[key][1:]):
        first, *others = (compiled.runner(key, level)(feeds) for level in FUSED)
        for other in others:
            for name in first:
                assert_same_bits(other[name], first[name])
