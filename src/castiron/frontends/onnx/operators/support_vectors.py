"""Support vector machines (the domain ai.onnx.ml). Where the standard says little, as onnxruntime has it."""

from __future__ import annotations

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators import scores
from castiron.frontends.onnx.operators.scaling import floats
from castiron.frontends.onnx.operators.shape import part
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.text import Text
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.loop import loop

#: Calibrated probabilities are worked out for so many classes at most.
CLASS_LIMIT = 64

#: Pairwise probabilities are so far from 0 and 1 at least.
LEAST = 1e-7


@converts("ai.onnx.ml.SVMRegressor")
def svm_regressor(node: SourceNode, x: Value) -> Value:
    """The kernel's values at the support vectors, weighted and summed; with ``one_class`` 1 where that is above 0 and
    -1 elsewhere."""
    coefficients = np.array(node.numbers("coefficients"), np.float32)
    count = node.integer("n_supports", 0)
    x = _rows(x)
    if count:
        y = F.matmul(_kernel(node, x, _vectors(node, count)), constant(coefficients.reshape(count, 1)))
        y = F.add(y, _rho(node)[0])
    else:
        y = F.add(F.matmul(x, constant(coefficients.reshape(-1, 1))), _rho(node)[0])
    return F.select(F.greater(y, 0.0), constant(np.float32(1)), -1.0) if node.flag("one_class") else y


@converts("ai.onnx.ml.SVMClassifier")
def svm_classifier(node: SourceNode, x: Value) -> tuple[Value | Text, Value]:
    """The class that wins most comparisons of two, and the scores of the comparisons, or with calibration the classes'
    probabilities. Without support vectors the class of the highest score."""
    x, classes = _rows(x), len(scores.labels(node)[0])
    sizes, proba, rho = node.integers("vectors_per_class"), node.numbers("prob_a"), _rho(node)
    coefficients = np.array(node.numbers("coefficients"), np.float32)
    if not sum(sizes):
        return _linear(node, x, coefficients, classes, rho[0])
    count = sum(sizes)
    if len(sizes) != classes or coefficients.size != count * (classes - 1) or len(rho) < classes * (classes - 1) // 2:
        raise ModelError(f"{count} support vectors of {len(sizes)} classes with {coefficients.size} weights")
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    if proba and (len(proba) != len(pairs) or len(node.numbers("prob_b")) != len(pairs)):
        raise ModelError(f"{len(proba)} parameters of probabilities for {len(pairs)} pairs of classes")
    weights = _pair_weights(coefficients.reshape(classes - 1, count), sizes, pairs)
    y = F.add(F.matmul(_kernel(node, x, _vectors(node, count)), constant(weights)), constant(rho[:len(pairs)]))
    label = scores.named(node, _voted(y, pairs, classes))
    if proba:
        return label, scores.transformed(node, _probabilities(node, y, pairs, classes))
    if len(pairs) > 1:
        return label, scores.transformed(node, y)
    bare = node.text("post_transform", "NONE") == "NONE"
    return label, F.concat(F.neg(y), y, axis=1) if bare else scores.of_two(node, y)


def _rows(x: Value) -> Value:
    return floats(F.reshape(x, shape=(1, *x.type.shape)) if x.type.rank == 1 else x)


def _rho(node: SourceNode) -> np.ndarray:
    rho = np.array(node.numbers("rho"), np.float32)
    if not rho.size:
        raise ModelError("there is no rho")
    return rho


def _vectors(node: SourceNode, count: int) -> np.ndarray:
    vectors = np.array(node.numbers("support_vectors"), np.float32)
    if vectors.size % count:
        raise ModelError(f"{count} support vectors of {vectors.size} numbers in all")
    return vectors.reshape(count, -1)


def _kernel(node: SourceNode, x: Value, vectors: np.ndarray) -> Value:
    """The kernel of each row of x and each vector [rows, vectors]."""
    gamma, coef0, degree = (*node.numbers("kernel_params"), 0.0, 0.0, 0.0)[:3]
    kernel = node.text("kernel_type", "LINEAR")
    if kernel == "RBF":
        return F.exp(F.mul(_square_distances(x, vectors), -gamma))
    dot = F.matmul(x, constant(vectors), transpose_b=True)
    match kernel:
        case "LINEAR":
            return dot
        case "POLY":
            dot = F.add(F.mul(dot, gamma), coef0)
            return F.pow(dot, constant(np.float32(degree)))
        case "SIGMOID":
            return F.tanh(F.add(F.mul(dot, gamma), coef0))
    raise ModelError(f"the kernel {kernel!r} is not supported")


def _square_distances(x: Value, vectors: np.ndarray) -> Value:
    """|x|² + |v|² - 2x·v for all rows and vectors, from the vectors' mean, so that little cancels out."""
    mean = vectors.mean(axis=0)
    x, vectors = F.sub(x, constant(mean)), vectors - mean
    own = F.reduce_sum(F.mul(x, x), axes=(1,), keepdims=True)
    both = F.add(own, constant((vectors.astype(np.float64) ** 2).sum(axis=1).astype(np.float32)))
    return F.maximum(F.sub(both, F.mul(F.matmul(x, constant(vectors), transpose_b=True), 2.0)), 0.0)


def _pair_weights(coefficients: np.ndarray, sizes: tuple[int, ...], pairs: list[tuple[int, int]]) -> np.ndarray:
    """The weights of all support vectors in each comparison of two classes [vectors, pairs]: those of the one class
    stand in the row that belongs to the other."""
    ends = np.cumsum([0, *sizes])
    weights = np.zeros((coefficients.shape[1], len(pairs)), np.float32)
    for k, (i, j) in enumerate(pairs):
        for own, row in ((i, j - 1), (j, i)):
            vectors = slice(ends[own], ends[own + 1])
            weights[vectors, k] = coefficients[row, vectors]
    return weights


def _voted(y: Value, pairs: list[tuple[int, int]], classes: int) -> Value:
    """The class that wins most pairs, of equal ones the first."""
    wins = np.zeros((2, len(pairs), classes), np.float32)
    for k, (i, j) in enumerate(pairs):
        wins[0, k, i] = wins[1, k, j] = 1
    first = F.cast(F.greater(y, 0.0), dtype=DType.F32)
    votes = F.add(F.matmul(first, constant(wins[0])), F.matmul(F.sub(1.0, first), constant(wins[1])))
    return scores.largest(votes)


def _linear(node: SourceNode, x: Value, coefficients: np.ndarray, classes: int,
            rho: np.float32) -> tuple[Value | Text, Value]:
    """Without support vectors. Of two classes the second counts too where the highest score is above a bound."""
    if not classes or coefficients.size % classes:
        raise ModelError(f"{coefficients.size} weights of {classes} classes")
    y = F.add(F.matmul(x, constant(coefficients.reshape(classes, -1)), transpose_b=True), rho)
    place = scores.largest(y)
    if classes == 2 and len(node.numbers("rho")) == 1:
        highest = F.reduce_max(y, axes=(1,), keepdims=False)
        high = F.greater_equal(highest, 0.5) if (coefficients >= 0).all() else F.greater(highest, 0.0)
        place = F.select(high, constant(np.int64(1)), place)
    return scores.named(node, place), scores.transformed(node, y)


def _probabilities(node: SourceNode, y: Value, pairs: list[tuple[int, int]], classes: int) -> Value:
    """Platt's calibration of each pair, coupled to one probability a class (Wu, Lin and Weng, 2004, "Probability
    estimates for multi-class classification by pairwise coupling", algorithm 2)."""
    if classes > CLASS_LIMIT:
        raise ModelError(f"probabilities of {classes} classes; {CLASS_LIMIT} are the most")
    a, b = (constant(np.array(node.numbers(name), np.float32)) for name in ("prob_a", "prob_b"))
    first = F.sub(1.0, F.sigmoid(F.add(F.mul(y, a), b)))
    first = F.minimum(F.maximum(first, LEAST), 1 - LEAST)
    column = {pair: k for k, pair in enumerate(pairs)}
    columns = [part(first, 1, k, 1) for k in range(len(pairs))]
    r = {(i, j): columns[column[i, j]] if i < j else F.sub(1.0, columns[column[j, i]])
         for i in range(classes) for j in range(classes) if i != j}
    q = {}
    for i in range(classes):
        squares = [F.mul(r[j, i], r[j, i]) for j in range(classes) if j != i]
        q[i, i] = _sum(squares)
        for j in range(classes):
            if j != i:
                q[i, j] = F.neg(F.mul(r[j, i], r[i, j]))
    rows = [F.concat(*(q[i, j] for j in range(classes)), axis=1) for i in range(classes)]
    even = F.broadcast_to(constant(np.float32(1 / classes)), shape=(y.type.shape[0], classes))

    def products(p: Value) -> tuple[Value, Value]:
        qp = F.concat(*(F.reduce_sum(F.mul(row, p), axes=(1,), keepdims=True) for row in rows), axis=1)
        return qp, F.reduce_sum(F.mul(p, qp), axes=(1,), keepdims=True)

    def open_(p: Value) -> Value:
        qp, pqp = products(p)
        error = F.reduce_max(F.abs(F.sub(qp, pqp)), axes=(1,), keepdims=True)
        return F.greater_equal(error, 0.005 / classes)

    def step(_: Value, values: tuple[Value, ...]) -> tuple[Value, ...]:
        p = values[0]
        qp, pqp = products(p)
        new = p
        for i in range(classes):
            own = q[i, i]
            diff = F.div(F.sub(pqp, part(qp, 1, i, 1)), own)
            scale = F.add(diff, 1.0)
            unit = constant(np.eye(classes, dtype=np.float32)[i])
            pqp = F.div(F.div(F.add(pqp, F.mul(diff, F.add(F.mul(diff, own), F.mul(part(qp, 1, i, 1), 2.0)))), scale),
                        scale)
            qp = F.div(F.add(qp, F.mul(rows[i], diff)), scale)
            new = F.div(F.add(new, F.mul(unit, diff)), scale)
        return (F.select(open_(p), new, p),)

    def going(_: Value, values: tuple[Value, ...]) -> Value:
        return F.greater(F.reduce_max(F.cast(open_(values[0]), dtype=DType.F32), axes=(0, 1)), 0.0)

    return loop(max(100, classes), (even,), step, going)[0]


def _sum(values: list[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = F.add(total, value)
    return total
