"""Layers that only move elements. The batch stays the first dimension."""

from __future__ import annotations

from castiron.frontends.keras.layers.base import LayerCall, layer
from castiron.ir import Value, product
from castiron.ops import F
from castiron.ops.shape import Reshape


@layer("Reshape")
def reshape(call: LayerCall) -> Value:
    batch, *dims = call.x.type.shape
    shape = (batch, *Reshape.resolve(tuple(dims), call.fields.integers("target_shape")))
    return call.label("Reshape", "Reshape", F.reshape(call.x, shape=shape))


@layer("Flatten")
def flatten(call: LayerCall) -> Value:
    x, rank = call.x, call.x.type.rank
    if call.fields.get("data_format", None) == "channels_first" and rank > 2:
        x = call.label("transpose", "Transpose", F.transpose(x, perm=(0, *range(2, rank), 1)))
    return call.label("Reshape", "Reshape", F.reshape(x, shape=(x.type.shape[0], product(x.type.shape[1:]))))


@layer("Permute")
def permute(call: LayerCall) -> Value:
    return call.label("transpose", "Transpose", F.transpose(call.x, perm=(0, *call.fields.integers("dims"))))


@layer("RepeatVector")
def repeat_vector(call: LayerCall) -> Value:
    """[batch, n] as [batch, times, n]"""
    x = call.x
    if x.type.rank != 2:
        raise call.error(f"expects a matrix, got {x.type!r}")
    batch, size = x.type.shape
    wide = F.tile(F.reshape(x, shape=(batch, 1, size)), multiples=(1, call.fields.size("n"), 1))
    return call.label("Tile", "Tile", wide)
