"""TensorFlow running a frozen graph, for comparison: ``python peer.py labels|predict|bench MODEL.pb …``.

It imports nothing of castiron's, so that its start is TensorFlow's own.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf


def load(path: str) -> tf.Graph:
    """The graph in a frozen GraphDef."""
    definition = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    return graph


def predictor(graph: tf.Graph, output: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from rows at ``x`` to the value of ``output``, by TensorFlow's quickest way to call a graph."""
    session = tf.compat.v1.Session(graph=graph)
    return session.make_callable(f"{output}:0", feed_list=["x:0"])


def median_seconds(call: Callable[[], object], calls: int = 2000) -> float:
    """The median time of a call, after a tenth as many to warm up."""
    times = []
    for _ in range(calls // 10 + calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[calls // 10:])


def main(command: str, model: str, *arguments: str) -> None:
    """``labels``: the nodes' names. ``predict OUTPUT ROWS.csv``: the output, a row a line. ``bench OUTPUT
    SIZE…``: median seconds of a prediction of so many rows, by size, as JSON."""
    graph = load(model)
    if command == "labels":
        print("\n".join(operation.name for operation in graph.get_operations()))
        return
    call = predictor(graph, arguments[0])
    if command == "predict":
        rows = np.loadtxt(arguments[1], delimiter=",", skiprows=1, ndmin=2, dtype=np.float32)
        print("\n".join(map(str, call(rows)[:, 0].tolist())))
        return
    features = graph.get_tensor_by_name("x:0").shape[1]
    times = {}
    for size in map(int, arguments[1:]):
        rows = np.random.default_rng(1).standard_normal((size, features), np.float32)
        times[size] = median_seconds(lambda rows=rows: call(rows))
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
