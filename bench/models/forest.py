"""Ensembles of decision trees, trained by LightGBM."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.models.base import SEED, Model, Recipe

FEATURES = 30


class Boosted(Recipe):
    """Trees fitted one after the other to what the ones before leave of a rough function of normally distributed
    features."""

    def __init__(self, name: str, title: str, trees: int, depth: int):
        self.name, self.title, self.trees, self.depth = name, title, trees, depth
        self.batches, self.count = (1, 1000), 1000

    def make(self, folder: Path) -> None:
        import lightgbm
        import onnx
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        rng = np.random.default_rng(SEED)
        x = rng.standard_normal((20_000, FEATURES)).astype(np.float32)
        y = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + 0.3 * x[:, 3:10].sum(1) + 0.3 * rng.standard_normal(len(x))
        options = {"objective": "regression", "num_leaves": 2**self.depth - 1, "max_depth": self.depth,
                   "learning_rate": 0.05, "min_data_in_leaf": 5, "seed": SEED, "deterministic": True,
                   "force_row_wise": True, "verbose": -1}
        booster = lightgbm.train(options, lightgbm.Dataset(x, y), self.trees)
        folder.mkdir(parents=True)
        model = Model(self.name, folder, (FEATURES,))
        booster.save_model(str(model.lightgbm))
        onnx.save(convert_lightgbm(booster, initial_types=[("x", FloatTensorType([None, FEATURES]))]), model.onnx)
        rows = rng.standard_normal((self.count, FEATURES)).astype(np.float32)
        np.save(folder / "rows.npy", rows)
        np.save(folder / "expected.npy", booster.predict(rows).astype(np.float32)[:, None])
        model.save()


RECIPES = (Boosted("forest", "500 boosted trees, 8 deep", 500, 8),)
