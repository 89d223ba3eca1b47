"""The recurrent cells that TensorFlow has as operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from castiron.errors import ModelError
from castiron.frontends.counting import dim_value
from castiron.frontends.tensorflow.nodes import SourceNode
from castiron.frontends.tensorflow.operators.table import converts
from castiron.ir import Dim, DType, Value, constant
from castiron.ops import F
from castiron.ops.loop import loop


@dataclass(frozen=True)
class _Cell:
    """An LSTM cell with the weights of its peepholes for the gates i, f and o, if it has any. ``order`` are the
    letters of the gates as the weights have them, c the new input."""

    order: str
    peepholes: tuple[Value, Value, Value] | None
    forget_bias: float
    clip: float

    def gates(self, sums: Value, state: Value) -> tuple[Value, Value, Value]:
        """The gates i and f and the new input, from the weighted inputs [..., 4·units] and the state before."""
        i, f, c = (self._part(sums, gate) for gate in "ifc")
        if self.forget_bias:
            f = F.add(f, self.forget_bias)
        if self.peepholes:
            i, f = (F.add(gate, F.mul(state, weight)) for gate, weight in zip((i, f), self.peepholes, strict=False))
        return F.sigmoid(i), F.sigmoid(f), F.tanh(c)

    def state(self, gates: tuple[Value, Value, Value], state: Value) -> Value:
        i, f, c = gates
        state = F.add(F.mul(c, i), F.mul(state, f))
        return F.clip(state, low=-self.clip, high=self.clip) if self.clip > 0 else state

    def output(self, sums: Value, state: Value) -> Value:
        """The gate o, from the state after."""
        o = self._part(sums, "o")
        return F.sigmoid(F.add(o, F.mul(state, self.peepholes[2])) if self.peepholes else o)

    def _part(self, sums: Value, gate: str) -> Value:
        units = sums.type.shape[-1] // 4
        return _columns(sums, self.order.index(gate) * units, units)


def _cell(node: SourceNode, peepholes: tuple[Value, Value, Value]) -> _Cell:
    second = node.op == "BlockLSTMV2"
    return _Cell("ifco" if second else "icfo", peepholes if node.flag("use_peephole") else None,
                 0.0 if second else node.number("forget_bias", 1.0), node.number("cell_clip", 0.0 if second else 3.0))


@converts("LSTMBlockCell")
def lstm_cell(node: SourceNode, x: Value, state: Value, h: Value, w: Value, wci: Value, wcf: Value, wco: Value,
              b: Value) -> tuple[Value, ...]:
    cell = _cell(node, (wci, wcf, wco))
    sums = F.add(F.matmul(F.concat(x, h, axis=1), w), b)
    gates = cell.gates(sums, state)
    state = cell.state(gates, state)
    o, shown = cell.output(sums, state), F.tanh(state)
    i, f, c = gates
    return i, state, f, o, c, shown, F.mul(shown, o)


@converts("BlockLSTM", "BlockLSTMV2")
def lstm(node: SourceNode, length: Value, x: Value, state: Value, h: Value, w: Value, wci: Value, wcf: Value,
         wco: Value, b: Value) -> tuple[Value, ...]:
    """Over the first ``length`` steps of x [time, batch, inputs]. States and outputs behind them are zero; TensorFlow
    leaves the gates there undefined."""
    cell = _cell(node, (wci, wcf, wco))
    steps, batch, inputs = x.type.shape
    units = h.type.shape[-1]
    if not isinstance(inputs, int) or not isinstance(units, int):
        raise ModelError(f"the sizes of {x!r} must be known when the model is compiled")
    above, beside = _rows(w, 0, inputs), _rows(w, inputs, units)
    given = F.add(F.matmul(F.transpose(x, perm=(1, 0, 2)), above), b)
    empty = F.broadcast_to(constant(np.zeros((), h.type.dtype.numpy)), shape=(batch, steps, units))

    def step(t: Value, carried: tuple[Value, ...]) -> tuple[Value, ...]:
        state, h, states, hs = carried
        sums = F.add(F.gather(given, t, axis=1), F.matmul(h, beside))
        state = cell.state(cell.gates(sums, state), state)
        h = F.mul(F.tanh(state), cell.output(sums, state))
        return state, h, F.update(states, t, state, axis=1), F.update(hs, t, h, axis=1)

    trips = F.minimum(F.cast(length, dtype=DType.I64), dim_value(steps, DType.I64))
    _, _, states, hs = loop(trips, (state, h, empty, empty), step)
    # The gates once more for all steps at a time: few models use them.
    sums = F.add(given, F.matmul(_delayed(hs, h), beside))
    i, f, c = cell.gates(sums, _delayed(states, state))
    o, shown = cell.output(sums, states), F.tanh(states)
    return tuple(F.transpose(y, perm=(1, 0, 2)) for y in (i, states, f, o, c, shown, hs))


def _delayed(xs: Value, first: Value) -> Value:
    """What each step [batch, time, units] begins with: the first one with ``first``, others with the one before."""
    batch, steps, units = xs.type.shape
    both = F.concat(F.reshape(first, shape=(batch, 1, units)), xs, axis=1)
    return F.slice(both, starts=(0, 0, 0), sizes=(batch, steps, units), steps=(1, 1, 1))


@converts("GRUBlockCell")
def gru_cell(node: SourceNode, x: Value, h: Value, w_gates: Value, w_candidate: Value, b_gates: Value,
             b_candidate: Value) -> tuple[Value, ...]:
    gates = F.sigmoid(F.add(F.matmul(F.concat(x, h, axis=1), w_gates), b_gates))
    units = h.type.shape[-1]
    r, u = _columns(gates, 0, units), _columns(gates, units, units)
    candidate = F.tanh(F.add(F.matmul(F.concat(x, F.mul(h, r), axis=1), w_candidate), b_candidate))
    return r, u, candidate, F.add(F.mul(F.sub(1.0, u), candidate), F.mul(u, h))


def _columns(x: Value, start: Dim, count: Dim) -> Value:
    rank = x.type.rank
    return F.slice(x, starts=(*(0,) * (rank - 1), start), sizes=(*x.type.shape[:-1], count), steps=(1,) * rank)


def _rows(x: Value, start: int, count: int) -> Value:
    return F.slice(x, starts=(start, 0), sizes=(count, x.type.shape[1]), steps=(1, 1))
