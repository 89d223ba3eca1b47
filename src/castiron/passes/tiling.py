"""Which convolutions are computed in tiles, and how large these are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from castiron import interp
from castiron.ir import TensorType, Value, evaluate
from castiron.ops.convolution import Conv
from castiron.ops.winograd import POINTS, spread, transforms

#: What is estimated for a free dimension.
TYPICAL_SIZE = 56

#: A convolution in tiles must take at most this share of the time of a direct one.
GAIN = 0.8

#: Products of 16 lanes in the time in which so many bytes of weights are read.
WEIGHT_BYTES = 24

#: Products of 16 lanes that a byte of transformed weights must save in an image, since it takes room besides.
SAVED_BY_BYTE = 0.125

#: Instructions to transform 16 channels of a tile there, and 16 columns back.
TRANSFORMS = {2: (110, 70), 4: (330, 220)}

#: The largest error that fewer multiplications may cause, as a part of the largest result of each channel.
MAX_ERROR = 2e-5


def winograd_tile(x: TensorType, w: Value, attrs: Mapping[str, Any]) -> int | None:
    """The side of the tiles of results in which to convolve x [N,H,W,C] with weights that are known, None for a direct
    convolution: what is estimated to be fastest, if the error is small with these very weights."""
    *sizes, channels, outputs = w.type.shape
    if sizes != [3, 3] or attrs["groups"] != 1 or channels % 16 or outputs % 16 or not channels or not outputs:
        return None
    if {*attrs["strides"], *attrs["dilations"]} != {1}:
        return None
    spatial = zip(x.shape[1:3], attrs["before"], attrs["after"], strict=True)
    height, width = (evaluate(s + b + a - 2, dict.fromkeys(getattr(s + b + a, "symbols", ()), TYPICAL_SIZE))
                     for s, b, a in spatial)
    costs = {tile: _cost(tile, height, width, channels, outputs) for tile in POINTS}
    direct = (height * width + 4 * 16 / WEIGHT_BYTES) * 9 * channels * outputs / 16
    array = None
    for tile in sorted(costs, key=costs.__getitem__):
        worth = SAVED_BY_BYTE * 4 * (tile + 2) ** 2 * channels * outputs
        if costs[tile] <= GAIN * direct and direct - costs[tile] >= worth:
            array = interp.elements(w) if array is None else array
            if array is not None and _error(array, tile) <= MAX_ERROR:
                return tile
    return None


def _cost(tile: int, height: int, width: int, channels: int, outputs: int) -> float:
    """Estimated work for an image, in products of 16 lanes."""
    tiles, places = -(-height // tile) * -(-width // tile), (tile + 2) ** 2
    there, back = TRANSFORMS[tile]
    products = places * channels * outputs / 16
    return tiles * (products + (there * channels + back * outputs) / 16) + products * 4 * 16 / WEIGHT_BYTES


def _error(w: np.ndarray, tile: int) -> float:
    """The largest error in 32-bit floats as a part of the largest result of its channel, for a few tiles of what
    activations are like: normally distributed, negative ones zero."""
    t, n = transforms(tile), tile + 2
    x = np.maximum(np.random.default_rng(0).standard_normal((4, n, n, w.shape[2])), 0).astype(np.float32)
    exact = Conv().eval(x.astype(np.float64), w.astype(np.float64), strides=(1, 1), dilations=(1, 1), before=(0, 0),
                        after=(0, 0), groups=1)
    there, kernel, back = (matrix.astype(np.float32) for matrix in (t.input, t.kernel, t.output))
    u = spread(kernel, w).reshape(n, n, *w.shape[2:])
    v = np.einsum("ia,jb,tabc->ijtc", there, there, x, optimize=True)
    y = np.einsum("ai,bj,ijtm->tabm", back, back, v @ u, optimize=True)
    largest = np.abs(exact).max((0, 1, 2))
    errors = np.abs(y - exact).max((0, 1, 2)) / np.where(largest > 0, largest, 1)
    return float(errors.max()) if np.isfinite(errors).all() else np.inf
