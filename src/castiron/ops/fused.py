"""Several element-wise operators as one: what fusion makes of chains of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.ir import Body, DType, Instr, TensorType
from castiron.ops import bitwise, narrow, scalar
from castiron.ops.base import OPS, Example, Op, broadcast

#: The operators that act on each element alone and have a kernel.
SCALAR_OPS = frozenset(name for name, op in OPS.items()
                       if type(op).__module__ in (scalar.__name__, bitwise.__name__, narrow.__name__))


def body_types(body: Body, inputs: tuple[TensorType, ...]) -> list[TensorType]:
    """The types of the inputs and of every instruction's result."""
    types = list(inputs)
    for instr in body.instrs:
        types.append(OPS[instr.op].infer(*(types[i] for i in instr.operands), **dict(instr.attrs)))
    return types


def body_values(body: Body, *arrays: np.ndarray) -> list[np.ndarray]:
    """The inputs and every instruction's result."""
    values = list(arrays)
    for instr in body.instrs:
        values.append(OPS[instr.op].eval(*(values[i] for i in instr.operands), **dict(instr.attrs)))
    return values


def body_eval(body: Body, *arrays: np.ndarray) -> np.ndarray:
    """The last instruction's result."""
    return body_values(body, *arrays)[-1]


_RNG = np.random.default_rng(5)
_X = _RNG.standard_normal((3, 4, 21)).astype(np.float32)


class Map(Op):
    """The body applied to each element; operands broadcast"""

    name = "map"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = (
        Example((_X, _X[0, 0]), {"body": Body((Instr("mul", (0, 1)), Instr("tanh", (2,)), Instr("add", (3, 0))))},
                batched=(0,), constants=(1,)),
        Example((_X, _X[:, :1].copy(), np.float32(2)),
                {"body": Body((Instr("less", (0, 1)), Instr("select", (3, 0, 2)),
                               Instr("cast", (4,), (("dtype", DType.I32),))))}, batched=(0, 1), constants=(2,)),
        Example((_X[:, :, :1].copy(), _X[0, :1]), {"body": Body((Instr("sub", (0, 1)),))}, batched=(0,)),
        Example((_X[0], _X), {"body": Body((Instr("exp", (0,)), Instr("mul", (2, 1))))}, batched=(1,)),
        *(Example((_RNG.standard_normal((3, lines, width)).astype(np.float32),
                   _RNG.standard_normal(width).astype(np.float32), np.float32(3)),
                  {"body": Body((Instr("mul", (0, 2)), Instr("less", (3, 1)), Instr("select", (4, 1, 3))))},
                  batched=(0,), constants=constants)
          for lines, width, constants in ((67, 3, (1, 2)), (64, 2, (2,)), (17, 15, ()), (1, 3, (1,)))),
    )

    def infer(self, *xs: TensorType, body: Body) -> TensorType:
        return TensorType(body_types(body, xs)[-1].dtype, broadcast(*(x.shape for x in xs)))

    def eval(self, *xs: np.ndarray, body: Body) -> np.ndarray:
        return np.broadcast_to(body_eval(body, *xs), np.broadcast_shapes(*(x.shape for x in xs))).copy()
