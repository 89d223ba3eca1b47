"""Columns of features put together and taken apart (the domain ai.onnx.ml)."""

from __future__ import annotations

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.scaling import floats
from castiron.frontends.onnx.operators.shape import part
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import Columns
from castiron.ir import Value, exact_div, product
from castiron.ops import F


@converts("ai.onnx.ml.ArrayFeatureExtractor")
def array_feature_extractor(node: SourceNode, x: Value, places: Value) -> Value:
    """The features at the places along the last axis."""
    x = F.reshape(x, shape=(1, *x.type.shape)) if x.type.rank == 1 else x
    return F.gather(x, F.reshape(places, shape=(product(places.type.shape),)), axis=-1)


@converts("ai.onnx.ml.FeatureVectorizer")
def feature_vectorizer(node: SourceNode, *xs: Value) -> Value:
    """The first so many features of each operand side by side, zeros where it has fewer."""
    columns = []
    for x, width in zip(xs, node.integers("inputdimensions"), strict=True):
        rows = x.type.shape[0] if x.type.rank > 1 else 1
        has = exact_div(product(x.type.shape), rows)
        if not isinstance(has, int):
            raise ModelError(f"how many features {x.type!r} has depends on what is fed; give the input a fixed shape")
        column = part(F.reshape(floats(x), shape=(rows, has)), 1, 0, min(has, width))
        columns.append(F.pad(column, 0.0, before=(0, 0), after=(0, width - has)) if has < width else column)
    return F.concat(*columns, axis=1)


@converts("ai.onnx.ml.ZipMap")
def zip_map(node: SourceNode, x: Value) -> Columns:
    """The scores [rows, classes] under the classes' names."""
    names = node.texts("classlabels_strings", ()) or tuple(map(str, node.integers("classlabels_int64s")))
    x = F.reshape(x, shape=(1, *x.type.shape)) if x.type.rank == 1 else x
    if x.type.rank != 2 or x.type.shape[1] != len(names) or len(set(names)) < len(names):
        raise ModelError(f"{x.type!r} under {len(set(names))} names")
    return Columns(x, names)
