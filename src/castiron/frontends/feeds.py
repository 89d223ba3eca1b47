"""What stands in place of a graph's labels: inputs, and values that the user fixes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from castiron.errors import ModelError
from castiron.ir import Dim, TensorType, Value, constant, substitute
from castiron.ops import F


@dataclass(frozen=True)
class Feed:
    """What stands in place of a label: an input called ``key`` of a type (None: as the graph says), or a
    value that is ``fixed``."""

    key: str
    type: TensorType | None = None
    fixed: np.ndarray | None = None


class Sizes:
    """The sizes that the user gives to free dimensions by name, numbers or what is made of other free dimensions, and
    all free dimensions that inputs have."""

    def __init__(self, given: Mapping[str, Dim] | None):
        self._given = given or {}
        self._met: set[str] = set()

    def pinned(self, type: TensorType) -> TensorType:
        """The type of an input with these sizes."""
        self._met |= type.symbols
        return type.with_shape([substitute(dim, self._given) for dim in type.shape]) if self._given else type

    def check(self) -> None:
        """Raise ModelError, once all inputs have their types, for a name that none of them has."""
        if unknown := sorted(set(self._given) - self._met):
            known = f"there are {', '.join(map(repr, sorted(self._met)))}" if self._met else "there is none"
            raise ModelError(f"no free dimension of an input is called {unknown[0]!r}; {known}")


#: By label without index, then by index.
Feeds = Mapping[str, Mapping[int, Feed]]


def feeds_of(declared: Mapping[tuple[str, int], Feed], inputs: Mapping[tuple[str, int], TensorType | None],
             fixed: Mapping[tuple[str, int], np.ndarray]) -> dict[str, dict[int, Feed]]:
    """What is fed: the declared inputs and those that the user asks for, by node or label and index."""
    feeds: dict[str, dict[int, Feed]] = {}
    for (name, index), feed in declared.items():
        feeds.setdefault(name, {})[index] = feed
    for (name, index), type in inputs.items():
        known = feeds.setdefault(name, {}).get(index)
        feeds[name][index] = replace(known, type=type or known.type) if known else Feed(label_of(name, index), type)
    for (name, index), array in fixed.items():
        known = feeds.setdefault(name, {}).get(index)
        feeds[name][index] = Feed(label_of(name, index), known and known.type, array)
    return feeds


def label_of(name: str, index: int) -> str:
    """The label of one result of a node."""
    return f"{name}:{index}" if index else name


def split(label: str) -> tuple[str, int]:
    """The node's label and the index in ``x``, ``x:0`` or ``split:1``."""
    name, colon, index = label.rpartition(":")
    return (name, int(index)) if colon and index.isascii() and index.isdigit() and len(index) < 10 else (label, 0)


def unknown_label(label: str, labels: Iterable[str]) -> str:
    """That a label does not exist, and which are like it."""
    labels = list(labels)
    near = difflib.get_close_matches(label, labels, 3) or [other for other in labels if label in other][:3]
    return f"no node is called {label!r}" + (f"; there are {', '.join(map(repr, near))}" if near else "")


def fixed_value(feed: Feed, type: TensorType | None) -> Value:
    """The value that stands in place of a placeholder, in its type as far as that is known; ModelError if it
    doesn't fit."""
    array = feed.fixed
    if type is None:
        return constant(array)
    value = constant(array.astype(type.dtype.numpy))
    if not array.ndim:
        return value if not type.rank else F.broadcast_to(value, shape=type.shape)
    fits = value.type.rank == type.rank and all(
        size == dim or not isinstance(dim, int) for size, dim in zip(array.shape, type.shape, strict=True))
    if not fits:
        raise ModelError(f"the value of {feed.key!r} is {value.type!r}, which doesn't fit {type!r}")
    return value
