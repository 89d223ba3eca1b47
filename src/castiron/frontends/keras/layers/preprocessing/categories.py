"""Numbers, integers and strings as categories: their indices, or vectors with an element for each category."""

from __future__ import annotations

from typing import Any

import numpy as np

from castiron.frontends import lookup
from castiron.frontends.keras.fields import is_integer
from castiron.frontends.keras.layers.base import LayerCall, layer
from castiron.frontends.keras.layers.operations.recorded import element
from castiron.frontends.keras.model import Layer
from castiron.frontends.lookup import looked_up
from castiron.frontends.text import Text, mapped
from castiron.ir import DType, Value, constant
from castiron.ops import F

#: The most entries that a vocabulary may have.
MAX_VOCABULARY = 2 ** 24
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def output_mode(described: Layer, default: str = "int") -> str:
    """The kind of result that a configuration asks for, by its newer name."""
    mode = described.fields.get("output_mode", default)
    return {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)


def _refused(described: Layer) -> str | None:
    if described.fields.get("sparse", False):
        return "sparse results"
    mode = output_mode(described)
    return None if mode in MODES else f"output_mode {mode!r}"


def encoded(call: LayerCall, indices: Value, mode: str, depth: int, dtype: DType,
            weights: Value | None = None) -> Value:
    """Indices as the mode wants them: as they are, as a vector for each (one_hot), or as one vector for each row,
    of what occurs in it (multi_hot) or how often (count). Indices that are no category count for nothing."""
    if mode == "int":
        return indices if indices.type.dtype == dtype else call.label("Cast", "Cast", F.cast(indices, dtype=dtype))
    if not indices.type.rank:
        indices = F.reshape(indices, shape=(1,))
    if mode == "one_hot":
        if indices.type.rank > 1 and indices.type.shape[-1] == 1:
            indices = F.reshape(indices, shape=indices.type.shape[:-1])
        return call.label("one_hot", "OneHot", F.one_hot(indices, depth=depth, axis=-1, dtype=dtype))
    axis = 1 if indices.type.rank > 1 else 0
    to = weights.type.dtype if weights is not None else dtype
    hot = F.one_hot(indices, depth=depth, axis=-1, dtype=to)
    if mode == "multi_hot":
        return call.label("multi_hot", "Max", F.reduce_max(hot, axes=(axis,)))
    if weights is not None:
        hot = F.mul(hot, F.reshape(weights, shape=(*weights.type.shape, 1)))
    total = F.reduce_sum(hot, axes=(axis,))
    return call.label("bincount", "DenseBincount", total if to == dtype else F.cast(total, dtype=dtype))


def _result_type(call: LayerCall, default: str) -> DType:
    return element(call.fields.policy() if call.fields.get("dtype", None) is not None else default)


def as_integers(x: Value) -> Value:
    """Indices as integers."""
    return x if x.type.dtype.is_integer else F.cast(x, dtype=DType.I64)


@layer("CategoryEncoding", refused=_refused, arguments=("inputs", "count_weights"))
def category_encoding(call: LayerCall) -> Value:
    mode, weights = output_mode(call.layer, "multi_hot"), call.argument("count_weights")
    depth = call.fields.integer("num_tokens", call.fields.get("max_tokens", None))
    dtype = _result_type(call, "float32")
    if isinstance(weights, Value):
        weights = F.cast(weights, dtype=dtype) if weights.type.dtype != dtype else weights
    return encoded(call, as_integers(call.x), mode, depth, dtype, weights if isinstance(weights, Value) else None)


@layer("Discretization", refused=_refused)
def discretization(call: LayerCall) -> Value:
    """The number of bounds that aren't above each number."""
    bounds = call.fields.get("bin_boundaries", None)
    try:
        bounds = np.asarray(bounds, np.float32).reshape(-1)
    except (TypeError, ValueError):
        raise call.fields.error("bin_boundaries", bounds, "numbers: call adapt before saving the model") from None
    mode = output_mode(call.layer)
    places = F.searchsorted(bounds, call.number if call.number.type.dtype == DType.F32
                            else F.cast(call.x, dtype=DType.F32), side="right")
    places = call.label("Bucketize", "Bucketize", places)
    dtype = (DType.I64 if call.keras2 else DType.I32) if mode == "int" else _result_type(call, "float32")
    return encoded(call, places, mode, len(bounds) + 1, dtype)


def _refused_hashing(described: Layer) -> str | None:
    mask = described.fields.get("mask_value", None)
    return f"mask_value {mask!r}" if isinstance(mask, str) else _refused(described)


@layer("Hashing", refused=_refused_hashing)
def hashing(call: LayerCall) -> Value:
    """TensorFlow's hash of the decimal text of each integer; with ``mask_value``, bin 0 is for that one."""
    fields, x, mode = call.fields, as_integers(call.x), output_mode(call.layer)
    bins, mask = fields.size("num_bins"), fields.get("mask_value", None)
    if mode == "one_hot" and x.type.rank and x.type.shape[-1] == 1:
        x = F.reshape(x, shape=x.type.shape[:-1])
    masked = mask is not None and bins > 1
    salt = _salt(call)
    y = F.hash_bucket(x, buckets=bins - masked, **salt)
    if masked:
        y = F.select(F.equal(x, int(fields.number("mask_value"))), 0, F.add(y, 1))
    return encoded(call, call.label("hash", "StringToHashBucketFast", y), mode, bins, _result_type(call, "int64"))


def _salt(call: LayerCall) -> dict[str, Any]:
    """How to hash: by FarmHash, or with a salt by SipHash."""
    if call.fields.get("salt", None) is None:
        return {}
    salt = call.fields.integers("salt")
    salt = salt * 2 if len(salt) == 1 else salt
    if len(salt) != 2:
        raise call.fields.error("salt", salt, "one integer or two")
    return {"strategy": "siphash", "salt": salt}


@layer("IntegerLookup", refused=_refused)
def integer_lookup(call: LayerCall) -> Value:
    """The place of each integer in a vocabulary; what isn't in it goes to the first places, what is masked to 0."""
    tokens, start, whole = _listed(call, _integers(call), -1)
    mask, unknown, first = _special(call)
    mask = None if mask is None else int(mask)
    x = F.cast(call.x, dtype=DType.I64) if call.x.type.dtype != DType.I64 else call.x
    if call.fields.flag("invert", False):
        y = looked_up(x, np.arange(len(tokens)) + start, tokens, np.int64(call.fields.integer("oov_token", -1)))
        y = y if mask is None else F.select(F.equal(x, 0), mask, y)
        return call.label("lookup", "LookupTableFindV2", y)
    y = looked_up(x, tokens, np.arange(len(tokens)) + start, _unknown(call, x, unknown, first))
    if mask is not None:
        y = F.select(F.equal(x, mask), 0 if first else -1, y)
    return _indexed(call, y, len(tokens), start, whole)


def _refused_strings(described: Layer) -> str | None:
    hashed = described.fields.get("num_oov_indices", 1)
    return "unknown strings that are hashed" if is_integer(hashed) and hashed > 1 else _refused(described)


@layer("StringLookup", refused=_refused_strings)
def string_lookup(call: LayerCall) -> Value:
    """As IntegerLookup, of strings, or with ``invert`` the strings at places."""
    strings = _strings(call)
    tokens, start, whole = _listed(call, strings, "[UNK]")
    mask, unknown, first = _special(call)
    oov = call.fields.text("oov_token", "[UNK]")
    places = np.arange(len(tokens)) + start
    if call.fields.flag("invert", False):
        keys, words = (places, tokens) if mask is None else (np.append(places, 0), [*tokens, mask])
        found = lookup.encoded(as_integers(call.x), keys, np.array(words, object), oov)
        call.context.texts[found.ids] = found.words
        return call.label("lookup", "LookupTableFindV2", found.ids)
    if call.x not in call.context.texts:
        raise call.error("expects strings: its input must be one, or come from one")
    keys = [*tokens, mask] if mask is not None else tokens
    values = np.append(places, 0 if first else -1) if mask is not None else places
    text = Text(call.x, call.context.texts[call.x])
    return _indexed(call, mapped(text, keys, values, first if unknown else -1), len(tokens), start, whole)


def _special(call: LayerCall) -> tuple[Any, int, int]:
    """What is masked, how many places there are for what isn't in the vocabulary, and the first of these."""
    unknown, mask = call.fields.integer("num_oov_indices", 1), call.fields.get("mask_token", None)
    if not 0 <= unknown <= MAX_VOCABULARY:
        raise call.fields.error("num_oov_indices", unknown, f"0 to {MAX_VOCABULARY}")
    return mask, unknown, int(mask is not None and output_mode(call.layer) == "int")


def _listed(call: LayerCall, tokens: np.ndarray, oov: Any) -> tuple[np.ndarray, int, bool]:
    """A vocabulary without the tokens that stand for what is masked and what isn't in it, how many these are, and
    whether it lists them."""
    mask, unknown, first = _special(call)
    special = [mask] * first + [call.fields.get("oov_token", oov)] * unknown
    start = len(special)
    whole = tokens[:start].tolist() == special
    return tokens[start:] if whole else tokens, start, whole


def _indexed(call: LayerCall, y: Value, tokens: int, start: int, whole: bool) -> Value:
    """Places in a vocabulary as the layer's output mode wants them; ``whole`` if weights are listed for all."""
    fields, mode = call.fields, output_mode(call.layer)
    y = call.label("lookup", "LookupTableFindV2", y)
    depth = fields.get("max_tokens", None) if fields.flag("pad_to_max_tokens", False) else start + tokens
    if not is_integer(depth):
        raise fields.error("max_tokens", depth, "an integer")
    if mode == "tf_idf":
        return _weighted(call, encoded(call, y, "count", depth, DType.F32), depth, 0 if whole else start)
    return encoded(call, y, mode, depth, DType.I64 if mode == "int" or not call.keras2 else DType.F32)


def _unknown(call: LayerCall, x: Value, places: int, first: int) -> Value | np.int64:
    """Where integers go that aren't in the vocabulary; without a place for them Keras fails, and this gives -1."""
    if places < 2:
        return np.int64(first if places else -1)
    if call.fields.get("oov_method", "floormod") == "floormod":
        return F.add(F.floormod(x, places), first)
    return F.add(F.hash_bucket(x, buckets=places, **_salt(call)), first)


def _integers(call: LayerCall) -> np.ndarray:
    listed = _vocabulary(call)
    try:
        return np.array([int(token) for token in listed], np.int64)
    except (TypeError, ValueError, OverflowError):
        raise call.fields.error("vocabulary", listed, "integers") from None


def _strings(call: LayerCall) -> np.ndarray:
    listed = _vocabulary(call)
    if not all(isinstance(token, str) for token in listed):
        raise call.fields.error("vocabulary", listed, "strings")
    return np.array(listed, object)


def _vocabulary(call: LayerCall) -> list[Any]:
    """What the configuration lists, or the asset that Keras saved beside it, a token a line."""
    listed = call.fields.get("vocabulary", None)
    if listed is None and (asset := call.context.asset(call.layer, "vocabulary.txt")) is not None:
        listed = asset.rstrip("\n").split("\n")
    if not isinstance(listed, list):
        raise call.fields.error("vocabulary", listed, "a list: call adapt or set_vocabulary before saving the model, "
                                "and save it as .keras")
    if not 0 < len(listed) <= MAX_VOCABULARY:
        raise call.error(f"has a vocabulary of {len(listed)} entries, expected 1 to {MAX_VOCABULARY}")
    return listed


def _weighted(call: LayerCall, counts: Value, depth: int, start: int) -> Value:
    """Counts times the weights of the configuration; the first places, if it has none for them, weigh the mean."""
    weights = call.fields.get("idf_weights", None)
    try:
        weights = np.asarray(weights, np.float32)
    except (TypeError, ValueError):
        weights = np.zeros(0, np.float32)
    if weights.ndim != 1 or not 0 < len(weights) <= depth <= MAX_VOCABULARY:
        raise call.error("has no idf_weights in its configuration: set its vocabulary with weights, rather than adapt")
    weights = np.pad(weights, (start, 0), constant_values=weights.mean())
    return call.label("mul", "Mul", F.mul(counts, np.pad(weights, (0, max(depth - len(weights), 0)))[:depth]))


@layer("TextVectorization", refused=lambda _: "text that is taken apart: castiron knows whole strings only")
def text_vectorization(call: LayerCall) -> Value:
    raise call.error("can't be compiled")


def _refused_crossing(described: Layer) -> str | None:
    mode = output_mode(described)
    return _refused(described) if mode in ("int", "one_hot") else f"output_mode {mode!r}"


@layer("HashedCrossing", refused=_refused_crossing)
def hashed_crossing(call: LayerCall) -> Value:
    """A bin for each combination of integers: the fingerprints of TensorFlow's ``SparseCross``, joined from its
    default key on."""
    if len(call.inputs) < 2 or not all(x.type.dtype.is_integer and x.type.rank <= 2 for x in call.inputs):
        raise call.error("expects two or more tensors of integers, [], [batch] or [batch, 1]")
    mode, bins = output_mode(call.layer), call.fields.size("num_bins")
    joined = constant(np.uint64(CROSSING_KEY))
    for x in call.inputs:
        joined = _joined(joined, F.cast(F.cast(x, dtype=DType.I64), dtype=DType.U64))
    y = F.cast(F.floormod(joined, np.uint64(bins)), dtype=DType.I64)
    return encoded(call, call.label("SparseCross", "SparseCross", y), mode, bins,
                   _result_type(call, "int64" if mode == "int" else "float32"))


#: The fingerprint that crosses begin with, and the factor of their hash.
CROSSING_KEY, CROSSING_FACTOR = 0xDECAFCAFFE, np.uint64(0xC6A4A7935BD1E995)


def _joined(first: Value, second: Value) -> Value:
    """The fingerprint of two: TensorFlow's ``FingerprintCat64``, modulo 2⁶⁴."""
    def mixed(x: Value) -> Value:
        return F.bitwise_xor(x, F.right_shift(x, np.uint64(47)))
    both = F.bitwise_xor(F.bitwise_xor(first, CROSSING_FACTOR),
                         F.mul(mixed(F.mul(second, CROSSING_FACTOR)), CROSSING_FACTOR))
    return mixed(F.mul(mixed(F.mul(both, CROSSING_FACTOR)), CROSSING_FACTOR))
