"""Runs a model in the framework that made it. A script for a process of its own, which imports nothing of castiron.

The frameworks are heavy, print what they like and may fail in any way; none of that touches a build.
Only models whose every layer or operator castiron knows get here, and ``safe_config`` has seen that a
Keras configuration names nothing but Keras' own classes, since loading it imports what it names.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: Format -> the packages that can run it, and the one whose version counts.
FRAMEWORKS = {"keras": ("keras", "tensorflow"), "graphdef": ("tensorflow",), "savedmodel": ("tensorflow",)}


def available(format: str) -> str | None:
    """Name and version of the framework for a format if it is installed."""
    packages = FRAMEWORKS.get(format, ())
    if not packages or any(importlib.util.find_spec(p) is None for p in packages):
        return None
    for distribution in (packages[0], f"{packages[0]}-cpu"):
        try:
            return f"{packages[0]} {importlib.metadata.version(distribution)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return packages[0]


def safe_config(config: Any) -> bool:
    """Whether a Keras configuration refers to Keras' own classes alone."""
    pending = [config]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            module = item.get("module")
            if module is not None and not (module == "keras" or str(module).startswith("keras.")):
                return False
            if item.get("class_name") in ("Lambda", "__lambda__", "function") or item.get("registered_name") not in (
                    None, "", item.get("class_name")):
                return False
            pending.extend(item.values())
    return True


def _config(path: Path) -> Any:
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def _keras(path: Path, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    if not safe_config(_config(path)):
        raise ValueError("its configuration names classes that are not Keras' own")
    import keras

    # Keras goes by the file's ending, castiron by its content.
    ending = ".keras" if path.read_bytes()[:2] == b"PK" else ".h5"
    with tempfile.TemporaryDirectory() as folder:
        named = shutil.copy(path, Path(folder) / f"model{ending}")
        model = keras.saving.load_model(named, compile=False, safe_mode=True)
    feeds = [inputs[t.name] if t.name in inputs else array
             for t, array in zip(model.inputs, inputs.values(), strict=True)]
    results = model(feeds if len(feeds) > 1 else feeds[0], training=False)
    return [np.asarray(r) for r in keras.tree.flatten(results)]


def _graphdef(path: Path, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        tensors = {name: graph.get_tensor_by_name(name if ":" in name else f"{name}:0") for name in [*inputs, *outputs]}
        with tf.compat.v1.Session(graph=graph) as session:
            feeds = {tensors[n]: a.astype(tensors[n].dtype.as_numpy_dtype) for n, a in inputs.items()}
            return session.run([tensors[n] for n in outputs], feeds)


def _savedmodel(path: Path, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
    import tensorflow as tf

    signatures = tf.saved_model.load(str(path)).signatures
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures))
    signature = signatures[name]
    specs = signature.structured_input_signature[1]
    results = signature(**{n: tf.cast(a, specs[n].dtype) for n, a in inputs.items()})
    return [results[n].numpy() for n in outputs]


_RUN = {"keras": _keras, "graphdef": _graphdef, "savedmodel": _savedmodel}


def main(arguments: Sequence[str]) -> None:
    """FORMAT MODEL FEEDS.npz RESULTS.npz OUTPUT…: run each set of feeds ``<set>/<input>``."""
    format, model, feeds, results, *outputs = arguments
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sets: dict[str, dict[str, np.ndarray]] = {}
    with np.load(feeds) as arrays:
        for key in arrays.files:
            number, name = key.split("/", 1)
            sets.setdefault(number, {})[name] = arrays[key]
    computed = {}
    for number, inputs in sets.items():
        for i, array in enumerate(_RUN[format](Path(model), inputs, outputs)):
            computed[f"{number}/{i}"] = np.asarray(array)
    np.savez(results, **computed)


if __name__ == "__main__":
    main(sys.argv[1:])
