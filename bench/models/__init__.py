"""The models that are measured, a module for each family, each in every format that an engine reads.

``python -m bench.models FOLDER NAME...`` makes them, in a process of its own because TensorFlow and
Keras change what is measured beside them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.models import applications, conv1d, forest, lstm, mlp, transformer
from bench.models.base import SEED, Model, Recipe

__all__ = ["MEASURED", "RECIPES", "SEED", "Model", "Recipe", "make"]

#: By name, in the order of the page.
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (
    *mlp.RECIPES, *applications.RECIPES, *conv1d.RECIPES, *lstm.RECIPES, *transformer.RECIPES,
    *forest.RECIPES,
)}

#: Those whose calls are timed.
MEASURED = tuple(name for name, recipe in RECIPES.items() if recipe.batches)


def make(name: str, folder: Path) -> Model:
    """A model in ``folder``, made by a process of its own unless it is there, whole."""
    if not (folder / name / "model.json").exists():
        shutil.rmtree(folder / name, ignore_errors=True)
        command = [sys.executable, "-m", "bench.models", str(folder), name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"bench: {name} can't be made:\n{done.stderr}")
    return Model.load(folder / name)
