"""What exporters and optimizers write although no standard has it, against onnxruntime, whose operators these are."""

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from castiron import frontends, interp
from castiron.errors import UnsupportedOp
from castiron.frontends import onnx as frontend
from compiled import NATIVE, Compiled

RNG = np.random.default_rng(11)


@dataclass
class Case:
    """A node, its operands in order (None for one that is left out), those of them that are constants, and how far
    results may be off: relative to the largest, or for integers in units. ``compared`` is how many results are."""

    op: str
    operands: list
    outputs: int = 1
    constants: tuple[int, ...] = ()
    attributes: dict = field(default_factory=dict)
    tolerance: float = 2e-5
    domain: str = "com.microsoft"
    compared: int | None = None

    def __post_init__(self) -> None:
        self.operands = [None if operand is None else np.asarray(operand) for operand in self.operands]

    def model(self) -> onnx.ModelProto:
        names = [f"x{i}" if array is not None else "" for i, array in enumerate(self.operands)]
        results = [f"y{i}" for i in range(self.outputs)]
        node = helper.make_node(self.op, names, results, domain=self.domain, **self.attributes)
        given = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                 for i, (name, array) in enumerate(zip(names, self.operands, strict=True))
                 if name and i not in self.constants]
        held = [numpy_helper.from_array(self.operands[i], names[i]) for i in self.constants]
        wanted = [onnx.ValueInfoProto(name=name) for name in results]
        imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(helper.make_graph([node], "case", given, wanted, held), opset_imports=imports,
                                 ir_version=10)

    @property
    def feeds(self) -> dict:
        return {f"x{i}": array for i, array in enumerate(self.operands)
                if array is not None and i not in self.constants}


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def scale(x=0.05):
    return np.float32(x)


def zero(n=128, dtype=np.uint8):
    return dtype(n)


def i64(*values):
    return np.array(values, np.int64)


def i32(*values):
    return np.array(values, np.int32)


def products():
    yield "matmul", Case("FusedMatMul", [f(2, 4, 3), f(2, 5, 4)], attributes={"transA": 1, "transB": 1, "alpha": 0.5})
    yield "matmul_vector", Case("FusedMatMul", [f(2, 3, 4), f(4)], attributes={"alpha": 2.0})
    yield "matmul_batch_a", Case("FusedMatMul", [f(4, 2, 3), f(2, 3, 5)], attributes={"transBatchA": 1})
    yield "matmul_batch_both", Case("FusedMatMul", [f(3, 2, 4), f(5, 2, 3)],
                                    attributes={"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1})
    yield "transpose_matmul", Case("TransposeMatMul", [f(4, 3), f(4, 5)], attributes={"transA": 1})
    for name, attributes in {"Relu": {}, "LeakyRelu": {"activation_alpha": 0.3}, "Tanh": {}, "Sigmoid": {},
                             "HardSigmoid": {"activation_alpha": 0.3, "activation_beta": 0.4}, "Softplus": {},
                             "Elu": {"activation_alpha": 0.7}}.items():
        yield f"gemm_{name.lower()}", Case("FusedGemm", [f(3, 4), f(5, 4), f(5)], attributes={
            "transB": 1, "alpha": 0.5, "beta": 2.0, "activation": name, **attributes})
    for name, parameters in {"Relu": [], "LeakyRelu": [0.2], "Tanh": [], "Clip": [-0.5, 1.0],
                             "HardSigmoid": [0.25, 0.4]}.items():
        yield f"conv_{name.lower()}", Case("FusedConv", [f(1, 3, 6, 6), f(4, 3, 3, 3), f(4), f(1, 4, 6, 6)],
                                           constants=(1, 2), attributes={
            "activation": name, "pads": [1, 1, 1, 1], **({"activation_params": parameters} if parameters else {})})
    yield "conv_transpose", Case("ConvTransposeWithDynamicPads", [f(1, 2, 4, 4), f(2, 3, 3, 3), i64(1, 1, 0, 0)],
                                 constants=(1, 2), attributes={"strides": [2, 2]})
    yield "inverse", Case("Inverse", [f(2, 3, 5, 5) + 4 * np.eye(5, dtype=np.float32)])
    yield "inverse_swapped", Case("Inverse", [np.array([[0, 2, 0], [0, 0, 4], [1, 0, 0]], np.float32)])
    yield "distance", Case("CDist", [f(5, 3), f(4, 3)], attributes={"metric": "euclidean"})
    yield "distance_squared", Case("CDist", [f(5, 3), f(4, 3)], attributes={"metric": "sqeuclidean"})


def elements():
    yield "gelu", Case("Gelu", [f(3, 8)])
    yield "bias_gelu", Case("BiasGelu", [f(3, 8), f(8)])
    yield "fast_gelu", Case("FastGelu", [f(3, 8), f(8)])
    yield "fast_gelu_alone", Case("FastGelu", [f(3, 8)])
    yield "quick_gelu", Case("QuickGelu", [f(3, 8)], attributes={"alpha": 1.5})
    yield "skip", Case("SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)],
                       attributes={"epsilon": 1e-5})
    yield "skip_broadcast", Case("SkipLayerNormalization", [f(2, 3, 8), f(3, 8), f(8)])
    yield "simplified", Case("SimplifiedLayerNormalization", [f(2, 3, 8), f(8)], domain="",
                             attributes={"axis": -1, "epsilon": 1e-5})
    yield "skip_simplified", Case("SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8)])
    words = [RNG.integers(0, 9, (2, 4)).astype(np.int32), RNG.integers(0, 2, (2, 4)).astype(np.int32), f(9, 8),
             f(6, 8), f(2, 8), f(8), f(8)]
    mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int32)
    yield "embed", Case("EmbedLayerNormalization", [*words, mask], outputs=2)
    yield "embed_alone", Case("EmbedLayerNormalization", [words[0], None, *words[2:4], None, *words[5:]], outputs=2)
    yield "embed_places", Case("EmbedLayerNormalization",
                               [*words, None, i32(*[[3, 2, 1, 0], [0, 1, 2, 3]]).reshape(2, 4)], outputs=3)


def moved():
    yield "trilu", Case("Trilu", [f(4, 4), np.int64(1)], constants=(1,), attributes={"upper": 0})
    yield "expand_dims", Case("ExpandDims", [f(3, 4), np.int32(1)], constants=(1,))
    yield "gather_nd", Case("GatherND", [f(3, 4), i64(2, 1, 0, 3).reshape(2, 2)])
    yield "pad", Case("Pad", [f(2, 3), i64(1, 0, 0, 2), np.float32(7)], constants=(1, 2))
    yield "unique", Case("Unique", [np.array([2, 1, 1, 3, 4, 3], np.float32)], outputs=3)
    yield "range", Case("Range", [np.float32(1), np.float32(4)], constants=(0, 1))
    yield "grid", Case("GridSample", [f(1, 2, 5, 5), (f(1, 3, 4, 2) / 2).astype(np.float32)],
                       attributes={"mode": "bilinear", "padding_mode": "border", "align_corners": 1})
    yield "max_pool", Case("NhwcMaxPool", [u8(1, 6, 6, 3)], tolerance=0, attributes={
        "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})


def attentions():
    batch, steps, size, heads = 2, 4, 8, 2
    x, w, b = f(batch, steps, size), f(size, 3 * size), f(3 * size)
    raw = i32(1, 1, 1, 0, 1, 1, 0, 0).reshape(2, 4)
    masks = {"none": None, "raw": raw, "lengths": i32(3, 2), "ends": i32(4, 3, 1, 0),
             "wide": np.stack([raw * raw[i % 2] for i in range(4)], 1).astype(np.int32)}
    for name, mask in masks.items():
        yield f"attention_{name}", Case("Attention", [x, w, b, mask], constants=(1, 2),
                                        attributes={"num_heads": heads})
    yield "attention_causal", Case("Attention", [x, w, b, raw], attributes={"num_heads": heads, "unidirectional": 1})
    yield "attention_scale", Case("Attention", [x, w, b, raw, None, f(2, 2, 4, 4)], attributes={
        "num_heads": heads, "scale": 0.3, "mask_filter_value": -5.0})
    yield "attention_past", Case("Attention", [x, w, b, None, f(2, batch, heads, 3, size // heads)], 2, attributes={
        "num_heads": heads, "unidirectional": 1})
    yield "attention_sizes", Case("Attention", [x, f(size, 20), f(20)], attributes={
        "num_heads": heads, "qkv_hidden_sizes": [8, 8, 4]})
    q, k, v = f(batch, steps, size), f(batch, 5, size), f(batch, 5, 6)
    yield "multi", Case("MultiHeadAttention", [q, k, v], attributes={"num_heads": heads})
    yield "multi_bias", Case("MultiHeadAttention", [q, k, v, f(22), i32(5, 3), f(1, 2, 4, 5)],
                             attributes={"num_heads": heads})
    yield "multi_mask", Case("MultiHeadAttention", [q, k, v, None, i32(1, 1, 1, 0, 0, 1, 1, 1, 1, 0).reshape(2, 5)],
                             attributes={"num_heads": heads, "mask_filter_value": -100.0})
    yield "multi_past", Case("MultiHeadAttention", [q, f(2, 4, 8), f(2, 4, 8), None, None, None, f(2, 2, 3, 4),
                                                    f(2, 2, 3, 4)], 3,
                             attributes={"num_heads": heads, "unidirectional": 1})
    yield "multi_cross", Case("MultiHeadAttention", [q, f(2, 2, 5, 4), f(2, 2, 5, 4)],
                              attributes={"num_heads": heads})
    x, w, b = u8(batch, steps, size), i8(size, 3 * size), f(3 * size)
    yield "quantized_attention", Case("QAttention", [x, w, b, scale(0.02), scale(0.01), raw, zero(), zero(0, np.int8)],
                                      constants=(1, 2), attributes={"num_heads": heads})


def rotated():
    angles = f(16, 4)
    cosine, sine = np.cos(angles), np.sin(angles)
    for interleaved in (0, 1):
        yield f"rotary_{interleaved}", Case("RotaryEmbedding", [f(2, 3, 16), i64(3, 4, 5, 0, 1, 2).reshape(2, 3),
                                                                cosine, sine], attributes={"interleaved": interleaved})
    yield "rotary_offset", Case("RotaryEmbedding", [f(2, 3, 16), i64(2), cosine, sine])
    yield "rotary_heads", Case("RotaryEmbedding", [f(2, 2, 3, 8), i64(2), cosine, sine])
    yield "rotary_part", Case("RotaryEmbedding", [f(2, 3, 24), i64(2), cosine, sine],
                              attributes={"rotary_embedding_dim": 8, "num_heads": 2})
    angles = f(16, 8)
    cosine, sine = np.cos(angles), np.sin(angles)

    def grouped(steps, past, lengths, **more):
        operands = [f(2, steps, 64), f(2, steps, 32), f(2, steps, 32), f(2, 2, past, 16), f(2, 2, past, 16),
                    i32(*lengths), np.int32(max(lengths) + 1)]
        return operands, {"num_heads": 4, "kv_num_heads": 2, **more}

    operands, attributes = grouped(3, 0, (2, 2))
    operands[3:5] = None, None
    yield "grouped_first", Case("GroupQueryAttention", operands, 3, (6,), attributes)
    operands, attributes = grouped(1, 4, (4, 4), scale=0.4)
    yield "grouped_next", Case("GroupQueryAttention", operands, 3, (6,), attributes)
    operands, attributes = grouped(1, 4, (4, 4), do_rotary=1)
    yield "grouped_rotary", Case("GroupQueryAttention", [*operands, cosine, sine], 3, (6,), attributes)
    operands, attributes = grouped(1, 4, (4, 2))
    # What stands behind an item's last key is not said.
    yield "grouped_ragged", Case("GroupQueryAttention", operands, 3, (6,), attributes, compared=1)
    operands, attributes = grouped(4, 0, (3, 3), local_window_size=2, softcap=2.0, do_rotary=1, rotary_interleaved=1)
    operands[3:5] = None, None
    yield "grouped_window", Case("GroupQueryAttention", [*operands, cosine, sine], 3, (6,), attributes)
    operands, attributes = grouped(3, 0, (2, 2), smooth_softmax=1)
    operands[3:5] = None, None
    yield "grouped_smooth", Case("GroupQueryAttention", operands, 1, (6,), attributes)
    packed = [f(2, 3, 128), None, None, None, None, i32(2, 2), np.int32(3)]
    yield "grouped_packed", Case("GroupQueryAttention", packed, 3, (6,), attributes={
        "num_heads": 4, "kv_num_heads": 2})


def integers():
    units = {"tolerance": 1}
    a, b = u8(2, 3, 4), u8(4)
    for op in ("QLinearAdd", "QLinearMul"):
        yield op.lower(), Case(op, [a, scale(), zero(), b, scale(0.03), zero(100), scale(0.1), zero(90)], **units)
    signed = zero(-3, np.int8)
    yield "qlinearadd_signed", Case("QLinearAdd", [i8(3, 4), scale(), signed, i8(3, 4), scale(0.02), signed,
                                                   scale(0.07), signed], **units)
    for op, attributes in {"QLinearSigmoid": {}, "QLinearLeakyRelu": {"alpha": 0.2}}.items():
        yield op.lower(), Case(op, [u8(3, 50), scale(), zero(), scale(0.01), zero(20)], attributes=attributes, **units)
    yield "qlinearsoftmax", Case("QLinearSoftmax", [u8(3, 10), scale(), zero(), scale(1 / 256), zero(0)],
                                 attributes={"opset": 13, "axis": -1}, **units)
    image = u8(1, 3, 6, 6)
    pooled = [image, scale(), zero(), scale(0.04), zero(120)]
    yield "qlinearpool", Case("QLinearAveragePool", pooled, attributes={
        "kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, **units)
    yield "qlinearpool_last", Case("QLinearAveragePool", [u8(1, 6, 6, 3), *pooled[1:]], attributes={
        "kernel_shape": [2, 2], "channels_last": 1, "count_include_pad": 1, "pads": [1, 1, 0, 0]}, **units)
    yield "qlinearglobal", Case("QLinearGlobalAveragePool", pooled, **units)
    yield "qlinearconcat", Case("QLinearConcat", [scale(0.06), zero(110), u8(2, 3), scale(), zero(), u8(2, 2),
                                                  scale(0.07), zero(3)], constants=(0, 1, 3, 4, 6, 7),
                                attributes={"axis": 1}, **units)
    yield "qlinearwhere", Case("QLinearWhere", [RNG.random((3, 4)) < 0.5, u8(3, 4), scale(), zero(), u8(3, 4),
                                                scale(0.03), zero(7), scale(0.06), zero(50)],
                               constants=(2, 3, 5, 6, 7, 8), **units)
    yield "qlinearconv_last", Case("QLinearConv", [u8(1, 5, 5, 3), scale(), zero(), i8(4, 3, 3, 3), scale(0.01),
                                                   zero(0, np.int8), scale(0.1), zero(), i32(100, -50, 0, 7)],
                                   constants=(3, 4, 5, 8), attributes={"channels_last": 1, "pads": [1, 1, 1, 1]},
                                   **units)
    ab = [u8(3, 4), scale(), zero(), i8(5, 4), scale(0.02), zero(0, np.int8)]
    yield "qgemm", Case("QGemm", [*ab, i32(1, -200, 3, 400, 5), scale(0.09), zero()], constants=(3, 4, 5),
                        attributes={"transB": 1, "alpha": 0.5}, **units)
    yield "qgemm_numbers", Case("QGemm", [*ab], constants=(3, 4, 5), attributes={"transB": 1})
    yield "integer_product", Case("MatMulIntegerToFloat", [u8(2, 3, 4), i8(4, 5), scale(), f(5) ** 2, zero(),
                                                           RNG.integers(-3, 3, 5).astype(np.int8), f(5)])
    yield "dynamic_product", Case("DynamicQuantizeMatMul", [f(2, 3, 4), i8(4, 5), f(5) ** 2,
                                                            RNG.integers(-3, 3, 5).astype(np.int8), f(5)])
    yield "quantize", Case("QuantizeLinear", [f(3, 4), scale(0.02), np.uint16(32768)], tolerance=0)
    yield "dequantize", Case("DequantizeLinear", [RNG.integers(0, 65536, (3, 4)).astype(np.uint16), scale(1e-3),
                                                  np.uint16(32768)])
    for bits in (4, 8):
        n, k, block = 6, 40, 16
        blocks = -(-k // block)
        data, scales = u8(n, blocks, block * bits // 8), f(n, blocks) ** 2
        sizes = {"N": n, "K": k, "bits": bits, "block_size": block}
        yield f"packed_{bits}", Case("MatMulNBits", [f(2, 3, k), data, scales], constants=(1, 2), attributes=sizes)
        zeros = u8(n, -(-blocks * bits // 8))
        yield f"packed_{bits}_zeros", Case("MatMulNBits", [f(3, k), data, scales, zeros, None, f(n)],
                                           constants=(1, 2, 3, 5), attributes=sizes)
    yield "packed_rows", Case("GatherBlockQuantized", [u8(7, 16), i64(3, 1, 6), f(7, 2) ** 2], constants=(0, 2),
                              attributes={"bits": 4, "block_size": 16, "quantize_axis": 1, "gather_axis": 0})


CASES = {name: case for kind in (products, elements, moved, attentions, rotated, integers)
         for name, case in kind()}
CASES["erfc"] = Case("Erfc", [f(3, 8)], domain="")


@pytest.fixture(scope="module")
def converted():
    return {name: frontend.convert(name, case.model()) for name, case in CASES.items()}


@pytest.fixture(scope="module")
def compiled(converted):
    return Compiled(converted, units=2, levels=(NATIVE[-1],))


def expected(case: Case) -> list[np.ndarray]:
    """What onnxruntime computes, and what is known of the only name that it doesn't have."""
    if case.op == "Erfc":
        from math import erfc

        return [np.vectorize(erfc)(case.operands[0]).astype(np.float32)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(case.model().SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    return session.run(None, case.feeds)


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_onnxruntime(name, converted, compiled):
    case, graph = CASES[name], converted[name]
    wanted = expected(case)
    feeds = {graph.inputs[key]: array for key, array in case.feeds.items() if key in graph.inputs}
    computed = interp.run(graph, feeds, list(graph.outputs.values()))
    _compare(case, computed, wanted)
    fast = compiled.runner(name, NATIVE[-1])({key: case.feeds[key] for key in graph.inputs})
    _compare(case, [fast[key] for key in graph.outputs], wanted)


def _compare(case: Case, computed, wanted) -> None:
    assert len(computed) == len(wanted)
    for own, theirs in list(zip(computed, wanted, strict=True))[:case.compared]:
        assert own.shape == theirs.shape and own.dtype == theirs.dtype
        largest = 1 if theirs.dtype.kind in "iu" else max(1e-6, float(np.abs(theirs).max(initial=0)))
        difference = np.abs(own.astype(np.float64) - theirs.astype(np.float64))
        assert difference.max(initial=0) <= case.tolerance * largest
        if theirs.dtype.kind in "iu":  # they round products of float32 that castiron rounds later
            assert difference.mean() <= 0.05


@pytest.mark.parametrize(("domain", "op", "reason"), [
    ("org.pytorch.aten", "ATen", ": it is PyTorch's own code"),
    ("ai.onnx.contrib", "BertTokenizer", ": it is code of onnxruntime-extensions"),
    ("com.microsoft", "GroupNorm", ": it is made for GPUs"),
    ("com.microsoft", "BeamSearch", ": it searches for a text"),
    ("com.example", "Magic", ": it belongs to 'com.example', and the file has no function of that name"),
    ("com.microsoft", "MoE", ""),
    ("", "Magic", ""),
])
def test_others_are_refused(domain, op, reason, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(Case(op, [f(2, 3)], domain=domain).model().SerializeToString())
    with pytest.raises(UnsupportedOp) as refused:
        frontends.load(path)
    (obstacle,) = refused.value.obstacles
    name = f"{domain}.{op}" if domain else op
    assert obstacle.what.startswith(name + reason)
    assert reason or obstacle.what == name
