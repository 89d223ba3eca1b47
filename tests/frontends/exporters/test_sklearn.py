"""What skl2onnx writes of scikit-learn's estimators and pipelines, against scikit-learn."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from written import graphs_of

from castiron import frontends
from castiron.errors import UnsupportedOp
from compiled import NATIVE, Compiled

#: Versions of operators that skl2onnx writes.
OPSETS = {"": 18, "ai.onnx.ml": 3}

ROWS, COLUMNS = 60, 5
X, CLASSES = make_classification(ROWS + 30, COLUMNS, n_informative=4, n_redundant=0, n_classes=3, random_state=3)
X = X.astype(np.float32)
NAMES = np.array(["cat", "dog", "owl"])[CLASSES]
NUMBERS = (X @ np.arange(COLUMNS) + np.sin(X[:, 0])).astype(np.float32)
WORDS = np.column_stack([np.array(["a", "b", "c"])[CLASSES], np.array(["x", "y"])[CLASSES % 2]]).astype(object)


@dataclass(frozen=True)
class Case:
    """An estimator, what it is fitted to, and the methods whose results its outputs are."""

    make: Callable[[], object]
    target: np.ndarray = field(default_factory=lambda: CLASSES)
    methods: tuple[str, ...] = ("predict", "predict_proba")
    data: np.ndarray = field(default_factory=lambda: X)
    options: dict = field(default_factory=dict)
    tolerance: float = 1e-5


def values(make: Callable[[], object], **more) -> Case:
    return Case(make, NUMBERS, ("predict",), **more)


def named(make: Callable[[], object], **more) -> Case:
    return Case(make, NAMES, **more)


def trees(count: int = 4) -> dict:
    return {"n_estimators": count, "max_depth": 3, "random_state": 0}


def tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=3, random_state=0)


def network(kind: type) -> object:
    return kind(hidden_layer_sizes=(6,), max_iter=20, random_state=0)


CASES = {
    "logistic": Case(lambda: make_pipeline(StandardScaler(), LogisticRegression())),
    "logistic_names": named(lambda: make_pipeline(MinMaxScaler(), LogisticRegression())),
    "linear_svc": named(LinearSVC, methods=("predict", "decision_function")),
    "svc": Case(SVC, methods=("predict",)),
    "svc_names": named(lambda: SVC(kernel="poly"), methods=("predict",)),
    "svr": values(SVR),
    "one_class": Case(OneClassSVM, methods=("predict", "decision_function")),
    "tree": named(tree),
    "tree_numbers": values(lambda: DecisionTreeRegressor(max_depth=4, random_state=0)),
    "forest": Case(lambda: RandomForestClassifier(**trees())),
    "forest_numbers": values(lambda: RandomForestRegressor(**trees())),
    "extra": named(lambda: ExtraTreesClassifier(**trees())),
    "boosted": Case(lambda: GradientBoostingClassifier(**trees())),
    "boosted_numbers": values(lambda: GradientBoostingRegressor(**trees())),
    "adaboost": Case(lambda: AdaBoostClassifier(n_estimators=3, random_state=0)),
    "isolation": Case(lambda: IsolationForest(n_estimators=2, max_samples=12, random_state=0),
                      methods=("predict", "decision_function")),
    "neighbours": Case(lambda: KNeighborsClassifier(3)),
    "neighbours_distance": Case(lambda: KNeighborsClassifier(3), options={"optim": "cdist"}),
    "neighbours_numbers": values(lambda: KNeighborsRegressor(3)),
    "bayes": named(GaussianNB, tolerance=1e-4),
    "counts": Case(MultinomialNB, data=np.abs(X)),
    "network": Case(lambda: network(MLPClassifier)),
    "network_numbers": values(lambda: network(MLPRegressor)),
    "clusters": Case(lambda: KMeans(3, n_init=1, random_state=0), methods=("predict", "transform")),
    "components": Case(lambda: make_pipeline(StandardScaler(), PCA(3)), methods=("transform",)),
    "singular": Case(lambda: TruncatedSVD(3), methods=("transform",)),
    "process": values(lambda: GaussianProcessRegressor(RBF(), alpha=0.1), tolerance=1e-4),
    "voting": named(lambda: VotingClassifier([("a", LogisticRegression()), ("b", tree())], voting="soft",
                                             flatten_transform=False)),
    "stacking": Case(lambda: StackingClassifier([("a", LogisticRegression()), ("b", tree())], LogisticRegression())),
    "bagging": Case(lambda: BaggingClassifier(tree(), 3, random_state=0)),
    "calibrated": Case(lambda: CalibratedClassifierCV(LinearSVC(), cv=2)),
    "one_against_rest": Case(lambda: OneVsRestClassifier(LogisticRegression())),
    "linear_discriminants": Case(LinearDiscriminantAnalysis),
    "quadratic_discriminants": Case(QuadraticDiscriminantAnalysis, methods=(), tolerance=1e-4),
    "descent": Case(lambda: SGDClassifier(loss="log_loss", alpha=1.0, random_state=0)),
    "elastic": values(ElasticNet),
    "polynomial": values(lambda: make_pipeline(PolynomialFeatures(2), Ridge())),
    "power": values(lambda: make_pipeline(PowerTransformer(), Normalizer(), Ridge())),
    "bins": values(lambda: make_pipeline(KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform"), Ridge())),
    "prepared": Case(lambda: make_pipeline(SimpleImputer(), RobustScaler(), MaxAbsScaler(), SelectKBest(k=3),
                                           Binarizer(), LogisticRegression())),
    "mixture": Case(lambda: GaussianMixture(2, random_state=0), tolerance=1e-4),
    "one_hot": Case(lambda: make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), data=WORDS),
    "ordinal": Case(lambda: make_pipeline(OrdinalEncoder(), tree()), data=WORDS),
}


@cache
def fitted(name: str) -> tuple[object, bytes]:
    """The estimator, and the file that skl2onnx writes of it."""
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = case.make().fit(case.data[:ROWS], case.target[:ROWS])
        types = {"initial_types": [("X", StringTensorType([None, case.data.shape[1]]))]} if case.data is WORDS else {
            "X": case.data[:1]}
        options = {type(estimator): case.options} if case.options else None
        proto = to_onnx(estimator, target_opset=OPSETS, options=options, **types)
    return estimator, proto.SerializeToString()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return graphs_of(tmp_path_factory.mktemp("sklearn"), CASES, lambda name: fitted(name)[1])


@pytest.fixture(scope="module")
def compiled(graphs):
    return Compiled(graphs, units=2, levels=(NATIVE[-1],))


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_sklearn(name, graphs, compiled):
    case, graph = CASES[name], graphs[name]
    estimator, _ = fitted(name)
    rows = case.data[ROWS:]
    (given,) = graph.inputs
    fed = rows
    if given in graph.vocabularies:
        words = list(graph.vocabularies[given])
        fed = np.array([[words.index(word) if word in words else -1 for word in row] for row in rows], np.int64)
    results = compiled.runner(name, NATIVE[-1])({given: fed})
    for own, method in zip(graph.outputs, case.methods, strict=False):
        wanted, computed = np.asarray(getattr(estimator, method)(rows)), results[own]
        if own in graph.vocabularies:
            computed = np.array(graph.vocabularies[own])[computed]
        computed = computed.reshape(wanted.shape)
        if wanted.dtype.kind in "UOiu":
            assert (computed == wanted).all()
        else:
            assert np.abs(computed - wanted).max() <= case.tolerance * max(1e-6, np.abs(wanted).max())


def test_columns_are_the_classes(graphs):
    (_, shares) = graphs["logistic_names"].outputs
    assert tuple(graphs["logistic_names"].columns[shares]) == ("cat", "dog", "owl")


def test_text_is_refused_with_a_reason(tmp_path):
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["the cat sat", "a dog ran"], [0, 1])
    path = tmp_path / "text.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path.write_bytes(to_onnx(estimator, initial_types=[("X", StringTensorType([None, 1]))],
                                 target_opset=OPSETS).SerializeToString())
    with pytest.raises(UnsupportedOp, match=r"Tokenizer"):
        frontends.load(path)
