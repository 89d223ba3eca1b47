"""Functions that a model records between its layers: keras.ops in Keras 3, tf functions in Keras 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from castiron.frontends.keras.layers.base import OPERATIONS, LayerCall, layer
from castiron.frontends.keras.model import Layer
from castiron.ir import Value
from castiron.ops import F

#: TensorFlow's operator and function, by number of operands.
_UNARY: dict[str, tuple[str, Callable[[Value], Value]]] = {
    "negative": ("Neg", lambda x: F.neg(x)), "absolute": ("Abs", lambda x: F.abs(x)),
    "square": ("Square", lambda x: F.square(x)), "sqrt": ("Sqrt", lambda x: F.sqrt(x)),
    "exp": ("Exp", lambda x: F.exp(x)), "log": ("Log", lambda x: F.log(x)),
    "tanh": ("Tanh", lambda x: F.tanh(x)), "sigmoid": ("Sigmoid", lambda x: F.sigmoid(x)),
    "relu": ("Relu", lambda x: F.relu(x)),
}
_BINARY: dict[str, tuple[str, Callable[[Any, Any], Value]]] = {
    "add": ("AddV2", lambda x, y: F.add(x, y)), "subtract": ("Sub", lambda x, y: F.sub(x, y)),
    "multiply": ("Mul", lambda x, y: F.mul(x, y)), "divide": ("RealDiv", lambda x, y: F.div(x, y)),
    "maximum": ("Maximum", lambda x, y: F.maximum(x, y)), "minimum": ("Minimum", lambda x, y: F.minimum(x, y)),
    "power": ("Pow", lambda x, y: F.pow(x, y)),
}

#: What TensorFlow calls the functions.
_TENSORFLOW = {
    "math.negative": "negative", "__operators__.neg": "negative", "math.abs": "absolute", "math.square": "square",
    "math.sqrt": "sqrt", "math.exp": "exp", "math.log": "log", "math.tanh": "tanh", "math.sigmoid": "sigmoid",
    "nn.relu": "relu", "math.add": "add", "__operators__.add": "add", "math.subtract": "subtract",
    "math.multiply": "multiply", "math.truediv": "divide", "math.divide": "divide", "math.maximum": "maximum",
    "math.minimum": "minimum", "math.pow": "power",
}
#: Keras 3's classes that are named otherwise than their functions, capitalised.
_CLASSES = {"TrueDivide": "divide"}


def _apply(call: LayerCall, name: str) -> Value:
    operands = _operands(call)
    op, function = _UNARY.get(name) or _BINARY[name]
    if len(operands) != (1 if name in _UNARY else 2) or not any(isinstance(x, Value) for x in operands):
        raise call.error(f"is called on {len(operands)} operands")
    floating = name not in ("add", "subtract", "multiply", "maximum", "minimum", "negative", "absolute", "relu",
                            "square") or len({x.type.dtype for x in operands if isinstance(x, Value)}) > 1
    if floating or any(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in operands):
        operands = [call.cast(x) if isinstance(x, Value) else x for x in operands]
    dtype = next(x.type.dtype for x in operands if isinstance(x, Value))
    return call.label(op, op, function(*(x if isinstance(x, Value) else x.astype(dtype.numpy) for x in operands)))


def _operands(call: LayerCall) -> list[Value | np.ndarray]:
    """The operands in order: tensors, and constants as arrays."""
    named = [call.kwargs[key] for key in ("x", "x1", "y", "x2") if call.kwargs.get(key) is not None]
    found: list[Value | np.ndarray] = []
    for item in (*call.args, *named):
        if isinstance(item, Value):
            found.append(item)
            continue
        if isinstance(item, dict) and isinstance(item.get("config"), dict):
            item = item["config"].get("value")
        try:
            array = np.asarray(item)
        except (ValueError, RecursionError):
            array = np.asarray(None)
        if array.dtype.kind not in "if":
            raise call.error(f"is called on {item!r}, expected tensors and numbers")
        found.append(array)
    return found


for _name in (*_UNARY, *_BINARY):
    OPERATIONS[_name.capitalize()] = lambda call, name=_name: _apply(call, name)
for _class, _name in _CLASSES.items():
    OPERATIONS[_class] = lambda call, name=_name: _apply(call, name)


def _refused_function(described: Layer) -> str | None:
    function = described.fields.get("function", None)
    return None if isinstance(function, str) and function in _TENSORFLOW else f"function {function!r}"


@layer("TFOpLambda", refused=_refused_function)
def tensorflow_function(call: LayerCall) -> Value:
    return _apply(call, _TENSORFLOW[call.fields.text("function")])
