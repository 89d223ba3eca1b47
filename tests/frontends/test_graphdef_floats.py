"""TensorFlow's operators on doubles and on floats of 16 bits, against TensorFlow."""

from dataclasses import replace

import numpy as np
import pytest
from operator_cases import CASES
from operator_cases.case import tf
from test_graphdef_operators import import_and_run

from castiron import interp

#: By name: numpy's type and the distance between 1 and the next number.
FLOATS = {"double": (np.float64, 2.0**-52), "half": (np.float16, 2.0**-10),
          "bfloat16": (tf.bfloat16.as_numpy_dtype, 2.0**-7)}

#: Distances that are allowed: in the last place of 16 bits, but TensorFlow adds some halves up as such.
ULP = {"double": 100.0, "half": 3.0, "bfloat16": 1.02}

OPERATORS = (
    "Add", "AddV2", "BiasAdd", "Cast", "Cos", "Digamma", "Div", "Erf", "Exp", "Expm1", "Floor", "FusedBatchNormV3",
    "GatherV2", "Igamma", "Inv", "Lgamma", "Log", "Log1p", "MatMul", "MaxPool", "Maximum", "Mul", "Pow", "Relu",
    "Relu6", "ResizeNearestNeighbor", "Rsqrt", "Sigmoid", "Sin", "Softsign", "Sqrt", "Sub", "Tan", "Tanh",
    "TopKV2", "Transpose")
NAMES = [name for name in CASES if name.partition("-")[0] in OPERATORS and "edges" not in name]


def wide(x):
    """As a type that numpy compares: floats of 16 bits as doubles."""
    return x.astype(np.float64) if x.dtype not in (np.float32,) and x.dtype.kind not in "biu" else x


@pytest.mark.parametrize("kind", FLOATS)
def test_agrees_with_tensorflow(kind, tmp_path):
    dtype, unit = FLOATS[kind]
    compared = 0
    for name in NAMES:
        feeds = tuple(a.astype(dtype) if a.dtype == np.float32 else a for a in CASES[name].feeds)
        try:
            expected, graph, own, _ = import_and_run(replace(CASES[name], feeds=feeds), False, tmp_path)
        except (TypeError, ValueError, tf.errors.InvalidArgumentError):
            continue  # TensorFlow hasn't the operator for this type, or the case has other tensors in 32 bits
        inputs = {graph.inputs[k]: a.astype(graph.inputs[k].type.dtype.numpy) for k, a in own.items()}
        for actual, want in zip(interp.run(graph, inputs, list(graph.outputs.values())), expected, strict=True):
            actual, want = wide(actual), wide(np.asarray(want))
            if want.dtype.kind != "f":
                np.testing.assert_array_equal(actual, want, name)
                continue
            np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(want), name)
            finite = np.isfinite(want)
            error = np.abs(actual - want)[finite] / np.maximum(np.abs(want), 1e-3 * np.abs(want[finite]).max(initial=0)
                                                              )[finite].clip(1e-30)
            assert error.max(initial=0) <= ULP[kind] * unit, name
            compared += 1
    assert compared > 30
