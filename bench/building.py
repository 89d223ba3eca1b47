"""The time and memory of ``castiron build``."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.models import RECIPES
from bench.setting import Setting, build
from bench.timing import interleave

#: Model -> rounds.
ROUNDS = {"seed_mlp": 3, "resnet50": 2}

KINDS = ("cold", "warm", "rebuild")


def run(setting: Setting) -> dict:
    """{"models": {model: {"timings": {kind: Timing}, "peak_rss_mb"}}, "cores": how many a build may use}.

    Kinds: ``cold`` with an empty cache; ``warm`` with the cache that the build of another model left;
    ``rebuild`` of a model that did not change. Builds compare with Keras, as they do where it is
    installed, whose own memory doesn't count.
    """
    measured = {name: _model(name, 1 if setting.quick else rounds, setting) for name, rounds in ROUNDS.items()}
    return {"titles": {name: RECIPES[name].title for name in ROUNDS}, "models": measured, "cores": len(machine.CORES)}


def _model(name: str, rounds: int, setting: Setting) -> dict:
    model, neighbour, out = setting.model(name), setting.model("neighbour"), setting.work / "built"
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        caches = [Path(folder) / str(i) for i in range(2 * rounds)]
        empty, shared = iter(caches[:rounds]), iter(caches[rounds:])
        cache, memory = Path(), []

        def cold() -> float:
            used = build(model, out, cache=next(empty))
            memory.append(used.peak_rss_mb)
            return used.seconds

        def warm() -> float:
            nonlocal cache
            cache = next(shared)
            build(neighbour, out, cache=cache)
            return build(model, out, cache=cache).seconds

        def rebuild() -> float:
            return build(model, out, cache=cache).seconds

        timings = interleave(dict(zip(KINDS, (cold, warm, rebuild), strict=True)), rounds)
    return {"timings": {kind: asdict(timing) for kind, timing in timings.items()}, "peak_rss_mb": max(memory)}
