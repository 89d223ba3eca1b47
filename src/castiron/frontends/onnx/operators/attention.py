"""Attention and the embedding of positions."""

from __future__ import annotations

import math

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import count_up, dim_value
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import part, parts
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Dim, DType, Value, constant, exact_div
from castiron.ops import F
from castiron.ops.loop import loop

_NOTHING = float("-inf")


@converts("Attention")
def attention(node: SourceNode, q: Value, k: Value, v: Value, mask: Value | None = None, past_k: Value | None = None,
              past_v: Value | None = None, lengths: Value | None = None) -> tuple[Value, ...]:
    """softmax(q·kᵀ·scale + bias)·v over heads, [batch, heads, steps, size] or the heads side by side (Vaswani et al.,
    2017, https://arxiv.org/abs/1706.03762). The bias is -∞ where a query doesn't see a key; one that sees none gives
    zeros. ``lengths`` are how many keys of each item there are."""
    flat = q.type.rank == 3
    if flat:
        heads, kv_heads = node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0)
        if heads < 1 or kv_heads < 1:
            raise ModelError("Attention of rank 3 without numbers of heads")
        q, k, v = heads_of(q, heads), heads_of(k, kv_heads), heads_of(v, kv_heads)
    before: Dim | Value = 0
    if past_k is not None and past_v is not None:
        before = past_k.type.shape[2]
        k, v = F.concat(past_k, k, axis=2), F.concat(past_v, v, axis=2)
    present = k, v
    batch, heads, queries, size = q.type.shape
    keys = k.type.shape[2]
    k, v = for_heads(k, heads), for_heads(v, heads)
    scale = math.sqrt(node.number("scale", 0.0) or 1 / math.sqrt(size))
    scores = F.matmul(F.mul(q, scale), F.mul(k, scale), transpose_b=True)
    captured = {0: scores}
    if softcap := node.number("softcap", 0.0):
        scores = F.mul(F.tanh(F.div(scores, softcap)), softcap)
    captured[1] = scores
    if lengths is not None and past_k is None:
        before = F.reshape(F.sub(F.cast(lengths, dtype=DType.I64), dim_value(queries, DType.I64)),
                           shape=(batch, 1, 1, 1))
    bias = _bias(node, mask, before, queries, keys)
    if lengths is not None:
        seen = F.less(count_up(keys, DType.I64), F.reshape(F.cast(lengths, dtype=DType.I64), shape=(batch, 1, 1, 1)))
        bias = _and(bias, F.select(seen, 0.0, constant(np.float32(_NOTHING))))
    biased = scores if bias is None else F.add(scores, bias)
    captured[2] = biased
    if bias is None:
        weights = F.softmax(biased, axis=-1)
    else:
        none = F.equal(F.reduce_max(bias, axes=(-1,), keepdims=True), _NOTHING)
        weights = F.select(none, 0.0, F.softmax(F.select(none, 0.0, biased), axis=-1))
    captured[3] = weights
    y = F.matmul(weights, v)
    if flat:
        y = F.reshape(F.transpose(y, perm=(0, 2, 1, 3)), shape=(batch, queries, heads * v.type.shape[-1]))
    return (y, *present, captured[node.integer("qk_matmul_output_mode", 0)])


def heads_of(x: Value, heads: int) -> Value:
    """[batch, steps, heads · size] as [batch, heads, steps, size]."""
    batch, steps, width = x.type.shape
    return F.transpose(F.reshape(x, shape=(batch, steps, heads, exact_div(width, heads))), perm=(0, 2, 1, 3))


def _and(bias: Value | None, more: Value) -> Value:
    return more if bias is None else F.add(bias, more)


def for_heads(x: Value, heads: Dim) -> Value:
    """Keys or values [batch, heads, …], each head as often as queries of so many heads share one."""
    own = x.type.shape[1]
    return x if own == heads else F.gather(x, constant(np.arange(heads) // exact_div(heads, own)), axis=1)


def _bias(node: SourceNode, mask: Value | None, before: Dim | Value, queries: Dim, keys: Dim) -> Value | None:
    """What the mask, causality and the width of the window add to the scores; None if nothing. Query i stands at the
    place ``before`` + i."""
    bias = None
    if mask is not None:
        bias = F.select(mask, 0.0, constant(np.float32(_NOTHING))) if mask.type.dtype == DType.BOOL else mask
        short = keys - mask.type.shape[-1]
        if short != 0:
            front = (0,) * mask.type.rank
            bias = F.pad(bias, constant(np.float32(_NOTHING)), before=front, after=(*front[1:], short))
    ahead = F.sub(F.reshape(count_up(keys, DType.I64), shape=(1, keys)),
                  F.reshape(count_up(queries, DType.I64), shape=(queries, 1)))
    ahead = F.sub(ahead, before if isinstance(before, Value) else dim_value(before, DType.I64))
    left, right = node.integer("left_window_size", -1), node.integer("right_window_size", -1)
    right = 0 if node.flag("is_causal") else right
    for seen in ([F.less_equal(ahead, right)] if right >= 0 else []) + (
            [F.greater_equal(ahead, -left)] if left >= 0 else []):
        bias = _and(bias, F.select(seen, 0.0, constant(np.float32(_NOTHING))))
    return bias


@converts("RotaryEmbedding")
def rotary_embedding(node: SourceNode, x: Value, cosine: Value, sine: Value, places: Value | None = None) -> Value:
    """Pairs of x's elements turned by angles that grow with the place (Su et al., 2021,
    https://arxiv.org/abs/2104.09864)."""
    given = x.type.shape
    if x.type.rank == 4:
        x = F.transpose(x, perm=(0, 2, 1, 3))
    else:
        heads = node.integer("num_heads", 0)
        if heads < 1:
            raise ModelError("RotaryEmbedding of rank 3 without a number of heads")
        x = F.reshape(x, shape=(*given[:2], heads, exact_div(given[2], heads)))
    size = x.type.shape[-1]
    turned = node.integer("rotary_embedding_dim", 0) or size
    if not isinstance(size, int) or turned > size or turned % 2:
        raise ModelError(f"turns {turned} of {size} elements")
    rest = part(x, 3, turned, size - turned)
    x = part(x, 3, 0, turned)
    if places is not None:
        cosine, sine = (F.gather(v, places, axis=0) for v in (cosine, sine))
    cosine, sine = (F.reshape(v, shape=(*v.type.shape[:-1], 1, v.type.shape[-1])) for v in (cosine, sine))
    interleaved, half = node.flag("interleaved"), turned // 2
    if interleaved:
        first, second = (part(x, 3, start, half, 2) for start in (0, 1))
    else:
        first, second = parts(x, 3, [half, half])
    real = F.sub(F.mul(cosine, first), F.mul(sine, second))
    imaginary = F.add(F.mul(sine, first), F.mul(cosine, second))
    y = F.reshape(F.stack(real, imaginary, axis=-1), shape=x.type.shape) if interleaved else (
        F.concat(real, imaginary, axis=-1))
    y = F.concat(y, rest, axis=-1) if turned < size else y
    return F.transpose(y, perm=(0, 2, 1, 3)) if len(given) == 4 else F.reshape(y, shape=given)


@converts("LinearAttention")
def linear_attention(node: SourceNode, q: Value, k: Value, v: Value, past: Value | None = None,
                     decay: Value | None = None, beta: Value | None = None) -> tuple[Value, Value]:
    """A state of outer products of keys and values, which decays and is corrected as the rule says, read by the
    queries (Yang et al., 2024, https://arxiv.org/abs/2412.06464)."""
    heads, kv_heads = node.integer("q_num_heads", 0), node.integer("kv_num_heads", 0)
    rule = node.text("update_rule", "gated_delta")
    if heads < 1 or kv_heads < 1 or heads % kv_heads or rule not in ("linear", "gated", "delta", "gated_delta"):
        raise ModelError(f"LinearAttention by the rule {rule!r} with {heads} heads over {kv_heads}")
    if ("gated" in rule) != (decay is not None) or ("delta" in rule) != (beta is not None):
        raise ModelError(f"the rule {rule!r} doesn't go with the operands that LinearAttention has")
    batch, steps, _ = q.type.shape
    q, k, v = ([F.reshape(x, shape=(batch, steps, n, exact_div(x.type.shape[-1], n)))
                for x, n in ((q, heads), (k, kv_heads), (v, kv_heads))])
    size, width = k.type.shape[-1], v.type.shape[-1]
    if decay is not None:
        decay = F.exp(F.reshape(decay, shape=(batch, steps, kv_heads, exact_div(decay.type.shape[-1], kv_heads), 1)))
    if beta is not None:
        beta = F.reshape(beta, shape=(*beta.type.shape, 1))
    zero = constant(np.zeros((), q.type.dtype.numpy))
    state = F.broadcast_to(zero, shape=(batch, kv_heads, size, width)) if past is None else past
    out = F.broadcast_to(zero, shape=(batch, steps, heads, width))
    scale = node.number("scale", 0.0) or 1 / math.sqrt(size)
    repeats = np.arange(heads) // (heads // kv_heads)

    def step(i: Value, carried: tuple[Value, ...]) -> tuple[Value, Value]:
        state, out = carried
        query, key, value = (F.gather(x, i, axis=1) for x in (q, k, v))
        if decay is not None:
            state = F.mul(state, F.gather(decay, i, axis=1))
        if beta is not None:
            known = F.matmul(F.reshape(key, shape=(batch, kv_heads, 1, size)), state)
            value = F.mul(F.gather(beta, i, axis=1),
                          F.sub(value, F.reshape(known, shape=(batch, kv_heads, width))))
        state = F.add(state, F.mul(F.reshape(key, shape=(batch, kv_heads, size, 1)),
                                   F.reshape(value, shape=(batch, kv_heads, 1, width))))
        read = state if heads == kv_heads else F.gather(state, constant(repeats), axis=1)
        y = F.reshape(F.matmul(F.reshape(query, shape=(batch, heads, 1, size)), read), shape=(batch, heads, width))
        return state, F.update(out, i, F.mul(y, scale), axis=1)

    state, out = loop(steps, (state, out), step)
    return F.reshape(out, shape=(batch, steps, heads * width)), state
