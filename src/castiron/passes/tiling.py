"""Which convolutions are computed in tiles, and how large these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from castiron import interp
from castiron.ir import TensorType, Value, evaluate
from castiron.ops.convolution import Conv
from castiron.ops.winograd import POINTS, Tile, places, spread, transforms

#: What is estimated for a free dimension.
TYPICAL_SIZE = 56

#: A convolution in tiles must take at most this share of the time of a direct one.
GAIN = 0.8

#: Products of 16 lanes in the time in which so many bytes of weights are read.
WEIGHT_BYTES = 24

#: Products of 16 lanes that a byte of transformed weights must save in an image, since it takes room besides.
SAVED_BY_BYTE = 0.125

#: Instructions to transform 16 channels of a tile of two dimensions there, and 16 columns back, and the same of one.
TRANSFORMS = {2: (110, 70), 4: (330, 220)}
LINE_TRANSFORMS = {2: (14, 12), 4: (30, 26)}

#: The largest error that fewer multiplications may cause, as a part of the largest result of each channel.
MAX_ERROR = 2e-5


def winograd_tile(x: TensorType, w: Value, attrs: Mapping[str, Any]) -> Tile | None:
    """The tiles of results in which to convolve x [N,S…,C] with weights that are known, None for a direct convolution:
    what is estimated to be fastest, if the error is small with these very weights."""
    *sizes, channels, outputs = w.type.shape
    if len(sizes) > 2 or {*sizes} - {1} != {3} or attrs["groups"] != 1:
        return None
    if channels % 16 or outputs % 16 or not channels or not outputs or {*attrs["strides"], *attrs["dilations"]} != {1}:
        return None
    spatial = zip(x.shape[1:-1], attrs["before"], attrs["after"], sizes, strict=True)
    results = [evaluate(s + b + a - (k - 1), dict.fromkeys(getattr(s + b + a, "symbols", ()), TYPICAL_SIZE))
               for s, b, a, k in spatial]
    tiles = [tuple(m if size == 3 else 1 for size in sizes) for m in POINTS]
    costs = {tile: _cost(tile, results, channels, outputs) for tile in tiles}
    direct = (prod(results) + 4 * 16 / WEIGHT_BYTES) * prod(sizes) * channels * outputs / 16
    array = None
    for tile in sorted(costs, key=costs.__getitem__):
        worth = SAVED_BY_BYTE * 4 * prod(places(tile)) * channels * outputs
        if costs[tile] <= GAIN * direct and direct - costs[tile] >= worth:
            array = interp.elements(w) if array is None else array
            if array is not None and _error(array, tile) <= MAX_ERROR:
                return tile
    return None


def _cost(tile: Tile, results: Sequence[int], channels: int, outputs: int) -> float:
    """Estimated work for an image, in products of 16 lanes."""
    tiles = prod(-(-size // m) for size, m in zip(results, tile, strict=True))
    there, back = (LINE_TRANSFORMS if sum(m > 1 for m in tile) == 1 else TRANSFORMS)[max(tile)]
    products = prod(places(tile)) * channels * outputs / 16
    return tiles * (products + (there * channels + back * outputs) / 16) + products * 4 * 16 / WEIGHT_BYTES


def _error(w: np.ndarray, tile: Tile) -> float:
    """The largest error in 32-bit floats as a part of the largest result of its channel, for a few tiles of what
    activations are like: normally distributed, negative ones zero."""
    tile, w = (*tile, 1)[:2], w if len(tile) == 2 else w[:, None]
    size = places(tile)
    x = np.random.default_rng(0).standard_normal((4, *size, w.shape[2]))
    x = np.maximum(x, 0).astype(np.float32)
    exact = Conv().eval(x.astype(np.float64), w.astype(np.float64), strides=(1, 1), dilations=(1, 1), before=(0, 0),
                        after=(0, 0), groups=1)
    there, kernel, back = ([getattr(transforms(m), name).astype(np.float32) for m in tile]
                           for name in ("input", "kernel", "output"))
    u = spread(kernel, w).reshape(*size, *w.shape[2:])
    v = np.einsum("ia,jb,tabc->ijtc", *there, x, optimize=True)
    y = np.einsum("ai,bj,ijtm->tabm", *back, v @ u, optimize=True)
    largest = np.abs(exact).max((0, 1, 2))
    errors = np.abs(y - exact).max((0, 1, 2)) / np.where(largest > 0, largest, 1)
    return float(errors.max()) if np.isfinite(errors).all() else np.inf
