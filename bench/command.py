"""The command line: ``python -m bench`` measures what is not measured yet, and writes bench/results.json and, from it,
docs/BENCHMARKS.md and its picture."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import building, calls, cold, limits, machine, picture, report, scoring, size
from bench.engines import ENGINES
from bench.models import MEASURED
from bench.needed import require
from bench.results import Results
from bench.setting import WORK, Setting

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "BENCHMARKS.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"

#: What is measured beside calls, in order.
PARTS = {"limits": limits.run, "size": size.run, "cold": cold.run, "scoring": scoring.run, "building": building.run}
CALLS = "calls"

#: Without these there are no models to measure.
NEEDED = ("castiron", "tensorflow", "keras", "onnx", "tf2onnx", "ziglang", "go", "matplotlib")

#: What a run takes, roughly, in minutes.
MINUTES = {"limits": 0.5, "size": 0.1, "cold": 2, "scoring": 1.5, "building": 6}
CASE_MINUTES, MODEL_MINUTES = 0.7, 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.report:
        _publish(Results.load(options.results) or sys.exit(f"bench: there is no {options.results}"))
        return
    require(*NEEDED)
    core = machine.CORES[-1] if options.core is None else options.core
    if core not in machine.CORES:
        sys.exit(f"bench: --core {core}: this process may use {', '.join(map(str, machine.CORES))}")
    os.environ.update(machine.QUIET)
    machine.pin([core])
    _measure(options, Setting(WORK, core, options.quick))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", choices=[*MEASURED, []],
                        help=f"calls of these alone: {', '.join(MEASURED)}")
    parser.add_argument("--engine", action="append", default=[], choices=[*ENGINES],
                        help="this engine alone (repeatable); its figures are only printed")
    parser.add_argument("--batch", action="append", default=[], type=int, metavar="N", help="calls of this batch size")
    parser.add_argument("--threads", action="append", default=[], type=int, metavar="N",
                        help="calls on so many threads")
    parser.add_argument("--part", action="append", default=[], choices=[CALLS, *PARTS], help="this part alone")
    parser.add_argument("--again", action="store_true", help="measure anew what is there already")
    parser.add_argument("--quick", action="store_true",
                        help="a few short rounds, to see that all works; figures are only printed")
    parser.add_argument("--core", type=int, help="the core to measure on (default: the last)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are (default: bench/results.json)")
    parser.add_argument("--report", action="store_true", help="only write the page from the results")
    return parser


def _measure(options: argparse.Namespace, setting: Setting) -> None:
    narrowed = bool(options.models or options.batch or options.threads or options.engine)
    parts = options.part or ([CALLS] if narrowed else [CALLS, *PARTS])
    # Figures of a run that leaves engines out, or hurries, can't stand beside others.
    kept = not options.engine and not options.quick
    found, conditions = Results.load(options.results), machine.conditions()
    same = found is not None and found.conditions == conditions
    if found and not same and kept and narrowed:
        print(f"{options.results} was measured under other conditions: figures are only printed; measure all with "
              "python -m bench", file=sys.stderr)
        kept = False
    results = found if same and kept else Results(conditions)
    left = [case for case in (calls.cases(options.models, options.batch, options.threads) if CALLS in parts else [])
            if options.again or not results.has(case)]
    others = [part for part in PARTS if part in parts and (options.again or part not in results.parts)]
    _announce(left, others, options.quick)
    engines = [engine for name, engine in ENGINES.items() if not options.engine or name in options.engine]
    for part in others:
        print(part, file=sys.stderr, flush=True)
        results.parts[part] = _dated(PARTS[part](setting))
        if kept:
            results.save(options.results)
    for done, case in enumerate(left, 1):
        print(f"{done}/{len(left)} {case}", file=sys.stderr, flush=True)
        results.put(case, *calls.run(case, engines, setting))
        if kept:
            results.save(options.results)
    if kept and options.results == RESULTS:
        _publish(results)
    print(report.page(results, {case.model for case in left} if narrowed else None))


def _dated(data: dict) -> dict:
    return {"date": datetime.date.today().isoformat(), "load": machine.load(), **data}


def _announce(cases: list, parts: list[str], quick: bool) -> None:
    if quick or not (cases or parts):
        return
    minutes = (len(cases) * CASE_MINUTES + len({case.model for case in cases}) * MODEL_MINUTES
               + sum(MINUTES[part] for part in parts))
    until = time.strftime("%H:%M", time.localtime(time.time() + 60 * minutes))
    print(f"{len(cases)} cases{''.join(f', {part}' for part in parts)}: about {minutes:.0f} minutes, until {until}. "
          "Stopped, it goes on from there when started again.", file=sys.stderr, flush=True)


def _publish(results: Results) -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(report.page(results))
    picture.draw(results, PICTURE)
