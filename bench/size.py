"""What has to be on the machine where a model runs."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path

from bench.engines import tensorflow
from bench.models import RECIPES
from bench.setting import Setting

MODELS = ("seed_mlp", "resnet50")

#: What an engine needs beside a model's own file: Python packages, without what they need in turn but numpy.
_PYTHON = {"litert": ("ai_edge_litert", "numpy"), "onnxruntime": ("onnxruntime", "numpy"),
           "openvino": ("openvino", "numpy")}


def run(setting: Setting) -> dict:
    """{"models": {model: {engine: bytes}}, "python": bytes of Python itself, which is in no engine's figure}.

    castiron's figure is of the executable. Others have the model's file and the engine: packages as they are
    installed, and for TensorFlow's C API its two shared libraries."""
    sizes = {}
    for name in MODELS:
        model = setting.model(name)
        files = {"litert": model.tflite(1), "onnxruntime": model.onnx, "openvino": model.onnx}
        sizes[name] = {"castiron": setting.binary(model).stat().st_size}
        for engine, packages in _PYTHON.items():
            if all(map(importlib.util.find_spec, packages)):
                sizes[name][engine] = files[engine].stat().st_size + sum(map(_package, packages))
        if importlib.util.find_spec("tensorflow"):
            sizes[name]["tensorflow_c"] = sum(path.stat().st_size for path in (*tensorflow.libraries(), model.graphdef))
    return {"titles": {name: RECIPES[name].title for name in MODELS}, "models": sizes, "python": _python()}


def _package(name: str) -> int:
    folder = Path(importlib.util.find_spec(name).submodule_search_locations[0])
    libraries = folder.with_name(f"{name}.libs")
    return _folder(folder) + (_folder(libraries) if libraries.exists() else 0)


def _folder(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _python() -> int:
    """The standard library, and the interpreter."""
    library = Path(sysconfig.get_path("stdlib"))
    modules = sum(file.stat().st_size for file in library.rglob("*") if file.is_file()
                  and not {"site-packages", "__pycache__", "test"} & set(file.relative_to(library).parts))
    return modules + Path(sys.executable).resolve().stat().st_size
