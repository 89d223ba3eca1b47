"""What castiron promises, as numbers read from a run's results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Results = dict[str, dict]


@dataclass(frozen=True)
class Figure:
    """A promise. ``part`` is the part of a run that measures it, ``measure`` reads the value from that
    part's data (None where it was not measured), ``bound`` is the promised value, a least one if
    ``at_least`` and else a most. ``scale`` is what a unit is."""

    promise: str
    part: str
    measure: Callable[[dict], float | None]
    bound: float
    unit: str
    at_least: bool = False
    scale: float = 1.0

    def value(self, results: Results) -> float | None:
        """In units."""
        data = results.get(self.part, {}).get("data")
        value = self.measure(data) if data else None
        return None if value is None else value / self.scale

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def timings(latency: dict, model: str, batch: int) -> dict[str, dict]:
    """The timings of one case by engine; empty if it was not measured."""
    cases = (case["timings"] for case in latency["cases"] if (case["model"], case["batch"]) == (model, batch))
    return next(cases, {})


def _call(latency: dict) -> float | None:
    return timings(latency, "seed_mlp", 1).get("castiron", {}).get("median")


def _times_faster(engine: str) -> Callable[[dict], float | None]:
    def ratio(latency: dict) -> float | None:
        case = timings(latency, "seed_mlp", 1)
        return case[engine]["median"] / case["castiron"]["median"] if {engine, "castiron"} <= set(case) else None

    return ratio


FIGURES = (
    Figure("A whole `Predict` call through the Go API, batch 1", "latency", _call, 0.4, "µs", scale=1e-6),
    Figure("… against LiteRT", "latency", _times_faster("litert"), 5, "times faster", at_least=True),
    Figure("… against TensorFlow's C API", "latency", _times_faster("tensorflow_c"), 50, "times faster", at_least=True),
    Figure("Cold start, process to first prediction", "cold", lambda d: d["first"]["castiron"]["median"], 10, "ms",
           scale=1e-3),
    Figure("The stripped binary, with server", "building", lambda d: d["bytes"], 10, "MB", scale=1e6),
    Figure("`castiron build`, empty cache", "building", lambda d: d["timings"]["cold"]["median"], 40, "s"),
    Figure("`castiron build`, warm cache", "building", lambda d: d["timings"]["warm"]["median"], 5, "s"),
    Figure("`castiron build`, model unchanged", "building", lambda d: d["timings"]["rebuild"]["median"], 2, "s"),
    Figure("CSV scoring end to end, one core", "scoring", lambda d: d["rows"] / d["timings"]["castiron"]["median"], 1,
           "million rows/s", at_least=True, scale=1e6),
)
