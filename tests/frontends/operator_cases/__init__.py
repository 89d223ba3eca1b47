"""Small graphs of TensorFlow's operators, compared with TensorFlow by test_graphdef_operators.py."""

from operator_cases import (  # noqa: F401  (each enters its cases)
    arrays,
    elementwise,
    images,
    indices,
    products,
    recurrent,
    reductions,
    selections,
    signals,
)
from operator_cases.case import CASES, Case

__all__ = ["CASES", "Case"]
