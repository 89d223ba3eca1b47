"""What exporters write, read from files."""

from collections.abc import Callable, Iterable
from pathlib import Path

from castiron import frontends
from castiron.ir import Graph


def graphs_of(folder: Path, names: Iterable[str], exported: Callable[[str], bytes]) -> dict[str, Graph]:
    """The graphs of models by name, each first written as an ONNX file into the folder."""
    found = {}
    for name in names:
        path = folder / f"{name}.onnx"
        path.write_bytes(exported(name))
        found[name] = frontends.load(path)
    return found
