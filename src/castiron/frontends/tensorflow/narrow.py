"""Results of TensorFlow's nodes in the 16-bit floats that their attributes name."""

from __future__ import annotations

from collections.abc import Sequence

from castiron.frontends.results import Result
from castiron.frontends.tensorflow import tensors
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import DType, Value
from castiron.ops import F

#: The attributes that say a result's type, the first that a node has.
_NAMES = ("DstT", "Tout", "dtype", "T")

#: Operators whose results are elements of their operands, or as exact; and those that give other types.
EXACT = frozenset({
    "Abs", "BatchToSpace", "BatchToSpaceND", "BroadcastTo", "Ceil", "ClipByValue", "Concat", "ConcatV2",
    "CropAndResize", "DepthToSpace", "Diag", "DynamicStitch", "ExpandDims", "Fill", "Floor", "Gather", "GatherNd",
    "GatherV2", "Identity", "IdentityN", "InvertPermutation", "MatrixBandPart", "MatrixDiag", "MatrixDiagPart", "Max",
    "MaxPool", "MaxPoolV2", "Maximum", "Min", "Minimum", "MirrorPad", "Neg", "Pack", "Pad", "PadV2", "Relu",
    "Reshape", "ResizeArea", "ResizeBicubic", "ResizeBilinear", "ReverseSequence", "ReverseV2", "Rint", "Roll",
    "Round", "ScaleAndTranslate", "ScatterNd", "Select", "SelectV2", "Sign", "Slice", "Snapshot", "SpaceToBatch",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StopGradient", "StridedSlice",
    "TensorScatterUpdate", "Tile", "TopK", "TopKV2", "Transpose", "Unpack", "Where"})


def narrowed(node: SourceNode, results: Sequence[Result | None]) -> tuple[Result | None, ...]:
    """The results of a node, its first one rounded where it stands for a 16-bit float."""
    named = next((value for name in _NAMES if (value := node.attr(name)) is not None), None)
    kind = None if named is None or node.op in EXACT else tensors.kind_of(named.type)
    if kind is None:
        return tuple(results)
    first, *rest = results
    if isinstance(first, Value) and first.type.dtype == DType.F32:
        first = F.round_to(first, format=kind)
    return (first, *rest)
