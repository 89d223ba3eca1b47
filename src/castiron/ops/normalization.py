"""Normalisations, made of core operators."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from castiron.errors import ShapeError
from castiron.ir import TensorType, Value
from castiron.ops.base import Example, F, Op, normalize_axes, normalize_axis, same_dtype

_RNG = np.random.default_rng(23)


def _random(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


def _positive(*shape: int) -> np.ndarray:
    return np.abs(_random(*shape)) + np.float32(0.1)


def _check(name: str, x: TensorType, parameters: tuple[TensorType, ...], shape: tuple) -> TensorType:
    same_dtype(x, *parameters)
    if not x.dtype.is_float:
        raise ShapeError(f"{name} of {x!r}: expects a float tensor")
    for parameter in parameters:
        if parameter.shape != tuple(shape):
            raise ShapeError(f"{name} of {x!r}: a parameter is {parameter!r}, expected "
                             f"{x.with_shape(shape)!r}")
    return x


def _spread(parameter: Value, axes: tuple[int, ...], rank: int) -> Value:
    """A parameter of the given axes, reshaped so that it broadcasts against a tensor of ``rank``."""
    if axes == tuple(range(rank - len(axes), rank)):
        return parameter
    dims = dict(zip(axes, parameter.type.shape, strict=True))
    return F.reshape(parameter, shape=tuple(dims.get(i, 1) for i in range(rank)))


class BatchNorm(Op):
    """gamma · (x - mean) / √(variance + epsilon) + beta, with one parameter of each kind for each index
    along an axis"""

    name = "batch_norm"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = tuple(
        Example((x, *(p(x.shape[axis]) for p in (_random, _random, _random, _positive))),
                {"axis": axis, "epsilon": epsilon}, batched=(0,) if axis else (), constants=(1, 2, 3, 4))
        for x, axis, epsilon in ((_random(7, 33), -1, 1e-3), (_random(3, 5, 4), 1, 1e-5),
                                 (_random(3, 5, 4), 0, 0.01)))

    def infer(self, x: TensorType, gamma: TensorType, beta: TensorType, mean: TensorType, variance: TensorType, *,
              axis: int = -1, epsilon: float = 1e-3) -> TensorType:
        axis = normalize_axis(axis, x.rank)
        return _check(self.name, x, (gamma, beta, mean, variance), (x.shape[axis],))

    def eval(self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, *,
             axis: int, epsilon: float) -> np.ndarray:
        wide = np.moveaxis(x.astype(np.float64), axis, -1)
        result = gamma.astype(np.float64) * (wide - mean) / np.sqrt(variance.astype(np.float64) + epsilon) + beta
        return np.moveaxis(result, -1, axis).astype(x.dtype)

    def lower(self, x: Value, gamma: Value, beta: Value, mean: Value, variance: Value, *, axis: int,
              epsilon: float) -> Value:
        # With constant parameters only the last multiply and add remain when the model runs.
        axis = normalize_axis(axis, x.type.rank)
        scale = F.mul(F.rsqrt(F.add(variance, epsilon)), gamma)
        shift = F.sub(beta, F.mul(mean, scale))
        return F.add(F.mul(x, _spread(scale, (axis,), x.type.rank)), _spread(shift, (axis,), x.type.rank))


class LayerNorm(Op):
    """gamma · (x - mean x) / √(variance x + epsilon) + beta; mean and variance along ``axes``, whose
    dimensions gamma and beta have"""

    name = "layer_norm"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        Example((_random(5, 37), _random(37), _random(37)), batched=(0,), constants=(1, 2)),
        Example((_random(5, 6, 7) + 3, _random(6, 7), _random(6, 7)), {"axes": (1, 2), "epsilon": 1e-6},
                batched=(0,), constants=(1, 2)),
        Example((_random(5, 6, 7), _random(6), _random(6)), {"axes": (1,)}, batched=(0,), constants=(1, 2)))

    def infer(self, x: TensorType, gamma: TensorType, beta: TensorType, *, axes: tuple[int, ...] = (-1,),
              epsilon: float = 1e-3) -> TensorType:
        return _check(self.name, x, (gamma, beta), [x.shape[a] for a in normalize_axes(axes, x.rank)])

    def eval(self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, *, axes: tuple[int, ...],
             epsilon: float) -> np.ndarray:
        axes = normalize_axes(axes, x.ndim)
        shape = [x.shape[i] if i in axes else 1 for i in range(x.ndim)]
        wide = x.astype(np.float64)
        centred = wide - wide.mean(axes, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axes, keepdims=True) + epsilon)
        return (centred / deviation * gamma.reshape(shape) + beta.reshape(shape)).astype(x.dtype)

    def lower(self, x: Value, gamma: Value, beta: Value, *, axes: tuple[int, ...], epsilon: float) -> Value:
        axes, rank = normalize_axes(axes, x.type.rank), x.type.rank
        centred = F.sub(x, F.reduce_mean(x, axes=axes, keepdims=True))
        variance = F.reduce_mean(F.square(centred), axes=axes, keepdims=True)
        normal = F.mul(centred, F.rsqrt(F.add(variance, epsilon)))
        return F.add(F.mul(normal, _spread(gamma, axes, rank)), _spread(beta, axes, rank))


class RmsNorm(Op):
    """gamma · x / √(mean x² + epsilon); the mean along ``axes``, whose dimensions gamma has
    (Zhang and Sennrich, 2019, https://arxiv.org/abs/1910.07467)"""

    name = "rms_norm"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        Example((_random(5, 37), _random(37)), batched=(0,), constants=(1,)),
        Example((_random(5, 6, 7), _random(6)), {"axes": (1,), "epsilon": 1e-3}, batched=(0,), constants=(1,)))

    def infer(self, x: TensorType, gamma: TensorType, *, axes: tuple[int, ...] = (-1,),
              epsilon: float = 1e-6) -> TensorType:
        return _check(self.name, x, (gamma,), [x.shape[a] for a in normalize_axes(axes, x.rank)])

    def eval(self, x: np.ndarray, gamma: np.ndarray, *, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
        axes = normalize_axes(axes, x.ndim)
        wide = x.astype(np.float64)
        root = np.sqrt(np.square(wide).mean(axes, keepdims=True) + epsilon)
        shape = [x.shape[i] if i in axes else 1 for i in range(x.ndim)]
        return (wide / root * gamma.reshape(shape)).astype(x.dtype)

    def lower(self, x: Value, gamma: Value, *, axes: tuple[int, ...], epsilon: float) -> Value:
        axes = normalize_axes(axes, x.type.rank)
        mean = F.reduce_mean(F.square(x), axes=axes, keepdims=True)
        return F.mul(F.mul(x, F.rsqrt(F.add(mean, epsilon))), _spread(gamma, axes, x.type.rank))


class GroupNorm(Op):
    """gamma · (x - mean x) / √(variance x + epsilon) + beta; mean and variance of one item (first axis)
    over all its positions and one of ``groups`` equal parts of ``axis``, whose dimension gamma and beta have
    (Wu and He, 2018, https://arxiv.org/abs/1803.08494)"""

    name = "group_norm"
    tolerance: ClassVar[float] = 1e-5
    examples: ClassVar = (
        Example((_random(3, 5, 8), _random(8), _random(8)), {"groups": 2}, batched=(0,), constants=(1, 2)),
        Example((_random(3, 6, 2, 2), _random(6), _random(6)), {"groups": 3, "axis": 1, "epsilon": 1e-5},
                batched=(0,), constants=(1, 2)),
        Example((_random(3, 8), _random(8), _random(8)), {"groups": 8}, batched=(0,), constants=(1, 2)))

    def infer(self, x: TensorType, gamma: TensorType, beta: TensorType, *, groups: int, axis: int = -1,
              epsilon: float = 1e-3) -> TensorType:
        axis = normalize_axis(axis, x.rank)
        size = x.shape[axis]
        if not axis or groups < 1 or not isinstance(size, int) or size % groups:
            raise ShapeError(f"group_norm of {x!r}: axis {axis} can't be cut into {groups} groups")
        return _check(self.name, x, (gamma, beta), (size,))

    def eval(self, x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, *, groups: int, axis: int,
             epsilon: float) -> np.ndarray:
        wide = np.moveaxis(x.astype(np.float64), axis, -1)
        split = wide.reshape(*wide.shape[:-1], groups, wide.shape[-1] // groups)
        axes = (*range(1, split.ndim - 2), split.ndim - 1)
        centred = split - split.mean(axes, keepdims=True)
        normal = (centred / np.sqrt(np.square(centred).mean(axes, keepdims=True) + epsilon)).reshape(wide.shape)
        return np.moveaxis(normal * gamma + beta, -1, axis).astype(x.dtype)

    def lower(self, x: Value, gamma: Value, beta: Value, *, groups: int, axis: int, epsilon: float) -> Value:
        shape, axis = x.type.shape, normalize_axis(axis, x.type.rank)
        split = F.reshape(x, shape=(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1:]))
        axes = tuple(i for i in range(1, len(shape) + 1) if i != axis)
        centred = F.sub(split, F.reduce_mean(split, axes=axes, keepdims=True))
        variance = F.reduce_mean(F.square(centred), axes=axes, keepdims=True)
        normal = F.reshape(F.mul(centred, F.rsqrt(F.add(variance, epsilon))), shape=shape)
        return F.add(F.mul(normal, _spread(gamma, (axis,), len(shape))), _spread(beta, (axis,), len(shape)))


class L2Normalize(Op):
    """x / √max(Σ x², epsilon), the sum along ``axes``"""

    name = "l2_normalize"
    tolerance: ClassVar[float] = 2e-6
    examples: ClassVar = (
        Example((np.concatenate([_random(5, 37), np.zeros((1, 37), np.float32)]),), batched=(0,)),
        Example((_random(3, 5, 4),), {"axes": (1, 2), "epsilon": 0.5}, batched=(0,)))

    def infer(self, x: TensorType, *, axes: tuple[int, ...] = (-1,), epsilon: float = 1e-12) -> TensorType:
        normalize_axes(axes, x.rank)
        if epsilon <= 0:
            raise ShapeError(f"l2_normalize: epsilon is {epsilon}, but must be positive")
        return _check(self.name, x, (), ())

    def eval(self, x: np.ndarray, *, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
        wide = x.astype(np.float64)
        return (wide / np.sqrt(np.maximum(np.square(wide).sum(axes, keepdims=True), epsilon))).astype(x.dtype)

    def lower(self, x: Value, *, axes: tuple[int, ...], epsilon: float) -> Value:
        total = F.reduce_sum(F.square(x), axes=axes, keepdims=True)
        return F.mul(x, F.rsqrt(F.maximum(total, epsilon)))
