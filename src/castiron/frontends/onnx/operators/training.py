"""Steps of optimisers (the domain ai.onnx.preview.training)."""

from __future__ import annotations

from collections.abc import Callable

from castiron.errors import ModelError
from castiron.frontends.onnx.nodes import SourceNode
from castiron.frontends.onnx.operators.table import converts
from castiron.ir import Value
from castiron.ops import F

_DOMAIN = "ai.onnx.preview.training."


def _each(update: Callable[..., tuple[Value, ...]], values: tuple[Value, ...], kinds: int) -> tuple[Value, ...]:
    """``update`` of each tensor, its gradient and its state, which stand in ``values`` kind by kind; the results so
    too."""
    count = len(values) // kinds
    if not count or len(values) != kinds * count:
        raise ModelError(f"{len(values)} tensors, where each to be optimised needs {kinds}")
    updated = [update(*values[i::count]) for i in range(count)]
    return tuple(row[kind] for kind in range(kinds - 1) for row in updated)


def _regularized(node: SourceNode, x: Value, gradient: Value) -> Value:
    norm = node.number("norm_coefficient", 0.0)
    return F.add(F.mul(x, norm), gradient) if norm else gradient


@converts(_DOMAIN + "Adagrad")
def adagrad(node: SourceNode, rate: Value, count: Value, *values: Value) -> tuple[Value, ...]:
    """Duchi et al. (2011), http://jmlr.org/papers/v12/duchi11a.html."""
    rate = F.div(rate, F.add(F.mul(F.cast(count, dtype=rate.type.dtype), node.number("decay_factor", 0.0)), 1.0))

    def update(x: Value, gradient: Value, squares: Value) -> tuple[Value, Value]:
        gradient = _regularized(node, x, gradient)
        squares = F.add(squares, F.square(gradient))
        step = F.div(F.mul(rate, gradient), F.add(F.sqrt(squares), node.number("epsilon", 1e-6)))
        return F.sub(x, step), squares

    return _each(update, values, 3)


@converts(_DOMAIN + "Momentum")
def momentum(node: SourceNode, rate: Value, count: Value, *values: Value) -> tuple[Value, ...]:
    """The gradient's moving sum, or Nesterov's, which looks one step ahead."""
    alpha, mode = node.number("alpha", 0.0), node.text("mode", "standard")
    if mode not in ("standard", "nesterov"):
        raise ModelError(f"the mode {mode!r} is not supported")
    share = F.select(F.greater(count, 0), node.number("beta", 1.0), F.add(F.mul(rate, 0.0), 1.0))

    def update(x: Value, gradient: Value, sum_: Value) -> tuple[Value, Value]:
        gradient = _regularized(node, x, gradient)
        sum_ = F.add(F.mul(sum_, alpha), F.mul(share, gradient))
        step = sum_ if mode == "standard" else F.add(gradient, F.mul(sum_, alpha))
        return F.sub(x, F.mul(rate, step)), sum_

    return _each(update, values, 3)


@converts(_DOMAIN + "Adam")
def adam(node: SourceNode, rate: Value, count: Value, *values: Value) -> tuple[Value, ...]:
    """Kingma and Ba (2014), https://arxiv.org/abs/1412.6980."""
    alpha, beta, post = node.number("alpha", 0.9), node.number("beta", 0.999), node.number("norm_coefficient_post", 0.0)
    steps = F.cast(count, dtype=rate.type.dtype)
    left = [F.sub(1.0, F.pow(F.add(F.mul(rate, 0.0), base), steps)) for base in (alpha, beta)]
    rate = F.select(F.greater(count, 0), F.div(F.mul(rate, F.sqrt(left[1])), left[0]), rate)

    def update(x: Value, gradient: Value, mean: Value, squares: Value) -> tuple[Value, Value, Value]:
        gradient = _regularized(node, x, gradient)
        mean = F.add(F.mul(mean, alpha), F.mul(gradient, 1 - alpha))
        squares = F.add(F.mul(squares, beta), F.mul(F.square(gradient), 1 - beta))
        step = F.div(F.mul(rate, mean), F.add(F.sqrt(squares), node.number("epsilon", 1e-6)))
        return F.mul(F.sub(x, step), 1 - post), mean, squares

    return _each(update, values, 4)
