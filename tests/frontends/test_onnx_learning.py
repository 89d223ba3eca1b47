"""Classical machine learning in ONNX (the domain ai.onnx.ml) and strings, against onnxruntime: all cases of one version
of the operators are one model, which is interpreted; some of them are one that is compiled."""

from itertools import product

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import castiron
from castiron import interp, strings
from castiron.errors import CastironError, ModelError, ShapeError, UnsupportedOp
from castiron.frontends.onnx import convert
from castiron.frontends.onnx.proto import onnx_pb2
from castiron.ir import parse_graph, print_graph, verify

ML = "ai.onnx.ml"
TYPES = {"x": TensorProto.FLOAT, "d": TensorProto.DOUBLE, "n": TensorProto.INT64, "k": TensorProto.INT64,
         "w": TensorProto.STRING, "ww": TensorProto.STRING}
FEEDS = {
    "x": np.array([[1, -.5, 2], [.25, 0, -1], [0, 0, 0], [-1.5, np.nan, .5], [3, 1, 1]], np.float32),
    "d": np.array([1.5, 2, np.nan, -7, 0]),
    "n": np.array([[1, -5, 2], [3, 0, 0], [0, 4, 4], [7, 5, 6], [2, 3, 5]]),
    "k": np.array([5, 3, -9, 0, 2]),
    "w": np.array(["a", "b", "zz", "", "Grün, \"rot\""], object),
    "ww": np.array([["2", "3"], ["3", "5"], ["?", "3"], ["5", "6"], ["6", "a"]], object),
}
LISTS = {"strings": ["a", "Grün, \"rot\""], "int64s": [3, 5], "floats": [1.5, float("nan")]}
DEFAULTS = {"strings": {"default_string": "none"}, "int64s": {"default_int64": 8}, "floats": {"default_float": 2.5}}
BY_TYPE = {"strings": "w", "int64s": "k", "floats": "f"}


def tensor(name, array):
    array = np.asarray(array)
    if array.dtype.kind == "U":
        return helper.make_tensor(name, TensorProto.STRING, array.shape, [text.encode() for text in array.reshape(-1)])
    return numpy_helper.from_array(array, name)


def case(op, inputs, outputs=1, domain=ML, **attributes):
    return op, inputs.split(), outputs, domain, attributes


def scaling():
    for norm in ("MAX", "L1", "L2"):
        yield case("Normalizer", "s", norm=norm)
        yield case("Normalizer", "n", norm=norm)
    for x, values in product("xnk", ([.5], [.5, 2., -1.])):
        if x != "k" or len(values) == 1:
            yield case("Scaler", x, offset=values, scale=[-v for v in values])
    yield case("Imputer", "x", imputed_value_floats=[9., 8., 7.], replaced_value_float=float("nan"))
    yield case("Imputer", "x", imputed_value_floats=[9.], replaced_value_float=0.)
    yield case("Imputer", "n", imputed_value_int64s=[9, 8, 7], replaced_value_int64=0)
    yield case("Binarizer", "s", threshold=.25)


def features():
    yield case("OneHotEncoder", "k", cats_int64s=[3, -9, 7], zeros=1)
    yield case("OneHotEncoder", "s", cats_int64s=[0, 1], zeros=1)
    yield case("OneHotEncoder", "w", cats_strings=["b", "a"], zeros=1)
    yield case("OneHotEncoder", "ww", cats_strings=["3", "2"], zeros=1)
    yield case("FeatureVectorizer", "x x", inputdimensions=[2, 4])
    yield case("FeatureVectorizer", "n", inputdimensions=[3])
    yield case("ArrayFeatureExtractor", "x places")
    yield case("CategoryMapper", "w", cats_strings=["a", "b"], cats_int64s=[4, 6])
    yield case("CategoryMapper", "k", cats_strings=["a", "b"], cats_int64s=[3, 0], default_string="none")


def linear():
    rows = [.5, -.25, .75, 1., .5, -1., -.5, .25, .125]
    for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"):
        x = "p" if transform == "PROBIT" else "s"
        yield case("LinearRegressor", x, coefficients=rows[:3], intercepts=[.25], post_transform=transform)
        yield case("LinearRegressor", x, coefficients=rows[:6], intercepts=[.25, 0.], targets=2,
                   post_transform=transform)
        yield case("LinearClassifier", x, 2, coefficients=rows, intercepts=[.25, 0., -.5], multi_class=1,
                   classlabels_ints=[3, 1, 2], post_transform=transform)
        if transform != "PROBIT":
            for x in ("s", "n"):
                yield case("LinearClassifier", x, 2, coefficients=rows[:3], intercepts=[.25],
                           classlabels_strings=["no", "yes"], post_transform=transform)


def support_vectors():
    rng = np.random.default_rng(1)

    def numbers(count):
        return rng.standard_normal(count).tolist()

    for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        shared = {"kernel_type": kernel, "kernel_params": [.25, .5, 3.]}
        for supports, one_class in product((0, 2), (0, 1)):
            yield case("SVMRegressor", "s", coefficients=numbers(supports or 3), rho=[.125], n_supports=supports,
                       support_vectors=numbers(3 * supports) or [0.], one_class=one_class, **shared)
        for classes, calibrated, transform in ((2, 0, "NONE"), (2, 0, "LOGISTIC"), (2, 0, "SOFTMAX"), (2, 1, "NONE"),
                                               (3, 0, "NONE"), (4, 1, "LOGISTIC")):
            pairs = classes * (classes - 1) // 2
            more = {"prob_a": numbers(pairs), "prob_b": numbers(pairs)} if calibrated else {}
            yield case("SVMClassifier", "s", 2, vectors_per_class=[2] * classes, rho=numbers(pairs),
                       coefficients=numbers(2 * classes * (classes - 1)), support_vectors=numbers(6 * classes),
                       classlabels_strings=[f"class {i}" for i in range(classes)], post_transform=transform,
                       **shared, **more)
    for classes, positive in product((2, 3), (False, True)):
        yield case("SVMClassifier", "s", 2, coefficients=np.abs(numbers(3 * classes)).tolist() if positive else
                   numbers(3 * classes), rho=[.25], classlabels_ints=list(range(10, 10 + classes)),
                   kernel_type="LINEAR", kernel_params=[0., 0., 0.], post_transform="LOGISTIC")


def labels(version):
    for keys, values, default in product(LISTS, LISTS, (False, True)):
        if version == 2 and values == "floats":
            continue
        listed = LISTS[values] if values != "floats" else [1.5, 2.5]
        yield case("LabelEncoder", BY_TYPE[keys], **{f"keys_{keys}": LISTS[keys], f"values_{values}": listed},
                   **(DEFAULTS[values] if default else {}))
    if version == 4:
        for x, keys, values, default in (("d", [1.5, np.nan], [.5, .25], [-1.]), ("k", [3, 5, 3], [7, 8, 9], [-3]),
                                         ("w", ["a", "b"], ["q", "a"], ["other"])):
            yield case("LabelEncoder", x, keys_tensor=tensor("keys", keys), values_tensor=tensor("values", values),
                       default_tensor=tensor("default", default))


def sequences():
    pool = [2, 3, 5, 6, 3, 5, 2, 6]
    for mode, weights, gaps, (low, high) in product(("TF", "IDF", "TFIDF"), ((), (2., 3., 1., .5, .25, 4.)), (0, 1),
                                                    ((1, 1), (1, 2), (2, 2))):
        for x, tokens in (("n", {"pool_int64s": pool}), ("ww", {"pool_strings": list(map(str, pool))})):
            yield case("TfIdfVectorizer", x, domain="", mode=mode, ngram_counts=[0, 4],
                       ngram_indexes=[0, 1, 2, 3, 5, 4], max_skip_count=gaps, min_gram_length=low, max_gram_length=high,
                       **({"weights": weights} if weights else {}), **tokens)


SUITES = {
    "learning": (3, [*scaling(), *features(), *linear(), *support_vectors()]),
    "labels 2": (2, [*labels(2)]), "labels 4": (4, [*labels(4), *sequences()]),
    "labels 1": (1, [case("LabelEncoder", "w", classes_strings=["b", "a"], default_int64=-5),
                     case("LabelEncoder", "k", classes_strings=["b", "a", "c"], default_string="none")]),
}
#: Inputs that are computed from others: f from d, s is x without NaN, p between 0 and 1.
DERIVED = [helper.make_node("Cast", ["d"], ["f"], to=TensorProto.FLOAT),
           helper.make_node("Imputer", ["x"], ["s"], domain=ML, imputed_value_floats=[.75],
                            replaced_value_float=float("nan")),
           helper.make_node("Abs", ["s"], ["size"]), helper.make_node("Mul", ["size", "scale"], ["scaled"]),
           helper.make_node("Clip", ["scaled", "least"], ["p"])]
CONSTANTS = {"places": np.array([2, 0]), "scale": np.float32(.03125), "least": np.float32(.0625)}


def joined(version, cases):
    """The cases as one model."""
    nodes, names = list(DERIVED), []
    for i, (op, inputs, outputs, domain, attributes) in enumerate(cases):
        names += [f"{op} {i}:{k}" for k in range(outputs)]
        nodes.append(helper.make_node(op, inputs, names[-outputs:], domain=domain, **attributes))
    infos = [helper.make_tensor_value_info(name, type, ["rows", *FEEDS[name].shape[1:]])
             for name, type in TYPES.items()]
    return model(nodes, infos, names, version)


def model(nodes, inputs, outputs, version=3, types=()):
    types = dict(types)
    graph = helper.make_graph(nodes, "graph", inputs, [
        types.get(name) or helper.make_empty_tensor_value_info(name) for name in outputs],
        [tensor(name, array) for name, array in CONSTANTS.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(ML, version)],
                             ir_version=8)


def loaded(source):
    graph = convert("model", onnx_pb2.ModelProto.FromString(source.SerializeToString()))
    verify(graph)
    return graph


def reference(source, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(source.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    wanted = {name: feeds[name] for name in (i.name for i in session.get_inputs())}
    return dict(zip(names, session.run(names, wanted), strict=True))


def interpreted(graph, feeds):
    arrays = {graph.inputs[name]: array for name, array in strings.numbered(graph, feeds).items()}
    results = interp.run(graph, arrays, list(graph.outputs.values()))
    return strings.spelled(graph, dict(zip(graph.outputs, results, strict=True)))


@pytest.mark.parametrize("suite", SUITES)
def test_as_onnxruntime_does(suite):
    check(joined(*SUITES[suite]), interpreted)


def test_compiled_as_onnxruntime_does():
    version, cases = SUITES["learning"]
    more = [*SUITES["labels 2"][1], *SUITES["labels 4"][1]]
    check(joined(version, [*cases[::5], *more[::9]]), lambda graph, feeds: castiron.compile(graph)(**feeds))


def check(source, run):
    wants, graph = reference(source, FEEDS), loaded(source)
    results = run(graph, {name: FEEDS[name] for name in graph.inputs})
    assert list(results) == list(wants)
    for name, want in wants.items():
        got = results[name]
        assert got.shape == want.shape, name
        if want.dtype == object:
            assert got.tolist() == want.tolist(), name
        else:
            assert got.dtype == want.dtype, name
            np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6, err_msg=name)


def words(name="w", *shape):
    return helper.make_tensor_value_info(name, TensorProto.STRING, ["rows", *shape])


def node(op, inputs, outputs, domain="", **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), domain=domain, **attributes)


def test_strings_move_like_numbers_and_keep_their_words():
    source = model([
        node("Constant", "", "b", value_string="b"), node("Constant", "", "marks", value_strings=["!", "?"]),
        node("Gather", "marks zero", "mark"), node("Equal", "w b", "is_b"),
        node("LabelEncoder", "w", "upper", ML, keys_strings=["a", "b"], values_strings=["A", "B"]),
        node("Where", "is_b mark upper", "chosen"), node("StringConcat", "upper mark", "loud"),
        node("Unsqueeze", "chosen one", "first"), node("Unsqueeze", "loud one", "second"),
        node("Concat", "first second", "both", axis=1), node("StringNormalizer", "both", "low",
                                                             case_change_action="LOWER"),
        node("LabelEncoder", "both", "numbers", ML, keys_strings=["A", "B!"], values_int64s=[10, 20]),
    ], [words()], ["is_b", "both", "low", "numbers"])
    for name, array in (("zero", np.int64(0)), ("one", np.array([1]))):
        source.graph.initializer.append(tensor(name, array))
    graph = loaded(source)
    assert graph.vocabularies["w"] == ("b", "a")
    results = castiron.compile(graph)(w=np.array(["a", "b", "c"]))
    assert results["is_b"].tolist() == [False, True, False]
    assert results["both"].tolist() == [["A", "A!"], ["!", "B!"], ["_Unused", "_Unused!"]]
    assert results["low"].tolist() == [["a", "a!"], ["!", "b!"], ["_unused", "_unused!"]]
    assert results["numbers"].tolist() == [[10, -1], [-1, 20], [-1, -1]]


def test_constant_strings_are_worked_out():
    source = model([
        node("StringNormalizer", "text", "kept", stopwords=["THE"], case_change_action="UPPER"),
        node("StringSplit", "text", "parts count", delimiter="e"),
        node("Cast", "digits", "number", to=TensorProto.FLOAT),
        node("Add", "x number", "y"),
    ], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])], ["kept", "parts", "count", "y"])
    for name, array in (("text", ["the", "tea", "The", "one"]), ("digits", ["1.5", "-2"])):
        source.graph.initializer.append(tensor(name, np.array(array)))
    results = castiron.compile(loaded(source))(x=np.ones(2, np.float32))
    assert results["kept"].tolist() == ["TEA", "ONE"]
    assert results["parts"].tolist() == [["th", ""], ["t", "a"], ["Th", ""], ["on", ""]]
    assert results["count"].tolist() == [2, 2, 2, 2]
    assert results["y"].tolist() == [2.5, -1.]


def test_a_graph_with_words_and_columns_as_text():
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 2])
    source = model([node("ZipMap", "scores", "map", ML, classlabels_strings=["a", 'b "c"']),
                    node("LabelEncoder", "w", "label", ML, keys_strings=["\u2028", "b"], values_strings=["x", "y\n"])],
                   [words(), scores], ["map", "label"])
    graph = loaded(source)
    assert graph.columns == {"map": ("a", 'b "c"')}
    again = parse_graph(print_graph(graph))
    assert (again.vocabularies, again.columns) == (graph.vocabularies, graph.columns)
    assert set(again.vocabularies) == {"w", "label"}


@pytest.mark.parametrize(("nodes", "error", "said"), [
    ([node("Identity", "w", "y")], ModelError, "'y' may be any string that is fed"),
    ([node("Equal", "w v", "y")], ModelError, "whether two strings that are fed are the same"),
    ([node("StringConcat", "w v", "y")], ModelError, "strings that are made of an input's are not supported"),
    ([node("Cast", "w", "y", to=1)], ModelError, "feed numbers"),
    ([node("Neg", "w", "y")], ModelError, "Neg of strings is not supported"),
    ([node("RegexFullMatch", "w", "y", pattern="a*")], UnsupportedOp, "RegexFullMatch"),
    ([node("LabelEncoder", "w", "y", ML, keys_int64s=[1], values_int64s=[2])], ModelError, "strings looked up among"),
    ([node("LabelEncoder", "w", "y", ML, keys_strings=["a"], values_int64s=[2, 3])], ModelError, "not of one number"),
    ([node("DictVectorizer", "w", "y", ML, string_vocabulary=["a"])], UnsupportedOp, "DictVectorizer"),
])
def test_what_is_refused(nodes, error, said):
    with pytest.raises(error, match=said):
        loaded(model(nodes, [words(), words("v")], ["y"]))


def test_strings_and_numbers_are_not_taken_for_each_other():
    source = model([node("LabelEncoder", "w", "y", ML, keys_strings=["a"], values_int64s=[2])], [words()], ["y"])
    compiled = castiron.compile(loaded(source))
    assert compiled(np.array([b"a", b"b"]))["y"].tolist() == [2, -1]
    with pytest.raises(ShapeError, match="takes strings, not int"):
        compiled(np.array([0]))
    source.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(CastironError, match="looked up among"):
        loaded(source)


def test_each_input_has_its_words_unless_strings_of_several_meet():
    def codes(*inputs):
        return [node("LabelEncoder", name, f"{name}_code", ML, keys_strings=[f"{name}1", "both"], values_int64s=[1, 2])
                for name in inputs]

    apart = loaded(model(codes("w", "v"), [words(), words("v")], ["w_code", "v_code"]))
    assert (apart.vocabularies["w"], apart.vocabularies["v"]) == (("w1", "both"), ("v1", "both"))
    joined = [node("Concat", "w v", "j", axis=0), *codes("j")]
    early = loaded(model([*joined, *codes("w")], [words(), words("v")], ["j_code", "w_code"]))
    assert early.vocabularies["w"] == early.vocabularies["v"] == ("j1", "both", "w1")
    late = loaded(model([*codes("w", "v"), *joined], [words(), words("v")], ["w_code", "v_code", "j_code"]))
    assert late.vocabularies["w"] == late.vocabularies["v"] == ("w1", "both", "v1", "j1")
    fed = {"w": np.array(["both", "v1", "j1"]), "v": np.array(["v1", "w1", "both"])}
    assert [array.tolist() for array in interpreted(late, fed).values()] == [[2, -1, -1], [1, -1, 2],
                                                                             [2, -1, 1, -1, -1, 2]]
