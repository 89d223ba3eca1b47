"""Results as a page of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.figures import FIGURES, Results

#: What the page calls engines and programs; others go by their own name.
_TITLES = {
    "castiron": "**castiron**", "castiron_into": "castiron", "castiron_run": "castiron", "castiron_python": "castiron",
    "litert": "LiteRT", "litert_invoke": "LiteRT", "tensorflow_c": "TensorFlow C API", "nothing": "`true`, for scale",
}
_PROGRAMS = _TITLES | {"castiron": "**castiron's binary**", "litert": "Python, NumPy, LiteRT",
                       "onnxruntime": "Python, NumPy, onnxruntime", "tensorflow_c": "a C program on TensorFlow"}

_INTRODUCTION = """\
# Benchmarks

Made by `python -m bench` from `bench/results.json`: do not edit.

Everything runs on one core of one machine, to which all processes are pinned (builds may use all cores), with one
thread. Engines take turns, A B C A B C …, so that a slow moment meets all; a cell is the median over the turns and,
in brackets, the fastest turn. What counts is the ratio within a table, not its times. A turn calls the model for about
10 ms after a warm-up. Each result is compared with Keras' before anything is timed: a difference above 1e-5 of the
largest value ends the run. Peers called from Python carry Python's part in a call; "invoke alone" leaves out handing
in the rows and fetching the results, which is less than a call needs, and so bounds that part from above.

    pip install -e '.[bench]'
    python -m bench                # everything, and this page
    python -m bench latency        # one part: latency, cold, scoring or building
"""


def page(results: Results) -> str:
    """docs/BENCHMARKS.md."""
    sections = [_INTRODUCTION, _figures(results)]
    for part, write in _PARTS.items():
        if part in results:
            sections.append(write(results[part]["data"]))
    sections.append(_machines(results))
    return "\n".join(sections)


def _figures(results: Results) -> str:
    rows = []
    for figure in FIGURES:
        value = figure.value(results)
        bound = f"at {'least' if figure.at_least else 'most'} {figure.bound:g} {figure.unit}"
        measured = "not measured" if value is None else f"{value:.3g} {figure.unit}"
        verdict = "" if value is None else "met" if figure.met(value) else "**missed**"
        rows.append((figure.promise, bound, measured, verdict, f"`python -m bench {figure.part}`"))
    return "## What is promised\n\nOf a multilayer perceptron 10-64-64-1 with ReLU.\n\n" + _table(
        ("", "promised", "measured", "", "by"), rows)


def _latency(data: dict) -> str:
    text = ("## One call\n\nIn brackets the fastest turn; then how many times castiron's `Predict` is faster, by the "
            "medians. Below 1 castiron is the slower one.\n")
    for model in dict.fromkeys(case["model"] for case in data["cases"]):
        cases = [case for case in data["cases"] if case["model"] == model]
        rows = []
        for name, engine in data["engines"].items():
            cells = [_against(case["timings"], name) for case in cases]
            rows.append((_TITLES.get(name, name), engine["through"], *cells))
        heads = ("", "through", *(f"batch {case['batch']}" for case in cases))
        text += f"\n### {model}\n\n{_table(heads, rows)}"
    for name, why in data["missing"].items():
        text += f"\n{_TITLES.get(name, name)} was not measured: {why}.\n"
    return text


def _against(timings: dict[str, dict], name: str) -> str:
    """A timing, and how it compares with castiron's."""
    if name not in timings:
        return "-"
    cell = _timing(timings[name])
    if name == "castiron" or "castiron" not in timings:
        return cell
    ratio = timings[name]["median"] / timings["castiron"]["median"]
    return f"{cell}, {_times(ratio)}"


def _times(ratio: float) -> str:
    """With two digits at least: 0.87x, 3.2x, 120x."""
    return f"{ratio:.2f}x" if ratio < 2 else f"{ratio:.1f}x" if ratio < 20 else f"{ratio:.0f}x"


def _cold(data: dict) -> str:
    rows = [(_PROGRAMS.get(name, name), _against(data["first"], name), _timing(data["end"][name]))
            for name in data["first"]]
    return ("## Cold start\n\nFrom the start of a process to the first prediction that it prints, for one row in a "
            "file; files are in the page cache.\n\n" + _table(("", "to the first prediction", "to the end"), rows))


def _scoring(data: dict) -> str:
    rows = [(_PROGRAMS.get(name, name), _against(data["timings"], name),
             f"{data['rows'] / timing['median'] / 1e6:.3g} million") for name, timing in data["timings"].items()]
    return (f"## Scoring a CSV file\n\n{data['rows']:,} rows of {data['columns']} float64 numbers with all their "
            f"digits ({data['bytes'] / 1e6:.0f} MB) in, a column of predictions out; process start included.\n\n"
            + _table(("", "whole file", "rows/s"), rows))


def _building(data: dict) -> str:
    kinds = {"cold": "empty cache", "warm": "after another model", "rebuild": "model unchanged"}
    rows = [(kinds[kind], _timing(timing)) for kind, timing in data["timings"].items()]
    text = (f"## Building\n\n`castiron build` on {data['cores']} cores, with the comparison to Keras.\n\n"
            + _table(("", "`castiron build`"), rows) + f"\nThe executable has {data['bytes'] / 1e6:.1f} MB.")
    if data["tensorflow_bytes"]:
        ratio = data["tensorflow_bytes"] / data["bytes"]
        text += f" TensorFlow's two shared libraries have {data['tensorflow_bytes'] / 1e6:.0f} MB: {_times(ratio)}."
    return text + "\n"


_PARTS = {"latency": _latency, "cold": _cold, "scoring": _scoring, "building": _building}


def _machines(results: Results) -> str:
    """Where and when the parts were measured; parts with the same facts share a line."""
    text = "## The machine\n\n"
    for part, result in results.items():
        facts = result["machine"]
        packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
        text += (f"- {part}, {result['date']}: {facts['cpu']}, {facts['cpus']} cores; {facts['system']}; "
                 f"Python {facts['python']}; {packages}. Load at the start {facts['load']:g}.\n")
    return text


def _timing(timing: dict) -> str:
    return f"{_seconds(timing['median'])} ({_seconds(timing['best'])})"


def _seconds(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
