"""Makes small models of each format with Keras, TensorFlow and onnx: ``python seeds.py FOLDER``."""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as freeze


def main(folder: Path) -> None:
    """Leave model.keras, model.h5, model.pb and saved_model/, each with convolution, recurrence, attention."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 2), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Reshape((16, 4))(keras.layers.DepthwiseConv2D(3, padding="same")(x))
    words = keras.Input((5,), dtype="int32", name="words")
    y = keras.layers.Embedding(7, 4, mask_zero=True)(words)
    y = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))(y)
    z = keras.layers.MultiHeadAttention(2, 3)(keras.layers.Dense(4)(y), x)
    z = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(z))
    model = keras.Model([image, words], z, name="seed")
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "saved_model", verbose=False)
    frozen = freeze(tf.function(lambda image, words: model([image, words])).get_concrete_function(
        tf.TensorSpec((None, 8, 8, 2), name="image"), tf.TensorSpec((None, 5), tf.int32, name="words")))
    (folder / "model.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())
    onnx_models(folder)


RNG = np.random.default_rng(4)


def onnx_models(folder: Path) -> None:
    """Leave network.onnx with windows, recurrence and shape arithmetic; external/, the same with its weights in a file
    of their own; bodies.onnx with functions, loops, branches, lists; classical.onnx with trees and strings."""
    network = _network()
    onnx.save(network, folder / "network.onnx")
    (folder / "external").mkdir()
    onnx.save(network, folder / "external" / "model.onnx", save_as_external_data=True, location="weights.bin",
              size_threshold=0)
    onnx.save(_bodies(), folder / "bodies.onnx")
    onnx.save(_classical(), folder / "classical.onnx")


def _info(name: str, *shape: int | str, type: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, type, shape)


def _model(nodes: list, inputs: list, outputs: list, constants: dict[str, np.ndarray], **more) -> onnx.ModelProto:
    initial = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "seed", inputs, outputs, initial, **more)
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("own", 1)])


def _floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def _network() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2], ceil_mode=1),
        node("Resize", ["m", "", "scales"], ["z"], mode="linear"), node("Shape", ["z"], ["s"]),
        node("Slice", ["s", "zero", "two"], ["head"]), node("Concat", ["head", "minus"], ["t"], axis=0),
        node("Reshape", ["z", "t"], ["rows"]), node("Transpose", ["rows"], ["steps"], perm=[1, 0, 2]),
        node("LSTM", ["steps", "w", "u", "v"], ["all", "h"], hidden_size=3, direction="bidirectional"),
        node("Transpose", ["h"], ["hb"], perm=[1, 0, 2]), node("Flatten", ["hb"], ["flat"]),
        node("Gemm", ["flat", "g"], ["logits"], transB=1), node("Softmax", ["logits"], ["y"]),
        node("TopK", ["logits", "two"], ["best", "places"])]
    constants = {"k": _floats(4, 2, 3, 3), "b": _floats(4), "scales": np.array([1, 1, 2, 2], np.float32),
                 "zero": np.array([0]), "two": np.array([2]), "minus": np.array([-1]), "w": _floats(2, 12, 36),
                 "u": _floats(2, 12, 3), "v": _floats(2, 24), "g": _floats(5, 6)}
    outputs = [_info("y", "batch", 5), _info("places", "batch", 2, type=TensorProto.INT64)]
    return _model(nodes, [_info("x", "batch", 2, 8, 8)], outputs, constants)


def _bodies() -> onnx.ModelProto:
    node, number, flag = helper.make_node, TensorProto.INT64, TensorProto.BOOL
    step = helper.make_graph(
        [node("Leaky", ["v"], ["w"], domain="own", slope=0.3), node("Identity", ["go"], ["on"]),
         node("ReduceSum", ["w"], ["total"], keepdims=0)], "step",
        [_info("i", type=number), _info("go", type=flag), _info("v", 2, 3)],
        [_info("on", type=flag), _info("w", 2, 3), _info("total")])
    scan = helper.make_graph([node("Add", ["a", "e"], ["n"]), node("Tanh", ["n"], ["o"])], "scan",
                             [_info("a", 3), _info("e", 3)], [_info("n", 3), _info("o", 3)])
    grow = helper.make_graph([node("SequenceInsert", ["list", "w"], ["longer"])], "grow",
                             [_info("j", type=number), _info("on", type=flag), onnx.ValueInfoProto(name="list")],
                             [_info("on", type=flag), onnx.ValueInfoProto(name="longer")])
    branches = [helper.make_graph([node(op, ["x", "dense"], [op])], op, [], [_info(op, 2, 3)])
                for op in ("Add", "Mul")]
    nodes = [
        node("Loop", ["three", "", "x"], ["end", "totals"], body=step),
        node("Scan", ["row", "end"], ["last", "outs"], body=scan, num_scan_inputs=1),
        node("Greater", ["top", "zero"], ["p"]), node("If", ["p"], ["q"], then_branch=branches[0],
                                                       else_branch=branches[1]),
        node("Identity", ["q"], ["w"]), node("SequenceEmpty", [], ["empty"]),
        node("Loop", ["three", "", "empty"], ["filled"], body=grow),
        node("ConcatFromSequence", ["filled"], ["y"], axis=0)]
    sparse = helper.make_sparse_tensor(numpy_helper.from_array(_floats(2), "dense"),
                                       numpy_helper.from_array(np.array([1, 4]), "places"), [2, 3])
    model = _model(nodes, [_info("x", 2, 3), _info("top")], [_info("y", 6, 3), _info("totals", 3), _info("outs", 2, 3)],
                   {"three": np.int64(3), "row": _floats(3), "zero": np.float32(0)}, sparse_initializer=[sparse])
    body = [node("LeakyRelu", ["a"], ["b"]), node("Mul", ["b", "b"], ["c"])]
    body[0].attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    model.functions.append(helper.make_function("own", "Leaky", ["a"], ["c"], body, [helper.make_opsetid("", 20)],
                                                ["slope"]))
    return model


def _classical() -> onnx.ModelProto:
    node, domain = helper.make_node, "ai.onnx.ml"
    tree = {"nodes_treeids": [0] * 5, "nodes_nodeids": list(range(5)), "nodes_featureids": [0, 1, 0, 0, 0],
            "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
            "nodes_values": [0.5, -0.25, 0.0, 0.0, 0.0], "nodes_truenodeids": [1, 3, 0, 0, 0],
            "nodes_falsenodeids": [2, 4, 0, 0, 0], "nodes_missing_value_tracks_true": [0] * 5}
    nodes = [
        node("Imputer", ["x"], ["i"], domain=domain, imputed_value_floats=[0.5], replaced_value_float=-1.0),
        node("Scaler", ["i"], ["s"], domain=domain, offset=[0.1, 0.2, 0.3], scale=[1.0, 2.0, 3.0]),
        node("LabelEncoder", ["word"], ["n"], domain=domain, keys_strings=["a", "b"], values_floats=[1.0, 2.0],
             default_float=0.0),
        node("Concat", ["s", "n"], ["features"], axis=1),
        node("TreeEnsembleClassifier", ["features"], ["label", "scores"], domain=domain, **tree,
             class_treeids=[0] * 3, class_nodeids=[2, 3, 4], class_ids=[0, 1, 2], class_weights=[1.0, 1.0, 1.0],
             classlabels_strings=["no", "yes", "else"], post_transform="SOFTMAX"),
        node("TreeEnsembleRegressor", ["features"], ["amount"], domain=domain, **tree, n_targets=1,
             target_treeids=[0] * 3, target_nodeids=[2, 3, 4], target_ids=[0] * 3, target_weights=[0.1, 0.2, 0.3])]
    return _model(nodes, [_info("x", "batch", 3), _info("word", "batch", 1, type=TensorProto.STRING)],
                  [_info("label", "batch", type=TensorProto.STRING), _info("scores", "batch", 3),
                   _info("amount", "batch", 1)], {})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
