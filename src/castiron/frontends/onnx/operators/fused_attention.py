"""Attention as onnxruntime's own operators have it: with the projections before it, masks of several kinds, and keys
and values of earlier steps."""

from __future__ import annotations

import math

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.attention import heads_of, rotary_embedding
from castiron.frontends.onnx.operators.quantize import centred
from castiron.frontends.onnx.operators.shape import part, parts
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Dim, DType, Value, constant, exact_div, maximum
from castiron.ops import F, apply

#: Added to the scores of keys that come later, whatever else is added.
LOWEST = np.finfo(np.float32).min


@converts("com.microsoft.Attention")
def attention(node: SourceNode, x: Value, w: Value, bias: Value | None = None, mask: Value | None = None,
              past: Value | None = None, more: Value | None = None,
              past_length: Value | None = None) -> tuple[Value, ...]:
    """Of queries, keys and values that are projections of x [batch, steps, size] side by side."""
    _refuse(node, "past_present_share_buffer", "do_rotary")
    projected = F.matmul(x, w)
    return _projected(node, projected if bias is None else F.add(projected, bias), mask, past, more)


@converts("com.microsoft.QAttention")
def quantized_attention(node: SourceNode, x: Value, w: Value, bias: Value, x_scale: Value, w_scale: Value,
                        mask: Value | None = None, x_zero: Value | None = None, w_zero: Value | None = None,
                        past: Value | None = None) -> tuple[Value, ...]:
    """The same with the projections of integers."""
    _refuse(node, "past_present_share_buffer", "do_rotary")
    total = F.cast(F.matmul(centred(x, x_zero, -2), centred(w, w_zero, -1)), dtype=DType.F32)
    return _projected(node, F.add(F.mul(total, F.mul(x_scale, w_scale)), bias), mask, past, None)


def _refuse(node: SourceNode, *flags: str) -> None:
    if found := [name for name in flags if node.flag(name)]:
        raise ModelError(f"{node.op} with {found[0]} is not supported")


def _projected(node: SourceNode, projected: Value, mask: Value | None, past: Value | None,
               more: Value | None) -> tuple[Value | None, ...]:
    heads, width = node.integer("num_heads", 0), projected.type.shape[-1]
    sizes = node.integers("qkv_hidden_sizes") or (exact_div(width, 3),) * 3
    q, k, v = (heads_of(x, heads) for x in parts(projected, 2, sizes))
    before: Dim = 0
    if past is not None:
        before = past.type.shape[3]
        k, v = (F.concat(F.gather(past, constant(np.int64(i)), axis=0), x, axis=2) for i, x in enumerate((k, v)))
    bias = _bias(node, mask, q.type.shape[0], k.type.shape[2], more)
    y, _ = _attended(node, q, k, v, bias, before)
    return y, F.stack(k, v, axis=0) if node.wants(1) else None


@converts("com.microsoft.MultiHeadAttention")
def multi_head_attention(node: SourceNode, q: Value, k: Value | None = None, v: Value | None = None,
                         bias: Value | None = None, mask: Value | None = None, more: Value | None = None,
                         past_k: Value | None = None, past_v: Value | None = None,
                         past_length: Value | None = None, beams: Value | None = None) -> tuple[Value, ...]:
    """Of queries, keys and values [batch, steps, size], to which biases are added first, or [batch, heads,
    steps, size]."""
    if past_length is not None or beams is not None:
        raise ModelError(f"{node.op} with a buffer for all steps is not supported")
    heads = node.integer("num_heads", 0)
    if k is None or v is None or k.type.rank == 5:
        raise ModelError(f"{node.op} of queries, keys and values in one is not supported")
    if bias is not None:
        sizes = [x.type.shape[2] if x.type.rank == 3 else x.type.shape[1] * x.type.shape[3] for x in (q, k, v)]
        q, k, v = (x if x.type.rank == 4 else F.add(x, b) for x, b in zip((q, k, v), parts(bias, 0, sizes),
                                                                         strict=True))
    q, k, v = (x if x.type.rank == 4 else heads_of(x, heads) for x in (q, k, v))
    before: Dim = 0
    if past_k is not None and past_v is not None:
        before = past_k.type.shape[2]
        k, v = F.concat(past_k, k, axis=2), F.concat(past_v, v, axis=2)
    y, weights = _attended(node, q, k, v, _bias(node, mask, q.type.shape[0], k.type.shape[2], more), before)
    return y, k, v, weights


def _bias(node: SourceNode, mask: Value | None, batch: Dim, keys: Dim, more: Value | None) -> Value | None:
    """What is added to the scores [batch, heads, queries, keys]. A mask has a number above 0 for each key that is
    seen; or it has the number of keys for each item, or where they end and then where they begin."""
    if mask is None:
        return more
    filler = constant(np.float32(node.number("mask_filter_value", -10000.0)))
    if mask.type.rank == 1:
        place = F.reshape(count_up(keys, DType.I64), shape=(1, keys))
        if mask.type.shape[0] not in (batch, 2 * batch):
            raise ModelError(f"the mask {mask.type!r} of {batch} items is not supported")
        ends, *starts = (F.reshape(F.cast(part(mask, 0, i * batch, batch), dtype=DType.I64), shape=(batch, 1))
                         for i in range(1 if mask.type.shape[0] == batch else 2))
        seen = F.less(place, ends)
        seen = apply("and", seen, F.greater_equal(place, starts[0])) if starts else seen
    elif mask.type.rank in (2, 3):
        seen = F.greater(mask, 0)
    else:
        raise ModelError(f"the mask {mask.type!r} is not supported")
    inner = (1,) if seen.type.rank == 2 else ()
    bias = F.reshape(F.select(seen, 0.0, filler), shape=(seen.type.shape[0], 1, *inner, *seen.type.shape[1:]))
    return bias if more is None else F.add(bias, more)


def _attended(node: SourceNode, q: Value, k: Value, v: Value, bias: Value | None,
              before: Dim) -> tuple[Value, Value]:
    """softmax(q·kᵀ·scale + bias)·v with the heads side by side, and the softmax."""
    queries, size = q.type.shape[2:]
    scores = F.matmul(F.mul(q, node.number("scale", 0.0) or 1 / math.sqrt(size)), k, transpose_b=True)
    scores = scores if bias is None else F.add(scores, bias)
    if node.flag("unidirectional"):
        ahead = F.sub(F.reshape(count_up(k.type.shape[2], DType.I64), shape=(1, k.type.shape[2])),
                      F.reshape(count_up(queries, DType.I64), shape=(queries, 1)))
        later = F.greater(ahead, dim_value(before, DType.I64))
        scores = F.add(scores, F.select(later, constant(LOWEST), 0.0))
    weights = F.softmax(scores, axis=-1)
    return _side_by_side(F.matmul(weights, v)), weights


def _side_by_side(y: Value) -> Value:
    """[batch, heads, steps, size] as [batch, steps, heads · size]."""
    batch, heads, steps, size = y.type.shape
    return F.reshape(F.transpose(y, perm=(0, 2, 1, 3)), shape=(batch, steps, heads * size))


@converts("com.microsoft.RotaryEmbedding")
def rotary_embedding_at(node: SourceNode, x: Value, places: Value, cosine: Value, sine: Value) -> Value:
    """As ONNX's, with one place for each step, or that of the first step."""
    if node.flag("is_packed_batching"):
        raise ModelError(f"{node.op} of texts of several lengths in one is not supported")
    batch, steps = x.type.shape[0], x.type.shape[1 if x.type.rank == 3 else 2]
    if places.type.rank == 1:
        places = F.add(F.reshape(places, shape=(1, 1)), F.reshape(count_up(steps, DType.I64), shape=(1, steps)))
    places = F.broadcast_to(places, shape=(batch, steps))
    if x.type.rank == 4:
        return rotary_embedding(node, x, cosine, sine, places)
    heads = node.integer("num_heads", 0) or exact_div(x.type.shape[2], 2 * cosine.type.shape[1])
    return _side_by_side(rotary_embedding(node, heads_of(x, heads), cosine, sine, places))


@converts("com.microsoft.GroupQueryAttention")
def group_query_attention(node: SourceNode, q: Value, k: Value | None, v: Value | None, past_k: Value | None,
                          past_v: Value | None, lengths: Value, total: Value, cosine: Value | None = None,
                          sine: Value | None = None, places: Value | None = None, more: Value | None = None,
                          sink: Value | None = None) -> tuple[Value, ...]:
    """Several heads of queries [batch, steps, size] for each of keys and values, which stand behind those of earlier
    steps: for item b, ``lengths[b]`` + 1 keys in all, this call's last."""
    _refuse(node, "sliding_window_cache", "qk_output")
    heads, kv_heads = node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if k is None or v is None:
        size = exact_div(q.type.shape[2], heads + 2 * kv_heads)
        q, k, v = parts(q, 2, [n * size for n in (heads, kv_heads, kv_heads)])
    q, k, v = heads_of(q, heads), heads_of(k, kv_heads), heads_of(v, kv_heads)
    batch, _, steps, size = q.type.shape
    ends = F.reshape(F.add(F.cast(lengths, dtype=DType.I64), 1), shape=(batch, 1))
    starts = F.maximum(F.sub(ends, dim_value(steps, DType.I64)), 0)
    at = F.add(starts, F.reshape(count_up(steps, DType.I64), shape=(1, steps)))  # [batch, steps]
    if node.flag("do_rotary"):
        if cosine is None or sine is None:
            raise ModelError(f"{node.op} turns by angles that it doesn't have")
        turn = node.renamed(interleaved="rotary_interleaved")
        q, k = (rotary_embedding(turn, x, cosine, sine, at if places is None else places) for x in (q, k))
    if past_k is not None and past_v is not None and past_k.type.shape[2] != 0:
        keys = maximum(past_k.type.shape[2], node.dims(total, "the total number of steps")[0])
        k, v = (_written(past, keys, x, at) for past, x in ((past_k, k), (past_v, v)))
    present, keys = (k, v), k.type.shape[2]
    repeats = constant(np.arange(heads) // exact_div(heads, kv_heads))
    k, v = (F.gather(x, repeats, axis=1) for x in (k, v))
    scores = F.matmul(F.mul(q, node.number("scale", 0.0) or 1 / math.sqrt(size)), k, transpose_b=True)
    if softcap := node.number("softcap", 0.0):
        scores = F.mul(F.tanh(F.div(scores, softcap)), softcap)
    place, own = F.reshape(count_up(keys, DType.I64), shape=(1, 1, keys)), F.reshape(at, shape=(batch, steps, 1))
    causal = node.flag("causal", True)
    seen = F.less_equal(place, own) if causal else F.less(place, F.reshape(ends, shape=(batch, 1, 1)))
    if (window := node.integer("local_window_size", -1)) > 0:
        seen = apply("and", seen, F.greater(place, F.sub(own, window)))
    if more is not None:
        short = keys - more.type.shape[3]
        more = more if short == 0 else F.pad(more, constant(np.float32(0)), before=(0,) * 4, after=(0, 0, 0, short))
        scores = F.add(scores, more)
    scores = F.select(F.reshape(seen, shape=(batch, 1, *seen.type.shape[1:])), scores, constant(LOWEST))
    if sink is not None or node.integer("smooth_softmax", 0) > 0:
        weights = _with_sink(scores, sink)
    else:
        weights = F.softmax(scores, axis=-1)
    return _side_by_side(F.matmul(weights, v)), *present


def _written(past: Value, size: Dim, x: Value, at: Value) -> Value:
    """The past [batch, heads, …, width] with ``size`` steps, of which those ``at`` [batch, steps] are x's."""
    batch, steps = at.type.shape
    zero = constant(np.zeros((), past.type.dtype.numpy))
    cache = F.pad(past, zero, before=(0,) * 4, after=(0, 0, size - past.type.shape[2], 0))
    items = F.broadcast_to(F.reshape(count_up(batch, DType.I64), shape=(batch, 1)), shape=(batch, steps))
    filled = F.scatter(F.transpose(cache, perm=(0, 2, 1, 3)), F.stack(items, at, axis=-1),
                       F.transpose(x, perm=(0, 2, 1, 3)))
    return F.transpose(filled, perm=(0, 2, 1, 3))


def _with_sink(scores: Value, sink: Value | None) -> Value:
    """Softmax with a further score for each head, by default 0, whose share goes nowhere."""
    shape = (*scores.type.shape[:-1], 1)
    extra = constant(np.zeros((1, 1, 1, 1), np.float32)) if sink is None else F.reshape(
        sink, shape=(1, sink.type.shape[0], 1, 1))
    weights = F.softmax(F.concat(scores, F.broadcast_to(extra, shape=shape), axis=-1), axis=-1)
    return part(weights, 3, 0, scores.type.shape[-1])
