"""Arrays of strings where a graph has the numbers of their words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import Graph

#: Stands for a string that is none of an input's words; underscores are added until it is none.
UNKNOWN = "unknown"


def numbered(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by name, strings replaced by the numbers of their words: -1 for any other. ShapeError for what is
    neither a string nor its bytes where a graph has words."""
    return {name: _numbers(name, array, graph.vocabularies[name]) if name in graph.vocabularies else array
            for name, array in arrays.items()}


def _numbers(name: str, array: np.ndarray, words: tuple[str, ...]) -> np.ndarray:
    array = np.asarray(array)
    given = array.reshape(-1).tolist()
    found = [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in given]
    if others := {type(item).__name__ for item in found} - {"str"}:
        raise ShapeError(f"{name!r} takes strings, not {min(others)}")
    ids = {word: i for i, word in reversed(list(enumerate(words)))}
    return np.array([ids.get(word, -1) for word in found], np.int64).reshape(array.shape)


def spelled(graph: Graph, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays by name, the numbers of words replaced by these; -1 by a string that is none of them."""
    return {name: _strings(array, graph.vocabularies[name]) if name in graph.vocabularies else array
            for name, array in arrays.items()}


def _strings(ids: np.ndarray, words: tuple[str, ...]) -> np.ndarray:
    other = UNKNOWN
    while other in words:
        other += "_"
    return np.array([*words, other])[ids]
