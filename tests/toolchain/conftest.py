"""A stand-in model, made of the steps in steps.c, and a stand-in runtime that calls them."""

import shutil
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from castiron.packagers import go_module
from castiron.toolchain import Tools

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Weights:
    values: np.ndarray

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    def write_to(self, file) -> None:
        file.write(self.values.tobytes())


def make_artifact(weights: np.ndarray, name: str = "stand-in") -> types.SimpleNamespace:
    return types.SimpleNamespace(
        name=name,
        source=(HERE / "steps.c").read_text(),
        entries=("affine", "deep", "denormal", "stack_offset", "table", "spin"),
        weights=Weights(weights),
        model_go=f'package data\n\nconst Name = "{name}"\n',
    )


@pytest.fixture(scope="session")
def artifact():
    return make_artifact(np.arange(1000, dtype=np.float32) / 8)


@pytest.fixture(scope="session")
def tools():
    return Tools()


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """The stand-in runtime around the real package native."""
    tree = tmp_path / "runtime"
    shutil.copytree(HERE / "runtime", tree)
    shutil.copytree(go_module.RUNTIME / "internal" / "native", tree / "internal" / "native")
    monkeypatch.setattr(go_module, "RUNTIME", tree)
    return tree
