"""The time of one call: a case is a model, a batch size and a number of threads, which all engines run in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from bench import machine
from bench.engines import ENGINES, Engine, Session
from bench.models import MEASURED, RECIPES
from bench.results import Case, Cell
from bench.setting import Setting
from bench.timing import Timing
from castiron.errors import CastironError

#: An engine's turn takes about so long, or one call and its warm-up if that is longer.
TURN_SECONDS = 0.02

#: A case takes about so long, but has so many rounds at least and at most.
CASE_SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 15.0, 5, 60

#: How far from the source's framework a result may be, relative to the largest.
TOLERANCE = 1e-4


def cases(models: Iterable[str] = (), batches: Iterable[int] = (), threads: Iterable[int] = ()) -> list[Case]:
    """All that are measured, or of those the ones with these models, batch sizes and numbers of threads."""
    models, batches, threads = list(models), list(batches), list(threads)
    every = [Case(name, batch, count) for name in MEASURED for batch in RECIPES[name].batches
             for count in (RECIPES[name].threads if batch == RECIPES[name].batches[0] else (1,))]
    return [case for case in every if case.threads <= len(machine.CORES)
            and (not models or case.model in models) and (not batches or case.batch in batches)
            and (not threads or case.threads in threads)]


def run(case: Case, engines: Iterable[Engine], setting: Setting) -> tuple[list[Cell], dict[str, str]]:
    """The cells of a case, and by the name of an engine that has none, why. A wrong result has no time."""
    begin, model = time.perf_counter(), setting.model(case.model)
    why, sessions = {}, {}
    try:
        turns, load = {}, machine.load()
        for engine in engines:
            if reason := engine.unable(model):
                why[engine.name] = reason
                continue
            try:
                session = Session.start(engine, model, case.batch, setting.work, setting.cores(case.threads))
                sessions[engine.name] = session
                error = difference(session.predict(), model.expected(case.batch))
                turns[engine.name] = Turns(session, error, TURN_SECONDS / 10 if setting.quick else TURN_SECONDS)
            except (RuntimeError, CastironError) as failure:
                why[engine.name] = machine.without_paths(str(failure))
        _take(turns, setting.quick)
        cells = [Cell(case.model, name, case.batch, case.threads, *turn.microseconds(), turn.error,
                      sessions[name].peak_rss_mb(), len(turn.calls), load) for name, turn in turns.items()]
    finally:
        for session in sessions.values():
            session.close()
    for name, engine in ENGINES.items():
        if name in why and (engine.peer or name == "castiron"):
            print(f"  {name}: {why[name]}", file=sys.stderr)
    print(f"  {time.perf_counter() - begin:.0f} s, {max((cell.turns for cell in cells), default=0)} rounds: " +
          ", ".join(f"{cell.engine} {cell.median_us:.4g} µs" for cell in cells), file=sys.stderr, flush=True)
    return cells, why


def _take(turns: dict[str, Turns], quick: bool) -> None:
    """Rounds over all engines until the time is up."""
    evict, begin = machine.Evictor(), time.perf_counter()
    for done in range(3 if quick else MOST_ROUNDS):
        if done >= LEAST_ROUNDS and time.perf_counter() - begin > CASE_SECONDS:
            break
        for turn in turns.values():
            evict()
            turn.take()


@dataclass
class Turns:
    """An engine's turns. Each begins with cold caches: its first call is a figure of its own, and further ones warm
    them up before the time of the others counts."""

    session: Session
    error: float
    seconds: float
    first: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        taken, self.count = self.session.time(1), 1
        while taken < self.seconds / 4:
            self.count *= 2
            taken = self.session.time(self.count)
        self.count = max(1, round(self.count * self.seconds / taken))

    def take(self) -> None:
        self.first.append(self.session.time(1))
        if self.count > 1:
            self.session.time(max(1, self.count // 4))
        self.calls.append(self.session.time(self.count) / self.count)

    def microseconds(self) -> tuple[float, float, float]:
        """The median and the fastest turn, and the median of first calls."""
        calls, first = Timing.of(self.calls), Timing.of(self.first)
        return calls.median * 1e6, calls.best * 1e6, first.median * 1e6


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference from what is expected, relative to its largest value. RuntimeError if that is more than
    rounding: a wrong answer's time is worth nothing."""
    if got.size != expected.size:
        raise RuntimeError(f"wrong: {got.size} values, not {expected.size}")
    error = float(np.abs(got.ravel() - expected.ravel()).max() / np.abs(expected).max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"wrong: results differ from the source's by {error:.1e} of the largest")
    return error
