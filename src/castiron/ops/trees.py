"""Sums over the leaves that rows of features reach in decision trees.

The trees come packed for the kernels, as ``ops/forest.py`` packs them. Features are compared as integers in the order
of the floats: exact for every float, denormal numbers too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, TensorType, Value
from castiron.ops.base import Example, F, Op
from castiron.ops.forest import NEUTRAL, PARTS, Forest, compared, ordered, split, walked

COMBINATIONS = {"sum": np.add, "min": np.minimum, "max": np.maximum}

KEYS = {DType.F32: DType.I32, DType.F64: DType.I64}


def keys_of(x: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """For each row of x [rows, features] the keys of its columns: of the feature columns[c] >> 1, of which NaN is the
    lowest number if columns[c] is odd and else the highest; -1 stands for what is always lowest."""
    values = x[:, columns >> 1] if x.shape[1] else np.zeros((len(x), len(columns)), x.dtype)
    keys, limits = ordered(values), np.iinfo(np.int64 if x.dtype == np.float64 else np.int32)
    keys = np.where(np.isnan(values), np.where(columns & 1, limits.min, limits.max), keys)
    return np.where(columns == -1, limits.min, keys).astype(limits.dtype)


def _random(trees: int, depth: int, targets: int, dtype: type, single: bool = False) -> Forest:
    """Trees of random shapes over four features, with thresholds that are infinite, tiny, or no numbers among them;
    with ``single`` each weighs one target."""
    rng = np.random.default_rng(trees + depth)
    special = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-41)
    nodes: list[tuple] = []
    weights: list[np.ndarray] = []

    def grow(depth: int, target: int) -> int:
        if depth == 0 or rng.random() < 0.1:
            weight = rng.standard_normal(targets).round(1)
            weights.append(np.where(np.arange(targets) == target, weight, 0) if single else weight)
            return ~(len(weights) - 1)
        threshold = rng.choice(special) if rng.random() < 0.2 else round(rng.standard_normal(), 1)
        k = len(nodes)
        nodes.append((rng.integers(4), threshold, rng.random() < 0.3))
        children[k] = (grow(depth - 1, target), grow(depth - 1, target))
        return k

    children: dict[int, tuple[int, int]] = {}
    roots = [grow(depth, tree % targets) for tree in range(trees)]
    features, thresholds, missing = zip(*nodes, strict=True)
    return Forest(np.array(features, np.int32), np.array(thresholds, dtype), np.array(missing, bool),
                  np.array([children[k] for k in range(len(nodes))], np.int32), np.array(roots, np.int32),
                  np.array(weights, dtype))


def _rows(forest: Forest, count: int) -> np.ndarray:
    """Rows with thresholds among their numbers, and special ones."""
    rng = np.random.default_rng(len(forest.features))
    x = rng.standard_normal((count, 4)).round(1)
    for special in (np.nan, np.inf, -np.inf, -0.0, 1e-41, -1e-42):
        x[rng.random(x.shape) < 0.07] = special
    return x.astype(forest.thresholds.dtype)


def _walk_example(forest: Forest, combine: str = "sum") -> Example:
    operands, attrs = walked(forest, combine)
    return Example((_rows(forest, 11), *operands), attrs, batched=(0,), constants=(1, 2, 3, 4, 5))


def _bits_example(forest: Forest, count: int) -> Example:
    return Example((_rows(forest, count), *compared(forest)), {"targets": forest.weights.shape[1]}, batched=(0,),
                   constants=(1, 2, 3, 4, 5, 6))


class TreeWalk(Op):
    """For each row of x [n, features] and each target the combination of the weights of the leaves that the row
    reaches.

    ``nodes`` [count, 2] are the key of a threshold and a link, child · 2^bits + column · 8: a row whose key of the
    column is at most the threshold's goes on to the child, else to the node behind that. Leaves lead to themselves.
    ``groups`` [count, 3] are sets of trees, (t, first, width): 8·t trees weigh the ``width`` targets from the first
    on. Their roots are the first nodes, ``depths`` how many steps at most the trees i, t + i, 2·t + i … take.
    A leaf has in place of a threshold the bits of its weight, or if there are several where they begin in
    ``weights``. ``columns`` are described at ``keys_of``. Each eighth of a group's trees is combined for itself, in
    order, then the eighths
    """

    name = "tree_walk"
    examples: ClassVar = (
        _walk_example(_random(11, 4, 1, np.float32)), _walk_example(_random(20, 5, 3, np.float32, single=True)),
        _walk_example(_random(3, 11, 2, np.float32)), _walk_example(_random(9, 5, 2, np.float64)),
        _walk_example(_random(8, 3, 1, np.float64)), _walk_example(_random(5, 3, 2, np.float32), "max"),
        _walk_example(_random(10, 3, 1, np.float64), "min"),
    )

    def infer(self, x: TensorType, columns: TensorType, groups: TensorType, depths: TensorType, nodes: TensorType,
              weights: TensorType, *, targets: int, bits: int, combine: str = "sum") -> TensorType:
        if x.rank != 2 or x.dtype not in KEYS or nodes.dtype != KEYS[x.dtype] or weights.dtype != x.dtype:
            raise ShapeError(f"tree_walk of {x!r} over nodes {nodes!r} with weights {weights!r}: expects rows of "
                             f"floats, nodes of integers of their size, and weights of their type")
        if combine not in COMBINATIONS:
            raise ShapeError(f"tree_walk: there is no combination {combine!r}")
        return x.with_shape((x.shape[0], targets))

    def eval(self, x: np.ndarray, columns: np.ndarray, groups: np.ndarray, depths: np.ndarray, nodes: np.ndarray,
             weights: np.ndarray, *, targets: int, bits: int, combine: str) -> np.ndarray:
        keys, rows, both = keys_of(x, columns), np.arange(len(x)), COMBINATIONS[combine]
        total = np.full((len(x), targets), NEUTRAL[combine], x.dtype)
        first, octet = 0, 0
        for count, target, width in groups.tolist():
            for part in range(PARTS):
                partial = np.full((len(x), width), NEUTRAL[combine], x.dtype)
                for tree in range(count):
                    at = np.full(len(x), first + part * count + tree)
                    for _ in range(depths[octet + tree]):
                        threshold, link = nodes[at].T
                        column = (link & ((1 << bits) - 1)) >> 3
                        at = (link >> bits) + (keys[rows, column] > threshold)
                    leaf = nodes[at, :1]
                    weight = leaf.copy().view(x.dtype) if width == 1 else weights[leaf + np.arange(width)]
                    partial = both(partial, weight)
                total[:, target:target + width] = both(total[:, target:target + width], partial)
            first, octet = first + PARTS * count, octet + count
        return total


class TreeBits(Op):
    """For each row of x [n, features] and each target the sum of the weights of the leaves that the row reaches.

    ``columns`` are described at ``keys_of``; the comparisons of column c are key > thresholds[t] for starts[c] <= t <
    starts[c + 1]. ``groups`` [count, 4] are sets of trees, (t, first, width, depth): 8·t trees, all ``depth`` deep,
    weigh the ``width`` targets from the first on. Each has the numbers of 2^depth comparisons in ``tests``: a row at
    place i, first 1, goes on to place 2·i + (1 if the comparison at i holds). Past the last level leaf k is at place
    2^depth + k; ``weights`` are those of a tree's leaves for one target after the other. Every eighth of a group's
    trees is added up for itself, in order, then the sums
    """

    name = "tree_bits"
    examples: ClassVar = (
        _bits_example(_random(11, 4, 1, np.float32), 11),
        _bits_example(_random(20, 5, 3, np.float32, single=True), 600),
        _bits_example(_random(7, 8, 2, np.float32), 300), _bits_example(_random(9, 7, 2, np.float64), 530),
        _bits_example(_random(40, 1, 1, np.float64), 70),
    )

    def infer(self, x: TensorType, columns: TensorType, starts: TensorType, thresholds: TensorType, groups: TensorType,
              tests: TensorType, weights: TensorType, *, targets: int) -> TensorType:
        if x.rank != 2 or x.dtype not in KEYS or thresholds.dtype != KEYS[x.dtype] or weights.dtype != x.dtype:
            raise ShapeError(f"tree_bits of {x!r} by thresholds {thresholds!r} with weights {weights!r}: expects rows "
                             f"of floats, thresholds that are integers of their size, and weights of their type")
        return x.with_shape((x.shape[0], targets))

    def eval(self, x: np.ndarray, columns: np.ndarray, starts: np.ndarray, thresholds: np.ndarray, groups: np.ndarray,
             tests: np.ndarray, weights: np.ndarray, *, targets: int) -> np.ndarray:
        made = keys_of(x, np.repeat(columns, np.diff(starts))) > thresholds
        total, rows = np.zeros((len(x), targets), x.dtype), np.arange(len(x))
        for count, target, width, depth in groups.tolist():
            size = PARTS * count << depth
            numbers, tests = tests[:size].reshape(count, PARTS, -1), tests[size:]
            leaves, weights = weights[:size * width].reshape(count, PARTS, width, -1), weights[size * width:]
            for part in range(PARTS):
                partial = np.zeros((len(x), width), x.dtype)
                for tree in range(count):
                    at = np.ones(len(x), np.int64)
                    for _ in range(depth):
                        at = 2 * at + made[rows, numbers[tree, part, at]]
                    partial += leaves[tree, part].T[at - (1 << depth)]
                total[:, target:target + width] += partial
        return total


def tree_ensemble(x: Value, forest: Forest, combine: str = "sum") -> Value:
    """The combination ("sum", "min", "max") of the weights of the leaves that each row of x [n, features] reaches,
    [n, targets] of x's type. Where it has no weight at all a target has the combination's neutral element, which is
    also the weight of a leaf that has none."""
    targets, (compare, walk) = forest.weights.shape[1], split(forest, combine)
    sums = []
    if compare.size:
        sums.append(F.tree_bits(x, *compared(replace(forest, roots=forest.roots[compare])), targets=targets))
    if walk.size or not sums:
        operands, attrs = walked(replace(forest, roots=forest.roots[walk]), combine)
        sums.append(F.tree_walk(x, *operands, **attrs))
    return F.add(*sums) if len(sums) > 1 else sums[0]
