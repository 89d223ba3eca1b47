"""Which of ONNX's own cases pass, in the interpreter and in compiled code.

``PYTHONPATH=src:tests python tests/conformance/nodes.py`` writes the lists of those that pass and of the others anew.
A case that has passed once stays: the lists are not written if one is lost.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from castiron import interp, passes
from castiron.errors import CastironError
from castiron.frontends import onnx as frontend
from castiron.ir import DType, Graph, TensorType, print_graph, verify
from compiled import NATIVE, Compiled
from conformance.corpus import LIGHT, Arrays, Case, cases, networks

FOLDER = Path(__file__).parent
PASSING, REFUSED = FOLDER / "passing.txt", FOLDER / "refused.txt"

#: Inputs with more elements than this are fed, others may be fixed.
SMALL = 64

#: Among so many C units the cases are shared out.
UNITS = 12

LEVEL = NATIVE[-1]

#: How far results of bfloat16 may be from the expected ones, as ``onnx`` has it: two units in the last place.
BFLOAT16 = 2 ** -6


@dataclass(frozen=True)
class Converted:
    """A case's graph, or why there is none; whether something that is fed had to be ``pinned`` for it."""

    graph: Graph | None
    why: str = ""
    pinned: bool = False


def converted(case: Case) -> Converted:
    """The graph of a case, the elements of its lists being inputs.

    Where the shapes of results depend on small inputs, these are fixed, as ``--set`` does it for a user: first
    integers behind the first input, then all behind it, at last the first too. Where free dimensions can't stay free,
    inputs have the shapes that the case feeds (``--input``) before more of them is fixed.
    """
    arrays = case.sets[0][0]
    try:
        model = frontend.read(case.model)
    except CastironError as error:
        return Converted(None, str(error))
    given = {info.name for info in model.graph.input}
    if absent := [info.name for info in model.graph.input if info.type.HasField("optional_type")
                  and not any(name == info.name or name.startswith(f"{info.name}.") for name in arrays)]:
        return Converted(None, f"leaves out the input {absent[0]!r}, which a compiled model always has")
    elements = {name: _type(array) for name, array in arrays.items() if name not in given}
    why = ""
    for fixed in _choices(case):
        values = {name: _plain(arrays[name]) for name in fixed}
        for shaped in ({}, {name: _type(arrays[name]) for name in arrays if name not in fixed}):
            try:
                graph = frontend.convert(case.name, model, inputs=elements | shaped, fixed=values)
                verify(graph)
                return Converted(graph, pinned=bool(fixed or shaped))
            except CastironError as error:
                why = str(error)
            if not re.search("--dim|fixed shape", why):
                break
        if not re.search("depends on|--dim|fixed shape", why):
            break
    return Converted(None, why)


def _choices(case: Case) -> Iterator[set[str]]:
    inputs = case.sets[0][0]
    small = {name for name, a in inputs.items() if a.ndim <= 1 and a.size <= SMALL and a.dtype.kind in "biufV"}
    first = set(list(inputs)[:1])
    yield set()
    for choice in ({name for name in small if inputs[name].dtype.kind in "biu"} - first, small - first, small):
        if choice:
            yield choice


def _plain(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type that castiron has: those narrower than a byte in 8 bits, other floats in 32."""
    name = array.dtype.name
    if name in ("int2", "int4", "uint2", "uint4"):
        return array.astype(np.uint8 if name.startswith("u") else np.int8)
    narrow = name.startswith(("float", "bfloat")) and name not in ("float32", "float64")
    return array.astype(np.float32) if narrow else array


def _type(array: np.ndarray) -> TensorType | None:
    """The type of an input that is fed an array; None for strings."""
    return None if array.dtype.kind in "OSU" else TensorType(DType.of(_plain(array).dtype), array.shape)


def feeds(graph: Graph, inputs: Arrays) -> Arrays:
    """What is fed to a graph, in its own types."""
    return {name: _numbers(inputs[name], graph.vocabularies[name]) if name in graph.vocabularies
            else _plain(inputs[name]).astype(value.type.dtype.numpy, copy=False)
            for name, value in graph.inputs.items()}


def _numbers(words: np.ndarray, vocabulary: Iterable[str]) -> np.ndarray:
    """The places of words in a vocabulary, -1 for others."""
    places = {word: i for i, word in enumerate(vocabulary)}
    return np.array([places.get(_text(word), -1) for word in words.ravel()], np.int64).reshape(words.shape)


def _text(word: str | bytes) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def difference(case: Case, graph: Graph, got: Arrays, wanted: Arrays) -> str:
    """How a graph's results differ from the expected ones; empty if they agree."""
    if more := [name for name in got if name not in wanted and name.rpartition(".")[0]]:
        return f"gives {more[0]}, which is not expected"
    for name, want in wanted.items():
        if name not in got:
            return f"doesn't give {name}"
        have = got[name]
        if have.shape != want.shape:
            return f"{name} has the shape {have.shape}, not {want.shape}"
        if want.dtype.kind in "OSU":
            words = np.array([graph.vocabularies[name][i] for i in have.ravel()], object)
            if [_text(word) for word in want.ravel()] != words.tolist():
                return f"{name} has other words"
            continue
        exact = _plain(want)
        if have.dtype != exact.dtype:
            return f"{name} is of {have.dtype}, not {exact.dtype}"
        rtol = max(case.rtol, BFLOAT16) if want.dtype.name == "bfloat16" else case.rtol
        agree = np.isclose(have, exact, rtol=rtol, atol=case.atol, equal_nan=exact.dtype.kind == "f")
        if not agree.all():
            return f"{name} is {have[~agree].flat[0]:.1g} where {exact[~agree].flat[0]:.1g} is expected"
    return ""


def interpreted(case: Case, converted: Converted) -> str:
    """Why a case doesn't pass in the interpreter; empty if it does."""
    graph = converted.graph
    if graph is None:
        return converted.why

    def run(fed: Arrays) -> list[np.ndarray]:
        return interp.run(graph, {graph.inputs[name]: a for name, a in fed.items()}, list(graph.outputs.values()))

    return _compared(case, graph, run)


def _compared(case: Case, graph: Graph, run) -> str:
    """Why the results that ``run`` gives for what is fed are not the expected ones; empty if they are."""
    for inputs, wanted in case.sets:
        results = dict(zip(graph.outputs, run(feeds(graph, inputs)), strict=True))
        if why := difference(case, graph, results, wanted):
            return why
    return ""


def failures(chosen: Mapping[str, Case], graphs: Mapping[str, Graph]) -> dict[str, str]:
    """Why cases don't pass in compiled code, by the names of those. Graphs that the passes make equal, as of a node
    and of what it expands into, are compiled once."""
    plain = {name: _anonymous(graphs[name]) for name in chosen}
    first: dict[str, str] = {}
    like = {name: first.setdefault(print_graph(passes.run(graph)), name) for name, graph in plain.items()}
    compiled = Compiled({_identifier(name): plain[name] for name in first.values()}, min(UNITS, len(first)), (LEVEL,))
    failed = {}
    for name, case in chosen.items():
        runner = compiled.runner(_identifier(like[name]), LEVEL)

        def run(fed: Arrays, runner=runner) -> list[np.ndarray]:
            return list(runner({f"x{i}": array for i, array in enumerate(fed.values())}).values())

        if why := _compared(case, graphs[name], run):
            failed[name] = why
    return failed


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _anonymous(graph: Graph) -> Graph:
    """The graph with no names but those of its inputs' and outputs' places."""
    return replace(graph, name="case", labels={}, inputs={f"x{i}": v for i, v in enumerate(graph.inputs.values())},
                   outputs={f"y{i}": v for i, v in enumerate(graph.outputs.values())}, vocabularies={}, columns={})


def listed() -> tuple[set[str], dict[str, str]]:
    """The recorded cases: those that pass, and why others don't."""
    refused = dict(line.split(": ", 1) for line in REFUSED.read_text(encoding="utf-8").splitlines())
    return set(PASSING.read_text(encoding="utf-8").split()), refused


def one_line(why: str) -> str:
    """A reason as it stands in the list."""
    return re.sub(r"\s+", " ", why)


def outcomes(chosen: Mapping[str, Case], passed: Collection[str] = ()) -> dict[str, str]:
    """By case, why it doesn't pass; empty if it does, in the interpreter (but for networks, where that is slow) and
    in compiled code. Cases that have ``passed`` once are not compiled, which the tests do."""
    graphs = {name: converted(case) for name, case in chosen.items()}
    why = {name: "" if case.suite == LIGHT and graphs[name].graph else interpreted(case, graphs[name])
           for name, case in chosen.items()}
    new = {name: case for name, case in chosen.items() if not why[name] and name not in passed}
    return why | (failures(new, {name: graphs[name].graph for name in new}) if new else {})


def main() -> None:
    """Write both lists."""
    passed, _ = listed()
    found = outcomes(cases(), passed)
    for name, case in networks().items():
        found |= outcomes({name: case}, passed)
    reasons = {name: one_line(why) for name, why in found.items() if why}
    if lost := passed & reasons.keys():
        raise SystemExit("these have passed before:\n" + "\n".join(f"{n}: {reasons[n]}" for n in sorted(lost)))
    PASSING.write_text("".join(f"{name}\n" for name in sorted(found.keys() - reasons.keys())), encoding="utf-8")
    REFUSED.write_text("".join(f"{name}: {why}\n" for name, why in sorted(reasons.items())), encoding="utf-8")


if __name__ == "__main__":
    main()
