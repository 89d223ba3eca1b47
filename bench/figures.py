"""What castiron promises, as numbers read from a run's results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.engines import ENGINES
from bench.models import RECIPES
from bench.results import Cell, Results


@dataclass(frozen=True)
class Figure:
    """A promise. ``value`` reads it from results, None where it was not measured; ``bound`` is the promised value, a
    least one if ``at_least`` and else a most."""

    promise: str
    value: Callable[[Results], float | None]
    bound: float
    unit: str
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


#: How many times faster than the best peer of the same run, on one thread, by batch size.
TARGETS: dict[str, dict[int, float]] = {
    "seed_mlp": {1: 2, 32: 1.5}, "wide_mlp": {1: 1.1, 32: 1.1}, "mobilenetv2": {1: 1.2, 32: 1.15},
    "resnet50": {1: 1.15, 32: 1.1}, "efficientnetb0": {1: 1.3, 32: 1.2}, "conv1d": {1: 1.2, 32: 1.15},
    "lstm": {1: 1.5, 32: 1.3}, "transformer": {1: 1.15, 32: 1.1}, "minilm": {1: 1.15, 32: 1.1},
    "forest": {1: 1.1, 1000: 1.1},
}


#: How many times faster two threads are than one at batch 1: much on large models, and never slower on small ones.
TWO_THREADS = {"resnet50": 1.7, "mobilenetv2": 1.7, "efficientnetb0": 1.7, "transformer": 1.7, "minilm": 1.7,
               "seed_mlp": 1.0, "wide_mlp": 1.0, "lstm": 1.0}


def best_peer(cells: dict[str, Cell]) -> Cell | None:
    """The fastest of the others by the median."""
    peers = [cell for name, cell in cells.items() if ENGINES[name].peer]
    return min(peers, key=lambda cell: cell.median_us, default=None)


def ratio(results: Results, model: str, batch: int, threads: int = 1) -> float | None:
    """How many times castiron is faster than the best peer; below 1 it is slower."""
    cells = results.cells(model, batch, threads)
    peer = best_peer(cells)
    return peer.median_us / cells["castiron"].median_us if peer and "castiron" in cells else None


def _against(engine: str, model: str = "seed_mlp", batch: int = 1) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        cells = results.cells(model, batch, 1)
        return cells[engine].median_us / cells["castiron"].median_us if {engine, "castiron"} <= set(cells) else None

    return value


def _others(results: Results) -> float | None:
    """How many times faster than the best peer that is an engine, not compiled code."""
    cells = results.cells("seed_mlp", 1, 1)
    peer = best_peer({name: cell for name, cell in cells.items() if name != "xla_aot"})
    return peer.median_us / cells["castiron"].median_us if peer and "castiron" in cells else None


def _call(results: Results) -> float | None:
    cell = results.cells("seed_mlp", 1, 1).get("castiron")
    return cell and cell.median_us


def _two_threads(model: str) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        one, two = (results.cells(model, 1, threads).get("castiron") for threads in (1, 2))
        return one.median_us / two.median_us if one and two else None

    return value


def _memory(results: Results) -> float | None:
    """castiron's peak memory as a part of the least peer's, in the worst case."""
    parts = []
    for case in results.missing:
        cells = results.cells(case.model, case.batch, case.threads)
        if (peers := [cell.peak_rss_mb for name, cell in cells.items() if ENGINES[name].peer]) and "castiron" in cells:
            parts.append(cells["castiron"].peak_rss_mb / min(peers))
    return max(parts, default=None)


def _part(part: str, read: Callable[[dict], float | None]) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        return read(results.parts[part]) if part in results.parts else None

    return value


def _first(model: str) -> Callable[[Results], float | None]:
    return _part("cold", lambda data: data["models"][model]["castiron"]["first"]["median"] * 1e3)


def _build(model: str, kind: str) -> Callable[[Results], float | None]:
    return _part("building", lambda data: data["models"][model]["timings"][kind]["median"])


FIGURES = (
    Figure("MLP 10-64-64-1: a whole `Predict` call through the Go API", _call, 0.4, "µs"),
    Figure("… against XLA's ahead-of-time code", _against("xla_aot"), 2, "times faster", at_least=True),
    Figure("… against the best other engine", _others, 8, "times faster", at_least=True),
    Figure("… against TensorFlow's C API", _against("tensorflow_c"), 50, "times faster", at_least=True),
    *(Figure(f"{RECIPES['forest'].title}, batch {batch}: against onnxruntime", _against("onnxruntime", "forest", batch),
             3, "times faster", at_least=True) for batch in RECIPES["forest"].batches),
    *(Figure(f"{RECIPES[model].title}: two threads against one", _two_threads(model), bound, "times faster",
             at_least=True) for model, bound in TWO_THREADS.items()),
    Figure("Peak memory in the least peer's, in the worst case", _memory, 1, ""),
    Figure("Cold start of MLP 10-64-64-1", _first("seed_mlp"), 10, "ms"),
    Figure("Cold start of ResNet50", _first("resnet50"), 60, "ms"),
    Figure("The stripped binary of MLP 10-64-64-1, with server",
           _part("size", lambda data: data["models"]["seed_mlp"]["castiron"] / 1e6), 10, "MB"),
    Figure("`castiron build` of MLP 10-64-64-1, empty cache", _build("seed_mlp", "cold"), 40, "s"),
    Figure("… warm cache", _build("seed_mlp", "warm"), 5, "s"),
    Figure("… model unchanged", _build("seed_mlp", "rebuild"), 2, "s"),
    Figure("`castiron build` of ResNet50, empty cache", _build("resnet50", "cold"), 30, "s"),
    Figure("… model unchanged", _build("resnet50", "rebuild"), 3, "s"),
    Figure("… memory", _part("building", lambda data: data["models"]["resnet50"]["peak_rss_mb"]), 1000, "MB"),
    Figure("CSV scoring end to end, one core",
           _part("scoring", lambda data: data["rows"] / data["timings"]["castiron"]["median"] / 1e6), 1,
           "million rows/s", at_least=True),
)
