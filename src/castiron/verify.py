"""Compares a compiled model with its source: the framework where it is installed, else the interpreter."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from castiron import interp, oracle, strings
from castiron.errors import ShapeError, VerifyError
from castiron.frontends import WHOLE, Selection
from castiron.ir import DType, Graph, Node
from castiron.ops.narrow import FORMATS
from castiron.samples import Arrays, samples
from castiron.toolchain import cache

#: Largest |compiled - source| / max(1, largest |source| of the output) that a build accepts.
TOLERANCE = 1e-4

#: The same in units of what a model rounds its values to, 16-bit floats or bytes: sums that differ in their last bit
#: are rounded to neighbours.
UNITS = 8

#: Seconds that the framework may take.
TIME_LIMIT = 600


@dataclass(frozen=True)
class Report:
    """How far the compiled model is from its source, over all inputs tried."""

    source: str
    rows: int
    largest_error: float
    largest_ulp: float
    tolerance: float
    note: str = ""

    def __str__(self) -> str:
        text = (f"agrees with {self.source} on {self.rows} inputs: largest error {self.largest_error:.3g} "
                f"({self.largest_ulp:.0f} ULP), tolerance {self.tolerance:g}")
        return f"{text} ({self.note})" if self.note else text


class Reference:
    """The source's own results on the samples, being worked out while the model is compiled.

    A framework's results are cached: it takes longer to start than an unchanged model takes to build.
    ``digest`` is the source's, of which the graph is the ``selection``.
    """

    def __init__(self, path: Path, format: str, digest: str, graph: Graph, framework: bool = True,
                 selection: Selection = WHOLE):
        self._path, self._format, self._graph, self.samples = path, format, graph, samples(graph)
        ends = {state.output for state in graph.states}
        #: The outputs that the framework has too: what becomes of states, only the interpreter gives.
        self._own = [name for name in graph.outputs if name not in ends]
        self._part = json.dumps({
            "outputs": self._own, "signature": selection.signature, "cuts": selection.cuts,
            "states": bool(graph.states),
            "columns": {name: list(columns) for name, columns in graph.columns.items()},
            "fixed": {label: array.tolist() for label, array in selection.fixed.items()}})
        self._framework = oracle.available(format) if framework else None
        self.source, self.note = self._framework or "the interpreter", ""
        self._process = None
        if self._framework:
            self._kept = f"{self._key(digest)}.npz"
            if not cache.holds(self._kept):
                self._start()

    @property
    def rows(self) -> int:
        """How many inputs the samples have, over all."""
        return sum(max((len(a) if a.ndim else 1 for a in sample.values()), default=1) for sample in self.samples)

    def _feeds(self) -> Arrays:
        states = {state.input for state in self._graph.states}
        return {f"{i}/{k}": a for i, sample in enumerate(self.samples)
                for k, a in strings.spelled(self._graph, sample).items() if k not in states}

    def _key(self, digest: str) -> str:
        parts = [digest, self._format, self._framework, Path(oracle.__file__).read_bytes(), self._part]
        for name, array in self._feeds().items():
            parts += [name, str(array.dtype), str(array.shape), array.tobytes()]
        return cache.key("reference", *parts)

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="castiron-verify-")
        folder = Path(self._folder.name)
        np.savez(folder / "feeds.npz", **self._feeds())
        self._process = subprocess.Popen(
            # As a script, so that the process does not first import all of castiron.
            [sys.executable, "-P", oracle.__file__, self._format, str(self._path), str(folder / "feeds.npz"),
             str(folder / "results.npz"), self._part],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def results(self) -> list[Arrays]:
        """For each sample the outputs by name."""
        if self._framework:
            try:
                return self._from_framework()
            except (OSError, ValueError, KeyError, ShapeError, subprocess.TimeoutExpired) as error:
                said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                self.note = f"{self.source} can't run it: {_short(said)}"
                self.source = "the interpreter"
            finally:
                self.close()
        return [self._interpreted(sample, list(self._graph.outputs)) for sample in self.samples]

    def _interpreted(self, sample: Arrays, names: Sequence[str]) -> Arrays:
        feeds = {self._graph.inputs[name]: array for name, array in sample.items()}
        return dict(zip(names, interp.run(self._graph, feeds, [self._graph.outputs[n] for n in names]), strict=True))

    def _from_framework(self) -> list[Arrays]:
        """The framework's results; the interpreter's for samples that the framework refuses, and for what becomes of
        states."""
        found: list[Arrays] = []
        with np.load(cache.fetch(self._kept, self._wait)) as arrays:
            for i in range(len(self.samples)):
                names = {name: f"{i}/{k}" for k, name in enumerate(self._own)}
                missing = oracle.REFUSED in arrays and f"{i}/0" not in arrays
                own = {} if missing else {name: arrays[key] for name, key in names.items()}
                found.append(strings.numbered(self._graph, own))
            if oracle.REFUSED in arrays:
                said = str(arrays[oracle.REFUSED]).strip().splitlines() or [""]
                self.note = (f"the interpreter on {found.count({})} of {len(found)} samples, which {self.source} "
                             f"refuses: {_short(said[-1])}")
        results = []
        for own, sample in zip(found, self.samples, strict=True):
            rest = [name for name in self._graph.outputs if name not in own]
            results.append(own | (self._interpreted(sample, rest) if rest else {}))
        return results

    def _wait(self, path: Path) -> None:
        """Leave the framework's results at ``path``."""
        if not self._process:
            self._start()
        _, said = self._process.communicate(timeout=TIME_LIMIT)
        if self._process.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise ValueError(lines[-1] if lines else f"exit code {self._process.returncode}")
        shutil.copyfile(Path(self._folder.name) / "results.npz", path)

    def close(self) -> None:
        """Stop the framework if it is still running."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process:
            self._process.stderr.close()
            self._folder.cleanup()
            self._process = None


def _short(said: str) -> str:
    """What a framework says, as far as it is short."""
    return f"{said[:200]}{'…' if len(said) > 200 else ''}"


def tolerance_of(graph: Graph) -> float:
    """What a build accepts of a model unless it is told: ``TOLERANCE``, or UNITS of what the model rounds its values
    to, since one that lies between two may fall to either: 16-bit floats, or bytes that it goes on to compute with."""
    nodes = list(_all_nodes(graph))
    units = {node.attrs["format"] for node in nodes if node.op == "round_to"}.intersection(("f16", "bf16"))
    steps = [2.0 ** (1 - FORMATS[name].precision) for name in units]
    if any(_is_byte(node) and node.inputs[0].type.dtype.is_float and graph.users.get(node.results[0]) for node in nodes
           if node.op == "cast" and node.inputs[0].constant is None):
        steps.append(1 / 255)
    return max((UNITS * step for step in steps), default=TOLERANCE)


def _is_byte(node: Node) -> bool:
    return node.types[0].dtype in (DType.I8, DType.U8)


def _all_nodes(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph and of the bodies in it."""
    for node in graph.nodes:
        yield node
        for body in node.bodies.values():
            yield from _all_nodes(body)


def compare(reference: Reference, compiled: Callable[[Arrays], Mapping[str, np.ndarray]], graph: Graph,
            tolerance: float = TOLERANCE) -> Report:
    """Run the compiled model on the reference's samples. VerifyError if an output is further from the
    source than the tolerance, or not finite where the source is."""
    results = [compiled(sample) for sample in reference.samples]
    largest_error = largest_ulp = 0.0
    for got, wants in zip(results, reference.results(), strict=True):
        for name, want in wants.items():
            error, scale, ulp = distance(got[name], want)
            if not error <= tolerance * scale:
                raise VerifyError(
                    f"{graph.name}: output {name!r} differs from {reference.source} by {error:.3g} where values reach "
                    f"{scale:.3g}; the tolerance is {tolerance:g} of that. Nothing was written. If the difference is "
                    f"acceptable, build with a larger --tolerance.")
            largest_error, largest_ulp = max(largest_error, error), max(largest_ulp, ulp)
    return Report(reference.source, reference.rows, largest_error, largest_ulp, tolerance, reference.note)


def distance(got: np.ndarray, want: np.ndarray) -> tuple[float, float, float]:
    """(largest |got - want|, largest finite |want| or 1 if that is more, the error in ULP of f32 there).

    Infinite where the shapes, or the places of NaN and infinities, differ.
    """
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    if got.shape != want.shape:
        return np.inf, 1.0, np.inf
    finite = np.isfinite(want)
    scale = max(1.0, float(np.abs(want[finite]).max(initial=0)))
    same = np.array_equal(got[~finite], want[~finite], equal_nan=True)
    if not same or not np.isfinite(got[finite]).all():
        return np.inf, scale, np.inf
    error = float(np.abs(got[finite] - want[finite]).max(initial=0))
    return error, scale, error / float(np.spacing(np.float32(scale)))
