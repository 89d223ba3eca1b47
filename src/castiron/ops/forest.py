"""Decision trees in one plain form, and packed for kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from castiron.errors import ModelError

#: Trees of a group are added up in so many parts, in which a row's trees can be visited abreast.
PARTS = 8

#: The key of columns that stand for no feature; those of numbers are larger.
LOWEST = {np.dtype(np.int32): np.iinfo(np.int32).min, np.dtype(np.int64): np.iinfo(np.int64).min}

#: By combination: what changes nothing.
NEUTRAL = {"sum": 0.0, "min": np.inf, "max": -np.inf}

#: The deepest trees whose comparisons are made bits: a leaf's number is a byte.
BITS_DEPTH = 8

#: The most comparisons of which bits are made: as many as a tree can refer to, with bits that stay in a cache; and the
#: most for each step from a node to the next that it saves.
TESTS_LIMIT = 1 << 15
STEPS_FOR_TEST = 16

#: How many times larger whole trees may be than those that there are, and what is small anyhow.
PADDING_LIMIT, LEAST_NODES = 64, 1 << 12

#: Fewer trees of a depth are made as deep as the next ones are.
LAYER_TREES = 16

#: The link of a node has the column in its lower bits, times this.
COLUMN_STEP = 8


def ordered(x: np.ndarray) -> np.ndarray:
    """The bits of floats as signed integers that are ordered as the floats are, zeros being equal; for NaN anything."""
    bits = np.ascontiguousarray(x).view(np.int64 if x.dtype == np.float64 else np.int32)
    size = bits & np.iinfo(bits.dtype).max
    return np.where(bits < 0, -size, size)


@dataclass(frozen=True)
class Forest:
    """Trees of comparisons: a row goes to the first child of a node if x[feature] <= threshold, or if x[feature] is
    NaN and ``missing``, else to the second.

    ``features`` (i32), ``thresholds`` (floats of x's type; NaN for what no number is below) and ``missing`` (bool)
    have an element a node, ``children`` (i32) two: the number k of a node, or ~k for leaf k. ``roots`` are written
    like children. Leaf k adds weights[k, t] to target t. Several nodes may have the same child.
    """

    features: np.ndarray
    thresholds: np.ndarray
    missing: np.ndarray
    children: np.ndarray
    roots: np.ndarray
    weights: np.ndarray

    def levels(self) -> np.ndarray:
        """For each node the length of the longest path to it from where no node leads; ModelError for a cycle."""
        inner = self.children[self.children >= 0]
        waiting = np.bincount(inner, minlength=len(self.features))
        level = np.zeros(len(self.features), np.int64)
        front, done = np.flatnonzero(waiting == 0), 0
        while front.size:
            done += front.size
            reached = self.children[front].reshape(-1)
            reached = reached[reached >= 0]
            depth = level[front[0]] + 1
            np.subtract.at(waiting, reached, 1)
            front = np.unique(reached[waiting[reached] == 0])
            level[front] = depth
        if done < len(self.features):
            raise ModelError("the nodes of a tree lead around in a circle")
        return level

    def trees(self) -> np.ndarray:
        """For each node the number of the tree that it belongs to, -1 for none; ModelError if it belongs to several."""
        tree = np.full(len(self.features), -1, np.int64)
        inner = self.roots >= 0
        front = self.roots[inner]
        tree[front] = np.flatnonzero(inner)
        while front.size:
            reached, owners = self.children[front], np.repeat(tree[front], 2)
            reached = reached.reshape(-1)
            new = (reached >= 0) & (tree[np.maximum(reached, 0)] < 0)
            tree[reached[new]] = owners[new]
            front = np.unique(reached[new])
        parents = np.flatnonzero(tree >= 0)
        below = self.children[parents]
        strange = (below >= 0) & (tree[np.maximum(below, 0)] != tree[parents, None])
        if strange.any() or (tree[self.roots[inner]] != np.flatnonzero(inner)).any():
            raise ModelError("two trees have nodes in common, which is not supported")
        return tree


def walked(forest: Forest, combine: str) -> tuple[tuple[np.ndarray, ...], dict[str, int | str]]:
    """The operands behind x and the attributes of ``tree_walk``."""
    key = np.dtype(np.int64 if forest.thresholds.dtype == np.float64 else np.int32)
    tree, level = forest.trees(), forest.levels()
    column_numbers = forest.features.astype(np.int64) * 2 + forest.missing
    columns, column = np.unique(column_numbers[tree >= 0], return_inverse=True)
    columns = np.concatenate([[-1], columns]).astype(np.int32)
    order, groups, depths, target = _grouped(forest, tree, level, combine)
    roots = np.append(forest.roots, ~len(forest.weights))[order]
    inner = np.flatnonzero(tree >= 0)
    column_of = np.zeros(len(tree), np.int64)
    column_of[inner] = column.reshape(-1) + 1
    inner = inner[np.lexsort((level[inner], tree[inner]))]
    pair = np.zeros(len(tree), np.int64)
    pair[inner] = len(roots) + 2 * np.arange(len(inner))
    source = np.concatenate([roots, forest.children[inner].reshape(-1)])
    owners = [np.where(width == 1, first, -1).repeat(PARTS * count) for count, first, width in groups]
    owners = np.concatenate([*owners, target[tree[inner]].repeat(2)])
    bits = int((len(columns) - 1) * COLUMN_STEP).bit_length()
    if len(source) << bits >= 1 << (key.itemsize * 8 - 1):
        raise ModelError(f"a tree ensemble of {len(source)} nodes over {len(columns) - 1} columns is too large")
    ends = source < 0
    nodes = np.zeros((len(source), 2), key)
    nodes[ends, 0], weights = _leaves(forest.weights, ~source[ends], owners[ends], key, NEUTRAL[combine])
    nodes[ends, 1] = np.flatnonzero(ends) << bits
    of = source[~ends]
    nodes[~ends, 0] = _thresholds(forest.thresholds[of], key)
    nodes[~ends, 1] = (pair[of] << bits) + column_of[of] * COLUMN_STEP
    attrs = {"targets": forest.weights.shape[1], "bits": bits, "combine": combine}
    return (columns, groups, depths, nodes, weights), attrs


def _thresholds(values: np.ndarray, key: np.dtype) -> np.ndarray:
    return np.where(np.isnan(values), LOWEST[key], ordered(values))


def _leaves(weights: np.ndarray, leaf: np.ndarray, target: np.ndarray, key: np.dtype,
            neutral: float) -> tuple[np.ndarray, np.ndarray]:
    """For each leaf, one behind the last being none, what it has in place of a threshold, given the one target that
    its tree weighs, or -1 for several; and the weights of the latter."""
    targets, one = weights.shape[1], target >= 0
    weights = np.vstack([weights, np.full((1, targets), neutral, weights.dtype)])
    rows, row = np.unique(weights[leaf[~one]], axis=0, return_inverse=True)
    slots = np.zeros(len(leaf), key)
    slots[~one] = row.reshape(-1) * targets
    slots[one] = np.ascontiguousarray(weights[leaf[one], target[one]]).view(key)
    return slots, rows.reshape(-1)


def _grouped(forest: Forest, tree: np.ndarray, level: np.ndarray,
             combine: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of the trees in their order, the number behind the last standing for an empty one; the groups; the
    depths; for each tree the one target that it weighs, or -1 for several."""
    count, targets = len(forest.roots), forest.weights.shape[1]
    target, depth = _targets(forest, tree, combine), np.append(_depths(forest, tree, level), 0)
    order, groups, depths = [], [], []
    for own in np.unique(target).tolist():
        trees = np.flatnonzero(target == own)
        trees = trees[np.argsort(-depth[trees], kind="stable")]
        trees = np.concatenate([trees, np.full(-len(trees) % PARTS, count)]).reshape(-1, PARTS)
        order.append(trees.T.reshape(-1))
        depths.append(depth[trees].max(1))
        groups.append((len(trees), *((own, 1) if own >= 0 else (0, targets))))
    return (np.concatenate(order), np.array(groups, np.int32), np.concatenate(depths).astype(np.int32), target)


def _depths(forest: Forest, tree: np.ndarray, level: np.ndarray) -> np.ndarray:
    """For each tree how many steps it takes at most."""
    depth = np.zeros(len(forest.roots), np.int64)
    np.maximum.at(depth, tree[tree >= 0], level[tree >= 0] + 1)
    return depth


def _targets(forest: Forest, tree: np.ndarray, combine: str) -> np.ndarray:
    """For each tree the one target that it weighs, or -1 for several."""
    weighed = forest.weights != NEUTRAL[combine]
    used = np.zeros((len(forest.roots), forest.weights.shape[1]), bool)
    for side in (0, 1):
        ends = np.flatnonzero((forest.children[:, side] < 0) & (tree >= 0))
        np.logical_or.at(used, tree[ends], weighed[~forest.children[ends, side]])
    for root in np.flatnonzero(forest.roots < 0):
        used[root] |= weighed[~forest.roots[root]]
    return np.where(used.sum(1) <= 1, used.argmax(1), -1)


def split(forest: Forest, combine: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the trees that are worth making bits of their comparisons, and of the others."""
    tree, level = forest.trees(), forest.levels()
    depth = _depths(forest, tree, level)
    chosen = depth <= BITS_DEPTH
    inner = (tree >= 0) & chosen[tree]
    tests, targets = _distinct(_tests(forest)[inner])[1].size, np.unique(_targets(forest, tree, combine)[chosen]).size
    whole = np.sum(1 << depth[chosen]) + (targets * PARTS << BITS_DEPTH)
    worth = tests <= min(TESTS_LIMIT, STEPS_FOR_TEST * int(depth[chosen].sum()))
    if combine != "sum" or not tests or not worth or whole > PADDING_LIMIT * (inner.sum() + LEAST_NODES):
        chosen[:] = False
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def _tests(forest: Forest) -> np.ndarray:
    """For each node the column that it compares, as ``columns`` have them, and the key with which."""
    key = np.dtype(np.int64 if forest.thresholds.dtype == np.float64 else np.int32)
    columns = forest.features.astype(np.int64) * 2 + forest.missing
    return np.stack([columns, _thresholds(forest.thresholds, key).astype(np.int64)], axis=1)


def _distinct(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pair its place among the different ones in order, and where each of these stands first."""
    order = np.lexsort(pairs.T[::-1])
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[order[1:]] != pairs[order[:-1]]).any(1)
    place = np.empty(len(pairs), np.int64)
    place[order] = np.cumsum(new) - 1
    return place, order[new]


def compared(forest: Forest) -> tuple[np.ndarray, ...]:
    """The operands behind x of ``tree_bits``."""
    tree, level = forest.trees(), forest.levels()
    tests = _tests(forest)[tree >= 0]
    test, first = _distinct(tests)
    tests, number = tests[first], np.zeros(len(tree), np.int64)
    number[tree >= 0] = test
    columns, starts = np.unique(tests[:, 0], return_index=True)
    starts = np.append(starts, len(tests)).astype(np.int32)
    thresholds = tests[:, 1].astype(np.int64 if forest.thresholds.dtype == np.float64 else np.int32)
    target, depth = _targets(forest, tree, "sum"), np.maximum(_depths(forest, tree, level), 1)
    groups, places, weights = [], [], []
    empty = np.vstack([forest.weights, np.zeros_like(forest.weights[:1])])
    for own in np.unique(target).tolist():
        for deep, trees in _layers(np.flatnonzero(target == own), depth):
            roots = np.append(forest.roots[trees], np.full(-len(trees) % PARTS, ~len(forest.weights)))
            # Part after part, in octets: tree i of each part stand side by side.
            roots = roots.reshape(PARTS, -1).T.reshape(-1)
            at, tested = roots[:, None], [np.zeros((len(roots), 1), np.int64)]
            for _ in range(deep):
                tested.append(np.where(at >= 0, number[np.maximum(at, 0)], 0))
                below = np.where((at >= 0)[:, :, None], forest.children[np.maximum(at, 0)], at[:, :, None])
                at = below.reshape(len(roots), -1)
            leaves = empty[~at] if own < 0 else empty[~at, own][:, :, None]
            groups.append((len(roots) // PARTS, max(own, 0), leaves.shape[2], deep))
            places.append(np.concatenate(tested, axis=1).reshape(-1))
            weights.append(leaves.transpose(0, 2, 1).reshape(-1))
    return (columns.astype(np.int32), starts, thresholds, np.array(groups, np.int32),
            np.concatenate(places).astype(np.uint16), np.concatenate(weights))


def _layers(trees: np.ndarray, depth: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """The trees by depths, few of one depth with those of the next: (depth, trees)."""
    layers, left = [], trees[:0]
    for deep in np.unique(depth[trees]).tolist():
        left = np.append(left, trees[depth[trees] == deep])
        if len(left) >= LAYER_TREES or deep == depth[trees].max():
            layers.append((deep, left))
            left = trees[:0]
    return layers
