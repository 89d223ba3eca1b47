"""Results as a page of tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from bench import limits
from bench.engines import ENGINES
from bench.figures import FIGURES, TARGETS, best_peer, ratio
from bench.models import MEASURED, RECIPES
from bench.results import Case, Cell, Results

#: What the page calls the programs whose cold start is measured; others go by their engine's title.
_PROGRAMS = {"castiron": "**castiron's binary**", "litert": "Python, NumPy, LiteRT",
             "onnxruntime": "Python, NumPy, onnxruntime", "openvino": "Python, NumPy, OpenVINO",
             "tensorflow_c": "a C program on TensorFlow"}

_INTRODUCTION = """\
# Benchmarks

Made by `python -m bench` from `bench/results.json`: do not edit.

All of a case (a model, a batch size, a number of threads) is measured in one run: engines take turns, A B C A B C …, so
that a slow moment meets all, each in a process of its own, pinned to the same cores, its threads fixed by its own
option. Before a turn the caches are emptied; the first call then is the *cold* one, others follow untimed, and a turn's
figure is the mean of the calls of the next 20 ms (one call, if that takes longer). A cell is the median over the turns
and, in brackets, the fastest turn. Ratios are of medians in the same case: above 1 castiron is the faster one. What
counts is the ratio, not the time. Each result is compared with the source framework's before anything is timed: an
engine that is off by more than 1e-4 of the largest value has no time.

A percentage is of the limit: the time that the model's multiplications and additions take at the core's peak, or that
of reading its weights once from the nearest of L1, L2, L3 and memory that holds them, whichever is longer. (Less work
than the definition's, as of Winograd's convolutions, can exceed it.)

Peers called from Python carry Python's part in a call, some microseconds; "invoke alone" leaves out handing in the rows
and fetching the results, and so bounds that part from above. OpenVINO computes in f32, like all others, not in its
default bf16. Peak memory is of the engine's whole process, the Python that hosts it included.

    pip install -e '.[bench]'
    python -m bench                                      # what is missing, then this page; goes on where it stopped
    python -m bench --again                              # all anew
    python -m bench resnet50 --batch 1 --again           # some cases anew
    python -m bench resnet50 --engine castiron --quick   # a glance: figures are only printed
"""


def page(results: Results, models: Collection[str] | None = None) -> str:
    """docs/BENCHMARKS.md, or only its tables of some models."""
    if models is not None:
        return "\n".join(_model(results, name) for name in MEASURED if name in models)
    sections = [_INTRODUCTION, _summary(results), _promises(results), *(_model(results, name) for name in MEASURED)]
    sections += [write(results.parts[part]) for part, write in _PARTS.items() if part in results.parts]
    sections.append(_machine(results))
    return "\n".join(section for section in sections if section)


def _summary(results: Results) -> str:
    rows = []
    for name in MEASURED:
        for batch in RECIPES[name].batches:
            bound = TARGETS.get(name, {}).get(batch)
            cells = results.cells(name, batch, 1)
            peer, own = best_peer(cells), cells.get("castiron")
            if not peer or not own:
                continue
            value = ratio(results, name, batch)
            gflops = _gflops(results, own)
            rows.append((RECIPES[name].title, str(batch), _microseconds(own.median_us),
                         f"{_microseconds(peer.median_us)}, {ENGINES[peer.engine].title}", f"**{_times(value)}**",
                         *(("-", "") if bound is None else (_times(bound), "met" if value >= bound else "**missed**")),
                         f"{gflops:.3g}" if gflops else "-", _share(results, own) or "-"))
    if not rows:
        return ""
    heads = ("model", "batch", "castiron", "best peer", "ratio", "aim", "", "GFLOP/s", "of the limit")
    return ("## castiron against the best peer, one thread\n\n![Ratios to the best peer](benchmarks.svg)\n\n"
            + _table(heads, rows))


def _promises(results: Results) -> str:
    rows = []
    for figure in FIGURES:
        value = figure.value(results)
        bound = f"at {'least' if figure.at_least else 'most'} {figure.bound:g} {figure.unit}".strip()
        measured = "not measured" if value is None else f"{value:.3g} {figure.unit}".strip()
        verdict = "" if value is None else "met" if figure.met(value) else "**missed**"
        rows.append((figure.promise, bound, measured, verdict))
    return "## What else is promised\n\n" + _table(("", "promised", "measured", ""), rows)


def _model(results: Results, name: str) -> str:
    cases = [case for case in results.missing if case.model == name]
    cases.sort(key=lambda case: (case.threads, case.batch))
    if not cases:
        return ""
    tables = {case: results.cells(*_key(case)) for case in cases}
    rows = []
    for engine in ENGINES.values():
        if any(engine.name in cells for cells in tables.values()):
            title = f"**{engine.title}**" if engine.name == "castiron" else engine.title
            rows.append((title, engine.through, *(_cell(results, cells, engine.name) for cells in tables.values()),
                         *_extra(next(cells[engine.name] for cells in tables.values() if engine.name in cells))))
    flops = _flops(results, name)
    text = f"## {RECIPES[name].title}\n\n"
    if flops:
        data = results.parts["limits"]
        text += (f"{flops / 1e6:.4g} MFLOP a row, {data['weights'][name] / 1e6:.3g} MB of weights, which "
                 f"{data['where'][name]} holds.\n\n")
    heads = ["", "through", *(f"batch {case.batch}" + (f", {case.threads} threads" if case.threads > 1 else "")
                              for case in cases), "cold", "memory", "error"]
    text += _table(heads, rows)
    why = {engine: reason for case in cases for engine, reason in results.missing[case].items()
           if ENGINES[engine].peer or engine == "castiron"}
    return text + "".join(f"\n{ENGINES[engine].title}: {reason}.\n" for engine, reason in why.items())


def _key(case: Case) -> tuple[str, int, int]:
    return case.model, case.batch, case.threads


def _cell(results: Results, cells: dict[str, Cell], engine: str) -> str:
    """A timing, the share of the limit, and how many times castiron is faster."""
    if engine not in cells:
        return "-"
    cell = cells[engine]
    text = f"{_microseconds(cell.median_us)} ({_microseconds(cell.best_us)})"
    if share := _share(results, cell):
        text += f", {share}"
    if engine != "castiron" and "castiron" in cells:
        text += f", {_times(cell.median_us / cells['castiron'].median_us)}"
    return text


def _extra(cell: Cell) -> tuple[str, str, str]:
    """Of an engine's first case."""
    return _microseconds(cell.cold_us), f"{cell.peak_rss_mb:.0f} MB", f"{cell.max_error:.0e}"


def _flops(results: Results, name: str) -> float | None:
    """Of one row."""
    return results.parts.get("limits", {}).get("flops", {}).get(name)


def _gflops(results: Results, cell: Cell) -> float | None:
    flops = _flops(results, cell.model)
    return flops * cell.batch / cell.median_us / 1e3 if flops else None


def _share(results: Results, cell: Cell) -> str | None:
    if "limits" not in results.parts:
        return None
    part = limits.share(results.parts["limits"], cell.model, cell.batch, cell.threads, cell.median_us * 1e-6)
    return None if part is None else f"{part:.0%}"


def _times(ratio: float) -> str:
    """With two digits at least: 0.87x, 3.2x, 120x."""
    return f"{ratio:.2f}x" if ratio < 2 else f"{ratio:.1f}x" if ratio < 20 else f"{ratio:.0f}x"


def _limits(data: dict) -> str:
    read = ", ".join(f"{rate:.3g} GB/s from {where}" for where, rate in data["read_gbs"].items())
    return ("## What a core does at most\n\n"
            f"{data['gflops']:.4g} GFLOP/s in a loop of 32-bit multiply-adds; reading, {read}.\n")


def _size(data: dict) -> str:
    engines = list(dict.fromkeys(engine for sizes in data["models"].values() for engine in sizes))
    rows = [(f"**{ENGINES[engine].title}**" if engine == "castiron" else ENGINES[engine].title,
             *(_megabytes(sizes, engine) for sizes in data["models"].values())) for engine in engines]
    return ("## Size on target\n\nThe executable; of others the model's file and the engine's libraries, without "
            f"Python's own {data['python'] / 1e6:.0f} MB where that is needed.\n\n"
            + _table(("", *data["titles"].values()), rows))


def _megabytes(sizes: dict[str, int], engine: str) -> str:
    if engine not in sizes:
        return "-"
    text = f"{sizes[engine] / 1e6:.1f} MB"
    return text if engine == "castiron" else f"{text}, {_times(sizes[engine] / sizes['castiron'])}"


def _cold(data: dict) -> str:
    text = ("## Cold start\n\nFrom the start of a process to the first prediction that it prints, for one row in a "
            f"file, on {data['cores']} cores; files are in the page cache.")
    if data["nothing"]:
        text += f" A process that does nothing takes {_seconds(data['nothing']['median'])}."
    text += "\n"
    for model, programs in data["models"].items():
        rows = []
        for name, taken in programs.items():
            times = taken["first"]["median"] / programs["castiron"]["first"]["median"]
            first = _timing(taken["first"]) + ("" if name == "castiron" else f", {_times(times)}")
            rows.append((_PROGRAMS.get(name, name), first, _timing(taken["end"])))
        heads = (data["titles"][model], "to the first prediction", "to the end")
        text += "\n" + _table(heads, rows)
    return text


def _scoring(data: dict) -> str:
    own = data["timings"]["castiron"]["median"]
    rows = [(_PROGRAMS.get(name, name),
             _timing(timing) + ("" if name == "castiron" else f", {_times(timing['median'] / own)}"),
             f"{data['rows'] / timing['median'] / 1e6:.3g} million") for name, timing in data["timings"].items()]
    return (f"## Scoring a CSV file\n\n{data['rows']:,} rows of {data['columns']} float64 numbers with all their "
            f"digits ({data['bytes'] / 1e6:.0f} MB) in, a column of predictions out; process start included.\n\n"
            + _table(("", "whole file", "rows/s"), rows))


def _building(data: dict) -> str:
    kinds = {"cold": "empty cache", "warm": "after another model", "rebuild": "model unchanged"}
    rows = [(data["titles"][model], *(_timing(taken["timings"][kind]) for kind in kinds),
             f"{taken['peak_rss_mb']:.0f} MB") for model, taken in data["models"].items()]
    return (f"## Building\n\n`castiron build` on {data['cores']} cores, with the comparison to Keras, whose own memory "
            "is not counted.\n\n" + _table(("", *kinds.values(), "memory"), rows))


_PARTS = {"cold": _cold, "scoring": _scoring, "size": _size, "building": _building, "limits": _limits}


def _machine(results: Results) -> str:
    facts = results.conditions
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    loads = [cell.load for cell in results.rows]
    load = f" Processes that wanted to run as a case began: {min(loads):g} to {max(loads):g}." if loads else ""
    return (f"## The machine\n\n{facts['cpu']}, {facts['cpus']} cores; {facts['system']}; Python {facts['python']}; "
            f"{packages}; castiron's source {facts['source']}.{load}\n")


def _timing(timing: dict) -> str:
    return f"{_seconds(timing['median'])} ({_seconds(timing['best'])})"


def _microseconds(microseconds: float) -> str:
    return _seconds(microseconds * 1e-6)


def _seconds(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
