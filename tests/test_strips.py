"""Windows on lines that are computed with them: the same as windows on whole images, however the work is cut."""

import functools
from contextlib import contextmanager

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp, passes, plan
from castiron.ir import DType, Graph, TensorType, placeholder, symbol
from castiron.ops import F
from castiron.program import Weights
from compiled import NATIVE, RUNNABLE, Compiled
from guarded import GuardedLibrary, survives

BATCH = symbol("batch")
_RNG = np.random.default_rng(37)


def random(*shape):
    return _RNG.standard_normal(shape).astype(np.float32)


def image(*shape):
    return placeholder("x", TensorType(DType.F32, shape))


def conv(x, outputs, size=1, stride=1, dilation=1, pads=(0, 0), groups=1):
    d = x.type.rank - 2
    depth = x.type.shape[-1] // groups
    weights = random(*[size] * d, depth, outputs) / np.float32(np.sqrt(size**d * depth))
    window = {"strides": (stride,) * d, "dilations": (dilation,) * d, "before": (pads[0],) * d, "after": (pads[1],) * d}
    return F.relu(F.add(F.conv(x, weights, groups=groups, **window), random(outputs)))


def each(x, size=3, stride=1, pads=(1, 1), dilation=1):
    """Every channel convolved by itself."""
    channels = x.type.shape[-1]
    return conv(x, channels, size, stride, dilation, pads, channels)


def pool(x, size, stride, pads):
    d = x.type.rank - 2
    return F.window_max(x, sizes=(size,) * d, strides=(stride,) * d, dilations=(1,) * d, before=(pads[0],) * d,
                        after=(pads[1],) * d)


def inverted_residuals(x):
    x = conv(x, 8)
    for stride in (1, 2, 1):
        y = conv(each(conv(x, 20), stride=stride), 8)
        x = F.add(x, y) if stride == 1 else y
    return x


#: What is computed, the inputs without the batch, and how many steps have a strip.
CASES = {
    "inverted_residuals": (inverted_residuals, (12, 9, 3), 3),
    "two_products": (lambda x: each(conv(conv(x, 3), 17)), (9, 7, 4), 1),
    "five_lines": (lambda x: each(conv(x, 19), 5, 2, (1, 2)), (11, 6, 3), 1),
    "far_apart": (lambda x: each(conv(x, 16), 2, 5, (0, 0)), (17, 9, 3), 1),
    "dilated": (lambda x: each(conv(x, 16), 3, 1, (0, 1), dilation=2), (10, 8, 3), 1),
    "mostly_padding": (lambda x: each(conv(x, 16), 3, 1, (4, 6)), (2, 3, 3), 1),
    "what_is_left": (lambda x: each(conv(x, 5), 3, 3, (0, 0)), (11, 5, 3), 1),
    "stem": (lambda x: conv(each(conv(x, 9, 3, 2, pads=(0, 1))), 4), (13, 12, 3), 1),
    "pooled": (lambda x: pool(conv(x, 9, 5, 2, pads=(2, 2)), 3, 2, (1, 0)), (21, 9, 3), 1),
    "along_a_line": (lambda x: conv(each(conv(x, 18), 7, 1, (3, 3)), 5), (40, 3), 1),
    "in_space": (lambda x: each(conv(x, 18), 3, 1, (1, 1)), (6, 5, 4, 3), 1),
    "read_elsewhere": (lambda x: (lambda y: F.add(each(y), y))(conv(x, 16)), (9, 7, 3), 0),
}


#: Those that are also computed for three images, whose lines are then cut as one.
FIXED = ("inverted_residuals", "five_lines", "what_is_left")


def made(case, *lead):
    build, shape, _ = CASES[case]
    x = image(*lead, *shape)
    return Graph(case, {"x": x}, {"y": build(x)})


@pytest.fixture(scope="module")
def graphs():
    return {**{f"{case}_free": made(case, BATCH) for case in CASES},
            **{f"{case}_fixed": made(case, 3) for case in FIXED}}


def compiled(graphs, **limits):
    with limited(**limits):
        return Compiled(graphs, levels=RUNNABLE if len(graphs) == 1 else NATIVE[-1:])


@contextmanager
def limited(**limits):
    """Plans are made as if even these images took long to compute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MAX_ROW_NANOS", 20)
        for name, value in limits.items():
            patch.setattr(plan, name, value)
        yield


@pytest.fixture(scope="module")
def whole(graphs):
    return compiled(graphs, STRIP_BYTES=1 << 30)


@pytest.fixture(scope="module", params=[1 << 10, 12 << 10, 512 << 10], ids=["least", "little", "much"])
def strips(graphs, request):
    return compiled(graphs, STRIP_BYTES=0, SCRATCH_BYTES=request.param)


class Apart:
    """A library that computes tile after tile by itself, the last one first."""

    def __init__(self, library):
        self._library = library

    def __getattr__(self, name):
        return getattr(self._library, name)

    def call(self, entry, table, symbols, begin, end):
        for tile in reversed(range(begin, end)):
            self._library.call(entry, table, symbols, tile, tile + 1)


def data(case, batch):
    return np.random.default_rng(batch).standard_normal((batch, *CASES[case][1])).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
def test_gives_the_same_bits_as_whole_images(strips, whole, case):
    for key, batch in ((f"{case}_free", 1), (f"{case}_free", 2), (f"{case}_free", 5), (f"{case}_fixed", 3)):
        if key not in whole.graphs:
            continue
        x, graph = data(case, batch), whole.graphs[key]
        plain = whole.runner(key, NATIVE[-1])({"x": x})["y"]
        expected, = interp.run(graph, {graph.inputs["x"]: x}, [graph.outputs["y"]])
        assert_agree(plain, expected, 2e-5)
        for wrap in (lambda library: library, Apart):
            for poison in (0xFF, 0x00):
                assert_same_bits(strips.runner(key, NATIVE[-1], wrap)({"x": x}, poison=poison)["y"], plain)


@pytest.mark.parametrize("case", CASES)
def test_is_found(case):
    graph = passes.run(made(case, BATCH))
    for limit, expected in ((0, CASES[case][2]), (1 << 30, 0)):
        with limited(STRIP_BYTES=limit):
            program = plan.plan(graph, Weights())
        assert sum(step.strip is not None for step in program.steps) == expected


@pytest.mark.parametrize("case", CASES)
def test_touches_no_memory_but_its_own(strips, case):
    def work():
        for low in (False, True):
            run = strips.runner(f"{case}_free", NATIVE[-1], functools.partial(GuardedLibrary, low=low))
            for batch in (1, 2):
                run({"x": data(case, batch)})
    assert survives(work)


def test_every_level_computes_strips():
    graph = made("inverted_residuals", BATCH)
    every = compiled({"g": graph}, STRIP_BYTES=0, SCRATCH_BYTES=12 << 10)
    x = data("inverted_residuals", 2)
    expected, = interp.run(graph, {graph.inputs["x"]: x}, [graph.outputs["y"]])
    for level in RUNNABLE:
        assert_agree(every.runner("g", level)({"x": x})["y"], expected, 2e-5)
