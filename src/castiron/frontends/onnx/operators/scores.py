"""What becomes of the scores of classes (the domain ai.onnx.ml). Where the standard says little, as onnxruntime has
it."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.text import Text, Vocabulary
from castiron.ir import DType, Value, constant
from castiron.ops import F


def transformed(node: SourceNode, scores: Value) -> Value:
    """Scores [rows, classes], of two classes at least, after the node's ``post_transform``."""
    match node.text("post_transform", "NONE"):
        case "NONE":
            return scores
        case "LOGISTIC":
            return F.sigmoid(scores)
        case "SOFTMAX":
            return F.softmax(scores, axis=-1)
        case "SOFTMAX_ZERO":
            return _softmax_zero(scores)
        case "PROBIT":
            return probit(scores)
        case other:
            raise ModelError(f"the transformation {other!r} is not supported")


def _softmax_zero(scores: Value) -> Value:
    """Softmax among the scores that are not zero; these stay zero."""
    counted = F.greater(F.abs(scores), 1e-7)
    grown = F.exp(F.sub(scores, F.reduce_max(scores, axes=(-1,), keepdims=True)))
    grown = F.select(counted, grown, 0.0)
    return F.div(grown, F.reduce_sum(grown, axes=(-1,), keepdims=True))


def probit(x: Value) -> Value:
    """√2·erf⁻¹(2x - 1) in the approximation that onnxruntime uses (Winitzki, 2008, "A handy approximation for the error
    function and its inverse")."""
    x = F.sub(F.mul(x, 2.0), 1.0)
    logarithm = F.log(F.mul(F.sub(1.0, x), F.add(1.0, x)))
    v = F.add(F.mul(logarithm, 0.5), 2 / (3.14159 * 0.147))
    size = F.sqrt(F.sub(F.sqrt(F.sub(F.mul(v, v), F.mul(logarithm, 1 / 0.147))), v))
    return F.mul(F.select(F.less(x, 0.0), F.neg(size), size), float(np.sqrt(np.float32(2))))


def of_two(node: SourceNode, score: Value) -> Value:
    """The scores [rows, 2] of two classes from that of the second [rows, 1]."""
    match node.text("post_transform", "NONE"):
        case "LOGISTIC":
            return F.concat(F.sigmoid(F.neg(score)), F.sigmoid(score), axis=1)
        case "NONE" | "SOFTMAX" | "SOFTMAX_ZERO":
            return F.concat(F.sub(1.0, score), score, axis=1)
        case other:
            raise ModelError(f"the transformation {other!r} of one score is not supported")


def largest(scores: Value) -> Value:
    """The place of the largest score [rows, classes], of equal ones the first."""
    _, places = F.top_k(scores, k=1)
    return F.cast(F.reshape(places, shape=scores.type.shape[:-1]), dtype=DType.I64)


def labels(node: SourceNode) -> tuple[np.ndarray, Vocabulary | None]:
    """The numbers that stand for the classes: labels, or those of words."""
    strings = node.texts("classlabels_strings", ())
    if strings:
        words = Vocabulary(dict.fromkeys(strings))
        return np.array([words.id_of(word) for word in strings], np.int64), words
    name = "classlabels_ints" if "classlabels_ints" in node.attrs else "classlabels_int64s"
    return np.array(node.integers(name), np.int64), None


def named(node: SourceNode, places: Value) -> Value | Text:
    """The labels of classes by their places."""
    numbers, words = labels(node)
    if not (numbers == np.arange(len(numbers))).all():
        places = F.gather(constant(numbers), places, axis=0)
    places = F.cast(places, dtype=DType.I64)
    return places if words is None else Text(places, words)
