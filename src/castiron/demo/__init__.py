"""The walkthrough of the README, from random data to what was won, each step really done."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from castiron.errors import ToolError

_NEEDED = ("tensorflow", "keras", "matplotlib", "plotext")


def run(folder: Path) -> None:
    """Tell the story in the folder, which is made if need be; what an earlier run left is replaced.

    ToolError if the packages of the extra ``demo`` are missing; any other CastironError if a step does not
    come out as it should.
    """
    missing = [package for package in _NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise ToolError(f"the demo needs {', '.join(missing)}: pip install \"castiron[demo]\"")
    from castiron.demo.story import Story

    Story(folder).tell()
