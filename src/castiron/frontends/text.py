"""Tensors of strings, as numbers: each element is the place of its word in a vocabulary. Matrices whose columns have
names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.results import Compound, Result
from castiron.ir import Value, constant
from castiron.ops import F
from castiron.ops.symbolic import known

_T = TypeVar("_T")

#: The number of a string that is none of the words.
UNKNOWN = -1

#: A vocabulary has this many words at most.
WORD_LIMIT = 1 << 22


class Vocabulary:
    """The words that a tensor of strings may hold, numbered in order.

    An open one, that of inputs, learns each word that it is asked for, and its tensors may hold other strings, all
    of which are UNKNOWN. Tensors of any other hold nothing but its words. Open ones can be joined: they are one from
    then on, which ``root`` is.
    """

    def __init__(self, words: Iterable[str] = (), open: bool = False):
        self._words = list(words)
        self._ids: dict[str, int] = {}
        for i, word in enumerate(self._words):
            self._ids.setdefault(word, i)
        self._joined: Vocabulary | None = None
        self.open = open

    @property
    def root(self) -> Vocabulary:
        return self if self._joined is None else self._joined.root

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.root._words)

    def __len__(self) -> int:
        return len(self.root._words)

    def id_of(self, word: str) -> int:
        """The number of a word, UNKNOWN for one that the vocabulary neither has nor learns."""
        own = self.root
        if word not in own._ids and own.open:
            if len(own._words) == WORD_LIMIT:
                raise ModelError(f"the model looks for more than {WORD_LIMIT} words")
            own._ids[word] = len(own._words)
            own._words.append(word)
        return own._ids.get(word, UNKNOWN)

    def join(self, other: Vocabulary) -> None:
        """Make two open vocabularies one; Clash if both have words already, which have numbers."""
        first, second = sorted((self.root, other.root), key=len, reverse=True)
        if first is not second:
            if len(second):
                raise Clash
            second._joined = first


class Clash(Exception):
    """The strings of two inputs come together after both were looked up: they need one vocabulary from the start."""


def opened() -> Vocabulary:
    """A new vocabulary of an input."""
    return Vocabulary(open=True)


def apart(convert: Callable[[Callable[[], Vocabulary]], _T]) -> _T:
    """What is made of a function that gives each input of strings its vocabulary: one of its own, or if they clash the
    same for all."""
    try:
        return convert(opened)
    except Clash:
        shared = opened()
        return convert(lambda: shared)


@dataclass(frozen=True)
class Text(Compound):
    """A tensor of strings: ``ids``, i64, are their numbers in ``words``."""

    ids: Value
    words: Vocabulary
    kind: ClassVar[str] = "strings"

    def parts(self) -> tuple[Value]:
        return (self.ids,)

    def remade(self, parts: tuple[Value, ...]) -> Text:
        return Text(parts[0], self.words)

    @property
    def array(self) -> np.ndarray | None:
        """The strings as Python's, None if they depend on what is fed."""
        ids = self.ids.constant
        ids = known(self.ids) if ids is None else ids
        if ids is None or (ids.size and ids.min() < 0):
            return None
        words = np.array([*self.words.words, None], object)
        return np.asarray(words[ids.astype(np.int64)], object)


@dataclass(frozen=True)
class Columns(Compound):
    """Maps with the same keys, one a row: a matrix [rows, names]."""

    matrix: Value
    names: tuple[str, ...]
    kind: ClassVar[str] = "maps"

    def parts(self) -> tuple[Value]:
        return (self.matrix,)

    def remade(self, parts: tuple[Value, ...]) -> Columns:
        return Columns(parts[0], self.names)


#: Words or names by the name of an input, output or label.
Named = dict[str, tuple[str, ...]]


def as_numbers(outputs: Mapping[str, Result]) -> tuple[dict[str, Result], Named, Named]:
    """Outputs as tensors of numbers, the words of those that are strings, and the names of those that have columns.
    ModelError for strings that the model only passes on, since only the words that it looks for have numbers."""
    words = {name: result.words for name, result in outputs.items() if isinstance(result, Text)}
    if passed := next((name for name, vocabulary in words.items() if vocabulary.open), None):
        raise ModelError(f"the output {passed!r} may be any string that is fed, and only those that the model looks "
                         "for are known: leave this output out by naming the others with --output")
    plain = {name: result.parts()[0] if isinstance(result, Text | Columns) else result
             for name, result in outputs.items()}
    return plain, {name: vocabulary.words for name, vocabulary in words.items()}, {
        name: result.names for name, result in outputs.items() if isinstance(result, Columns)}


def named_words(found: Mapping[str, Result], inputs: Mapping[str, Value], outputs: Mapping[str, Value]) -> Named:
    """The words of all strings among the labels' results and the inputs, by their names; of outputs ``as_numbers``
    tells."""
    texts = {result.ids: result.words.words for result in found.values() if isinstance(result, Text)}
    named = {**{key: result.ids for key, result in found.items() if isinstance(result, Text)}, **inputs}
    return {key: texts[value] for key, value in named.items() if value in texts and outputs.get(key, value) == value}


def constant_text(strings: Any) -> Text:
    """An array of Python's strings."""
    array = np.asarray(strings, object)
    ids: dict[str, int] = {}
    numbers = [ids.setdefault(word, len(ids)) for word in array.reshape(-1).tolist()]
    return Text(constant(np.array(numbers, np.int64).reshape(array.shape)), Vocabulary(ids))


def mapped(text: Text, keys: Iterable[str], values: np.ndarray, default: Any) -> Value:
    """For each string the one of the ``values`` [keys, …] that stands at its place among the keys, else the default
    […]. Of equal keys the first counts."""
    rows: dict[int, int] = {}
    for i, key in enumerate(keys):
        rows.setdefault(text.words.id_of(key), i)
    rows.pop(UNKNOWN, None)
    # The table's last row is the default's: that of UNKNOWN, and of all words that an open vocabulary learns later.
    table = np.empty((len(text.words) + 1, *values.shape[1:]), values.dtype)
    table[:] = default
    for i, row in rows.items():
        table[i] = values[row]
    ids = F.minimum(text.ids, len(text.words)) if text.words.open else text.ids
    return F.gather(constant(table), ids, axis=0)


def translated(text: Text, words: Vocabulary) -> Value:
    """The numbers of the same strings in another vocabulary, of which those that it lacks are UNKNOWN."""
    if text.words.root is words.root:
        return text.ids
    numbers = np.array([words.id_of(word) for word in text.words.words], np.int64)
    if not text.words.open and (numbers == np.arange(len(numbers))).all():
        return text.ids
    return mapped(text, text.words.words, numbers, UNKNOWN)


def together(texts: Iterable[Text]) -> tuple[tuple[Value, ...], Vocabulary]:
    """The numbers of several tensors' strings in one vocabulary: the open one, if there is one, else that of all
    their words."""
    texts = list(texts)
    opened = [text.words for text in texts if text.words.open]
    for other in opened[1:]:
        opened[0].join(other)
    vocabularies = list(dict.fromkeys(text.words.root for text in texts))
    if len(vocabularies) == 1:
        return tuple(text.ids for text in texts), vocabularies[0]
    words = next((vocabulary for vocabulary in vocabularies if vocabulary.open), None)
    if words is None:
        words = Vocabulary(dict.fromkeys(word for vocabulary in vocabularies for word in vocabulary.words))
    return tuple(translated(text, words) for text in texts), words


def moved(function: Callable[..., Any], node: Any, *operands: Any) -> Any:
    """What a function of a node and its operands, which moves elements whatever these are, does to strings."""
    numbers, words = together(v for v in operands if isinstance(v, Text))
    rest = iter(numbers)
    results = function(node, *(next(rest) if isinstance(v, Text) else v for v in operands))
    if isinstance(results, tuple):
        return tuple(Text(v, words) if v is not None else None for v in results)
    return Text(results, words)


def equal(x: Text, y: Text) -> Value:
    """Whether strings are the same; ModelError if that can't be told."""
    if x.words.open and y.words.open:
        raise ModelError("whether two strings that are fed are the same can't be told: only those that the model looks "
                         "for are known")
    (x, y), _ = together((x, y))
    return F.equal(x, y)


def rewritten(text: Text, change: Callable[[str], str]) -> Text:
    """A function of each string; ModelError unless all are known words."""
    if text.words.open:
        raise ModelError("strings that are made of an input's are not supported")
    found = [change(word) for word in text.words.words]
    words = Vocabulary(dict.fromkeys(found))
    numbers = np.array([words.id_of(word) for word in found], np.int64)
    return Text(mapped(text, text.words.words, numbers, 0), words)
