"""What onnxmltools writes of LightGBM's and XGBoost's ensembles, against these."""

import warnings
from functools import cache

import numpy as np
import onnxmltools
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from written import graphs_of
from xgboost import XGBClassifier, XGBRegressor

from compiled import NATIVE, Compiled

COLUMNS = 6
X, CLASSES = make_classification(120, COLUMNS, n_informative=4, n_redundant=0, n_classes=3, random_state=5)
X = X.astype(np.float32)
HOLES = np.where(np.random.default_rng(2).random(X.shape) < 0.2, np.nan, X).astype(np.float32)
NUMBERS = X @ np.arange(COLUMNS).astype(np.float32)
LIGHT = {"n_estimators": 4, "num_leaves": 7, "verbose": -1, "random_state": 0}
EXTREME = {"n_estimators": 3, "max_depth": 3, "random_state": 0}

#: An ensemble, and what it is fitted to.
CASES = {
    "light_classes": (LGBMClassifier(**LIGHT), X, CLASSES),
    "light_two": (LGBMClassifier(**LIGHT), X, (CLASSES > 0).astype(int)),
    "light_numbers": (LGBMRegressor(**LIGHT), X, NUMBERS),
    "light_holes": (LGBMRegressor(**LIGHT), HOLES, NUMBERS),
    "light_counts": (LGBMRegressor(objective="poisson", **LIGHT), X, np.abs(NUMBERS)),
    "extreme_classes": (XGBClassifier(**EXTREME), X, CLASSES),
    "extreme_two": (XGBClassifier(**EXTREME), X, (CLASSES > 0).astype(int)),
    "extreme_numbers": (XGBRegressor(**EXTREME), X, NUMBERS),
    "extreme_holes": (XGBRegressor(**EXTREME), HOLES, NUMBERS),
    "extreme_counts": (XGBRegressor(objective="count:poisson", **EXTREME), X, np.abs(NUMBERS)),
}


@cache
def fitted(name: str) -> tuple[object, bytes]:
    """The ensemble, and the file that onnxmltools writes of it."""
    ensemble, data, target = CASES[name]
    convert = onnxmltools.convert_lightgbm if name.startswith("light") else onnxmltools.convert_xgboost
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ensemble.fit(data, target)
        proto = convert(ensemble, initial_types=[("X", FloatTensorType([None, COLUMNS]))], target_opset=15)
    return ensemble, proto.SerializeToString()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    return graphs_of(tmp_path_factory.mktemp("boosting"), CASES, lambda name: fitted(name)[1])


@pytest.fixture(scope="module")
def compiled(graphs):
    return Compiled(graphs, levels=(NATIVE[-1],))


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_library(name, graphs, compiled):
    ensemble, graph, data = fitted(name)[0], graphs[name], CASES[name][1]
    results = compiled.runner(name, NATIVE[-1])({"X": data})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = [ensemble.predict(data), *([ensemble.predict_proba(data)] if len(graph.outputs) > 1 else [])]
    for own, theirs in zip(graph.outputs, wanted, strict=True):
        computed = results[own].reshape(theirs.shape)
        if theirs.dtype.kind == "f":
            assert np.abs(computed - theirs).max() <= 1e-5 * np.abs(theirs).max()
        else:
            assert (computed == theirs).all()
