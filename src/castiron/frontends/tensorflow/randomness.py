"""Random numbers where they don't matter: dropout that keeps everything.

Frozen graphs of TensorFlow 1 may hold the dropout of training, with a rate that is constant or has a
default. ``floor(keep + u)`` and ``u >= rate``, u from [0, 1), hold everywhere if keep is 1 and rate 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from castiron.frontends.results import Missing, Result, Results
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.ir import Dim, DType, Value, constant
from castiron.ops import F
from castiron.ops.symbolic import known

#: Operators that draw from [0, 1) in a shape that is their first operand.
_UNIFORM = frozenset({"RandomUniform", "StatelessRandomUniform", "StatelessRandomUniformV2"})


@dataclass(frozen=True, eq=False)
class Random(Missing):
    """Random numbers from [low, high): no value, unless what is made of them is always the same."""

    low: float = 0.0
    high: float = 1.0
    shape: tuple[Dim, ...] = ()


def propagate(node: SourceNode, operands: list[Result]) -> Results | None:
    """What random numbers become by a node; None if nothing better is known than that they are random."""
    if node.op in _UNIFORM and isinstance(operands[0], Value) and node.dtype("dtype", DType.F32) is DType.F32:
        return (Random(node, f"{node.op} is not supported: it draws random numbers; export the model for inference",
                       True, shape=node.dims(operands[0], "the shape")),)
    random = next((operand for operand in operands if isinstance(operand, Random)), None)
    if random is None:
        return None
    if node.op == "Floor" and math.ceil(random.high) - 1 <= random.low:
        return (_everywhere(np.float32(math.floor(random.low)), random),)
    if len(operands) != 2 or (number := _scalar(operands[0] if operands[1] is random else operands[1])) is None:
        return None
    if node.op == "GreaterEqual" and operands[0] is random and random.low >= number:
        return (_everywhere(np.bool_(True), random),)
    if node.op == "Mul" and number >= 0:
        return (replace(random, low=random.low * number, high=random.high * number),)
    if node.op in ("Add", "AddV2"):
        return (replace(random, low=random.low + number, high=random.high + number),)
    return None


def _scalar(operand: Result) -> float | None:
    array = known(operand) if isinstance(operand, Value) else None
    return array.item() if array is not None and array.size == 1 and array.dtype.kind == "f" else None


def _everywhere(value: np.generic, random: Random) -> Value:
    return F.broadcast_to(constant(value), shape=random.shape)
