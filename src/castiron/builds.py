"""Executables of models that have not changed, and how far they were from their sources, found again."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy

from castiron import oracle
from castiron.frontends import Selection
from castiron.targets import Platform
from castiron.toolchain import Tools, cache
from castiron.verify import Report

#: With these set, a build does more than to leave an executable.
_WATCHING = ("CASTIRON_DUMP", "CASTIRON_VERIFY", "CASTIRON_KEEP")


def key(fingerprint: str, format: str, selection: Selection, platform: Platform, framework: bool, tools: Tools,
        *options: object) -> str | None:
    """The name of all that decides a build, castiron's own code among it: the fingerprint of the model's files, how
    they are read, what they are compared with, and further options. None if the build is being watched."""
    if any(os.environ.get(name) for name in _WATCHING):
        return None
    root = Path(__file__).parent
    own = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    fixed = [(name, array.dtype.str, array.shape, array.tolist()) for name, array in selection.fixed.items()]
    chosen = (selection.signature, [*selection.inputs.items()], [*selection.outputs], fixed, [*selection.dims.items()])
    against = oracle.available(format) if framework else None
    return cache.key("build", cache.files_digest(root, own), fingerprint, format, repr(chosen), platform.name,
                     repr(against), numpy.__version__, tools.zig_version(), tools.go_version(), repr(options))


def find(key: str | None) -> tuple[Path, Report] | None:
    """The executable in the cache and its report; None if there was no such build."""
    if key is None or not cache.holds(f"{key}.json"):
        return None
    found = json.loads((cache.directory() / f"{key}.json").read_text())
    if not cache.holds(found["executable"]):
        return None
    return cache.directory() / found["executable"], Report(**found["report"])


def remember(key: str | None, executable: Path, report: Report) -> None:
    """Let ``find`` find the executable, which is in the cache."""
    if key is not None:
        def write(path: Path) -> None:
            path.write_text(json.dumps({"executable": executable.name, "report": asdict(report)}))

        cache.fetch(f"{key}.json", write)
