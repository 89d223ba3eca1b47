"""Operators as earlier versions of ONNX write them, against onnxruntime, which runs the same node or, where it doesn't
know the version, what a later one writes for it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper

from castiron.frontends import onnx as frontend
from castiron.frontends.onnx.importer import HANDLERS
from castiron.frontends.onnx.operators import TABLE
from castiron.ir import print_graph
from compiled import NATIVE, Compiled

RNG = np.random.default_rng(8)
X = RNG.standard_normal((2, 4, 6, 5)).astype(np.float32)
FLAGS = X > 0
PER_CHANNEL = np.array([0.5, -1, 2, 3], np.float32)

#: An attribute that told old runtimes which operands they may overwrite.
IGNORED = "consumed_inputs"

#: onnxruntime runs models of this version on.
OLDEST = 7


@dataclass(frozen=True)
class Form:
    """A node of an operator as a version has it: attributes, what is fed to its first operand, and the others, which
    are constants. ``later`` is what a later version writes for it, ``want`` the result where none has it."""

    opset: int
    op: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple = ()
    x: np.ndarray | None = field(default_factory=lambda: X)
    outputs: int = 1
    later: "Form | None" = None
    want: np.ndarray | None = None


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def turned(form: Form, opset: int, attributes: Mapping[str, Any], *constants: np.ndarray, op: str = "") -> Form:
    """The form with what a later version writes for it."""
    later = Form(opset, op or form.op, attributes, constants, form.x, form.outputs)
    return Form(form.opset, form.op, form.attributes, form.constants, form.x, form.outputs, later)


def _broadcasting() -> Iterable[Form]:
    whole = np.abs(X) + 1
    for op in ("Add", "Sub", "Mul", "Div", "Less", "Greater", "Pow", "Equal", "And", "Or", "Xor"):
        x = FLAGS if op in ("And", "Or", "Xor") else whole.astype(np.int32) if op == "Equal" else whole
        row, column = ((PER_CHANNEL > 0, x[0, 0, 0] > 0) if x is FLAGS else
                       (PER_CHANNEL.astype(x.dtype), x[0, 0, 0]))
        yield turned(Form(6, op, {"broadcast": 1, "axis": 1}, (row,), x), 13, {}, row.reshape(4, 1, 1))
        yield turned(Form(1, op, {"broadcast": 1, "axis": -3}, (row,), x), 13, {}, row.reshape(4, 1, 1))
        yield turned(Form(1, op, {"broadcast": 1}, (column,), x), 13, {}, column)
        yield turned(Form(6, op, {}, (x[::-1].copy(),), x), 13, {}, x[::-1].copy())


def _scan() -> Form:
    def info(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    body = helper.make_graph([helper.make_node("Add", ["s", "v"], ["t"]), helper.make_node("Mul", ["t", "v"], ["o"])],
                             "body", [info("s", 5), info("v", 5)], [info("t", 5), info("o", 5)])
    return Form(8, "Scan", {"body": body, "num_scan_inputs": 1, "directions": [1]}, (floats(2, 5), X[:, 0]), None, 2)


def _recurrent() -> Iterable[Form]:
    sequence = floats(5, 2, 4)
    for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        weights = (floats(1, 3 * gates, 4), floats(1, 3 * gates, 3), floats(1, 6 * gates))
        form = Form(6, op, {"hidden_size": 3, "output_sequence": 1}, weights, sequence, 2)
        yield turned(form, 14, {"hidden_size": 3}, *weights)


def _resize() -> Iterable[Form]:
    for mode in ("nearest", "linear"):
        yield Form(10, "Resize", {"mode": mode}, (np.array([1, 1, 2, 3], np.float32),))
        yield Form(10, "Resize", {"mode": mode}, (np.array([1, 1, 0.5, 0.6], np.float32),))
        yield Form(9, "Upsample", {"mode": mode}, (np.array([1, 1, 2, 3], np.float32),))
        yield Form(7, "Upsample", {"mode": mode, "scales": [1.0, 1.0, 2.0, 3.0]})
    yield turned(Form(1, "Upsample", {"height_scale": 2.0, "width_scale": 3.0}), 7, {"scales": [1.0, 1.0, 2.0, 3.0]})
    nothing, scales = np.zeros(0, np.float32), np.array([1, 1, 1.5, 0.8], np.float32)
    for opset in (11, 13, 18, 19):
        for mode, coordinates, more in (
                ("nearest", "half_pixel", {}), ("nearest", "asymmetric", {"nearest_mode": "ceil"}),
                ("linear", "align_corners", {}), ("linear", "pytorch_half_pixel", {}), ("cubic", "half_pixel", {}),
                ("cubic", "asymmetric", {"exclude_outside": 1, "cubic_coeff_a": -0.5}),
                *([("nearest", "tf_half_pixel_for_nn", {})] if opset < 13 else []),
                *([("linear", "half_pixel_symmetric", {})] if opset > 18 else [])):
            yield Form(opset, "Resize", {"mode": mode, "coordinate_transformation_mode": coordinates, **more},
                       (nothing, scales))
        yield Form(opset, "Resize", {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize",
                                     "extrapolation_value": 7.0},
                   (np.array([0, 0, 0.1, -0.2, 1, 1, 0.9, 1.3], np.float32), nothing, ints(2, 4, 7, 8)))


def _forms() -> Iterable[Form]:
    yield from _broadcasting()
    yield from _recurrent()
    yield from _resize()
    yield _scan()
    statistics = tuple(np.abs(floats(4)) + 0.5 for _ in range(4))
    places = tuple(np.abs(floats(4, 6, 5)) + 0.5 for _ in range(4))
    yield turned(Form(6, "BatchNormalization", {"is_test": 1}, statistics), 9, {}, *statistics)
    marked = {"is_test": 1, IGNORED: [0, 0, 0, 1, 1]}
    yield turned(Form(1, "BatchNormalization", marked, statistics), 9, {}, *statistics)
    yield Form(7, "BatchNormalization", {"epsilon": 1e-3}, statistics)
    yield Form(8, "BatchNormalization", {"spatial": 0}, places,
               want=(X - places[2]) / np.sqrt(places[3] + 1e-5) * places[0] + places[1])
    yield turned(Form(1, "Cast", {"to": "INT32"}), 9, {"to": TensorProto.INT32})
    for bounds in ({"min": -0.5, "max": 0.25}, {"max": 0.25}, {}):
        low, high = (np.float32(bounds.get(name, limit)) for name, limit in (("min", -3e38), ("max", 3e38)))
        yield turned(Form(6, "Clip", bounds), 12, {}, low, high)
        yield turned(Form(1, "Clip", bounds), 12, {}, low, high)
    yield turned(Form(1, "Concat", {}, (X,)), 13, {"axis": 1}, X)
    yield Form(17, "DFT", {"axis": 1, "onesided": 1}, x=X[..., :1])
    yield Form(17, "DFT", {"axis": 2, "inverse": 1}, (ints(6)[0],), x=X[..., :2])
    yield Form(11, "Dropout", {"ratio": 0.3})
    yield turned(Form(6, "Dropout", {"ratio": 0.3, "is_test": 1}), 11, {})
    yield Form(7, "Gemm", {"transB": 1, "alpha": 0.5}, (floats(3, 5), floats(3)), X[0, 0])
    matrix, row = floats(3, 5), floats(3)
    yield turned(Form(6, "Gemm", {"broadcast": 1, "transB": 1, "beta": 0.5}, (matrix, row), X[0, 0]), 11,
                 {"transB": 1, "beta": 0.5}, matrix, row)
    grid = RNG.uniform(-1.2, 1.2, (2, 3, 4, 2)).astype(np.float32)
    for mode in ("bilinear", "bicubic", "nearest"):
        yield Form(16, "GridSample", {"mode": mode, "padding_mode": "border"}, (grid,))
    yield Form(16, "GridSample", {}, (grid,))
    yield turned(Form(18, "GroupNormalization", {"num_groups": 2}, (PER_CHANNEL[:2], PER_CHANNEL[2:])), 21,
                 {"num_groups": 2}, PER_CHANNEL[:2].repeat(2), PER_CHANNEL[2:].repeat(2))
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for attributes in ({}, {"axis": 2}, {"axis": 3}):
            yield Form(12, op, attributes)
    yield turned(Form(1, "LpPool", {"p": 3.0, "kernel_shape": [2, 3], "strides": [1, 2]}), 11,
                 {"p": 3, "kernel_shape": [2, 3], "strides": [1, 2]})
    yield turned(Form(1, "GlobalLpPool", {"p": 3.0}), 2, {"p": 3}, op="GlobalLpPool")
    around = [0, 0, 1, 2, 0, 0, 0, 1]
    yield turned(Form(1, "Pad", {"paddings": around, "value": 3.0}), 11, {}, ints(*around), np.float32(3))
    yield Form(10, "Pad", {"pads": around, "value": 3.0})
    for mode in ("reflect", "edge"):
        yield Form(10, "Pad", {"pads": around, "mode": mode})
    positive = np.abs(X) + 0.5
    for op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
               "ReduceProd", "ReduceSum", "ReduceSumSquare"):
        yield Form(12, op, {"axes": [1, -1], "keepdims": 0}, x=positive)
        yield Form(11, op, {"axes": [2]}, x=positive)
        yield Form(12, op, {}, x=positive)
        if op != "ReduceSum":
            yield Form(17, op, {"axes": [0, 3]}, x=positive)
    yield turned(Form(1, "Reshape", {"shape": [0, -1, 10]}), 13, {}, ints(0, -1, 10))
    regions = np.array([[0, 0, 4, 5], [1, 1, 3, 2]], np.float32)
    yield Form(10, "RoiAlign", {"output_height": 2, "output_width": 3, "sampling_ratio": 2}, (regions, ints(0, 1)))
    corners = np.array([[0, 0, 0, 4, 5], [1, 1.4, 2.6, 2, 3], [1, -2, -3, 9, 2], [0, 4, 4, 1, 1]], np.float32)
    yield Form(7, "MaxRoiPool", {"pooled_shape": [3, 2], "spatial_scale": 0.9}, (corners,))
    yield turned(Form(1, "Selu"), 6, {"alpha": 1.6732, "gamma": 1.0507})
    yield Form(9, "Slice", {"starts": [1, -3], "ends": [100, -1], "axes": [1, 2]})
    yield Form(9, "Slice", {"starts": [0, 1], "ends": [1, 3]})
    yield turned(Form(1, "Split", {"axis": 1}, (np.array([1, 3], np.float32),), outputs=2), 13, {"axis": 1}, ints(1, 3))
    yield Form(11, "Split", {"axis": 1, "split": [3, 1]}, outputs=2)
    yield Form(12, "Split", {"axis": 2}, outputs=3)
    yield Form(11, "Squeeze", {"axes": [-1]}, x=X[..., :1])
    yield Form(11, "Squeeze", {}, x=X[:1, ..., :1])
    yield Form(12, "Unsqueeze", {"axes": [0, 5]})
    yield turned(Form(1, "Tile", {}, (np.float32(3), np.float32(2))), 13, {}, ints(1, 1, 3, 1))
    yield Form(9, "TopK", {"k": 3, "axis": 2}, outputs=2)
    yield Form(9, "TopK", {"k": 3}, outputs=2)
    yield Form(10, "TopK", {"axis": 1}, (ints(2),), outputs=2)
    yield turned(Form(6, "PRelu", {}, (PER_CHANNEL,)), 9, {}, PER_CHANNEL.reshape(4, 1, 1))
    yield Form(9, "Scatter", {"axis": 1}, (ints(3, 1).reshape(1, 2, 1, 1), floats(1, 2, 1, 1)))
    for mode in ("SAME_UPPER", "SAME_LOWER"):
        yield Form(11, "ConvTranspose", {"auto_pad": mode, "strides": [2, 3]}, (floats(4, 2, 3, 4),))
        yield Form(7, "AveragePool", {"auto_pad": mode, "kernel_shape": [2, 4], "strides": [2, 1]})
        yield Form(8, "MaxPool", {"auto_pad": mode, "kernel_shape": [4, 2], "strides": [1, 2]})
    yield Form(8, "MaxPool", {"kernel_shape": [2, 2], "storage_order": 1}, outputs=2)
    for op in ("Max", "Min", "Sum", "Mean"):
        yield Form(7, op, {}, (X[::-1].copy(), X[:, ::-1].copy()))
        yield turned(Form(1, op, {IGNORED: [0, 0]}, (X[::-1].copy(),)), 8, {}, X[::-1].copy())
    yield Form(6, "Affine", {"alpha": 2.0, "beta": 0.5}, want=2 * X + 0.5)
    yield Form(6, "ScaledTanh", {"alpha": 2.0, "beta": 0.5}, want=2 * np.tanh(X / 2))
    yield Form(6, "ParametricSoftplus", {"alpha": 2.0, "beta": 0.5}, want=2 * np.log1p(np.exp(X / 2)))
    yield Form(6, "ImageScaler", {"scale": 2.0, "bias": PER_CHANNEL.tolist()},
               want=2 * X + PER_CHANNEL.reshape(4, 1, 1))


@cache
def forms() -> dict[str, Form]:
    """All forms by a name."""
    found = list(_forms())
    return {f"{form.op}_{form.opset}_{i}": form for i, form in enumerate(found)}


def model(form: Form) -> onnx.ModelProto:
    """A model of the one node."""
    given = {} if form.x is None else {"x": form.x}
    constants = [None if a is None else numpy_helper.from_array(np.asarray(a), f"c{i}")
                 for i, a in enumerate(form.constants)]
    names = [*given, *("" if c is None else c.name for c in constants)]
    if form.op == "Scan":
        names = ["", *names]
    if form.op == "Resize" and len(constants) == 2 and form.opset >= 13:
        names[1] = ""  # no region
    node = helper.make_node(form.op, names, [f"y{i}" for i in range(form.outputs)], **form.attributes)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
             for n, a in given.items()]
    graph = helper.make_graph([node], "form", infos, [onnx.ValueInfoProto(name=f"y{i}") for i in range(form.outputs)],
                              [c for c in constants if c is not None and c.name in names])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", form.opset)], ir_version=8)


def wanted(form: Form) -> list[np.ndarray]:
    """What onnxruntime makes of a form, or of what is written for it later."""
    import onnxruntime

    if form.want is not None:
        return [form.want]
    run = form.later or form
    assert run.opset >= OLDEST or run.op in ("Selu", "GlobalLpPool")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model(run).SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, {} if run.x is None else {"x": run.x})


@pytest.fixture(scope="module")
def compiled() -> Compiled:
    graphs = {name: frontend.convert(name, model(form)) for name, form in forms().items()}
    return Compiled(graphs, 4, NATIVE[-1:])


def test_forms_give_what_onnxruntime_gives(compiled):
    wrong = {}
    for name, form in forms().items():
        feeds = {} if form.x is None else {"x": form.x}
        got = list(compiled.runner(name, NATIVE[-1])(feeds).values())
        for have, want in zip(got, wanted(form), strict=True):
            if have.dtype != want.dtype or have.shape != want.shape:
                wrong[name] = f"{have.dtype}{have.shape} and not {want.dtype}{want.shape}"
            elif not np.allclose(have, want, rtol=1e-4, atol=1e-5):
                wrong[name] = f"differs by {np.abs(have - want).max()}"
    assert not wrong, wrong


def _history() -> dict[str, dict[int, defs.OpSchema]]:
    found: dict[str, dict[int, defs.OpSchema]] = defaultdict(dict)
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and schema.name in TABLE.keys() | HANDLERS.keys():
            found[schema.name][schema.since_version] = schema
    return found


def _attributes(schema: defs.OpSchema) -> dict[str, tuple]:
    return {name: (a.type, helper.get_attribute_value(a.default_value) if a.default_value.type else None)
            for name, a in schema.attributes.items() if name != IGNORED}


#: Versions that write the same otherwise: a limit that only became explicit, a misspelt default.
SAME = {("Clip", 1), ("GRU", 1)}


def test_every_version_that_writes_something_otherwise_has_a_form():
    """Where a later version lacks an attribute, has another default or type for it, or other operands before those
    that both have, the earlier one needs a form."""
    missing = []
    for op, versions in _history().items():
        order = sorted(versions)
        for since, until in pairwise(order):
            old, new = versions[since], versions[until]
            before, after = _attributes(old), _attributes(new)
            operands = [i.name for i in old.inputs], [i.name for i in new.inputs]
            same = all(name in after and after[name] == value for name, value in before.items())
            if (same and len(operands[0]) <= len(operands[1])) or (op, since) in SAME:
                continue
            if not any(form.op == op and since <= form.opset < until for form in forms().values()):
                missing.append(f"{op} of version {since} to {until - 1}")
    assert not missing


def test_what_operands_may_be_overwritten_says_nothing():
    """The attribute that every operator had in the first version."""
    having = [schema for versions in _history().values() for schema in versions.values()
              if IGNORED in schema.attributes and len(schema.inputs) == 1 and schema.name not in ("Reshape", "Clip")]
    assert len(having) > 15
    for schema in having:
        plain, marked = (frontend.convert("g", model(Form(5, schema.name, attributes)))
                         for attributes in ({}, {IGNORED: [0]}))
        assert print_graph(plain) == print_graph(marked)
