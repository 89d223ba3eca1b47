"""Random graphs of operators, small enough that many fit into one C unit."""

import random
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from functools import partial

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import (
    Dim,
    DType,
    Graph,
    Label,
    TensorType,
    Value,
    constant,
    evaluate,
    placeholder,
    product,
    symbol,
    with_measured,
)
from castiron.ops import F
from castiron.ops.loop import conditional, loop
from castiron.ops.sizes import compress

BATCH, SEQ = symbol("batch"), symbol("seq")

#: No tensor has a higher rank, or more elements when every symbol is 7.
MAX_RANK, MAX_ELEMENTS = 4, 4000


class RandomGraph:
    """Grows a graph by one random operator at a time.

    ``exact`` graphs compute nothing that is rounded, so that they can be fed anything. In others a
    value knows whether it is exact, because only those may be compared or made integers of.
    With ``rows`` every value has the batch as its first dimension, with ``wide`` floats are doubles.
    """

    def __init__(self, seed: str, exact: bool, rows: bool = False, wide: bool = False):
        self.float = DType.F64 if wide else DType.F32
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(self.random.getrandbits(32))
        self.exact_only, self.rows, self.depth = exact, rows, 0
        self.exact: dict[Value, bool] = {}
        self.inputs: dict[str, Value] = {}
        self.floats = self.random.random() < 0.8
        lead: Dim = BATCH if rows else self.random.choice([BATCH, BATCH, BATCH, 1, 6])
        for i in range(self.random.randint(1, 3)):
            shape = [lead, *(self.dim() for _ in range(self.random.randint(0, 2)))]
            if i and not rows and self.random.random() < 0.3:
                self.random.shuffle(shape)
            dtype = self.float if self.floats else self.random.choice([DType.I32, DType.I64, DType.U8, self.float])
            value = placeholder(f"x{i}", TensorType(dtype, tuple(shape)))
            self.inputs[f"x{i}"] = value
            self.exact[value] = True
        # Every symbol must be the dimension of an input.
        if not any(dim == SEQ for v in self.inputs.values() for dim in v.type.shape):
            value = placeholder("s", TensorType(self.float, (lead, SEQ)))
            self.inputs["s"] = value
            self.exact[value] = True

    def dim(self) -> Dim:
        return self.random.choice([1, 2, 3, 5, 16, 17, 33, SEQ])

    def graph(self, size: int, traced: bool = False) -> Graph:
        """All inputs; outputs that need every value, and some more. If traced every value is labelled and an output."""
        while len(self.exact) < len(self.inputs) + size:
            self.grow()
        values = list(self.exact)
        labels = {f"v{i}": Label(v.node.op, v) for i, v in enumerate(values)}
        if traced:
            return with_measured(Graph("traced", self.inputs, dict(zip(labels, values, strict=True)), labels, True))
        nodes = Graph("all", self.inputs, dict(zip(labels, values, strict=True))).nodes
        used = {v for node in nodes for v in node.inputs}
        outputs = [*(v for v in values if v not in used), *self.random.sample(values, self.random.randint(0, 2))]
        return with_measured(Graph("random", self.inputs, {f"y{i}": v for i, v in enumerate(outputs)}, labels))

    def grow(self) -> None:
        self.grow_by(self.random.choice(_KINDS))

    def grow_by(self, kind: str) -> None:
        x = self.random.choice(list(self.exact)[-4:] if self.random.random() < 0.7 else list(self.exact))
        try:
            result, operands, exact = getattr(self, f"_{kind}")(x)
        except (ShapeError, IndexError, _Unfit):
            return
        if result.type.rank > MAX_RANK or _elements(result.type) > MAX_ELEMENTS:
            return
        if self.rows and result.type.shape[:1] != (BATCH,):
            return
        exact = exact and all(self.exact.get(v, True) for v in operands)
        if exact or not self.exact_only:
            self.exact[result] = exact

    def other(self, x: Value, fits: Callable[[Value], bool]) -> Value:
        """A value that can stand beside x: an earlier one or a new constant."""
        if candidates := [v for v in self.exact if v.type.dtype == x.type.dtype and fits(v)]:
            if self.random.random() < 0.7:
                return self.random.choice(candidates)
        shape = [d if isinstance(d, int) and self.random.random() < 0.6 else 1 for d in x.type.shape]
        return self.constant(x.type.dtype, shape[self.random.randint(0, len(shape)):])

    def constant(self, dtype: DType, shape: list[int]) -> Value:
        return constant(sample(self.numpy, dtype, tuple(shape)))

    def floating(self, x: Value) -> None:
        if not x.type.dtype.is_float:
            raise _Unfit

    def axis(self, x: Value) -> int:
        return self.random.randrange(x.type.rank) if x.type.rank else _unfit()

    # Each method gives a result, the operands that its exactness depends on, and whether the operator keeps it.

    def _unary(self, x: Value):
        name = self.random.choice(["neg", "abs", "relu", "tanh", "sin", "sigmoid", "square"])
        if name in ("tanh", "sin", "sigmoid"):
            self.floating(x)
        if name == "square" and x.type.dtype.is_float:
            return F.tanh(F.square(x)), [x], False
        return getattr(F, name)(x), [x], name in ("neg", "abs", "relu") or not x.type.dtype.is_float

    def _binary(self, x: Value):
        y = self.other(x, lambda v: _broadcasts(x, v))
        x, y = (x, y) if self.random.random() < 0.5 else (y, x)
        name = self.random.choice(["add", "sub", "mul", "maximum", "minimum", "floordiv"])
        if x.type.dtype == DType.BOOL or (name == "floordiv" and x.type.dtype.is_float):
            raise _Unfit
        result = getattr(F, name)(x, y)
        if name == "mul" and x.type.dtype.is_float:
            result = F.tanh(result)
        return result, [x, y], name in ("maximum", "minimum") or not x.type.dtype.is_float

    def _select(self, x: Value):
        a = self.random.choice([v for v in self.exact if self.exact[v]])
        b = self.other(a, lambda v: _broadcasts(a, v) and self.exact[v])
        if a.type.dtype == DType.BOOL:
            raise _Unfit
        condition = getattr(F, self.random.choice(["less", "greater_equal", "equal", "not_equal"]))(a, b)
        if self.random.random() < 0.3:
            return condition, [a, b], True
        return F.select(condition, x, self.other(x, lambda v: _broadcasts(x, v))), [a, b, x], True

    def _cast(self, x: Value):
        dtype = self.random.choice([self.float, DType.I32, DType.I64, DType.U8, DType.BOOL])
        if not self.exact[x] or dtype == x.type.dtype:
            raise _Unfit
        return F.cast(x, dtype=dtype), [x], True

    def _reduce(self, x: Value):
        name = self.random.choice(["sum", "mean", "max", "min", "max"])
        if x.type.dtype == DType.BOOL and name in ("sum", "mean"):
            raise _Unfit
        if name == "mean":
            self.floating(x)
        axes = tuple(i for i in range(x.type.rank) if self.random.random() < 0.4)
        result = getattr(F, f"reduce_{name}")(x, axes=axes, keepdims=self.random.random() < 0.6)
        if name == "sum" and x.type.dtype.is_float:
            result = F.sin(F.mul(result, 0.01))
        return result, [x], name in ("max", "min") or not x.type.dtype.is_float

    def _compress(self, x: Value):
        """As many of the elements along the first axis as data decide."""
        mask = self.random.choice([v for v in self.exact if v.type.rank and self.exact[v]])
        if self.rows or self.depth or not x.type.rank or mask.type.shape[0] != x.type.shape[0]:
            raise _Unfit
        column = F.reshape(mask, shape=(mask.type.shape[0], product(mask.type.shape[1:])))
        if not isinstance(column.type.shape[1], int) or not column.type.shape[1]:
            raise _Unfit
        column = F.gather(column, constant(np.int64(0)), axis=1)
        mask = column if column.type.dtype == DType.BOOL else F.greater(column, constant(sample(
            self.numpy, column.type.dtype, ())))
        return compress(x, mask, 0), [x], True

    def _matmul(self, x: Value):
        self.floating(x)
        if x.type.rank < 2 or self.random.random() < 0.3:
            columns = self.random.choice([1, 2, 16, 17, 40])
            k = x.type.shape[-1] if x.type.rank >= 2 and isinstance(x.type.shape[-1], int) else _unfit()
            result = F.matmul(x, self.constant(x.type.dtype, [k, columns]))
            if self.random.random() < 0.6:
                result = F.relu(F.add(result, self.constant(x.type.dtype, [columns])))
        else:
            y = self.other(x, lambda v: v.type.rank >= 2)
            result = F.matmul(x, y, transpose_a=self.random.random() < 0.2, transpose_b=self.random.random() < 0.5)
        return F.tanh(F.mul(result, 0.1)), [x], False

    def _reshape(self, x: Value):
        shape = list(x.type.shape)
        if len(shape) > 1 and self.random.random() < 0.7:
            axis = self.random.randrange(len(shape) - 1)
            shape[axis:axis + 2] = [shape[axis] * shape[axis + 1]]
        else:
            axis = self.random.randint(0, len(shape))
            even = axis < len(shape) and isinstance(shape[axis], int) and shape[axis] % 2 == 0
            shape[axis:axis + even] = [2, shape[axis] // 2] if even else [1]
        return F.reshape(x, shape=tuple(shape)), [x], True

    def _transpose(self, x: Value):
        return F.transpose(x, perm=tuple(self.random.sample(range(x.type.rank), x.type.rank))), [x], True

    def _concat(self, x: Value):
        axis = self.axis(x)
        rest = partial(_rest, axis=axis)
        y = self.other(x, lambda v: v.type.rank == x.type.rank and rest(v) == rest(x))
        return F.concat(*self.random.sample([x, y, x], 3), axis=axis), [x, y], True

    def _slice(self, x: Value):
        starts, sizes, steps = [], [], []
        for dim in x.type.shape:
            match self.random.choice(["all", "all", "part", "back"]):
                case "part" if isinstance(dim, int):
                    step = self.random.choice([1, 1, 2])
                    start = self.random.randrange(dim) if dim else 0
                    entry = start, self.random.randint(0, -(-(dim - start) // step)), step
                case "part":
                    entry = self.random.choice([0, 2, dim - 1]), self.random.choice([1, 3]), 1
                case "back":
                    entry = dim - 1 if dim else 0, dim, -1
                case _:
                    entry = 0, dim, 1
            for attr, value in zip((starts, sizes, steps), entry, strict=True):
                attr.append(value)
        return F.slice(x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps)), [x], True

    def _pad(self, x: Value):
        before, after = ([self.random.choice([0, 0, 1, 3]) for _ in x.type.shape] for _ in range(2))
        if self.random.random() < 0.5 and before:
            before[0] = after[0] = 0
        return F.pad(x, self.constant(x.type.dtype, []), before=tuple(before), after=tuple(after)), [x], True

    def _gather(self, x: Value):
        indices = [v for v in self.exact if v.type.dtype in (DType.I32, DType.I64, DType.U8) and v.type.rank <= 2]
        shape = [self.random.choice([1, 4])] * self.random.randint(0, 2)
        index = constant(self.numpy.integers(-9, 9, shape).astype(np.int32))
        return F.gather(x, self.random.choice([*indices, index]), axis=self.axis(x)), [x], True

    def _broadcast_to(self, x: Value):
        shape = [self.dim() if d == 1 else d for d in x.type.shape]
        return F.broadcast_to(x, shape=tuple([self.dim(), *shape] if self.random.random() < 0.3 else shape)), [x], True

    def _along(self, x: Value):
        name = self.random.choice(["cumsum", "sort", "softmax", "flip"])
        if x.type.dtype == DType.BOOL:
            raise _Unfit
        match name:
            case "cumsum":
                result = F.cumsum(x, axis=self.axis(x))
                result = F.sin(F.mul(result, 0.01)) if x.type.dtype.is_float else result
            case "sort":
                result = F.sort(x)
            case "softmax":
                self.floating(x)
                result = F.softmax(x, axis=self.axis(x))
            case "flip":
                result = F.flip(x, axes=(self.axis(x),))
        return result, [x], name in ("sort", "flip") or not x.type.dtype.is_float

    def _loop(self, x: Value):
        others = [v for v in self.exact if v.type.dtype == x.type.dtype]
        carried = [x, *self.random.sample(others, min(len(others), self.random.randint(0, 2)))]
        trips = self.random.choice([0, 1, 2, 3, SEQ])

        def step(i: Value, values: tuple[Value, ...]) -> list[Value]:
            if not self.rows:
                self.exact[i] = True
            parts = []
            for v in values:
                axis = self.random.randrange(v.type.rank) if v.type.rank > self.rows else -1
                if axis >= self.rows:
                    self.exact[F.gather(v, i, axis=axis)] = self.exact_only
                    parts = [u for u in self.exact if u.type.shape == _rest(v, axis) and u.type.dtype == v.type.dtype]
                    self.exact[F.update(v, i, self.random.choice(parts), axis=axis)] = self.exact_only
            return self.body(values, [v.type for v in carried])

        def condition(i: Value, values: tuple[Value, ...]) -> Value:
            return F.less(i, self.random.randint(0, 3))

        with self.inside():
            results = loop(trips, carried, step, condition if self.random.random() < 0.2 else None)
        return self.random.choice(results), carried, self.exact_only

    def _conditional(self, x: Value):
        a = self.random.choice([v for v in self.exact if self.exact[v] and v.type.dtype != DType.BOOL])

        def branch() -> list[Value]:
            with self.inside():
                return self.body([x], [x.type])

        decisive = F.dims(values=(SEQ - 2,), shape=(), dtype=DType.I64) if self.rows else F.reduce_max(a, axes=None)
        return conditional(F.greater(decisive, 0), branch, branch)[0], [x], self.exact_only

    @contextmanager
    def inside(self):
        """What is made in a body is not seen outside, and bodies are not nested deep."""
        if self.depth == 2:
            raise _Unfit
        known, self.exact, self.depth = self.exact, dict(self.exact), self.depth + 1
        try:
            yield
        finally:
            self.exact, self.depth = known, self.depth - 1

    def body(self, values: Iterable[Value], types: list[TensorType]) -> list[Value]:
        """Results of the given types, made by a few operators."""
        self.exact |= dict.fromkeys(values, self.exact_only)
        for _ in range(self.random.randint(1, 4)):
            self.grow()
        return [self.random.choice([v for v in self.exact if v.type == type][-4:]) for type in types]


_KINDS = [name.removeprefix("_") for name, member in vars(RandomGraph).items()
          if name.startswith("_") and not name.startswith("__") and callable(member)]
#: Bodies make graphs several times as large.
_KINDS += 2 * [kind for kind in _KINDS if kind not in ("loop", "conditional")]


class _Unfit(Exception):
    """The operator can't be applied to the value."""


def _unfit():
    raise _Unfit


def _rest(value: Value, axis: int) -> tuple:
    return (*value.type.shape[:axis], *value.type.shape[axis + 1:])


def _broadcasts(x: Value, y: Value) -> bool:
    pairs = zip(x.type.shape[::-1], y.type.shape[::-1], strict=False)
    return all(p == q or p == 1 or q == 1 for p, q in pairs)



def _elements(type: TensorType) -> int:
    return evaluate(type.size, dict.fromkeys(type.symbols, 7))


def sample(rng: np.random.Generator, dtype: DType, shape: tuple[int, ...], special: bool = False) -> np.ndarray:
    """Random elements; ``special`` puts NaN, infinities, extremes and zeros among them."""
    if dtype == DType.BOOL:
        return rng.random(shape) < 0.5
    if dtype.is_float:
        x = rng.standard_normal(shape).astype(dtype.numpy) * 3
        odd = np.array([np.nan, np.inf, -np.inf, 0, 3e38, -1e10, 1e-30], dtype.numpy)
    else:
        bounds = np.iinfo(dtype.numpy)
        x = rng.integers(max(bounds.min, -20), 20, shape, dtype.numpy)
        odd = np.array([bounds.min, bounds.max, 0, 1], dtype.numpy)
    return np.where(rng.random(shape) < 0.2, rng.choice(odd, shape), x) if special else x
