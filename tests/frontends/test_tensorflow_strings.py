"""Strings in TensorFlow's graphs: inputs that are looked up, results that are words."""

import numpy as np
import pytest

from castiron import interp, strings
from castiron.errors import ModelError, UnsupportedOp
from castiron.frontends import savedmodel
from castiron.ir import verify

tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")


def table(keys, values, default):
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default)


class Module(tf.Module):
    """Lookups of all kinds, and what moves strings about."""

    def __init__(self):
        self.number = table(["a", "b", "ü"], tf.constant([1, 2, 3], tf.int64), -1)
        self.weight = table(["b", "!"], tf.constant([.5, .25]), 0.)
        self.called = table(tf.constant([0, 1], tf.int64), ["zero", "one"], "many")
        self.other = table(["a", "b"], ["B", "A"], "?")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.string), tf.TensorSpec([None], tf.int64)])
    def look(self, w, k):
        first, second = tf.unstack(w, axis=1)
        both = tf.reshape(tf.concat([tf.expand_dims(second, 1), w[:, :1]], 1), [-1])
        marked = tf.where(first == "b", tf.constant("!"), second)
        return {"number": self.number.lookup(w), "both": self.number.lookup(both), "equal": first == "ü",
                "different": tf.not_equal("a", w), "weight": self.weight.lookup(marked), "name": self.called.lookup(k),
                "other": tf.stack([self.other.lookup(first), self.other.lookup(second)], 1),
                "count": tf.size(w), "shape": tf.shape(w), "constant": tf.constant([["x", "y"]])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def passed(self, w):
        return {"same": tf.identity(w), "number": self.number.lookup(w)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def lower(self, w):
        return self.number.lookup(tf.strings.lower(w))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path, module = tmp_path_factory.mktemp("strings") / "m", Module()
    tf.saved_model.save(module, str(path), signatures={"look": module.look, "passed": module.passed,
                                                       "lower": module.lower})
    return path


def test_lookups(saved):
    graph = savedmodel.load(saved, signature="look")
    verify(graph)
    assert set(graph.vocabularies["w"]) == {"a", "b", "ü", "!"}
    assert set(graph.vocabularies["name"]) == {"zero", "one", "many"}
    feeds = {"w": np.array([["a", "b"], ["b", "ü"], ["ü", "none"], ["", "a"]]), "k": np.array([1, 0, 7, -1])}
    expected = tf.saved_model.load(str(saved)).signatures["look"](**{k: tf.constant(v) for k, v in feeds.items()})
    arrays = {graph.inputs[name]: array for name, array in strings.numbered(graph, feeds).items()}
    results = dict(zip(graph.outputs, interp.run(graph, arrays, list(graph.outputs.values())), strict=True))
    got = strings.spelled(graph, results)
    assert sorted(got) == sorted(expected)
    for name, want in expected.items():
        want = want.numpy()
        if want.dtype == object:
            assert got[name].tolist() == np.vectorize(bytes.decode, otypes=[object])(want).tolist(), name
        else:
            np.testing.assert_array_equal(got[name], want, err_msg=name)


def test_what_is_refused(saved):
    with pytest.raises(ModelError, match="the output 'same' may be any string that is fed"):
        savedmodel.load(saved, signature="passed")
    assert list(savedmodel.load(saved, signature="passed", outputs=["number"]).vocabularies["w"]) == ["a", "b", "ü"]
    with pytest.raises(UnsupportedOp, match="StringLower × 1"):
        savedmodel.load(saved, signature="lower")
