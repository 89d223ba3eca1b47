"""The stand-in model, and a stand-in runtime that calls it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from stand_in import make_artifact

from castiron.packagers import go_module
from castiron.toolchain import Tools

HERE = Path(__file__).parent


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
