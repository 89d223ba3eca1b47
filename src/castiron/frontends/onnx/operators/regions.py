"""Regions of images in one size, and convolution at places that are computed."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.resize import around
from castiron.frontends.onnx.operators.shape import part, parts
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import DType, Value, constant, exact_div
from castiron.ops import F, apply, sizes


@converts("MaxRoiPool")
def max_roi_pool(node: SourceNode, x: Value, regions: Value) -> Value:
    """The largest elements of each cell of regions [item, left, top, right, bottom], whose corners are rounded to
    elements (Girshick, 2015, https://arxiv.org/abs/1504.08083); 0 for a cell without any."""
    count, sizes, cells = regions.type.shape[0], x.type.shape[2:], node.integers("pooled_shape")
    if len(cells) != 2 or len(sizes) != 2:
        raise ModelError(f"regions of {x.type!r} in cells {cells}")
    corners = F.floor(F.add(F.mul(regions, node.number("spatial_scale", 1.0)), 0.5))
    item = F.reshape(F.cast(part(regions, 1, 0, 1), dtype=DType.I64), shape=(count,))
    y, none = F.gather(x, item, axis=0), constant(np.array(-np.inf, x.type.dtype.numpy))
    for axis, (size, cell) in enumerate(zip(sizes, cells, strict=True)):
        first, last = (part(corners, 1, place - axis, 1) for place in (2, 4))
        extent = F.div(F.maximum(F.add(F.sub(last, first), 1.0), 1.0), float(cell))
        at, steps = F.cast(count_up(size, DType.I64), dtype=x.type.dtype), []
        for k in range(cell):
            inside = apply("and", F.greater_equal(at, F.add(F.floor(F.mul(extent, float(k))), first)),
                           F.less(at, F.add(F.ceil(F.mul(extent, float(k + 1))), first)))
            inside = F.reshape(inside, shape=(count, 1, *(size if i == axis else 1 for i in range(2))))
            steps.append(F.reduce_max(F.select(inside, y, none), axes=(2 + axis,), keepdims=True))
        y = F.concat(*steps, axis=2 + axis)
    return F.select(F.equal(y, none), 0.0, y)


@converts("RoiAlign")
def roi_align(node: SourceNode, x: Value, regions: Value, items: Value) -> Value:
    """Each region [left, top, right, bottom] of its item as a grid of cells, in each of which ``sampling_ratio``²
    places between x's elements are averaged (He et al., 2017, https://arxiv.org/abs/1703.06870), or with the mode "max"
    the largest share that an element around has in one is taken."""
    samples, scale = node.integer("sampling_ratio", 0), node.number("spatial_scale", 1.0)
    centred = node.version >= 16 and node.text("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if samples < 1:
        raise ModelError("RoiAlign with as many samples as fit into a region (sampling_ratio 0) is not supported")
    count, cells = regions.type.shape[0], (node.integer("output_height", 1), node.integer("output_width", 1))
    channels, *sizes = x.type.shape[1:]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ModelError(f"regions of {x.type!r}, whose size must be known; give free dimensions sizes (--dim)")
    corners = F.sub(F.mul(regions, scale), 0.5 if centred else 0.0)
    taps = []
    for axis, (size, cell) in enumerate(zip(sizes, cells, strict=True)):
        start, end = (F.gather(corners, constant(np.array([place])), axis=1) for place in (1 - axis, 3 - axis))
        extent = F.sub(end, start) if centred else F.maximum(F.sub(end, start), 1.0)
        places = ((np.arange(cell * samples) + 0.5) / samples / cell).astype(x.type.dtype.numpy)
        place = F.add(start, F.mul(extent, constant(places)))
        inside = F.cast(apply("and", F.greater_equal(place, -1.0), F.less_equal(place, float(size))),
                        dtype=x.type.dtype)
        place = F.minimum(F.maximum(place, 0.0), float(size - 1))
        low = F.floor(place)
        rest = F.sub(place, low)
        taps.append([(low, F.mul(F.sub(1.0, rest), inside)),
                     (F.minimum(F.add(low, 1.0), float(size - 1)), F.mul(rest, inside))])
    height, width = (cell * samples for cell in cells)
    shape = (count, height, width, 1)
    rows = F.transpose(x, perm=(0, 2, 3, 1))
    item = F.broadcast_to(F.reshape(F.cast(items, dtype=DType.I64), shape=(count, 1, 1, 1)), shape=shape)
    largest = node.text("mode", "avg") == "max"
    total = None
    for top, share in taps[0]:
        for left, other in taps[1]:
            index = [F.broadcast_to(F.reshape(F.cast(v, dtype=DType.I64), shape=dims), shape=shape)
                     for v, dims in ((top, (count, height, 1, 1)), (left, (count, 1, width, 1)))]
            weight = F.mul(F.reshape(share, shape=(count, height, 1, 1)), F.reshape(other, shape=(count, 1, width, 1)))
            found = F.mul(F.gather_nd(rows, F.concat(item, *index, axis=-1)), weight)
            total = found if total is None else F.maximum(total, found) if largest else F.add(total, found)
    split = F.reshape(total, shape=(count, cells[0], samples, cells[1], samples, channels))
    y = (F.reduce_max if largest else F.reduce_mean)(split, axes=(2, 4))
    return F.transpose(y, perm=(0, 3, 1, 2))


@converts("DeformConv")
def deform_conv(node: SourceNode, x: Value, w: Value, offset: Value, bias: Value | None = None,
                mask: Value | None = None) -> Value:
    """A convolution whose kernel's elements lie at places of their own for each window (Dai et al., 2017,
    https://arxiv.org/abs/1703.06211), zero outside x; the mask scales what is found there."""
    if x.type.rank != 4 or not all(v.type.is_static for v in (x, w, offset)):
        raise ModelError(f"DeformConv of {x.type!r}: supported for images whose shapes are known; give free "
                         "dimensions sizes (--dim)")
    (n, channels, *sizes), (outputs, inner, *kernel), out = x.type.shape, w.type.shape, offset.type.shape[2:]
    strides, dilations, pads = (node.integers(name) or (default,) * length for name, default, length
                                in (("strides", 1, 2), ("dilations", 1, 2), ("pads", 0, 4)))
    groups, parts_ = node.integer("group", 1), node.integer("offset_group", 1)
    offset = F.reshape(offset, shape=(n, parts_, *kernel, 2, *out))
    shape = (n, *kernel, *out, 1)
    found = []
    for g, some in enumerate(parts(x, 1, [exact_div(channels, parts_)] * parts_)):
        rows, taps = F.transpose(some, perm=(0, 2, 3, 1)), []
        own = F.reshape(part(offset, 1, g, 1), shape=(n, *kernel, 2, *out))
        for axis in (0, 1):
            k, o = np.arange(kernel[axis]) * dilations[axis], np.arange(out[axis]) * strides[axis] - pads[axis]
            base = (k[:, None] + o).astype(x.type.dtype.numpy)
            base = base.reshape((kernel[0], 1, out[0], 1) if axis == 0 else (1, kernel[1], 1, out[1]))
            place = F.add(F.reshape(part(own, 3, axis, 1), shape=(n, *kernel, *out)), constant(base))
            taps.append([(at, weight, float(sizes[axis] - 1)) for at, weight in around(place, "linear")])
        total = None
        for pair in ((a, b) for a in taps[0] for b in taps[1]):
            index, weight = [], None
            for at, share, last in pair:
                nearest = F.minimum(F.maximum(at, 0.0), last)
                share = F.select(F.equal(nearest, at), share, 0.0)
                weight = share if weight is None else F.mul(weight, share)
                index.append(F.reshape(F.cast(nearest, dtype=DType.I64), shape=shape))
            term = F.mul(F.gather_nd(rows, F.concat(*index, axis=-1), batch_dims=1), F.reshape(weight, shape=shape))
            total = term if total is None else F.add(total, term)
        if mask is not None:
            scale = part(F.reshape(mask, shape=(n, parts_, *kernel, *out)), 1, g, 1)
            total = F.mul(total, F.reshape(scale, shape=shape))
        found.append(total)
    sampled = F.transpose(F.concat(*found, axis=-1), perm=(0, 3, 4, 1, 2, 5))
    kernels = F.transpose(w, perm=(2, 3, 1, 0))
    results = [F.matmul(F.reshape(some, shape=(n * out[0] * out[1], -1)),
                        F.reshape(columns, shape=(-1, outputs // groups)))
               for some, columns in zip(parts(sampled, 5, [inner] * groups),
                                        parts(kernels, 3, [exact_div(outputs, groups)] * groups), strict=True)]
    y = F.reshape(F.concat(*results, axis=-1), shape=(n, *out, outputs))
    return F.transpose(y if bias is None else F.add(y, bias), perm=(0, 3, 1, 2))


@converts("NonMaxSuppression")
def non_max_suppression(node: SourceNode, boxes: Value, scores: Value, most: Value | None = None,
                        overlap: Value | None = None, least: Value | None = None) -> Value:
    """Boxes are two opposite corners, or with ``center_point_box`` a centre, a width and a height."""
    if node.integer("center_point_box", 0):
        centre, size = parts(boxes, 2, [2, 2])
        half = F.mul(size, 0.5)
        x, y, width, height = (v for pair in (centre, half) for v in parts(pair, 2, [1, 1]))
        boxes = F.concat(F.sub(y, height), F.sub(x, width), F.add(y, height), F.add(x, width), axis=2)
    limit = constant(np.int64(0)) if most is None else F.cast(F.reshape(most, shape=()), dtype=DType.I64)
    overlap, least = (constant(np.float32(default)) if v is None else F.cast(F.reshape(v, shape=()), dtype=DType.F32)
                      for v, default in ((overlap, 0), (least, -np.inf)))
    boxes, scores = (F.cast(v, dtype=DType.F32) for v in (boxes, scores))
    return sizes.non_max_suppression(boxes, scores, limit, overlap, least)
