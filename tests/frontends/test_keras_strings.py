"""Keras' layers that look strings up."""

import numpy as np
import pytest

from castiron import interp, strings
from castiron.errors import ModelError, UnsupportedOp
from castiron.frontends import Selection, load

keras = pytest.importorskip("keras", reason="Keras is the oracle of these tests")

WORDS = ["red", "sky blue", "grün"]
FED = np.array([["red", "pink"], ["grün", ""], ["sky blue", "red"], ["[UNK]", "grün"]])


def lookup(**options):
    return keras.layers.StringLookup(**{"vocabulary": WORDS, **options})


def saved(folder, inputs, outputs):
    path = folder / "model.keras"
    keras.Model(inputs, outputs).save(path)
    return path


def run(path, feeds):
    graph = load(path, Selection())
    arrays = {graph.inputs[name]: array for name, array in strings.numbered(graph, feeds).items()}
    results = dict(zip(graph.outputs, interp.run(graph, arrays, list(graph.outputs.values())), strict=True))
    return graph, list(strings.spelled(graph, results).values())


def test_lookups(tmp_path):
    words, places = keras.Input((2,), dtype="string", name="words"), keras.Input((3,), dtype="int64", name="places")
    adapted = lookup(vocabulary=None)
    adapted.adapt(np.array(["a", "red", "red"]))
    turned = keras.layers.Flatten()(keras.layers.Permute((2, 1))(keras.layers.Reshape((2, 1))(words)))
    both = keras.layers.Concatenate()([words, turned])
    outputs = [
        lookup()(words), lookup(mask_token="", oov_token="?")(words),
        lookup(max_tokens=9, pad_to_max_tokens=True, output_mode="multi_hot")(words),
        lookup(output_mode="count", mask_token="pink")(both), lookup(output_mode="one_hot")(turned), adapted(words),
        lookup(output_mode="tf_idf", idf_weights=[.5, 1.5, 2.])(both), lookup(invert=True)(places),
        lookup(invert=True, mask_token="-", oov_token="none")(places)]
    path = saved(tmp_path, [words, places], outputs)
    feeds = {"words": FED, "places": np.array([[0, 1, 2], [3, 4, 5], [9, -1, 1], [2, 2, 3]])}
    wants = keras.models.load_model(path)([keras.ops.convert_to_tensor(array) for array in feeds.values()])
    graph, results = run(path, feeds)
    assert set(graph.vocabularies["words"]) == {*WORDS, "", "pink", "a"}
    for got, want in zip(results, wants, strict=True):
        want = want.numpy()
        if want.dtype == object:
            assert got.tolist() == np.vectorize(bytes.decode, otypes=[object])(want).tolist()
        else:
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(("layer", "error", "said"), [
    (lookup(num_oov_indices=2), UnsupportedOp, "StringLookup with unknown strings that are hashed"),
    (keras.layers.TextVectorization(vocabulary=["a"]), UnsupportedOp, "TextVectorization with text that is taken"),
    (keras.layers.Reshape((1, 2)), ModelError, "may be any string that is fed"),
    (keras.layers.Hashing(5), ModelError, "Hashing of strings is not supported"),
])
def test_what_is_refused(layer, error, said, tmp_path):
    words = keras.Input((2,), dtype="string", name="words")
    with pytest.raises(error, match=said):
        load(saved(tmp_path, words, layer(words)))


def test_a_lookup_of_numbers(tmp_path):
    path = saved(tmp_path, x := keras.Input((2,), dtype="int64"), lookup(invert=True)(x))
    assert load(path).vocabularies[keras.models.load_model(path).output_names[0]] == (*WORDS, "[UNK]")
