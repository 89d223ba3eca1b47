"""Networks of window operators as they are compiled: free sizes, and the same bits however the work is cut."""

import numpy as np
import pytest

from agreement import assert_agree, assert_same_bits
from castiron import interp, native, passes
from castiron.errors import ShapeError
from castiron.ir import DType, Expr, Graph, TensorType, placeholder, symbol
from castiron.ops import F
from castiron.ops.window import same_padding
from castiron.plan import MAX_BLOCK_NANOS, plan
from castiron.program import Weights
from compiled import RUNNABLE, Compiled, InPieces

RNG = np.random.default_rng(7)


def weights(*shape):
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def image(*shape):
    return placeholder("x", TensorType(DType.F32, shape))


def same(x, kernel, stride, dilation=1):
    pads = [same_padding(dim, kernel, stride, dilation) for dim in x.type.shape[1:-1]]
    before, after = zip(*pads, strict=True)
    return {"strides": (stride,) * len(pads), "before": before, "after": after}


def conv(x, outputs, kernel, stride=1, dilation=1, groups=1):
    d, channels = x.type.rank - 2, x.type.shape[-1]
    w = weights(*(kernel,) * d, channels // groups, outputs)
    y = F.conv(x, w, dilations=(dilation,) * d, groups=groups, **same(x, kernel, stride, dilation))
    scale, shift = weights(outputs) + 1, weights(outputs)
    return F.relu(F.add(F.mul(y, scale), shift))


def pool(name, x, size, stride, **attrs):
    d = x.type.rank - 2
    if name != "average_pool":
        attrs["dilations"] = (1,) * d
    return getattr(F, name)(x, sizes=(size,) * d, **same(x, size, stride), **attrs)


def residual(x):
    """Everything that CNNs are made of: a first layer, depthwise and grouped convolutions, shortcuts, pools."""
    x = conv(x, 24, 3, 2)
    y = conv(conv(x, 24, 3, groups=24), 40, 1)
    y = conv(conv(y, 40, 5, dilation=2, groups=40), 24, 1)
    x = F.add(x, y)
    x = pool("window_max", conv(x, 32, 3, groups=4), 3, 2)
    x = F.concat(x, pool("average_pool", x, 3, 1, count_padding=False), axis=-1)
    x = conv(x, 33, 1, 2)
    return F.reduce_mean(conv(x, 10, 3), axes=tuple(range(1, x.type.rank - 1)))


def tiled(x):
    """What is computed in tiles, larger and smaller ones."""
    x = conv(x, 64, 3)
    x = F.add(x, conv(x, 64, 3))
    return conv(F.average_pool(conv(x, 160, 3), sizes=(2, 2), strides=(4, 4), before=(1, 0), after=(1, 1),
                               count_padding=True), 160, 3)


def tiled_along(x, *kernels):
    """What is computed in tiles of lines: by each kernel, all of whose padding comes before the image."""
    for kernel in kernels:
        once, none = (1,) * len(kernel), (0,) * len(kernel)
        before = tuple(size - 1 for size in kernel)
        y = F.conv(x, weights(*kernel, x.type.shape[-1], 96), strides=once, dilations=once, before=before, after=none)
        x = F.relu(F.add(y, weights(96)))
    return x


N, H, W = map(symbol, "nhw")
NETWORKS = {
    "free_image": lambda: residual(image(N, H, W, 3)),
    "image": lambda: residual(image(N, 40, 36, 3)),
    "small": lambda: residual(image(N, 6, 5, 1)),
    "line": lambda: residual(image(N, W, 2)),
    "volume": lambda: residual(image(N, 5, 6, 4, 2)),
    "tiles": lambda: tiled(image(N, 27, 28, 32)),
    "line_tiles": lambda: tiled_along(image(N, 301, 32), (3,), (3,)),
    "free_line_tiles": lambda: tiled_along(image(N, W, 32), (3,), (3,)),
    "strokes": lambda: tiled_along(image(N, 13, 14, 32), (3, 1), (1, 3)),
    "free_tiles": lambda: tiled(image(N, H, W, 32)),
    "up": lambda: F.conv_transpose(conv(image(N, 5, 7, 3), 6, 3), weights(4, 4, 9, 6), dilations=(1, 1),
                                   strides=(2, 2), before=(1, 1), after=(1, 1)),
}
SIZES = ({"h": 1, "w": 1}, {"h": 2, "w": 9}, {"h": 23, "w": 40})


@pytest.fixture(scope="module")
def compiled():
    graphs = {}
    for name, network in NETWORKS.items():
        y = network()
        x = next(node for node in _nodes(y) if node.op == "input")
        graphs[name] = Graph(name, {"x": x.results[0]}, {"y": y})
    return Compiled(graphs, units=2)


def _nodes(value):
    found, stack = [], [value.node]
    while stack:
        node = stack.pop()
        if node not in found:
            found.append(node)
            stack += [v.node for v in node.inputs]
    return found


def inputs(graph, batch):
    """One array for each of the sizes that the input may have."""
    shape = graph.inputs["x"].type.shape[1:]
    free = any(isinstance(dim, Expr) for dim in shape)
    for sizes in SIZES if free else SIZES[:1]:
        dims = [dim.evaluate(sizes) if isinstance(dim, Expr) else dim for dim in shape]
        yield RNG.standard_normal((batch, *dims)).astype(np.float32)


@pytest.mark.parametrize("level", RUNNABLE, ids=lambda level: level.name)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_agree_with_the_specification(compiled, name, level):
    graph, run = compiled.graphs[name], compiled.runner(name, level)
    for x in (*inputs(graph, 2), *inputs(graph, 0)):
        with np.errstate(all="ignore"):
            expected, = interp.run(graph, {graph.inputs["x"]: x}, [graph.outputs["y"]])
        assert_same_bits(run({"x": x}, poison=0xFF)["y"], run({"x": x}, poison=0)["y"])
        assert_agree(run({"x": x})["y"], expected, 2e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_bits_do_not_depend_on_batch_tiles_and_level(compiled, name):
    graph = compiled.graphs[name]
    first, *others = (level for level in RUNNABLE if level.fma)
    run, pieces = compiled.runner(name, first), compiled.runner(name, first, InPieces)
    for x in inputs(graph, 5):
        whole = run({"x": x})["y"]
        assert_same_bits(pieces({"x": x})["y"], whole)
        for row in (0, 4):
            assert_same_bits(run({"x": x[row:row + 1]})["y"], whole[row:row + 1])
        for level in others:
            assert_same_bits(compiled.runner(name, level)({"x": x})["y"], whole)


def test_an_image_has_work_for_several_threads():
    x = image(N, 56, 56, 64)
    y = pool("window_max", conv(conv(x, 64, 3), 64, 3, groups=64), 3, 2)
    program = plan(passes.run(Graph("g", {"x": x}, {"y": y})), Weights())
    assert all(native.tiles(step, {"n": 1}) > 1 for step in program.steps if "conv" in step.nodes[0].op)
    assert all(step.tile_nanos <= MAX_BLOCK_NANOS for step in program.steps)


def test_lines_of_tiles_are_computed_together(compiled):
    sides = {node.attrs["tile"] for node in compiled.programs["tiles"].graph.nodes if node.op == "winograd_conv"}
    cut = [step for step in compiled.programs["tiles"].steps if step.nodes[0].op == "winograd_conv" and step.rows != N]
    assert sides == {(2, 2), (4, 4)} and cut
    for step in cut:
        node = step.nodes[0]
        assert step.block % node.attrs["tile"][0] == 0 or step.block % node.types[0].shape[1] == 0  # or whole images


@pytest.mark.parametrize("name, tiles", [("line_tiles", [(4,)] * 2), ("free_line_tiles", [(4,)] * 2),
                                         ("strokes", [(4, 1), (1, 4)])])
def test_tiles_lie_along_the_dimension_of_three(compiled, name, tiles):
    nodes = (node for step in compiled.programs[name].steps for node in step.nodes)
    assert [node.attrs["tile"] for node in nodes if "conv" in node.op] == tiles


def test_two_threads_share_an_image_of_one_dimension(compiled):
    program = compiled.programs["line_tiles"]
    assert all(native.tiles(step, {"n": 1}) == 2 for step in program.steps if step.nodes[0].op == "winograd_conv")


def test_small_images_stay_in_scratch(compiled):
    program = compiled.programs["small"]
    assert any(sum(node.op == "packed_conv" for node in step.nodes) > 1 for step in program.steps)
    assert program.row_wise


def test_a_window_larger_than_its_image_is_refused():
    with pytest.raises(ShapeError, match="larger than the padded input"):
        F.window_max(image(1, 3, 3, 2), sizes=(5, 5), strides=(1, 1), dilations=(1, 1), before=(0, 0), after=(0, 0))
