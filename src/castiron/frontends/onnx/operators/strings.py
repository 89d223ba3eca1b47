"""Operators of strings, as far as the words that these may be are known when the model is compiled."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends import text
from castiron.frontends.counting import count_up
from castiron.frontends.lookup import looked_up
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.shape import part, shape, size
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import UNKNOWN, Text, Vocabulary, constant_text, mapped, rewritten
from castiron.ir import Dim, DType, Value, constant, maximum, product
from castiron.ops import F

#: Two tensors of strings are joined if they have so many pairs of words at most.
PAIR_LIMIT = 1 << 20

#: All strings that are joined have so many characters at most.
TEXT_LIMIT = 1 << 24

#: TfIdfVectorizer has so many columns at most.
COLUMN_LIMIT = 1 << 24

converts("Shape", text=True)(lambda node, x: shape(node, x.ids))
converts("Size", text=True)(lambda node, x: size(node, x.ids))


@converts("Equal", text=True)
def equal(node: SourceNode, x: Text, y: Text) -> Value:
    return text.equal(x, y)


@converts("Cast", text=True)
def cast(node: SourceNode, x: Text) -> Value | Text:
    """The numbers that known words are."""
    if node.integer("to", 0) == 8:  # strings
        return x
    if x.words.open:
        raise ModelError("the numbers that strings are which are fed: feed numbers, and cut the graph behind the Cast "
                         "(--input)")
    dtype = node.dtype("to").numpy
    try:
        values = np.array([float(word) if dtype.kind == "f" else int(word) for word in x.words.words]).astype(dtype)
    except (ValueError, OverflowError):
        raise ModelError(f"not all of the strings are numbers of the type {dtype}") from None
    return mapped(x, x.words.words, values, 0)


@converts("StringConcat", compound=True)
def string_concat(node: SourceNode, x: Text, y: Text) -> Text:
    if x.words.open or y.words.open:
        raise ModelError("strings that are made of an input's are not supported")
    if len(x.words) * len(y.words) > PAIR_LIMIT:
        raise ModelError(f"{len(x.words)} words before {len(y.words)} others")
    lengths = [sum(map(len, v.words.words)) for v in (x, y)]
    if lengths[0] * len(y.words) + lengths[1] * len(x.words) > TEXT_LIMIT:
        raise ModelError(f"joined strings are more than {TEXT_LIMIT} characters in all")
    joined = [first + second for first in x.words.words for second in y.words.words]
    words = Vocabulary(dict.fromkeys(joined))
    numbers = np.array([words.id_of(word) for word in joined], np.int64)
    return Text(F.gather(constant(numbers), F.add(F.mul(x.ids, len(y.words)), y.ids), axis=0), words)


@converts("StringNormalizer", compound=True)
def string_normalizer(node: SourceNode, x: Text) -> Text:
    """Words in upper or lower case, without some of them where all are constants."""
    change = {"LOWER": str.lower, "UPPER": str.upper}.get(node.text("case_change_action", "NONE"))
    left_out = set(node.texts("stopwords", ()))
    if left_out:
        array = x.array
        if array is None:
            raise ModelError("how many words are left depends on what is fed")
        row = array.reshape(-1)
        if not node.flag("is_case_sensitive"):
            left_out = {word.lower() for word in left_out}
        kept = [word for word in row if (word if node.flag("is_case_sensitive") else word.lower()) not in left_out]
        x = constant_text(np.array(kept or [""], object).reshape((*(1,) * (array.ndim - 1), -1)))
    return rewritten(x, change) if change else x


@converts("StringSplit", compound=True)
def string_split(node: SourceNode, x: Text) -> tuple[Text, Value]:
    """The parts of constants, filled up with empty strings to the length of the longest, and how many there are."""
    array = x.array
    if array is None:
        raise ModelError("how many parts there are depends on what is fed")
    most = node.integer("maxsplit", -1)
    found = [word.split(node.text("delimiter", "") or None, most) for word in array.reshape(-1)]
    width = max(map(len, found), default=0)
    padded = np.array([row + [""] * (width - len(row)) for row in found], object).reshape((*array.shape, width))
    return constant_text(padded), constant(np.array([len(row) for row in found], np.int64).reshape(array.shape))


@converts("TfIdfVectorizer", compound=True)
def tf_idf_vectorizer(node: SourceNode, x: Value | Text) -> Value:
    """How often each known sequence of tokens, with gaps of equal lengths between them, is in a row [..., tokens]: the
    counts, or with weights, or the weights of those there are.

    Sequences are found token by token: what was found so far and the next token are looked up in a table.
    """
    pool = node.texts("pool_strings", ()) if "pool_strings" in node.attrs else node.integers("pool_int64s")
    tokens = {token: i for i, token in enumerate(dict.fromkeys(pool))}
    x = _tokens(x, tokens)
    columns, weights = node.integers("ngram_indexes"), node.numbers("weights")
    width = max(columns, default=-1) + 1
    if min(columns, default=0) < 0 or width > COLUMN_LIMIT:
        raise ModelError(f"sequences are counted in columns from {min(columns)} to {width - 1}; {COLUMN_LIMIT} are the "
                         "most")
    row = x.type.shape[:-1]
    counts = F.broadcast_to(constant(np.zeros((), np.float32)), shape=(*row, width))
    shortest, longest, gaps = (node.integer(name, default) for name, default in (
        ("min_gram_length", 1), ("max_gram_length", 1), ("max_skip_count", 0)))
    for length, grams, first in _grams(node.integers("ngram_counts"), [tokens[token] for token in pool]):
        if not (shortest <= length <= longest and grams):
            continue
        if first + len(grams) > len(columns):
            raise ModelError(f"{len(columns)} columns for more sequences of tokens")
        place = np.array([*columns[first:first + len(grams)], width], np.int64)
        for step in range(1, gaps + 2 if length > 1 else 2):
            found = _found(x, grams, step, len(tokens))
            if found is not None:
                column = F.gather(constant(place), F.select(F.less(found, 0), len(grams), found), axis=0)
                counts = F.add(counts, _counted(column, width))
    mode = node.text("mode", "TF")
    if mode == "TF" or not weights:
        return counts if mode != "IDF" else F.cast(F.greater(counts, 0.0), dtype=DType.F32)
    scale = np.zeros(width, np.float32)
    scale[np.array(columns, np.int64)] = weights[:len(columns)]
    return F.mul(counts if mode == "TFIDF" else F.cast(F.greater(counts, 0.0), dtype=DType.F32), constant(scale))


def _tokens(x: Value | Text, tokens: dict) -> Value:
    """The numbers of tokens, UNKNOWN for others."""
    numbers = np.arange(len(tokens), dtype=np.int64)
    if isinstance(x, Text):
        return mapped(x, tokens, numbers, UNKNOWN)
    return looked_up(F.cast(x, dtype=DType.I64), np.array(list(tokens), np.int64), numbers, np.int64(UNKNOWN))


def _grams(starts: tuple[int, ...], pool: list[int]):
    """Of each length the sequences in the pool, and the number of the first of them; ModelError if they don't fit."""
    first = 0
    for length, (start, end) in enumerate(zip(starts, (*starts[1:], len(pool)), strict=True), 1):
        if not 0 <= start <= end <= len(pool) or (end - start) % length:
            raise ModelError(f"the sequences of {length} tokens from {start} to {end} of {len(pool)}")
        grams = [tuple(pool[i:i + length]) for i in range(start, end, length)]
        yield length, grams, first
        first += len(grams)


def _found(x: Value, grams: list[tuple[int, ...]], step: int, tokens: int) -> Value | None:
    """Which of the sequences of one length begins at each place of the rows, every ``step`` tokens; None if rows
    are too short."""
    length, rank, row = len(grams[0]), x.type.rank, x.type.shape[-1]
    places: Dim = row - (length - 1) * step
    if isinstance(places, int) and places <= 0:
        return None
    places = places if isinstance(places, int) else maximum(places, 0)
    state, known_so_far = None, {(): 0}
    for k in range(length):
        token = part(x, rank - 1, k * step, places)
        heads = list(dict.fromkeys(gram[:k + 1] for gram in grams))
        ends = {head: i for i, head in enumerate(heads if k + 1 < length else grams)}
        keys = np.array([known_so_far[head[:-1]] * (tokens + 1) + head[-1] + 1 for head in heads], np.int64)
        # An unknown token is 0 behind any state, and after an unknown state all is.
        key = F.add(token, 1) if state is None else F.select(
            F.less(state, 0), 0, F.add(F.mul(state, tokens + 1), F.add(token, 1)))
        state = looked_up(key, keys, np.array([ends[head] for head in heads], np.int64), np.int64(UNKNOWN))
        known_so_far = ends
    return state


def _counted(column: Value, width: int) -> Value:
    """How often each column is named in a row [..., places], as floats; the number ``width`` is none."""
    *row, places = column.type.shape
    rows = product(row)
    shape = (rows, places)
    zeros = F.broadcast_to(constant(np.zeros((), np.float32)), shape=(rows, width + 1))
    lines = F.broadcast_to(F.reshape(count_up(rows, DType.I64), shape=(rows, 1)), shape=shape)
    ones = F.broadcast_to(constant(np.ones((), np.float32)), shape=shape)
    counts = F.scatter(zeros, F.stack(lines, F.reshape(column, shape=shape), axis=-1), ones, mode="add")
    return F.reshape(part(counts, 1, 0, width), shape=(*row, width))
