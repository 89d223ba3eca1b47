"""The pipeline from a model file to an artefact, top to bottom."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from castiron import builds, frontends, interp, native, passes, strings, verify
from castiron.emit import emit
from castiron.errors import CastironError, ModelError, ShapeError
from castiron.frontends import WHOLE, Selection
from castiron.ir import Graph, Label, TensorType
from castiron.model_data import Facts, Golden, model_go
from castiron.packagers import executable, go_module
from castiron.plan import plan
from castiron.profile import Profile, profile
from castiron.program import Program, Weights
from castiron.samples import samples, sized
from castiron.targets import Platform, host
from castiron.targets.levels import Level
from castiron.toolchain import Tools

#: What a step of the work is called -> told as it begins.
Progress = Callable[[str], None]

#: How a build may leave the model.
FORMS = ("executable", "go")


def silent(step: str) -> None:
    """Progress that is told to nobody."""


@dataclass(frozen=True)
class Compiled:
    """A model as programs, C and weights, before any machine has a part in it.

    Calling it runs the model in this process: arrays by input name (or in order) -> arrays by output
    name. The C is compiled at the first call. Every call starts from the initial states, whose ends are
    among neither inputs nor outputs; ``session`` carries states on.
    """

    source: Graph
    programs: Mapping[str, Program]
    weights: Weights
    tools: Tools = field(default_factory=Tools)
    level: Level | None = None

    @cached_property
    def unit(self) -> tuple[str, tuple[str, ...]]:
        """The C and the names of its step functions."""
        source, entries = emit(self.programs)
        if folder := os.environ.get("CASTIRON_DUMP"):
            Path(folder, "model.c").write_text(source)
        return source, entries

    @cached_property
    def _runner(self) -> native.Runner:
        library = native.Library(*self.unit, self.tools, self.level)
        return native.Runner(self.programs["fast"], library, native.load_weights(self.weights))

    def __call__(self, *arrays: np.ndarray, **named: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name. ShapeError for an input that is missing, unknown or doesn't fit."""
        return self.session()(*arrays, **named)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name, among them what becomes of states. States that are not fed are initial."""
        return self._runner(feeds)

    def session(self) -> Session:
        """Calls that carry the states on from one to the next, from their initial values."""
        return Session(self)


class Session:
    """Calls of a model in order, each of which begins with the states that the one before left.

    ``states`` has them by the name of the state's input; to clear it is to begin again.
    """

    def __init__(self, compiled: Compiled):
        self._compiled = compiled
        self.states: dict[str, np.ndarray] = {}

    def __call__(self, *arrays: np.ndarray, **named: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name. ShapeError for an input that is missing, unknown or doesn't fit; the states stay
        as they are then."""
        source = self._compiled.source
        states = source.states
        own = [name for name in source.inputs if name not in {state.input for state in states}]
        if len(arrays) > len(own):
            raise ShapeError(f"{len(arrays)} inputs; the model has {', '.join(own)}")
        fed = strings.numbered(source, {**dict(zip(own, arrays, strict=False)), **named})
        results = self._compiled.run({**self.states, **fed})
        self.states = {state.input: results.pop(state.output) for state in states}
        return strings.spelled(source, results)


@dataclass(frozen=True)
class Artifact:
    """What packagers take: one C unit, its entries, the weights and the model's data as Go."""

    name: str
    source: str
    entries: tuple[str, ...]
    weights: Weights
    model_go: str


@dataclass(frozen=True)
class Built:
    """What a build left, and how far it is from its source."""

    path: Path
    report: verify.Report
    nbytes: int


def load(path: str | Path, selection: Selection = WHOLE) -> Graph:
    """The graph in a Keras file, a TensorFlow GraphDef or a SavedModel directory, or a part of it. ModelError
    if it is broken, UnsupportedOp if castiron can't compile what it holds."""
    return frontends.load(Path(path), selection)


def compile(model: str | Path | Graph, selection: Selection = WHOLE, *, trace: bool = False,
            tools: Tools | None = None, level: Level | None = None) -> Compiled:
    """Compile a file, or a part of it, or a graph. With ``trace`` there is a second program with every labelled
    value."""
    source = model if isinstance(model, Graph) else load(model, selection)
    weights = Weights()
    programs = {}
    for name in ("fast", "trace") if trace else ("fast",):
        graph = passes.run(replace(source, traced=name == "trace"))
        programs[name] = plan(graph, weights)
    return Compiled(source, programs, weights, tools or Tools(), level)


def build(path: str | Path, out: str | Path, selection: Selection = WHOLE, *, targets: Sequence[Platform] = (),
          form: str = "executable", module: str | None = None, name: str | None = None, trace: bool = True,
          framework: bool = True, tolerance: float | None = None, tools: Tools | None = None,
          progress: Progress = silent) -> Built:
    """Compile a model file, or a part of it, into an executable for one target, or a Go module for several.

    Nothing is written unless the compiled model agrees with its source: VerifyError otherwise. The
    source is run by its own framework where that is installed and ``framework`` is true, else by the
    interpreter; ``tolerance`` is by default that of ``verify.tolerance_of``. ModelError, UnsupportedOp,
    ToolError and OutputError tell what else stands in the way.
    """
    path, out, tools = Path(path), Path(out), tools or Tools()
    targets = tuple(targets) or (host(),)
    progress("reading the model")
    format = frontends.detect(path).FORMAT
    name = name or default_name(path)
    fingerprint = digest(path)
    key = None
    if form == "executable":
        executable.refuse_folder(out)
        key = builds.key(fingerprint, format, selection, targets[0], framework, tools, name, trace, tolerance)
        if found := builds.find(key):
            progress("writing")
            made, report = found
            return Built(executable.install(made, out), report, made.stat().st_size)
    with contextlib.ExitStack() as meanwhile:
        prepared = meanwhile.enter_context(executable.preparing(targets[0], tools)) if key else None
        source = load(path, selection)
        reference = verify.Reference(path, format, fingerprint, source, framework, selection)
        meanwhile.callback(reference.close)
        progress("compiling")
        compiled = compile(source, trace=trace, tools=tools)
        tolerance = verify.tolerance_of(source) if tolerance is None else tolerance
        facts = _facts(name, fingerprint, format, compiled, tolerance)
        if form == "executable":
            # Into the cache only: the framework takes seconds to start, and nothing is written until it has spoken.
            if prepared:
                prepared()
            executable.link(_artifact(facts, compiled, reference), targets[0], tools)
        progress(f"comparing with {reference.source}")
        report = verify.compare(reference, compiled.run, source, tolerance)
    progress("writing")
    artifact = _artifact(facts, compiled, reference)
    if form == "go":
        written = go_module.package(artifact, targets, out, tools, *([module] if module else []))
        return Built(written, report, sum(f.stat().st_size for f in written.rglob("*") if f.is_file()))
    made = executable.link(artifact, targets[0], tools)
    builds.remember(key, made, report)
    return Built(executable.install(made, out), report, made.stat().st_size)


def _artifact(facts: Facts, compiled: Compiled, reference: verify.Reference) -> Artifact:
    """``reference`` may fall back to the interpreter until it has given its results."""
    verified = f"within {facts.tolerance:g} of {reference.source} on {reference.rows} inputs"
    data = model_go(replace(facts, verified=verified), compiled.source, compiled.programs)
    return Artifact(facts.name, *compiled.unit, compiled.weights, data)


def _facts(name: str, digest: str, format: str, compiled: Compiled, tolerance: float) -> Facts:
    """All but how the comparison ends."""
    return Facts(
        name=name, digest=digest, format=format, compiler=f"castiron {version('castiron')}",
        toolchain=f"zig {compiled.tools.zig_version()}, {compiled.tools.go_version()}",
        verified="", tolerance=tolerance, golden=_golden(compiled))


def _golden(compiled: Compiled) -> tuple[Golden, ...]:
    """Examples, put into the weights, with the results that the comparison then holds against the source's."""
    graph, weights, program = compiled.source, compiled.weights, compiled.programs["fast"]
    golden = []
    for sample in samples(graph)[1:3]:
        computed = compiled.run(sample)
        results = [computed[port.name] for port in program.outputs]
        symbols: dict[str, int] = {}
        for key, array in sample.items():
            interp.bind(graph.inputs[key].type, array.shape, symbols)
        for port, array in zip(program.outputs, results, strict=True):
            interp.bind(graph.outputs[port.name].type, array.shape, symbols)
        arrays = [*(sample[p.name] for p in program.inputs), *results]
        offsets = [weights.add(array.astype(program.buffers[port.buffer].type.dtype.numpy))
                   for port, array in zip((*program.inputs, *program.outputs), arrays, strict=True)]
        count = len(program.inputs)
        sizes = tuple(symbols.get(s, 0) for s in program.symbols)
        golden.append(Golden(sizes, tuple(offsets[:count]), tuple(offsets[count:])))
    return tuple(golden)


def default_name(path: Path) -> str:
    """The model's name: the file's, in letters that a URL may hold."""
    stem = path.resolve().name if path.is_dir() else path.stem
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in stem).strip("-.") or "model"


def digest(path: Path) -> str:
    """SHA-256 of a model's file, or of the names and contents of its files if there are several, in hex."""
    total = hashlib.sha256()
    folder = path if path.is_dir() else path.parent
    try:
        files = frontends.detect(path).files(path)
        for file in files:
            if len(files) > 1:
                total.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
            with open(file, "rb") as stream:
                while chunk := stream.read(1 << 20):
                    total.update(chunk)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    return total.hexdigest()


def bench(path: str | Path, selection: Selection = WHOLE, *, batch: int = 1, seconds: float = 2.0,
          tools: Tools | None = None, level: Level | None = None) -> Profile:
    """Where the time of a model goes, on one core of this machine: its steps, timed for about so many seconds on
    random inputs whose first free dimension is ``batch``."""
    compiled = compile(path, selection, tools=tools, level=level)
    feeds = sized(compiled.source, batch)
    return profile(compiled.programs["fast"], compiled.weights, feeds, compiled.tools, level, seconds)


@dataclass(frozen=True)
class Findings:
    """What a model file is, and whether it compiles.

    ``signatures``, ``inputs``, ``outputs`` and ``states`` have types as text; but for the first they are known if
    the file could be read.
    ``error`` is what stands in the way, None if nothing does.
    """

    description: str
    signatures: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    states: Mapping[str, str]
    error: CastironError | None


def check(path: str | Path, selection: Selection = WHOLE) -> Findings:
    """Whether a model file, or a part of it, compiles, and all that stands in the way. Nothing is built.

    ModelError if it is no model, or too damaged to say anything about it."""
    path = Path(path)
    frontend = frontends.detect(path)
    signatures = frontend.signatures(path)
    ends: list[dict[str, str]] = [{}, {}, {}]
    try:
        graph = load(path, selection)
        states = {state.input: repr(graph.inputs[state.input].type) for state in graph.states}
        becoming = {state.output for state in graph.states}
        ends = [*({name: type_text(graph, name, value.type) for name, value in values.items() if name not in hidden}
                  for values, hidden in ((graph.inputs, states), (graph.outputs, becoming))), states]
        plan(passes.run(graph), Weights())
    except CastironError as error:
        return Findings(frontend.DESCRIPTION, signatures, *ends, error)
    return Findings(frontend.DESCRIPTION, signatures, *ends, None)


def type_text(graph: Graph, name: str, type: TensorType) -> str:
    """The type of an input, output or label of a graph: ``f32[batch,10]``, ``string[batch] of 12 words``."""
    words = graph.vocabularies.get(name)
    return repr(type) if words is None else f"{repr(type).replace('i64', 'string', 1)} of {len(words)} words"


def signatures(path: str | Path) -> Mapping[str, Any]:
    """What a model file declares of its inputs and outputs, by the name of the signature: ``inputs`` and
    ``outputs``, types as text by name. Only SavedModels have signatures."""
    return frontends.detect(Path(path)).signatures(Path(path))


def inspect(path: str | Path, selection: Selection = WHOLE) -> list[dict]:
    """The nodes of a model file in the source's order: label, op, dtype, shape, role, and ``words`` of strings."""
    graph = load(path, selection)

    def node(name: str, label: Label) -> dict:
        type = label.value.type if label.value else None
        words = graph.vocabularies.get(name)
        listed = {} if words is None else {"words": list(words)}
        return {"label": name, "op": label.op,
                "dtype": type and ("string" if words is not None else str(type.dtype.numpy)),
                "shape": type and [d if isinstance(d, int) else str(d) for d in type.shape],
                "role": graph.roles.get(name)} | listed

    return [node(name, label) for name, label in graph.labels.items()]
