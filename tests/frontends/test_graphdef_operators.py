"""Every operator of the table, in small graphs, against TensorFlow."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from castiron import interp
from castiron.errors import ModelError
from castiron.frontends import graphdef
from castiron.frontends.tensorflow.operators import TABLE

tf = pytest.importorskip("tensorflow", reason="TensorFlow is the oracle of these tests")
raw = tf.raw_ops

RNG = np.random.default_rng(5)
X = (RNG.standard_normal((3, 4, 5)) * 3).astype(np.float32)
Y = (RNG.standard_normal((3, 4, 5)) * 3).astype(np.float32)
UNIT = RNG.uniform(-0.95, 0.95, (3, 7)).astype(np.float32)
POSITIVE = RNG.uniform(0.1, 9, (3, 7)).astype(np.float32)
EDGES = np.array([[0, -0.0, 1, -1, 0.5, 1.5, 2.5, -2.5, 1e-8, -80, 80, 1e30, np.inf, -np.inf, np.nan]], np.float32)
INTS = RNG.integers(-9, 9, (3, 4)).astype(np.int32)
OTHER_INTS = np.where(INTS % 5 == 0, 3, INTS % 5 - 7).astype(np.int32)
MATRIX = RNG.standard_normal((3, 6)).astype(np.float32)
IMAGE = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
BOOLS = np.array([[True, False, True, False], [True, True, False, False]])


def weights(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


CASES = {}


def case(name, build, *feeds):
    assert name not in CASES, name
    CASES[name] = (build, feeds)


for op in ("Abs", "Ceil", "Cos", "Erf", "Erfc", "Exp", "Expm1", "Floor", "Neg", "Rint", "Round", "Sigmoid", "Sign",
           "Sin", "Sinh", "Cosh", "Square", "Tan", "Tanh", "Atan", "Asinh", "Reciprocal", "Inv", "Softplus", "Softsign",
           "Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "IsNan", "IsInf", "IsFinite"):
    argument = "features" if op in ("Softplus", "Softsign", "Relu", "Relu6", "Elu", "Selu", "LeakyRelu") else "x"
    case(op, lambda x, op=op, argument=argument: getattr(raw, op)(**{argument: x}), X)
    if op not in ("Sin", "Cos", "Tan", "Erfc", "Sinh", "Cosh"):
        case(f"{op}-edges", lambda x, op=op, argument=argument: getattr(raw, op)(**{argument: x}), EDGES)
for op in ("Acos", "Asin", "Atanh"):
    case(op, lambda x, op=op: getattr(raw, op)(x=x), UNIT)
for op in ("Acosh", "Log", "Log1p", "Sqrt", "Rsqrt"):
    case(op, lambda x, op=op: getattr(raw, op)(x=x + 1), POSITIVE)
case("LeakyRelu-alpha", lambda x: raw.LeakyRelu(features=x, alpha=0.35), X)
for op in ("Abs", "Neg", "Sign", "Square"):
    case(f"{op}-int", lambda x, op=op: getattr(raw, op)(x=x), INTS)
case("LogicalNot", lambda x: raw.LogicalNot(x=x), BOOLS)

for op in ("Add", "AddV2", "Sub", "Mul", "RealDiv", "Div", "Maximum", "Minimum", "SquaredDifference", "Atan2", "Equal",
           "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "FloorDiv", "FloorMod", "Mod", "DivNoNan",
           "MulNoNan", "Xdivy", "TruncateMod"):
    first, second = ("y", "x") if op == "Atan2" else ("x", "y")
    def binary(x, y, op=op, first=first, second=second):
        return getattr(raw, op)(**{first: x, second: y})
    if op != "TruncateMod":
        case(op, binary, X, Y)
        case(f"{op}-broadcast", lambda x, f=binary: f(x, weights(4, 1)), X)
        case(f"{op}-scalar", lambda x, f=binary: f(np.float32(2.5), x), X)
    if op not in ("RealDiv", "Atan2", "DivNoNan", "MulNoNan", "Xdivy"):
        case(f"{op}-int", binary, INTS, OTHER_INTS)
case("DivNoNan-zero", lambda x, y: raw.DivNoNan(x=x, y=y), EDGES, np.zeros_like(EDGES))
case("MulNoNan-zero", lambda x, y: raw.MulNoNan(x=x, y=y), EDGES, np.zeros_like(EDGES))
case("Xdivy-zero", lambda x, y: raw.Xdivy(x=x, y=y), np.zeros_like(EDGES), EDGES)
case("Xlogy", lambda x, y: raw.Xlogy(x=x, y=y), np.array([[0, 1, 2]], np.float32), np.array([[0, 3, 4]], np.float32))
case("Xlog1py", lambda x, y: raw.Xlog1py(x=x, y=y), np.array([[0, 1, 2]], np.float32),
     np.array([[-1, 3, 4]], np.float32))
case("TruncateDiv-int", lambda x, y: raw.TruncateDiv(x=x, y=y), INTS, OTHER_INTS)
case("Div-uint8", lambda x, y: raw.TruncateDiv(x=x, y=y), np.array([[200, 7]], np.uint8), np.array([[3, 2]], np.uint8))
case("Pow", lambda x: raw.Pow(x=x, y=np.float32(1.7)), POSITIVE)
case("Pow-2", lambda x: raw.Pow(x=x, y=np.float32(2)), X)
case("Pow-int", lambda x: raw.Pow(x=x, y=np.int32(3)), INTS)
case("ApproximateEqual", lambda x, y: raw.ApproximateEqual(x=x, y=y, tolerance=0.5), X, Y)
case("AddN", lambda x, y: raw.AddN(inputs=[x, y, x]), X, Y)
case("AccumulateNV2", lambda x, y: raw.AccumulateNV2(inputs=[x, y], shape=[3, 4, 5]), X, Y)
case("LogicalAnd", lambda x, y: raw.LogicalAnd(x=x, y=y), BOOLS, BOOLS[::-1].copy())
case("LogicalOr", lambda x, y: raw.LogicalOr(x=x, y=y), BOOLS, BOOLS[::-1].copy())
case("ClipByValue", lambda x: raw.ClipByValue(t=x, clip_value_min=-1.0, clip_value_max=2.0), EDGES)
for to in (np.float64, np.int32, np.int64, np.int8, np.uint8, np.bool_):
    case(f"Cast-{to.__name__}", lambda x, to=to: tf.cast(x, to), np.abs(X))
    case(f"Cast-from-{to.__name__}", lambda x: tf.cast(x, tf.float32), np.abs(X).astype(to))
case("Cast-half", lambda x: tf.cast(tf.constant([0.5, 3.0], tf.float16), tf.float32) * x, X[:, :, :2])
case("Const-bfloat16", lambda x: tf.cast(tf.constant([0.5, -3.0], tf.bfloat16), tf.float32) * x, X[:, :, :2])
case("Const-splat", lambda x: x + tf.fill([5], 2.5) + tf.constant(1.5, shape=[4, 5]), X)

case("Identity", lambda x: tf.identity(x), X)
case("IdentityN", lambda x, y: tf.identity_n([x, y])[1], X, Y)
case("StopGradient", lambda x: tf.stop_gradient(x), X)
case("PreventGradient", lambda x: raw.PreventGradient(input=x), X)
case("CheckNumerics", lambda x: tf.debugging.check_numerics(x, "bad"), X)
case("CheckNumericsV2", lambda x: raw.CheckNumericsV2(tensor=x, message=""), X)
case("Snapshot", lambda x: raw.Snapshot(input=x), X)
case("EnsureShape", lambda x: tf.ensure_shape(x, [None, 4, 5]), X)
case("Print", lambda x: raw.Print(input=x, data=[x], message="", first_n=0), X)
case("PlaceholderWithDefault", lambda x: x * tf.compat.v1.placeholder_with_default(np.float32(2), []), X)
case("DeepCopy", lambda x: raw.DeepCopy(x=x), X)

case("MatMul", lambda x: tf.matmul(x, weights(6, 7)), MATRIX)
case("MatMul-b", lambda x: tf.matmul(x, weights(7, 6), transpose_b=True), MATRIX)
case("MatMul-a", lambda x, y: tf.matmul(x, y, transpose_a=True), MATRIX, MATRIX * 2)
case("MatMul-double", lambda x: tf.matmul(x, weights(6, 7).astype(np.float64)), MATRIX.astype(np.float64))
case("BatchMatMul", lambda x, y: raw.BatchMatMul(x=x, y=y, adj_y=True), X, Y)
case("BatchMatMulV2", lambda x: raw.BatchMatMulV2(x=x, y=weights(5, 2)), X)
case("BatchMatMulV2-broadcast", lambda x: raw.BatchMatMulV2(x=x, y=weights(2, 1, 4, 2), adj_x=True), X)
case("BatchMatMulV3", lambda x, y: raw.BatchMatMulV3(x=x, y=y, Tout=tf.float32, adj_x=True), X, Y)
case("BiasAdd", lambda x: tf.nn.bias_add(x, weights(5)), X)
case("BiasAdd-NCHW", lambda x: tf.nn.bias_add(x, weights(3), data_format="NCHW"), IMAGE)
case("BiasAddV1", lambda x: raw.BiasAddV1(value=x, bias=weights(5)), X)
for equation, shape in (("bij,jk->bik", (5, 6)), ("bij,kj->bik", (6, 5)),
                        ("abc,cd->abd", (5, 6)), ("abc,cde->abde", (5, 2, 3)), ("...i,io->...o", (5, 7)),
                        ("bij,j->bi", (5,)), ("bij,kl->bkli", (2, 3)), ("...ij,...jk->...ki", (1, 5, 2))):
    case(f"Einsum-{equation}", lambda x, e=equation, s=shape: tf.einsum(e, x, weights(*s)), X)
for equation in ("bij,bkj->bik", "bij,bij->b", "bij,bij->bij", "bij,bkl->ikb"):
    case(f"Einsum-{equation}", lambda x, y, e=equation: tf.einsum(e, x, y), X, Y)
case("Einsum-attention", lambda x, y: raw.Einsum(inputs=[x, y], equation="aecd,abcd->acbe"), IMAGE, IMAGE * 2)
case("Einsum-unary", lambda x: raw.Einsum(inputs=[x], equation="bij->jb"), X)
case("Tensordot", lambda x: tf.tensordot(x, weights(5, 7), [[2], [0]]), X)
case("Tensordot-2", lambda x: tf.tensordot(x, weights(4, 5, 6), 2), X)
case("Softmax", lambda x: tf.nn.softmax(x), X)
case("Softmax-axis", lambda x: tf.nn.softmax(x, axis=1), X)
case("LogSoftmax", lambda x: tf.nn.log_softmax(x), X)
for version in ("", "V2", "V3"):
    def norm(x, version=version):
        size = 5
        return getattr(raw, f"FusedBatchNorm{version}")(
            x=x, scale=weights(size), offset=weights(size) + 1, mean=weights(size) / 2,
            variance=np.abs(weights(size)) + 0.1, is_training=False, epsilon=0.003)[0]
    case(f"FusedBatchNorm{version}", norm, IMAGE)

for op in ("Sum", "Mean", "Prod", "Max", "Min", "EuclideanNorm"):
    for axes in ((-1,), (1,), (0, 2), ()):
        if 0 not in axes:
            case(f"{op}-{axes}", lambda x, op=op, a=axes: getattr(raw, op)(
                input=x, axis=np.array(a, np.int32), keep_dims=a == (1,)), X)
    case(f"{op}-all", lambda x, op=op: getattr(raw, op)(input=x, axis=[0, 1, 2]), X)
case("Sum-int", lambda x: raw.Sum(input=x, axis=1), INTS)
case("Any", lambda x: raw.Any(input=x, axis=1), BOOLS)
case("All", lambda x: raw.All(input=x, axis=[1], keep_dims=True), BOOLS)
case("ArgMax", lambda x: raw.ArgMax(input=x, dimension=1), np.round(X))
case("ArgMin", lambda x: raw.ArgMin(input=x, dimension=-1, output_type=tf.int32), X)
for exclusive in (False, True):
    for reverse in (False, True):
        case(f"Cumsum-{exclusive}-{reverse}", lambda x, e=exclusive, r=reverse: tf.cumsum(x, 1, e, r), X)

case("Select", lambda x, y: raw.Select(condition=x > 0, x=x, y=y), X, Y)
case("Select-rows", lambda x, y: raw.Select(condition=x[:, 0, 0] > 0, x=x, y=y), X, Y)
case("SelectV2", lambda x: raw.SelectV2(condition=x > 0, t=x, e=weights(4, 1)), X)
case("Gather", lambda x: raw.Gather(params=weights(9, 3), indices=x), INTS % 9)
case("GatherV2", lambda x: tf.gather(x, [3, 0, 0, 2], axis=1), X)
case("GatherV2-scalar", lambda x: tf.gather(x, 2, axis=-1), X)
case("OneHot", lambda x: tf.one_hot(x, 6), INTS)
case("OneHot-axis", lambda x: tf.one_hot(x, 6, on_value=2.0, off_value=-1.0, axis=1), INTS)

case("TopKV2", lambda x: tf.math.top_k(x, 3).values, X)
case("TopKV2-all", lambda x: tf.sort(x, axis=-1, direction="DESCENDING"), X)
case("TopKV2-int", lambda x: tf.math.top_k(x, 2).values, INTS)
case("Bucketize", lambda x: raw.Bucketize(input=x, boundaries=[-2.0, 0.0, 0.5, 3.0]), X)
for binary in (False, True):
    case(f"DenseBincount-{binary}", lambda x, b=binary: raw.DenseBincount(
        input=x, size=9, weights=np.zeros(0, np.float32), binary_output=b), np.abs(INTS) % 9)
case("DenseBincount-weights", lambda x, w: raw.DenseBincount(input=x, size=9, weights=w), np.abs(INTS) % 9,
     MATRIX[:, :4])

case("Reshape", lambda x: tf.reshape(x, [-1, 20]), X)
case("Reshape-batch", lambda x: tf.reshape(x, [tf.shape(x)[0], 2, -1]), X)
case("Reshape-flat", lambda x: tf.reshape(x, [-1]), X)
case("Reshape-product", lambda x: tf.reshape(x, [tf.reduce_prod(tf.shape(x)[:2]), 5]), X)
case("Reshape-divided", lambda x: tf.reshape(x, [tf.size(x) // 10, 10]), X)
case("Reshape-int64", lambda x: tf.reshape(x, tf.concat([tf.shape(x, tf.int64)[:1], [5, 4]], 0)), X)
case("Transpose", lambda x: tf.transpose(x, [2, 0, 1]), X)
case("Squeeze", lambda x: tf.squeeze(x[:, :1, :]), X)
case("Squeeze-axis", lambda x: tf.squeeze(x[:, :1, :], [1]), X)
case("ExpandDims", lambda x: tf.expand_dims(x, -2), X)
case("ConcatV2", lambda x, y: tf.concat([x, y, weights(3, 4, 5)], 0)[:2], X, Y)
case("ConcatV2-last", lambda x, y: tf.concat([x, y], -1), X, Y)
case("Concat", lambda x, y: raw.Concat(concat_dim=1, values=[x, y]), X, Y)
case("Pack", lambda x, y: tf.stack([x, y], axis=1), X, Y)
case("Unpack", lambda x: tf.unstack(x, 4, axis=1)[2], X)
case("Split", lambda x: tf.split(x, 2, axis=1)[1], X)
case("SplitV", lambda x: tf.split(x, [1, -1, 2], axis=2)[1], X)
case("Slice", lambda x: tf.slice(x, [0, 1, 2], [-1, 2, 3]), X)
case("ReverseV2", lambda x: tf.reverse(x, [1, -1]), X)
for name, key in {
        "last": np.s_[..., -1], "range": np.s_[:, 1:3], "steps": np.s_[:, ::2, 1::2], "negative": np.s_[:, ::-1],
        "backwards": np.s_[:, 3:0:-2, ::-2], "axis": np.s_[:, None, ..., None, 2:], "from-end": np.s_[:, -2:, :-1],
        "beyond": np.s_[:, 2:99, -99:2], "empty": np.s_[:, 3:1], "row": np.s_[0], "rows": np.s_[1:],
        "but-last": np.s_[:-1], "flip": np.s_[::-1], "first": np.s_[:1], "last-row": np.s_[-1]}.items():
    case(f"StridedSlice-{name}", lambda x, k=key: x[k] + 0, X)
case("StridedSlice-symbolic", lambda x: x[:tf.shape(x)[0] - 1, tf.shape(x)[1] - 3:], X)
case("Pad", lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3]]), X)
case("PadV2", lambda x: tf.pad(x, [[1, 0], [1, 2], [0, 3]], constant_values=-1.5), X)
case("MirrorPad", lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3]], "REFLECT"), X)
case("MirrorPad-symmetric", lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 3]], "SYMMETRIC"), X)
case("Tile", lambda x: tf.tile(x, [1, 2, 3]), X)
case("Tile-rows", lambda x: tf.tile(x[:1], tf.stack([tf.shape(x)[0], 1, 1])), X)
case("BroadcastTo", lambda x: tf.broadcast_to(x[:, :1], [tf.shape(x)[0], 4, 5]), X)
case("BroadcastArgs", lambda x: tf.broadcast_to(weights(4, 1), raw.BroadcastArgs(s0=tf.shape(x), s1=[4, 1])), X)
case("Fill", lambda x: tf.fill(tf.shape(x)[:2], 2.5), X)
case("ZerosLike", lambda x: raw.ZerosLike(x=x), X)
case("OnesLike", lambda x: raw.OnesLike(x=x), X)
case("Shape", lambda x: tf.shape(x), X)
case("ShapeN", lambda x, y: raw.ShapeN(input=[x, y], out_type=tf.int64)[1], X, Y)
case("Size", lambda x: tf.size(x, out_type=tf.int64), X)
case("Rank", lambda x: tf.cast(raw.Rank(input=x), tf.float32) * x, X)
case("Range", lambda x: tf.range(2.0, 7.0, 1.0) * x, X)
case("Range-down", lambda x: tf.cast(tf.range(5, 0, -1), tf.float32) * x, X)
case("Range-symbolic", lambda x: tf.range(tf.shape(x)[0]), X)
case("Range-symbolic-start", lambda x: tf.range(2, 2 * tf.shape(x)[0] + 2, 2), X)
case("InvertPermutation", lambda x: tf.transpose(x, tf.math.invert_permutation(tf.constant([2, 0, 1]))), X)


def run_both(build, feeds, shapes, folder):
    """TensorFlow's results and the interpreter's."""
    with tf.Graph().as_default() as graph:
        inputs = [tf.compat.v1.placeholder(feed.dtype, shape, f"x{i}")
                  for i, (feed, shape) in enumerate(zip(feeds, shapes, strict=True))]
        tf.identity(build(*inputs), name="out")
        with tf.compat.v1.Session() as session:
            expected = session.run("out:0", dict(zip(inputs, feeds, strict=True)))
    path = folder / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    imported = graphdef.load(path, outputs=["out"])
    values = {imported.inputs[f"x{i}"]: a for i, a in enumerate(feeds) if f"x{i}" in imported.inputs}
    actual, = interp.run(imported, values, list(imported.outputs.values()))
    return expected, actual, graph, imported


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch", ["free", "fixed"])
def test_operator(name, batch, tmp_path):
    build, feeds = CASES[name]
    shapes = [(None if batch == "free" else a.shape[0], *a.shape[1:]) for a in feeds]
    expected, actual, graph, imported = run_both(build, feeds, shapes, tmp_path)
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)
    else:
        np.testing.assert_array_equal(actual, expected)
    operations = [op.name for op in graph.get_operations()]
    assert [label for label in imported.labels if ":" not in label] == operations


def test_every_operator_is_tested(tmp_path):
    used = set()
    for build, feeds in CASES.values():
        with tf.Graph().as_default() as graph:
            build(*(tf.compat.v1.placeholder(a.dtype, (None, *a.shape[1:])) for a in feeds))
        used |= {op.type for op in graph.get_operations()}
    # Variables are what test_savedmodel is about.
    assert set(TABLE) - used == {"ReadVariableOp", "ResourceGather"}


@pytest.mark.parametrize("name, build, feeds, message", [
    ("bound", lambda x: x[:7], (X,), "bound 7 may lie beyond the free dimension batch"),
    ("length", lambda x: x[2:] + 0, (X,), "batch"),
    ("training", lambda x: raw.FusedBatchNormV3(x=x, scale=weights(5), offset=weights(5), mean=[], variance=[],
                                                is_training=True)[0], (IMAGE,), "is_training"),
    ("shape", lambda x, y: tf.reshape(x, y), (X, np.array([12, 5], np.int32)), "the shape depends on what is fed"),
    ("batch_dims", lambda x: tf.gather(x, [[0], [1], [2]], batch_dims=1), (X[:3],), "batch_dims"),
])
def test_what_cannot_be_compiled_is_said(name, build, feeds, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        run_both(build, feeds, [(None, *a.shape[1:]) for a in feeds], tmp_path)
