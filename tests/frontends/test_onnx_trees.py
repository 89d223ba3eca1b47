"""Tree ensembles of ONNX against ONNX Runtime: every comparison, aggregate, transformation, type and form of a
classifier, many of them in one model."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import castiron
from castiron import frontends
from castiron.errors import ModelError

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
FEATURES, ROWS = 4, 83
TYPES = {"f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "i64": TensorProto.INT64, "i32": TensorProto.INT32}
DOMAIN = "ai.onnx.ml"


def inputs():
    """Rows with numbers that are thresholds too, and special ones."""
    rng = np.random.default_rng(3)
    floats = rng.standard_normal((ROWS, FEATURES)).round(1)
    for special in (np.nan, np.inf, -np.inf, -0.0, 1e-41):
        floats[rng.random(floats.shape) < 0.05] = special
    integers = rng.integers(-4, 5, (ROWS, FEATURES))
    return {"f32": floats.astype(np.float32), "f64": floats + np.where(rng.random(floats.shape) < 0.3, 1e-12, 0),
            "i64": integers, "i32": integers.astype(np.int32)}


INPUTS = inputs()


def trees(rng, modes, count=5, depth=5, whole=False):
    """Random trees as the older operators list nodes, node 0 the root; and (tree, node) of the leaves."""
    nodes, leaves = [], []

    def grow(tree, depth):
        number = sum(node["treeids"] == tree for node in nodes)
        node = {"treeids": tree, "nodeids": number, "featureids": int(rng.integers(FEATURES)), "values": 0.0,
                "modes": "LEAF", "truenodeids": 0, "falsenodeids": 0, "missing_value_tracks_true": 0}
        nodes.append(node)
        if depth == 0 or (number and rng.random() < 0.15):
            leaves.append((tree, number))
            return number
        node["modes"] = str(rng.choice(modes))
        node["values"] = float(rng.integers(-3, 4) if whole else round(rng.standard_normal(), 1))
        node["missing_value_tracks_true"] = int(rng.random() < 0.4)
        node["truenodeids"], node["falsenodeids"] = grow(tree, depth - 1), grow(tree, depth - 1)
        return number

    for tree in range(count):
        grow(tree + 7, depth)
    return {f"nodes_{key}": [node[key] for node in nodes] for key in nodes[0]}, leaves


def weights(rng, leaves, prefix, targets, positive=False):
    """A weight of each leaf for each of the targets."""
    listed = [(*leaf, target, abs(w) if positive else w) for leaf in leaves for target in targets
              for w in [round(rng.standard_normal() / 4, 2)]]
    return {f"{prefix}_{key}": list(column) for key, column in zip(
        ("treeids", "nodeids", "ids", "weights"), zip(*listed, strict=True), strict=True)}


def doubled(attributes):
    """The same with tensors of doubles, which are no floats."""
    attributes = dict(attributes)
    for name in ("nodes_values", "target_weights", "class_weights", "base_values"):
        if name in attributes:
            values = np.array(attributes.pop(name), np.float64)
            attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values, name)
    return attributes


class Source:
    """A model of many nodes, each on one of the inputs."""

    def __init__(self, version):
        self.version, self.nodes, self.outputs = version, [], []

    def add(self, op, x, results, **attributes):
        names = [f"y{len(self.outputs) + i}" for i in range(len(results))]
        self.nodes.append(helper.make_node(op, [x], names, domain=DOMAIN, **attributes))
        self.outputs += [helper.make_tensor_value_info(name, type, None) for name, type in zip(
            names, results, strict=True)]

    def model(self):
        used = {node.input[0] for node in self.nodes}
        given = [helper.make_tensor_value_info(name, type, ["batch", FEATURES])
                 for name, type in TYPES.items() if name in used]
        graph = helper.make_graph(self.nodes, "trees", given, self.outputs)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, self.version)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def regressors():
    rng, source = np.random.default_rng(1), Source(3)

    def add(modes, x="f32", targets=1, double=False, **more):
        nodes, leaves = trees(rng, modes, whole=x.startswith("i") or "BRANCH_EQ" in modes)
        attributes = nodes | weights(rng, leaves, "target", range(targets)) | {"n_targets": targets} | more
        source.add("TreeEnsembleRegressor", x, [TensorProto.FLOAT], **(doubled(attributes) if double else attributes))

    for mode in MODES:
        add([mode])
    for x, double in (("f32", False), ("f64", False), ("f64", True)):
        for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
            add(MODES, x, double=double, aggregate_function=aggregate, base_values=[0.25])
            add(MODES[:1], x, 3, double=double, aggregate_function=aggregate)
    for transformation in ("LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
        add(MODES[:1], targets=1, post_transform=transformation)
        add(MODES[:1], targets=3, post_transform=transformation, base_values=[0.5, 0.25, 0.5])
    return source


def classifiers():
    rng, source = np.random.default_rng(2), Source(3)

    def add(x="f32", classes=3, weighed=None, positive=False, words=False, double=False, **more):
        nodes, leaves = trees(rng, MODES[:1], whole=x.startswith("i"))
        listed = weights(rng, leaves, "class", range(classes) if weighed is None else weighed, positive)
        labels = ({"classlabels_strings": [f"class {k}" for k in range(classes)]} if words else
                  {"classlabels_int64s": [10 * k for k in range(classes)]})
        attributes = nodes | listed | labels | more
        source.add("TreeEnsembleClassifier", x, [TensorProto.STRING if words else TensorProto.INT64, TensorProto.FLOAT],
                   **(doubled(attributes) if double else attributes))

    for transformation in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
        add(post_transform=transformation)
        if transformation != "PROBIT":
            for positive in (False, True):
                add(classes=2, weighed=[0], positive=positive, post_transform=transformation)
                add(classes=2, weighed=[1], positive=positive, post_transform=transformation)
    for x in TYPES:
        add(x, words=True)
        add(x, 2, [0], words=True, base_values=[0.125])
    add("f64", double=True, base_values=[0.5, -0.5, 0.0])
    add("f64", 2, [0], double=True)
    return source


def newer():
    """The trees of the operator that knows sets, from those of the older."""
    rng, source = np.random.default_rng(4), Source(5)

    def add(x, modes, targets=2, aggregate=1, transformation=0):
        dtype = np.float64 if x == "f64" else np.float32
        nodes, leaves = trees(rng, modes, whole=True)
        keys = list(zip(nodes["nodes_treeids"], nodes["nodes_nodeids"], strict=True))
        inner = [key for key, mode in zip(keys, nodes["nodes_modes"], strict=True) if mode != "LEAF"]
        place = {key: i for i, key in enumerate(inner)} | {key: i for i, key in enumerate(leaves)}
        chosen = [keys.index(key) for key in inner]
        listed = {"tree_roots": [place[tree, 0] for tree in dict.fromkeys(nodes["nodes_treeids"])]}
        for side in ("true", "false"):
            children = [(keys[k][0], nodes[f"nodes_{side}nodeids"][k]) for k in chosen]
            listed[f"nodes_{side}nodeids"] = [place[child] for child in children]
            listed[f"nodes_{side}leafs"] = [int(child in leaves) for child in children]
        modes = [(*MODES, "BRANCH_MEMBER").index(nodes["nodes_modes"][k]) for k in chosen]
        # ONNX Runtime and ONNX's reference find 0 in some sets by mistake.
        sets = [[*rng.choice(np.arange(1, 7), rng.integers(1, 5), replace=False), np.nan]
                for mode in modes if mode == len(MODES)]
        arrays = {"nodes_splits": [nodes["nodes_values"][k] for k in chosen],
                  "leaf_weights": rng.standard_normal(len(leaves)).round(2)}
        if sets:
            arrays["membership_values"] = np.concatenate(sets)
        source.add("TreeEnsemble", x, [TYPES[x]], n_targets=targets, aggregate_function=aggregate,
                   post_transform=transformation, leaf_targetids=rng.integers(0, targets, len(leaves)).tolist(),
                   nodes_featureids=[nodes["nodes_featureids"][k] for k in chosen],
                   nodes_missing_value_tracks_true=[nodes["nodes_missing_value_tracks_true"][k] for k in chosen],
                   nodes_modes=numpy_helper.from_array(np.array(modes, np.uint8), "modes"),
                   **{name: numpy_helper.from_array(np.array(a, dtype), name) for name, a in arrays.items()}, **listed)

    for x in ("f32", "f64"):
        add(x, MODES)
        add(x, ["BRANCH_LEQ"], 1)
        add(x, ["BRANCH_MEMBER", "BRANCH_LEQ"], 1)
        add(x, [*MODES, "BRANCH_MEMBER"], 3, transformation=3)  # of 1 and 2 ONNX Runtime takes one for the other
        for aggregate in (0, 2, 3):
            add(x, MODES, 1, aggregate)
    return source


@pytest.mark.parametrize("source", [regressors, classifiers, newer], ids=lambda source: source.__name__)
def test_trees_give_what_onnx_runtime_gives(source, tmp_path):
    model = source().model()
    (path := tmp_path / "trees.onnx").write_bytes(model.SerializeToString())
    feeds = {port.name: INPUTS[port.name] for port in model.graph.input}
    want = onnxruntime.InferenceSession(str(path)).run(None, feeds)
    compiled = castiron.compile(frontends.load(path))
    got = compiled(**feeds)
    for node in model.graph.node:
        for name in node.output:
            expected = want[[port.name for port in model.graph.output].index(name)]
            assert got[name].shape == expected.shape, name
            if expected.dtype.kind == "f":
                assert got[name].dtype == expected.dtype, name
                probit = any(a.name == "post_transform" and a.s == b"PROBIT" for a in node.attribute)  # cancels near ½
                atol = 2e-5 if probit else 2e-6
                np.testing.assert_allclose(got[name], expected, rtol=2e-5, atol=atol, err_msg=node.output[0])
            else:
                assert got[name].tolist() == expected.tolist(), name
    # A row's results don't depend on what else is in the batch.
    for start, end in ((0, 1), (5, 14), (70, ROWS)):
        part = compiled(**{name: x[start:end] for name, x in feeds.items()})
        for name, value in part.items():
            np.testing.assert_array_equal(value, got[name][start:end])


def test_trees_with_common_nodes_are_refused(tmp_path):
    model = newer().model()
    (roots,) = (a for a in model.graph.node[0].attribute if a.name == "tree_roots")
    roots.ints[1] = roots.ints[0]
    (path := tmp_path / "trees.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="nodes in common"):
        frontends.load(path)


def damaged(**changes):
    nodes, leaves = trees(np.random.default_rng(0), MODES[:1], count=1, depth=2)
    attributes = nodes | weights(np.random.default_rng(0), leaves, "target", [0]) | {"n_targets": 1}
    source = Source(3)
    source.add("TreeEnsembleRegressor", "f32", [TensorProto.FLOAT], **(attributes | {
        name: change(attributes.get(name)) for name, change in changes.items()}))
    return source.model().SerializeToString()


@pytest.mark.parametrize("changes, why", [
    ({"nodes_truenodeids": lambda ids: [0] * len(ids)}, "in a circle"),
    ({"nodes_falsenodeids": lambda ids: [99 if i else 0 for i in ids]}, "leads to node 99 of tree 7"),
    ({"nodes_featureids": lambda ids: [FEATURES] * len(ids)}, f"feature {FEATURES}, and x has {FEATURES}"),
    ({"nodes_modes": lambda modes: ["BRANCH_ODD" if m != "LEAF" else m for m in modes]}, "'BRANCH_ODD'"),
    ({"nodes_values": lambda values: values[1:]}, "an element for each node"),
    ({"target_nodeids": lambda ids: [77, *ids[1:]]}, "belongs to node 77 of tree 7"),
    ({"target_ids": lambda ids: [-1, *ids[1:]]}, "a leaf weighs target"),
    ({"nodes_nodeids": lambda ids: [0] * len(ids)}, "the same number"),
    ({"n_targets": lambda _: 1 << 40}, "more than tree ensembles can have"),
    ({"aggregate_function": lambda _: "MEDIAN"}, "'MEDIAN'"),
    ({"post_transform": lambda _: "ODD"}, "'ODD'"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_damaged_trees_are_refused(changes, why, tmp_path):
    (path := tmp_path / "trees.onnx").write_bytes(damaged(**changes))
    with pytest.raises(ModelError, match=why):
        frontends.load(path)
