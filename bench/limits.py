"""What one core does at most, and what models ask of it."""

from __future__ import annotations

import os
from dataclasses import asdict

from bench.models import MEASURED, Model
from bench.setting import Setting

#: Where weights may be, nearest first, with what tells the size of it.
_CACHES = {"L1": "SC_LEVEL1_DCACHE_SIZE", "L2": "SC_LEVEL2_CACHE_SIZE", "L3": "SC_LEVEL3_CACHE_SIZE"}


def run(setting: Setting) -> dict:
    """{"gflops", "read_gbs": {where: billions of bytes a second}, "flops": {model: multiplications and additions of a
    row}, "weights": {model: bytes}, "where": {model: the nearest of the caches or memory that holds the weights}}, of
    32-bit floats. What is not a matter of multiplications has no flops."""
    import castiron
    from castiron import limits, profile
    from castiron.toolchain import Tools

    flops, weights = {}, {}
    for name in MEASURED:
        model = setting.model(name)
        program = castiron.compile(model.source).programs["fast"]
        if count := profile.count(program, {symbol: 1 for symbol in program.symbols}):
            flops[name], weights[name] = count, _weights(model)
    return asdict(limits.measure(Tools())) | {
        "flops": flops, "weights": weights, "where": {name: _where(size) for name, size in weights.items()}}


def _weights(model: Model) -> int:
    """Bytes of what is constant in a model."""
    import onnx
    from onnx import numpy_helper

    return sum(numpy_helper.to_array(tensor).nbytes for tensor in onnx.load(model.onnx).graph.initializer)


def _where(size: int) -> str:
    known = {cache: os.sysconf(name) for cache, name in _CACHES.items() if name in os.sysconf_names}
    return next((cache for cache, held in known.items() if size <= held), "memory")


def share(data: dict, model: str, batch: int, threads: int, seconds: float) -> float | None:
    """The part of the limit that a call reaches: the time of its multiplications and additions at the peak, or of
    reading the weights once from where they fit, whichever is longer, to the time that it took. Threads are cores."""
    if model not in data["flops"]:
        return None
    compute = data["flops"][model] * batch / data["gflops"]
    read = data["weights"][model] / data["read_gbs"][data["where"][model]]
    return max(compute, read) / 1e9 / threads / seconds
