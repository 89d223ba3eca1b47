"""Models that Keras makes, exported from there to the formats of all engines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from bench.models.base import SEED, Model, Recipe

#: An older version than the exporter's newest, so that other releases of onnxruntime read it.
OPSET = 18


class KerasRecipe(Recipe):
    """Gives ``network``; its input is standard normal unless it gives ``rows``."""

    dtype = "float32"
    #: Whether the converter to .tflite needs to know the batch.
    fixed_tflite = False

    def network(self):
        """The Keras model, with random weights."""
        raise NotImplementedError

    def rows(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Input of a shape."""
        return random.standard_normal(shape, np.float32)

    def make(self, folder: Path) -> None:
        import keras

        keras.utils.set_random_seed(SEED)
        folder.mkdir(parents=True, exist_ok=True)
        network = self.network()
        row = tuple(network.input_shape[1:])
        rows = self.rows(np.random.default_rng(SEED), (self.count, *row)).astype(self.dtype)
        _settle(network, rows[:8])
        np.save(folder / "rows.npy", rows)
        np.save(folder / "expected.npy", np.asarray(network(rows, training=False)))
        ends = _write_graphdef(network, self.dtype, folder / "model.pb")
        model = Model(self.name, folder, row, self.dtype, *ends)
        network.save(model.keras)
        network.export(model.saved_model, verbose=False)
        if self.fixed_tflite:
            for batch in self.batches:
                _write_tflite(network, self.dtype, batch, folder)
        else:
            _write_tflite(network, self.dtype, None, folder)
        _write_onnx(model)
        model.save()


def _settle(network, rows: np.ndarray) -> None:
    """Give batch normalizations the statistics of some rows, with a little more variance. With the initial ones the
    values of deep networks would grow or fade from layer to layer, as no trained network's do; with the very ones
    random networks tell inputs apart that differ by rounding."""
    import keras

    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in layers:
        layer.momentum = 0.0
    if layers:
        network(rows, training=True)
    for layer in layers:
        layer.momentum = 0.99
        layer.moving_variance.assign(1.1 * layer.moving_variance)


def _spec(network, dtype: str, batch: int | None):
    import tensorflow as tf

    return tf.TensorSpec((batch, *network.input_shape[1:]), dtype, name="x")


def _function(network, dtype: str, batch: int | None):
    import tensorflow as tf

    return tf.function(lambda x: network(x, training=False)).get_concrete_function(_spec(network, dtype, batch))


def _write_graphdef(network, dtype: str, path: Path) -> tuple[str, str]:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(_function(network, dtype, None))
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    return frozen.inputs[0].op.name, frozen.outputs[0].op.name


def _write_tflite(network, dtype: str, batch: int | None, folder: Path) -> None:
    import keras
    import tensorflow as tf

    saved = folder / "saved_model"
    if batch:
        saved = folder / f"saved_model-{batch}"
        archive = keras.export.ExportArchive()
        archive.track(network)
        archive.add_endpoint("serve", lambda x: network(x, training=False), [_spec(network, dtype, batch)])
        archive.write_out(saved, verbose=False)
    converted = tf.lite.TFLiteConverter.from_saved_model(str(saved)).convert()
    (folder / (f"model-{batch}.tflite" if batch else "model.tflite")).write_bytes(converted)


def _write_onnx(model: Model) -> None:
    """By tf2onnx from the SavedModel: Keras' own exporter and the frozen graph each fail for some model here."""
    command = (sys.executable, "-m", "tf2onnx.convert", "--saved-model", model.saved_model, "--output", model.onnx,
               "--opset", str(OPSET))
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tf2onnx can't convert {model.name}:\n{done.stderr}")
    _mend(model.onnx)


def _mend(path: Path) -> None:
    """tf2onnx leaves TensorFlow's Erfc, which ONNX has not, in exact GELUs: erfc(x) = 1 - erf(x)."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        inner = f"{node.output[0]}/erf"
        nodes += [helper.make_node("Erf", node.input, [inner]),
                  helper.make_node("Sub", ["one/of/erfc", inner], node.output)]
    if len(nodes) > len(model.graph.node):
        model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "one/of/erfc"))
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
