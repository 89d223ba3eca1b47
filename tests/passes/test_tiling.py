"""Which convolutions are computed in tiles."""

import numpy as np
import pytest

from castiron.ir import DType, Graph, TensorType, constant, placeholder, symbol
from castiron.ops import F
from castiron.passes import tiling
from castiron.passes.pack import pack


def conv(size, channels, outputs, kernel=3, stride=1, dilation=1, groups=1):
    w = np.random.default_rng(3).standard_normal((kernel, kernel, channels // groups, outputs)).astype(np.float32)
    x = placeholder("x", TensorType(DType.F32, (symbol("n"), size, size, channels)))
    return F.conv(x, constant(w), strides=(stride,) * 2, dilations=(dilation,) * 2, before=(1, 1), after=(1, 1),
                  groups=groups)


def tile_of(y):
    node = pack(Graph("g", {"x": y.node.inputs[0]}, {"y": y})).outputs["y"].node
    return node.attrs.get("tile")


@pytest.mark.parametrize("case, tile", [
    ((56, 64, 64), (4, 4)), ((symbol("h"), 64, 64), (4, 4)), ((14, 256, 256), (4, 4)), ((28, 256, 256), (4, 4)),
    ((7, 512, 512), (2, 2)), ((4, 512, 512), None),
    ((56, 64, 60), None), ((56, 3, 64), None),
    ((56, 64, 64, 3, 2), None), ((56, 64, 64, 3, 1, 2), None), ((56, 64, 64, 3, 1, 1, 2), None),
    ((56, 64, 64, 5), None), ((2, 512, 512), None),
])
def test_shapes_decide(case, tile):
    assert tile_of(conv(*case)) == tile


@pytest.mark.parametrize("sizes, kernel, channels, outputs, tile", [
    ((125,), (3,), 256, 512, (4,)), ((1000,), (3,), 64, 64, (4,)), ((symbol("t"),), (3,), 64, 128, (4,)),
    ((8,), (3,), 256, 256, None), ((1000,), (3,), 64, 40, None), ((1000,), (5,), 64, 64, None),
    ((35, 35), (1, 3), 128, 128, (1, 4)), ((35, 35), (3, 1), 128, 128, (4, 1)), ((35, 35), (1, 5), 64, 64, None),
    ((8, 8, 8), (1, 3, 1), 64, 64, None), ((35, 35), (1, 1), 64, 64, None),
])
def test_kernels_of_three_along_one_dimension_have_tiles_along_it(sizes, kernel, channels, outputs, tile):
    w = np.random.default_rng(3).standard_normal((*kernel, channels, outputs)).astype(np.float32)
    x = placeholder("x", TensorType(DType.F32, (symbol("n"), *sizes, channels)))
    once, around = (1,) * len(kernel), tuple(size // 2 for size in kernel)
    assert tile_of(F.conv(x, constant(w), strides=once, dilations=once, before=around, after=around)) == tile


def test_weights_decide_whether_the_error_is_small_enough(monkeypatch):
    y = conv(56, 64, 64)
    small, large = (tiling._error(y.node.inputs[1].constant, (m, m)) for m in (2, 4))
    assert 0 < small < large < tiling.MAX_ERROR
    monkeypatch.setattr(tiling, "MAX_ERROR", (small + large) / 2)
    assert tile_of(y) == (2, 2)
    monkeypatch.setattr(tiling, "MAX_ERROR", small / 2)
    assert tile_of(y) is None


def test_weights_that_are_no_numbers_are_convolved_directly():
    y = conv(56, 16, 16)
    w = np.array(y.node.inputs[1].constant)
    w[0, 0, 0, 0] = np.nan
    attrs = dict(y.node.attrs)
    assert tile_of(F.conv(y.node.inputs[0], constant(w), **attrs)) is None
