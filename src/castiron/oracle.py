"""Runs a model in the framework that made it. A script for a process of its own, which imports nothing of castiron.

The frameworks are heavy, print what they like and may fail in any way; none of that touches a build.
Only models whose every layer or operator castiron knows get here, and ``safe_config`` has seen that a
Keras configuration names nothing but Keras' own classes, since loading it imports what it names.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: Format -> the packages that can run it, and the one whose version counts.
FRAMEWORKS = {"keras": ("keras", "tensorflow"), "graphdef": ("tensorflow",), "savedmodel": ("tensorflow",),
              "onnx": ("onnxruntime",)}


#: What Keras imports where it is installed, to wrap models and to draw pictures.
ASIDE = ("sklearn", "matplotlib")


#: Beside the results, what the framework says of sets of feeds that it can't run, if there are such.
REFUSED = "refused"


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


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """A framework is imported as where ``ASIDE`` is not installed, and without looking for garbage among the hundreds
    of thousands of objects that it makes and keeps."""
    absent = [name for name in ASIDE if name not in sys.modules]
    collecting = gc.isenabled()
    gc.disable()
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
        if collecting:
            gc.enable()


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


@dataclass(frozen=True)
class Part:
    """Which part of a model to run: a signature by name, labels to fetch, and values by label that are fed in
    every call. ``cuts`` says that inputs or outputs are not the model's own, ``states`` that a call changes the model,
    so that each needs it as it was; ``columns`` are the keys of maps, by the output that consists of such."""

    outputs: Sequence[str]
    signature: str | None = None
    cuts: bool = False
    states: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)


#: From feeds by name to results in the order of the part's outputs.
Run = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]


def _keras(path: Path, part: Part) -> Run:
    if part.cuts:
        raise ValueError("it runs whole Keras models only")
    if not safe_config(_config(path)):
        raise ValueError("its configuration names classes that are not Keras' own")
    with _importing():
        import keras

    # Keras goes by the file's ending, castiron by its content.
    ending = ".keras" if path.read_bytes()[:2] == b"PK" else ".h5"
    with tempfile.TemporaryDirectory() as folder:
        named = shutil.copy(path, Path(folder) / f"model{ending}")
        model = keras.saving.load_model(named, compile=False, safe_mode=True)

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        # castiron's inputs come in the order in which Keras flattens the nest that it takes.
        feeds = list(inputs.values())
        results = model(keras.tree.pack_sequence_as(model.input, feeds) if len(feeds) > 1 else feeds[0], training=False)
        return [np.asarray(r) for r in keras.tree.flatten(results)]

    return run


def _graphdef(path: Path, part: Part) -> Run:
    with _importing():
        import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString(path.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    return lambda inputs: _fetched(session, inputs, part, {})


def _fetched(session: Any, inputs: Mapping[str, np.ndarray], part: Part, names: Mapping[str, str]) -> list[np.ndarray]:
    """The outputs in a session of TensorFlow 1. ``names`` are the tensors that a signature has other names for."""
    def tensor(label: str) -> Any:
        name = names.get(label, label)
        return session.graph.get_tensor_by_name(name if ":" in name else f"{name}:0")

    feeds = {tensor(label): array for label, array in inputs.items()}
    for label, value in part.fixed.items():
        fixed = tensor(label)
        feeds[fixed] = np.full(fixed.shape if fixed.shape.is_fully_defined() else (), value)
    feeds = {fed: array.astype(fed.dtype.as_numpy_dtype) for fed, array in feeds.items()}
    return session.run([tensor(label) for label in part.outputs], feeds)


def _savedmodel(path: Path, part: Part) -> Run:
    with _importing():
        import tensorflow as tf

    if part.cuts:
        return _cut_savedmodel(path, part)
    model = tf.saved_model.load(str(path))
    name = _signature(part, model.signatures)

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        signature = model.signatures[name]  # whose variables the model owns
        specs = signature.structured_input_signature[1]
        results = signature(**{n: tf.cast(a, specs[n].dtype) for n, a in inputs.items()})
        return [results[n].numpy() for n in part.outputs]

    return run


def _cut_savedmodel(path: Path, part: Part) -> Run:
    with _importing():
        import tensorflow as tf

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
    signature = meta.signature_def[_signature(part, meta.signature_def)]
    names = {key: info.name for infos in (signature.outputs, signature.inputs) for key, info in infos.items()}
    return lambda inputs: _fetched(session, inputs, part, names)


def _signature(part: Part, known: Iterable[str]) -> str:
    names = [name for name in known if not name.startswith("__saved_model")]
    return part.signature or ("serving_default" if "serving_default" in names else names[0])


def _onnx(path: Path, part: Part) -> Run:
    import onnxruntime

    if part.cuts:
        raise ValueError("it runs whole ONNX models only")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(string)": object}

    def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        feeds = {i.name: inputs[i.name].astype(kinds.get(i.type, inputs[i.name].dtype))
                 for i in session.get_inputs() if i.name in inputs}
        results = session.run(list(part.outputs), feeds)
        return [_matrix(result, part.columns[name]) if name in part.columns else result
                for name, result in zip(part.outputs, results, strict=True)]

    return run


def _matrix(rows: Sequence[Mapping[Any, float]], columns: Sequence[str]) -> np.ndarray:
    """Maps with the same keys as a matrix of their values."""
    texts = [{str(key): value for key, value in row.items()} for row in rows]
    return np.array([[row[column] for column in columns] for row in texts], np.float32).reshape(-1, len(columns))


_LOAD = {"keras": _keras, "graphdef": _graphdef, "savedmodel": _savedmodel, "onnx": _onnx}


def main(arguments: Sequence[str]) -> None:
    """FORMAT MODEL FEEDS.npz RESULTS.npz PART: run each set of feeds ``<set>/<input>``; PART is JSON. It fails if the
    framework can't run any of them."""
    format, model, feeds, results, part = arguments
    wanted = Part(**json.loads(part))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sets: dict[str, dict[str, np.ndarray]] = {}
    with np.load(feeds) as arrays:
        for key in arrays.files:
            number, name = key.split("/", 1)
            sets.setdefault(number, {})[name] = arrays[key]
    computed = {}
    refused: Exception | None = None
    run: Run | None = None
    for number, inputs in sets.items():
        try:
            if run is None or wanted.states:
                run = _LOAD[format](Path(model), wanted)
            found = run(inputs)
        except Exception as error:  # a framework's may be any
            refused = error
            continue
        computed |= {f"{number}/{i}": _plain(np.asarray(array)) for i, array in enumerate(found)}
    if refused is not None:
        if not computed:
            raise refused
        computed[REFUSED] = np.array(str(refused))
    np.savez(results, **computed)


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of strings, or their bytes, as one of NumPy's own."""
    if array.dtype != object:
        return array
    return array.astype(bytes if all(isinstance(item, bytes) for item in array.flat) else str)


if __name__ == "__main__":
    main(sys.argv[1:])
