"""ONNX's operators in castiron's: ``TABLE`` has a function for each that is supported."""

from castiron.frontends.onnx.operators import (  # noqa: F401  (each registers its operators)
    activation,
    attention,
    contract,
    elementwise,
    encoding,
    features,
    fourier,
    fused,
    fused_attention,
    index,
    inverse,
    linear,
    loss,
    normalization,
    quantize,
    quantized,
    recurrent,
    reduce,
    regions,
    resize,
    scaling,
    sequence,
    shape,
    strings,
    support_vectors,
    tensorflow_names,
    training,
    trees,
    window,
)
from castiron.frontends.onnx.operators.reasons import REASONS, why_not
from castiron.frontends.onnx.operators.table import COMPOUND, TABLE, convert

__all__ = ["COMPOUND", "REASONS", "TABLE", "convert", "why_not"]
