"""TensorFlow's operators in castiron's: ``TABLE`` has a function for each that is supported."""

from castiron.frontends.tensorflow.operators import (  # noqa: F401  (each registers its operators)
    blocks,
    complex,
    contract,
    elementwise,
    fourier,
    image,
    index,
    matrix,
    neural,
    quantize,
    recurrent,
    reduce,
    search,
    selection,
    shape,
    sound,
    text,
    window,
)
from castiron.frontends.tensorflow.operators.complex import constant_of
from castiron.frontends.tensorflow.operators.reasons import REASONS, why_not
from castiron.frontends.tensorflow.operators.table import TABLE, convert, is_supported

__all__ = ["REASONS", "TABLE", "constant_of", "convert", "is_supported", "why_not"]
