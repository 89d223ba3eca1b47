"""Of which narrow types the results of nodes are: what ONNX says of operators' element types, as far as it matters."""

from __future__ import annotations

from collections.abc import Sequence

from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import MOVES
from castiron.frontends.results import Result
from castiron.ir import DType, Value
from castiron.ops.narrow import FORMATS

#: Operators that say themselves of what type their results are.
SAY = frozenset({"Cast", "CastLike", "DequantizeLinear", "QuantizeLinear"})

#: Operators whose results are elements of their operands, or as exact.
EXACT = MOVES | {
    "Abs", "Ceil", "Clip", "Dropout", "Floor", "GlobalMaxPool", "Identity", "Max", "MaxPool", "MaxUnpool", "Min", "Neg",
    "NonZero", "Optional", "OptionalGetElement", "Pad", "Range", "ReduceMax", "ReduceMin", "Relu", "Round", "Scatter",
    "Sign", "TopK", "TriLu", "Trilu", "Unique", "Upsample"}

#: Operators that have no operand of their results' type, with the attribute that names it.
NAMED = {"Bernoulli": "dtype", "EyeLike": "dtype", "RandomNormal": "dtype", "RandomNormalLike": "dtype",
         "RandomUniform": "dtype", "RandomUniformLike": "dtype", "BlackmanWindow": "output_datatype",
         "HammingWindow": "output_datatype", "HannWindow": "output_datatype", "MelWeightMatrix": "output_datatype"}

#: Operators that tell their results' type by a tensor among their attributes.
TELL = frozenset({"Constant", "ConstantOfShape"})


def narrowed(node: SourceNode, operands: Sequence[Result | None], results: Sequence[Result | None]
            ) -> tuple[Result | None, ...]:
    """The results of a node as they are in their types: f32 that is rounded where it stands for a narrower float.

    A result is of the type of the first operand with its element type, unless the node names the type.
    """
    if node.op in SAY or (not node.kinds and node.op not in TELL | set(NAMED)):
        return tuple(results)
    return tuple(_narrowed(node, operands, v) if isinstance(v, Value) else v for v in results)


def _narrowed(node: SourceNode, operands: Sequence[Result | None], value: Value) -> Value:
    kinds = node.kinds
    if kinds.of(value):
        return value
    if node.op in TELL:
        return kinds.mark(value, node.tensor_kind("value"))
    named = NAMED.get(node.op)
    if named in node.attrs:
        return kinds.rounded(value, node.kind(named))
    kind = kinds.common(operands, value.type.dtype)
    if value.type.dtype != DType.F32 or node.op in EXACT:
        return kinds.mark(value, kind if kind not in FORMATS or value.type.dtype == DType.F32 else None)
    return kinds.rounded(value, kind)
