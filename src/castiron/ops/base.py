"""What an operator is, the table of all operators, and how nodes are made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import DType, Node, TensorType, Value, constant


@dataclass(frozen=True)
class Example:
    """One call of an operator, from which tests, fuzzing and benchmarks are made.

    ``batched`` lists the operands whose first dimension the tests also compile as a free symbol;
    ``constants`` those that are known when the model is compiled.
    """

    inputs: tuple[np.ndarray, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    batched: tuple[int, ...] = ()
    constants: tuple[int, ...] = ()


class Op:
    """An operator: its formula (the docstring), type rule, meaning, and rewriting into core operators.

    A subclass is instantiated once and registered under ``name``. Attributes are keyword-only
    parameters of ``infer``, ``eval`` and ``lower`` alike; the defaults stand in ``infer``.
    """

    name: ClassVar[str] = ""
    examples: ClassVar[tuple[Example, ...]] = ()
    #: Largest |compiled - eval| / max(1, |eval|) that the operator's tests accept.
    tolerance: ClassVar[float] = 1e-6

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType | tuple[TensorType, ...]:
        """The types of the results; ShapeError says which operand doesn't fit and why."""
        raise NotImplementedError

    def eval(self, *arrays: np.ndarray, **attrs: Any) -> np.ndarray | tuple[np.ndarray, ...]:
        """The results in numpy: the specification. Integer operators also take object arrays whose
        elements are dimension expressions."""
        raise NotImplementedError

    def lower(self, *values: Value, **attrs: Any) -> Value | tuple[Value, ...]:
        """The same in more basic operators. A core operator has a kernel and doesn't define it."""
        raise NotImplementedError

    def __init_subclass__(cls) -> None:
        if cls.name:
            if cls.name in OPS:
                raise TypeError(f"operator {cls.name} is defined twice")
            OPS[cls.name] = cls()

    @property
    def is_core(self) -> bool:
        return type(self).lower is Op.lower

    @cached_property
    def attributes(self) -> Mapping[str, inspect.Parameter]:
        parameters = inspect.signature(self.infer).parameters
        return {k: p for k, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


OPS: dict[str, Op] = {}


def apply(name: str, *operands: Value | float | int | np.ndarray, **attrs: Any) -> Value | tuple[Value, ...]:
    """A new node of operator ``name``; several results come as a tuple.

    A Python number or an array among the operands becomes a constant, a number in the element type
    of the last value (of ``select`` the first is the condition).
    """
    op = OPS[name]
    dtype = next((v.type.dtype.numpy for v in reversed(operands) if isinstance(v, Value)), None)
    inputs = tuple(v if isinstance(v, Value)
                   else constant(v, None if isinstance(v, (np.ndarray, np.generic)) else dtype)
                   for v in operands)
    if unknown := set(attrs) - set(op.attributes):
        raise TypeError(f"operator {name} has no attribute {', '.join(sorted(unknown))}")
    attrs = {k: attrs[k] if k in attrs else p.default for k, p in op.attributes.items()}
    types = op.infer(*(v.type for v in inputs), **attrs)
    node = Node(name, inputs, attrs, types if isinstance(types, tuple) else (types,))
    return node.results if isinstance(types, tuple) else Value(node)


class _Functions:
    """``F.add(x, y)`` is ``apply("add", x, y)``."""

    def __getattr__(self, name: str):
        if name not in OPS:
            raise AttributeError(f"no operator is named {name!r}")
        return lambda *operands, **attrs: apply(name, *operands, **attrs)


F = _Functions()


def same_dtype(*types: TensorType) -> DType:
    """The element type that all have in common."""
    if len({t.dtype for t in types}) != 1:
        raise ShapeError(f"element types differ: {', '.join(map(repr, types))}")
    return types[0].dtype


def broadcast(*shapes: tuple) -> tuple:
    """The shape that numpy's rule gives; two free dimensions must be the same expression."""
    rank = max(map(len, shapes), default=0)
    result = []
    for axis in range(-rank, 0):
        dims = {s[axis] for s in shapes if len(s) >= -axis} - {1}
        if len(dims) > 1:
            raise ShapeError("shapes don't broadcast: "
                             + " and ".join(f"[{','.join(map(str, s))}]" for s in shapes))
        result.append(dims.pop() if dims else 1)
    return tuple(result)


def normalize_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front; ShapeError if there is no such axis."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def normalize_axes(axes: tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """Sorted, counted from the front; None means all."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted({normalize_axis(a, rank) for a in axes}))
