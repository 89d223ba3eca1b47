"""Engines take turns; what counts is the median over all turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, or of one whole piece of work. ``best`` is the fastest turn's."""

    median: float
    best: float
    turns: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        return cls(statistics.median(seconds), min(seconds), len(seconds))


def interleave(work: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Do each piece of work once a round, A B C A B C, so that a slow moment of the machine meets all.

    A piece of work returns its own seconds, by its own clock.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, piece in work.items():
            seconds[name].append(piece())
    return {name: Timing.of(taken) for name, taken in seconds.items()}


def stopwatch(piece: Callable[[], object]) -> Callable[[], float]:
    """The piece of work, returning the seconds that it takes."""

    def timed() -> float:
        begin = time.perf_counter()
        piece()
        return time.perf_counter() - begin

    return timed
