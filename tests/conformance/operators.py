"""Every operator that ONNX knows: since when it is read and how many cases test it, or why it isn't."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from castiron.frontends.onnx.importer import HANDLERS
from castiron.frontends.onnx.nodes import qualified
from castiron.frontends.onnx.operators import REASONS, TABLE
from castiron.frontends.onnx.proto import onnx_pb2 as pb
from conformance import nodes
from conformance.corpus import cases, networks
from conformance.test_versions import forms

#: Where the tests of the importer are.
FRONTENDS = Path(__file__).parents[1] / "frontends"

#: The names of all operators that are read.
READ = {*TABLE, *HANDLERS}


@dataclass(frozen=True)
class Row:
    """An operator: the versions of its domain in which it appeared, changed last and (0: never) was given up; how many
    cases of ONNX's with it pass, how many there are, how many forms of old versions are tested; why it isn't read."""

    name: str
    since: int
    last: int
    gone: int
    passed: int
    cases: int
    forms: int
    why: str


def rows() -> list[Row]:
    """All, in the order of their names, those of ONNX's own domain first."""
    from onnx import defs

    history: dict[str, dict[int, bool]] = defaultdict(dict)
    for schema in defs.get_all_schemas_with_history():
        history[qualified(schema.domain, schema.name)][schema.since_version] = schema.deprecated
    passing, _ = nodes.listed()
    total, passed, old = Counter(), Counter(), Counter(form.op for form in forms().values())
    for name, case in (cases() | networks()).items():
        met = met_in(case.model)
        total.update(met)
        passed.update(met if name in passing else ())
    found = []
    for name, versions in sorted(history.items(), key=lambda item: ("." in item[0], item[0].lower())):
        why = "" if name in READ else f"it {REASONS[name]}" if name in REASONS else "not yet"
        gone = max(versions) if versions[max(versions)] else 0
        found.append(Row(name, min(versions), max(v for v, given_up in versions.items() if not given_up or v == 1),
                         gone, passed[name], total[name], old[name], why))
    return found


def met_in(model: bytes) -> set[str]:
    """The operators in a model, its bodies and functions."""
    parsed = pb.ModelProto.FromString(model)
    stack = [*parsed.graph.node, *(node for function in parsed.functions for node in function.node)]
    found = set()
    while stack:
        node = stack.pop()
        found.add(qualified(node.domain, node.op_type))
        for attribute in node.attribute:
            stack += attribute.g.node
    return found


def table() -> Iterator[str]:
    """The rows as a table. Operators of which ONNX has no cases are tested beside the importer."""
    beside = "".join(path.read_text(encoding="utf-8") for path in FRONTENDS.glob("test_onnx*.py"))
    yield from ["| operator | since version | last changed in | cases that pass | |", "|---|---|---|---|---|"]
    for row in rows():
        old = f"{row.forms} of old versions" if row.forms else ""
        elsewhere = not (row.cases or old or row.why) and f'"{row.name.rpartition(".")[2]}"' in beside
        other = "in `tests/frontends`" if elsewhere else ""
        tested = ", ".join(filter(None, (f"{row.passed} of {row.cases}" if row.cases else "", old, other))) or "–"
        state = row.why or ("in part: see what doesn't pass" if row.cases and not row.passed else "yes")
        state += f", up to version {row.gone - 1}" if row.gone else ""
        yield f"| {row.name} | {row.since} | {row.last} | {tested} | {state} |"
