"""The models that are measured, each in every format that an engine reads.

``python -m bench.models FOLDER NAME...`` makes them, in a process of its own because TensorFlow and
Keras change what is measured beside them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

SEED = 7
#: Rows of input that a model's reference has: no batch is larger.
ROWS = 1024


@dataclass(frozen=True)
class Model:
    """A model on disk. ``row`` is the shape of one row of its input; ``input`` and ``output`` are the
    operations of the frozen GraphDef."""

    name: str
    folder: Path
    row: tuple[int, ...]
    input: str
    output: str

    @property
    def keras(self) -> Path:
        return self.folder / "model.keras"

    @property
    def graphdef(self) -> Path:
        return self.folder / "model.pb"

    @property
    def tflite(self) -> Path:
        return self.folder / "model.tflite"

    @property
    def onnx(self) -> Path:
        return self.folder / "model.onnx"

    def rows(self, batch: int) -> np.ndarray:
        """float32[batch, *row], the same in every run."""
        return np.load(self.folder / "rows.npy")[:batch]

    def expected(self, batch: int) -> np.ndarray:
        """What Keras computes from ``rows(batch)``."""
        return np.load(self.folder / "expected.npy")[:batch]

    def rows_file(self, batch: int) -> Path:
        """The values of ``rows(batch)`` alone."""
        path = self.folder / f"rows-{batch}.f32"
        if not path.exists():
            self.rows(batch).tofile(path)
        return path

    def save(self) -> None:
        described = asdict(self) | {"folder": None}
        (self.folder / "model.json").write_text(json.dumps(described))

    @classmethod
    def load(cls, folder: Path) -> Model:
        described = json.loads((folder / "model.json").read_text())
        return cls(**described | {"folder": folder, "row": tuple(described["row"])})


def mlp(*sizes: int, activation: str = "relu"):
    """A Keras multilayer perceptron with random weights; the last layer is linear."""
    import keras

    hidden = [keras.layers.Dense(n, activation, bias_initializer="normal") for n in sizes[1:-1]]
    last = keras.layers.Dense(sizes[-1], bias_initializer="normal", name="out")
    return keras.Sequential([keras.Input(sizes[:1], name="x"), *hidden, last])


#: Name -> what makes the Keras model. ``neighbour`` is what a build with a warm cache follows on.
RECIPES: dict[str, Callable] = {
    "seed_mlp": lambda: mlp(10, 64, 64, 1),
    "wide_mlp": lambda: mlp(784, 1024, 1024, 10),
    "neighbour": lambda: mlp(10, 48, 32, 1, activation="elu"),
}


def make(names: list[str], folder: Path) -> dict[str, Model]:
    """Make models by a process of their own."""
    command = [sys.executable, "-m", "bench.models", str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the models can't be made:\n{done.stderr}")
    return {name: Model.load(folder / name) for name in names}


def main() -> None:
    import keras

    folder = Path(sys.argv[1])
    for name in sys.argv[2:]:
        keras.utils.set_random_seed(SEED)
        _write(name, RECIPES[name](), folder / name)


def _write(name: str, network, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    row = tuple(network.input_shape[1:])
    rows = np.random.default_rng(SEED).standard_normal((ROWS, *row), np.float32)
    np.save(folder / "rows.npy", rows)
    np.save(folder / "expected.npy", np.asarray(network(rows)))
    ends = _write_graphdef(network, folder / "model.pb")
    model = Model(name, folder, row, *ends)
    network.save(model.keras)
    _write_tflite(network, folder)
    _write_onnx(network, model.onnx)
    model.save()


def _write_graphdef(network, path: Path) -> tuple[str, str]:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32, name="x")
    function = tf.function(lambda x: network(x, training=False)).get_concrete_function(spec)
    frozen = convert_variables_to_constants_v2(function)
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return frozen.inputs[0].op.name, frozen.outputs[0].op.name


def _write_tflite(network, folder: Path) -> None:
    import tensorflow as tf

    network.export(folder / "saved_model", verbose=False)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model")).convert()
    (folder / "model.tflite").write_bytes(converted)


def _write_onnx(network, path: Path) -> None:
    """Dense layers as Gemm and their activation, as an exporter writes them."""
    import keras
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, value = [], [], "x"
    for layer in network.layers:
        if not isinstance(layer, keras.layers.Dense):
            raise TypeError(f"{layer.name}: only Dense layers can be written as ONNX here")
        kernel, bias = layer.get_weights()
        names = f"{layer.name}.w", f"{layer.name}.b"
        weights += map(numpy_helper.from_array, (kernel, bias), names)
        nodes.append(helper.make_node("Gemm", [value, *names], [layer.name]))
        value = layer.name
        if layer.activation is not keras.activations.linear:
            operator = {"relu": "Relu", "elu": "Elu"}[layer.activation.__name__]
            nodes.append(helper.make_node(operator, [value], [f"{layer.name}.y"]))
            value = f"{layer.name}.y"
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, ["batch", *shape[1:]])
            for end, shape in (("x", network.input_shape), (value, network.output_shape))]
    graph = helper.make_graph(nodes, path.stem, ends[:1], ends[1:], weights)
    # An older version than this onnx's own, so that other releases of onnxruntime read it.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    main()
