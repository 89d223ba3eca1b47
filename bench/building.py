"""The time of ``castiron build``, and the size of what it leaves."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.engines import ENGINES, tensorflow
from bench.setting import Setting, build
from bench.timing import interleave, stopwatch

ROUNDS = 3


def run(setting: Setting) -> dict:
    """{"timings": {kind: Timing}, "bytes": size of the executable, "tensorflow_bytes": of TensorFlow's
    libraries, if they are there, "cores": how many a build may use}.

    Kinds: ``cold`` with an empty cache; ``warm`` with the cache that the build of another model left;
    ``rebuild`` of a model that did not change. Builds compare with Keras, as they do where it is
    installed. They may use all cores, as they do for a user.
    """
    made = setting.models("seed_mlp", "neighbour")
    out = setting.work / "built"
    print("building", file=sys.stderr)
    machine.pin(setting.cores)
    try:
        with tempfile.TemporaryDirectory(dir=setting.work) as folder:
            caches = (Path(folder) / str(i) for i in range(ROUNDS))
            cache = Path()

            def cold() -> None:
                # The neighbour goes first, so that the model itself is new to a warm cache.
                nonlocal cache
                cache = next(caches)
                build(made["neighbour"], out, cache=cache)

            kinds = {"cold": cold, "warm": lambda: build(made["seed_mlp"], out, cache=cache),
                     "rebuild": lambda: build(made["seed_mlp"], out, cache=cache)}
            timings = interleave({kind: stopwatch(work) for kind, work in kinds.items()}, ROUNDS)
    finally:
        machine.pin([setting.core])
    libraries = [] if ENGINES["tensorflow_c"].available() else tensorflow.libraries()
    return {"timings": {kind: asdict(timing) for kind, timing in timings.items()}, "bytes": out.stat().st_size,
            "tensorflow_bytes": sum(library.stat().st_size for library in libraries) or None,
            "cores": len(setting.cores)}
