"""Ensembles of decision trees (the domain ai.onnx.ml), with what ONNX Runtime does where the standard is silent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.scores import largest, named, transformed
from castiron.frontends.onnx.operators.table import converts
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from castiron.frontends.text import Text
from castiron.ir import DType, Value, constant
from castiron.ops import F
from castiron.ops.forest import NEUTRAL, Forest
from castiron.ops.trees import tree_ensemble

LEAF = "LEAF"

#: So many weights, leaves times targets, an ensemble has at most.
WEIGHTS_LIMIT = 1 << 28
AGGREGATES = {"SUM": "sum", "AVERAGE": "sum", "MIN": "min", "MAX": "max"}


@dataclass(frozen=True)
class Trees:
    """Nodes as ONNX has them, an element each: what they test, ``modes`` as the older operators write them, the places
    of their children (-1 for leaves); the places of the roots. ``members`` are the sets that nodes test for."""

    features: np.ndarray
    values: np.ndarray
    modes: np.ndarray
    missing: np.ndarray
    children: np.ndarray
    roots: np.ndarray
    members: dict[int, np.ndarray]


def forest_of(trees: Trees, leaves: np.ndarray, weights: np.ndarray, dtype: np.dtype) -> Forest:
    """Every test as x <= threshold: ``leaves`` are the numbers of the leaves' weights [leaf, target]."""
    modes, values = trees.modes, trees.values.astype(np.float64)
    tests = modes != LEAF
    below, above = np.isin(modes, ("BRANCH_LEQ", "BRANCH_LT")), np.isin(modes, ("BRANCH_GT", "BRANCH_GTE"))
    strict = np.isin(modes, ("BRANCH_LT", "BRANCH_GTE"))
    thresholds = at_most(values, strict, dtype)
    children = np.where(above[:, None], trees.children[:, ::-1], trees.children)
    # x > NaN holds for no number: all are at most infinity.
    thresholds = np.where(above & np.isnan(values), np.inf, thresholds).astype(dtype)
    missing = np.where(above, ~trees.missing, trees.missing)
    features = trees.features
    if unknown := set(modes[tests & ~below & ~above].tolist()) - {"BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"}:
        raise ModelError(f"the comparison {unknown.pop()!r} of tree nodes does not exist")
    equal = np.flatnonzero(tests & ~below & ~above)
    if equal.size:
        features, thresholds, missing, children = _equalities(trees, equal, features, thresholds, missing, children)
    number = np.zeros(len(features), np.int64)
    number[:len(modes)] = np.where(tests, 0, ~leaves)
    inner = np.ones(len(features), bool)
    inner[:len(modes)] = tests
    number[inner] = np.arange(inner.sum())
    return Forest(features[inner].astype(np.int32), thresholds[inner], missing[inner],
                  number[children[inner]].astype(np.int32), number[trees.roots].astype(np.int32),
                  weights.astype(dtype, copy=False))


def at_most(values: np.ndarray, strict: np.ndarray | bool, dtype: np.dtype) -> np.ndarray:
    """The largest float of a type that is at most the value or, strict, less: what is compared with it falls on the
    same side. NaN where there is none."""
    with np.errstate(over="ignore"):
        near = values.astype(dtype)
    too_large = (near > values) | (strict & (near == values))
    least = np.where(near == -np.inf, np.nan, np.nextafter(near, dtype.type(-np.inf)))
    return np.where(too_large, least, near).astype(dtype)


def _equalities(trees: Trees, nodes: np.ndarray, features: np.ndarray, thresholds: np.ndarray, missing: np.ndarray,
                children: np.ndarray) -> tuple[np.ndarray, ...]:
    """The arrays of a forest with nodes that test whether x is one of some values made chains of comparisons, two a
    value from the largest on: x <= value, else x is none of them; x < value, else x is this one."""
    dtype, size = thresholds.dtype, len(features)
    features, thresholds, missing, children = (a.copy() for a in (features, thresholds, missing, children))
    added: list[tuple[int, float, bool, tuple[int, int]]] = []
    for k in nodes.tolist():
        yes, no = trees.children[k].tolist()
        lost = bool(trees.missing[k])
        if trees.modes[k] == "BRANCH_NEQ":
            yes, no, lost = no, yes, False  # NaN differs from everything
        wanted = np.unique(trees.members.get(k, trees.values[k:k + 1]).astype(np.float64))[::-1]
        wanted = wanted[wanted.astype(dtype) == wanted]  # no x is any other
        below, place, feature = at_most(wanted, True, dtype).tolist(), size + len(added), int(features[k])
        chain = [] if len(wanted) else [(feature, np.nan, lost, (yes, no))]
        for i, value in enumerate(wanted.tolist()):
            onward = place + 2 * i + 1 if i + 1 < len(wanted) else no
            chain.append((feature, value, lost and not i, (place + 2 * i, no)))
            chain.append((feature, below[i], False, (onward, yes)))
        (features[k], thresholds[k], missing[k], children[k]), *rest = chain
        added += rest
    extra = [np.array(column) for column in zip(*added, strict=True)] or [np.zeros(0)] * 4
    return (np.append(features, extra[0].astype(features.dtype)), np.append(thresholds, extra[1].astype(dtype)),
            np.append(missing, extra[2].astype(bool)), np.concatenate([children, extra[3].reshape(-1, 2).astype(int)]))


def _older(node: SourceNode) -> tuple[Trees, Places]:
    """The trees of TreeEnsembleRegressor and TreeEnsembleClassifier, whose nodes are known by a tree's number and
    their own; a tree's first node is its root."""
    tree, own = (np.array(node.integers(name), np.int64) for name in ("nodes_treeids", "nodes_nodeids"))
    count = len(tree)
    modes = np.array(node.texts("nodes_modes", ()), object)
    values = node.array("nodes_values_as_tensor")
    values = np.array(node.numbers("nodes_values"), np.float32) if values is None else values
    missing = np.array(node.integers("nodes_missing_value_tracks_true") or (0,) * count, bool)
    features, *sides = (np.array(node.integers(name), np.int64) for name in (
        "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"))
    if {len(a) for a in (own, modes, values, missing, features, *sides)} != {count} or not count:
        raise ModelError("the attributes nodes_… don't have an element for each node")
    places = Places(tree, own)
    tests = modes != LEAF
    children = np.full((count, 2), -1)
    for side, ids in enumerate(sides):
        children[tests, side] = places.of(tree[tests], ids[tests], "a node leads to")
    _, roots = np.unique(tree, return_index=True)
    return Trees(features, values, modes, missing, children, np.sort(roots), {}), places


class Places:
    """Where the nodes stand that are known by two numbers."""

    def __init__(self, tree: np.ndarray, own: np.ndarray):
        self.order = np.lexsort((own, tree))
        self.tree, self.own = tree[self.order], own[self.order]
        if ((self.tree[1:] == self.tree[:-1]) & (self.own[1:] == self.own[:-1])).any():
            raise ModelError("two nodes of a tree have the same number")

    def of(self, tree: np.ndarray, own: np.ndarray, what: str) -> np.ndarray:
        """The places of nodes; ModelError if there is none of such numbers."""
        trees = np.unique(self.tree)
        numbers, rank = np.unique(self.own, return_inverse=True)
        k, n = np.searchsorted(trees, tree), np.searchsorted(numbers, own)
        there = (k < len(trees)) & (n < len(numbers))
        k, n = np.where(there, k, 0), np.where(there, n, 0)
        there &= (trees[k] == tree) & (numbers[n] == own)
        keys = np.searchsorted(trees, self.tree) * len(numbers) + rank
        wanted = k * len(numbers) + n
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there &= keys[place] == wanted
        if not there.all():
            lost = np.flatnonzero(~there)[0]
            raise ModelError(f"{what} node {own[lost]} of tree {tree[lost]}, which doesn't exist")
        return self.order[place]


def _weights(node: SourceNode, trees: Trees, places: Places, prefix: str, targets: int,
             neutral: float) -> tuple[np.ndarray, np.ndarray]:
    """The number of each leaf, and the weights [leaf, target] that the attributes ``prefix``… give."""
    tree, own, target = (np.array(node.integers(f"{prefix}_{name}"), np.int64) for name in (
        "treeids", "nodeids", "ids"))
    values = node.array(f"{prefix}_weights_as_tensor")
    values = np.array(node.numbers(f"{prefix}_weights"), np.float32) if values is None else values
    if {len(own), len(target), len(values)} != {len(tree)}:
        raise ModelError(f"the attributes {prefix}_… don't have an element for each weight")
    if target.size and not 0 <= target.min() <= target.max() < targets:
        raise ModelError(f"a leaf weighs target {max(target.max(), -target.min())} of {targets}")
    leaves = np.cumsum(trees.modes == LEAF) - 1
    at = places.of(tree, own, "a weight belongs to")
    of_leaf = trees.modes[at] == LEAF
    weights = _unweighed(int(leaves[-1]) + 1, targets, neutral, values.dtype)
    combine = {0.0: np.add, np.inf: np.minimum, -np.inf: np.maximum}[neutral]
    combine.at(weights, (leaves[at[of_leaf]], target[of_leaf]), values[of_leaf])
    return leaves, weights


def _unweighed(leaves: int, targets: int, neutral: float, dtype: np.dtype) -> np.ndarray:
    """Weights [leaf, target] that change nothing; ModelError if there are too many."""
    if leaves * targets > WEIGHTS_LIMIT:
        raise ModelError(f"{leaves} leaves for {targets} targets are more than tree ensembles can have")
    return np.full((leaves, targets), neutral, dtype)


def _scores(node: SourceNode, x: Value, trees: Trees, leaves: np.ndarray, weights: np.ndarray, aggregate: str,
            base: np.ndarray) -> Value:
    """Σ (or the mean, the least or the largest) of the trees' weights, plus the base values, in x's type."""
    if x.type.rank == 1:
        x = F.reshape(x, shape=(1, *x.type.shape))
    features = x.type.shape[-1]
    if x.type.rank != 2 or not isinstance(features, int):
        raise ModelError(f"x is {x.type!r}: expects rows of a known number of features")
    used = trees.features[trees.modes != LEAF]
    if used.size and not 0 <= used.min() <= used.max() < features:
        raise ModelError(f"a node tests feature {used.max() if used.min() >= 0 else used.min()}, and x has {features}")
    combine = AGGREGATES[aggregate]
    scores = tree_ensemble(x, forest_of(trees, leaves, weights, x.type.dtype.numpy), combine)
    if aggregate == "AVERAGE":
        scores = F.div(scores, float(len(trees.roots)))
    elif combine != "sum":
        scores = F.select(F.equal(scores, NEUTRAL[combine]), 0.0, scores)
    return F.add(scores, constant(base.astype(x.type.dtype.numpy))) if base.any() else scores


def _floats(node: SourceNode, x: Value) -> Value:
    """x as floats: doubles if the model computes in them."""
    arrays = (node.array(name) for name in (*(n for n in node.attrs if n.endswith("_as_tensor")), "nodes_splits"))
    doubles = any(array is not None and array.dtype == np.float64 for array in arrays)
    dtype = DType.F64 if doubles or x.type.dtype == DType.F64 else DType.F32
    return x if x.type.dtype == dtype else F.cast(x, dtype=dtype)


def _base(node: SourceNode, targets: int) -> np.ndarray:
    base = node.array("base_values_as_tensor")
    base = np.array(node.numbers("base_values"), np.float32) if base is None else base
    if base.size not in (0, 1, targets):
        raise ModelError(f"{base.size} base values for {targets} targets")
    return base if base.size else np.zeros(targets, np.float32)


@converts("ai.onnx.ml.TreeEnsembleRegressor")
def tree_ensemble_regressor(node: SourceNode, x: Value) -> Value:
    """The scores [rows, targets]. Of the transformations a single target knows PROBIT only, as in ONNX Runtime."""
    x, (trees, places), targets = _floats(node, x), _older(node), node.integer("n_targets", 1)
    aggregate = node.text("aggregate_function", "SUM")
    if aggregate not in AGGREGATES or targets < 1:
        raise ModelError(f"there is no aggregate {aggregate!r} of {targets} targets")
    leaves, weights = _weights(node, trees, places, "target", targets, NEUTRAL[AGGREGATES[aggregate]])
    scores = _scores(node, x, trees, leaves, weights, aggregate, _base(node, targets))
    return F.cast(_regressed(node, scores), dtype=DType.F32)


def _regressed(node: SourceNode, scores: Value) -> Value:
    one = scores.type.shape[-1] == 1 and node.text("post_transform", "NONE") in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO")
    return scores if one else transformed(node, scores)


@converts("ai.onnx.ml.TreeEnsembleClassifier")
def tree_ensemble_classifier(node: SourceNode, x: Value) -> tuple[Value | Text, Value]:
    """The best class of each row, and the scores [rows, classes]."""
    x, (trees, places) = _floats(node, x), _older(node)
    classes = len(node.texts("classlabels_strings", ()) or node.integers("classlabels_int64s"))
    if not classes:
        raise ModelError("the classifier has no class labels")
    leaves, weights = _weights(node, trees, places, "class", classes, 0.0)
    weighed, base = set(node.integers("class_ids")), _base(node, classes)
    if classes == 2 and len(weighed) == 1 and len(node.numbers("base_values")) < 2:
        best, scores = _binary(node, x, trees, leaves, weights, *weighed, base)
    else:
        scores = _scores(node, x, trees, leaves, weights, "SUM", base)
        best, scores = largest(scores), transformed(node, scores)
    return named(node, best), F.cast(scores, dtype=DType.F32)


def _binary(node: SourceNode, x: Value, trees: Trees, leaves: np.ndarray, weights: np.ndarray, weighed: int,
            base: np.ndarray) -> tuple[Value, Value]:
    """Of two classes of which the trees weigh one, whichever: the place of the best, and the scores of both, as ONNX
    Runtime has them. Weights that are all positive make a probability, others a distance from the border."""
    probable = bool((weights >= 0).all())
    base = base[:1] if not weighed else np.zeros(1)
    score = _scores(node, x, trees, leaves, weights[:, weighed:weighed + 1], "SUM", base)
    best = F.greater(score, 0.5 if probable else 0.0)
    best = F.cast(F.reshape(best, shape=best.type.shape[:1]), dtype=DType.I64)
    if weighed:
        zero = F.broadcast_to(constant(np.zeros((), score.type.dtype.numpy)), shape=score.type.shape)
        return best, transformed(node, F.concat(zero, score, axis=1))
    transformation = node.text("post_transform", "NONE")
    if transformation == "LOGISTIC":
        return best, F.sigmoid(F.concat(F.neg(score), score, axis=1))
    scores = F.concat(F.sub(1.0, score) if probable else F.neg(score), score, axis=1)
    return best, transformed(node, scores) if transformation == "PROBIT" else scores


#: The numbers by which the newer operator calls comparisons, aggregates and transformations.
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
_AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
_TRANSFORMATIONS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")


@converts("ai.onnx.ml.TreeEnsemble")
def newer_tree_ensemble(node: SourceNode, x: Value) -> Value:
    """The scores [rows, targets] of x's type."""
    aggregate = _name(node, "aggregate_function", _AGGREGATES, 1)
    transformation = pb.AttributeProto(s=_name(node, "post_transform", _TRANSFORMATIONS, 0).encode())
    targets = node.integer("n_targets", 1)
    neutral = NEUTRAL[AGGREGATES[aggregate]]
    trees, target, weight = _newer(node)
    if target.size != weight.size or targets < 1 or not 0 <= target.min(initial=0) <= target.max(initial=0) < targets:
        raise ModelError(f"the leaves' weights don't fit {targets} targets")
    weights = _unweighed(len(target), targets, neutral, weight.dtype)
    weights[np.arange(len(target)), target] = weight
    leaves = np.arange(len(trees.modes)) - (len(trees.modes) - len(target))
    scores = _scores(node, _floats(node, x), trees, leaves, weights, aggregate, np.zeros(targets))
    return _regressed(replace(node, attrs={**node.attrs, "post_transform": transformation}), scores)


def _name(node: SourceNode, name: str, names: tuple[str, ...], default: int) -> str:
    number = node.integer(name, default)
    if not 0 <= number < len(names):
        raise ModelError(f"{name} {number} does not exist")
    return names[number]


def _newer(node: SourceNode) -> tuple[Trees, np.ndarray, np.ndarray]:
    """The trees, leaves behind all other nodes; each leaf's target and weight."""
    values, numbers, weight = (node.array(name) for name in ("nodes_splits", "nodes_modes", "leaf_weights"))
    if values is None or numbers is None or weight is None:
        raise ModelError("the trees have no nodes_splits, nodes_modes or leaf_weights")
    count, extra = len(values), len(weight)
    features, target, roots = (np.array(node.integers(name), np.int64) for name in (
        "nodes_featureids", "leaf_targetids", "tree_roots"))
    missing = np.array(node.integers("nodes_missing_value_tracks_true") or (0,) * count, bool)
    ids, at_leaf = (np.array([node.integers(f"nodes_{side}{what}") for side in ("true", "false")], np.int64)
                    for what in ("nodeids", "leafs"))
    if {len(numbers), len(features), len(missing), ids.shape[-1], at_leaf.shape[-1]} != {count}:
        raise ModelError("the attributes nodes_… don't have an element for each node")
    if numbers.max(initial=0) >= len(MODES):
        raise ModelError(f"the comparison {numbers.max()} of tree nodes does not exist")
    limits = np.where(at_leaf != 0, extra, count)
    if ((ids < 0) | (ids >= limits)).any() or ((roots < 0) | (roots >= count)).any() or not roots.size:
        raise ModelError("a node or a root leads to a node or a leaf that doesn't exist")
    modes = np.array([*MODES, LEAF], object)[np.concatenate([numbers.astype(int), np.full(extra, len(MODES))])]
    children = np.vstack([np.where(at_leaf != 0, ids + count, ids).T, np.full((extra, 2), -1)])

    def padded(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array, np.zeros(extra, array.dtype)])
    members = _members(node, np.flatnonzero(numbers == MODES.index("BRANCH_MEMBER")))
    return Trees(padded(features), padded(values), modes, padded(missing), children, roots, members), target, weight


def _members(node: SourceNode, tests: np.ndarray) -> dict[int, np.ndarray]:
    """The set that each of the nodes tests for: they stand one after the other, a NaN behind each."""
    listed = node.array("membership_values")
    listed = np.zeros(0) if listed is None else listed
    ends = np.flatnonzero(np.isnan(listed))
    if len(ends) < len(tests):
        raise ModelError(f"{len(tests)} nodes test for members of sets, and there are {len(ends)} sets")
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    return {k: listed[start:end] for k, start, end in zip(tests.tolist(), starts, ends, strict=False)}
