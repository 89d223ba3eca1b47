"""The time of one call, engine by engine, at several batch sizes."""

from __future__ import annotations

import sys
from dataclasses import asdict

import numpy as np

from bench.engines import ENGINES, Engine, Session
from bench.models import Model
from bench.setting import Setting
from bench.timing import interleave

#: Model -> batch sizes.
CASES = {"seed_mlp": (1, 32, 1024), "wide_mlp": (1, 32)}

ROUNDS = 60
TURN_SECONDS = 0.01

#: How far from Keras a result may be, relative to the largest.
TOLERANCE = 1e-5


def run(setting: Setting) -> dict:
    """{"engines": {name: {"through"}}, "missing": {name: why}, "cases": [{"model", "batch", "timings":
    {engine: Timing}, "errors": {engine: largest difference from Keras, relative}}]}."""
    missing = {name: why for name, engine in ENGINES.items() if (why := engine.available())}
    engines = [engine for name, engine in ENGINES.items() if name not in missing]
    for name, why in missing.items():
        print(f"{name} is left out: {why}", file=sys.stderr)
    models = setting.models(*CASES)
    cases = [_case(engines, models[name], batch, setting) for name, batches in CASES.items() for batch in batches]
    return {"engines": {e.name: {"through": e.through} for e in engines}, "missing": missing, "cases": cases}


def _case(engines: list[Engine], model: Model, batch: int, setting: Setting) -> dict:
    print(f"{model.name}, batch {batch}", file=sys.stderr)
    sessions: dict[str, Session] = {}
    try:
        for engine in engines:
            sessions[engine.name] = Session.start(engine, model, batch, setting.work)
        errors = {name: check(name, session.predict(), model.expected(batch)) for name, session in sessions.items()}
        turns = {name: session.turn(TURN_SECONDS) for name, session in sessions.items()}
        timings = interleave(turns, ROUNDS)
    finally:
        for session in sessions.values():
            session.close()
    return {"model": model.name, "batch": batch, "errors": errors,
            "timings": {name: asdict(timing) for name, timing in timings.items()}}


def check(name: str, got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference from what is expected, relative to its largest value. A wrong answer's time
    is worth nothing: RuntimeError."""
    if got.size != expected.size:
        raise RuntimeError(f"{name} gives {got.size} values, not {expected.size}")
    error = float(np.abs(got.ravel() - expected.ravel()).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"{name} is wrong: its results differ from Keras' by {error:.1e}, relatively")
    return error
