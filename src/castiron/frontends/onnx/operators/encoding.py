"""Categories as numbers, numbers as categories (the domain ai.onnx.ml)."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.lookup import encoded
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import Text
from castiron.ir import DType, Value, constant
from castiron.ops import F

#: What stands for keys that are missing, by the type of values, unless the model says something else.
_DEFAULTS = {"string": "_Unused", "int64": -1, "float": np.float32(-0.0)}


@converts("ai.onnx.ml.LabelEncoder", compound=True)
def label_encoder(node: SourceNode, x: Value | Text) -> Value | Text:
    """The value that stands at x's place among the keys."""
    if "classes_strings" in node.attrs:
        return _classes(node, x, "classes_strings", None)
    keys, values = _listed(node, "keys"), _listed(node, "values")
    if keys is None or values is None or len(keys) != len(values):
        raise ModelError("keys and values are not of one number")
    return encoded(x, keys, values, _default(node, values), node.version >= 4)


@converts("ai.onnx.ml.CategoryMapper", compound=True)
def category_mapper(node: SourceNode, x: Value | Text) -> Value | Text:
    """Names of categories as their numbers, and back."""
    return _classes(node, x, "cats_strings", "cats_int64s")


def _classes(node: SourceNode, x: Value | Text, names: str, numbers: str | None) -> Value | Text:
    words = np.array(node.texts(names, ()), object)
    places = np.arange(len(words)) if numbers is None else np.array(node.integers(numbers), np.int64)
    if len(words) != len(places):
        raise ModelError(f"{len(words)} names of categories with {len(places)} numbers")
    keys, values = (words, places) if isinstance(x, Text) else (places, words)
    return encoded(x, keys, values, _default(node, values), False)


def _listed(node: SourceNode, name: str) -> np.ndarray | None:
    """Keys or values: strings as Python's, or numbers."""
    if f"{name}_tensor" in node.attrs:
        strings = node.strings(f"{name}_tensor")
        return (node.array(f"{name}_tensor") if strings is None else strings).reshape(-1)
    if f"{name}_strings" in node.attrs:
        return np.array(node.texts(f"{name}_strings", ()), object)
    if f"{name}_int64s" in node.attrs:
        return np.array(node.integers(f"{name}_int64s"), np.int64)
    return np.array(node.numbers(f"{name}_floats"), np.float32) if f"{name}_floats" in node.attrs else None


def _default(node: SourceNode, values: np.ndarray) -> str | np.generic:
    if "default_tensor" in node.attrs:
        strings = node.strings("default_tensor")
        return (node.array("default_tensor") if strings is None else strings).reshape(-1)[0]
    if values.dtype == object:
        return node.text("default_string", _DEFAULTS["string"])
    if values.dtype.kind == "f":
        return values.dtype.type(node.number("default_float", _DEFAULTS["float"]))
    return values.dtype.type(node.integer("default_int64", _DEFAULTS["int64"]))


@converts("ai.onnx.ml.OneHotEncoder", compound=True)
def one_hot_encoder(node: SourceNode, x: Value | Text) -> Value:
    """For each element 1 at its category's place, 0 elsewhere; zeros for one that is no category, which is an error
    elsewhere unless ``zeros``."""
    if isinstance(x, Text):
        ids = x.ids
        places = np.array([x.words.id_of(word) for word in node.texts("cats_strings", ())], np.int64)
        places[places < 0] = len(x.words)  # a word that can't be
    else:
        ids, places = F.cast(x, dtype=DType.I64), np.array(node.integers("cats_int64s"), np.int64)
    if not len(places):
        raise ModelError("there are no categories of this type of elements")
    return F.cast(F.equal(F.reshape(ids, shape=(*ids.type.shape, 1)), constant(places)), dtype=DType.F32)
