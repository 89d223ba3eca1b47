"""The command line: ``python -m bench [PART...]`` measures, and writes results.json and docs/BENCHMARKS.md."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from bench import building, cold, latency, machine, report, scoring
from bench.setting import Setting

PARTS = {"latency": latency.run, "cold": cold.run, "scoring": scoring.run, "building": building.run}

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "BENCHMARKS.md"

#: Without these there are no models to measure.
NEEDED = ("castiron", "tensorflow", "keras", "onnx", "ziglang", "go")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all), or report, "
                                                                 "which only writes the page from the last results")
    parser.add_argument("--core", type=int, help="the core to measure on (default: the last)")
    options = parser.parse_args()
    if unknown := [part for part in options.parts if part not in (*PARTS, "report")]:
        parser.error(f"there is no part {unknown[0]!r}: use {', '.join(PARTS)} or report")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = [part for part in PARTS if part in (options.parts or PARTS)]
    if chosen:
        _check_needed()
        with _setting(options.core) as setting:
            for part in chosen:
                results[part] = {"date": datetime.date.today().isoformat(), "machine": machine.facts(),
                                 "data": PARTS[part](setting)}
                RESULTS.write_text(json.dumps({p: results[p] for p in PARTS if p in results}, indent=1) + "\n")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(report.page(results))
    print(PAGE.read_text())


def _check_needed() -> None:
    if missing := [package for package in NEEDED if importlib.util.find_spec(package) is None]:
        sys.exit(f"bench: {', '.join(missing)} missing: pip install -e '.[bench]'")


@contextlib.contextmanager
def _setting(core: int | None):
    """Everything that is started from here on is pinned to one core and told to use one thread."""
    cores = machine.cores()
    core = cores[-1] if core is None else core
    if core not in cores:
        sys.exit(f"bench: --core {core}: this process may use {', '.join(map(str, cores))}")
    os.environ.update(machine.ENVIRONMENT)
    machine.pin([core])
    with tempfile.TemporaryDirectory(prefix="castiron-bench-") as folder:
        yield Setting(Path(folder), core, cores)


if __name__ == "__main__":
    main()
