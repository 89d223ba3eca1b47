"""ONNX's operators in castiron's: ``TABLE`` has a function for each that is supported."""

from castiron.frontends.onnx.operators import (  # noqa: F401  (each registers its operators)
    activation,
    attention,
    contract,
    elementwise,
    fourier,
    fused,
    fused_attention,
    index,
    loss,
    normalization,
    quantize,
    quantized,
    recurrent,
    reduce,
    regions,
    resize,
    sequence,
    shape,
    training,
    window,
)
from castiron.frontends.onnx.operators.reasons import REASONS, why_not
from castiron.frontends.onnx.operators.table import COMPOUND, TABLE, convert

__all__ = ["COMPOUND", "REASONS", "TABLE", "convert", "why_not"]
